//! What a machine is and has, found out in one round trip.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rights, Script, Shell};
use crate::backend::BackendError;

/// The programs that some backend needs or can do better with.
const TOOLS: [&str; 12] = [
    "sh",
    "tar",
    "gzip",
    "sha256sum",
    "shasum",
    "openssl",
    "setsid",
    "systemctl",
    "journalctl",
    "systemd-run",
    "sync",
    "wg-quick",
];

/// Prints a line for each fact. `$1` is the names of the tools.
const SCRIPT: &str = r#"
say() { printf '%s=%s\n' "$1" "$2"; }
uid=$(id -u) user=$(id -un)
say uid "$uid"
say user "$user"
say home "$HOME"
say kernel "$(uname -s)"
say arch "$(uname -m)"
say boot "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
stat=$(cat /proc/1/stat 2>/dev/null)
say init "$(set -- ${stat##*) }; echo "${20}")"
[ ! -d /run/systemd/system ] || say systemd yes
[ ! -S "/run/user/$uid/systemd/private" ] || say manager yes
[ ! -e "/var/lib/systemd/linger/$user" ] || say linger yes
if [ "$uid" = 0 ]; then say root login
elif refused=$(sudo -n /bin/sh -c : 2>&1); then say root sudo
else say refused "$(printf %s "$refused" | tr '\n' ' ')"
fi
for tool in $1; do
  ! command -v "$tool" >/dev/null 2>&1 || say tool "$tool"
done
say clock "$(date +%s)"
"#;

/// What a machine is and has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The number of the user who logs in.
    pub uid: u32,
    /// Its name.
    pub user: String,
    /// Its home.
    pub home: String,
    /// How root's rights can be had.
    pub root: Root,
    /// Whether systemd is process 1.
    pub has_systemd: bool,
    /// Whether the user's own systemd runs.
    pub has_user_manager: bool,
    /// Whether the user's own systemd runs without a login.
    pub lingers: bool,
    /// Which boot it is: another one after a reboot, also of a container, which shares its kernel's boot id.
    pub boot: String,
    /// The kernel's name: `Linux`.
    pub kernel: String,
    /// The machine's kind: `x86_64`.
    pub arch: String,
    /// What its clock said, in seconds since 1970.
    pub clock: i64,
    /// How many seconds its clock is ahead of this machine's; exact to about one.
    pub ahead: i64,
    /// Which of the programs that orch may use are there.
    pub tools: BTreeSet<String>,
    /// Which connection they were asked over.
    pub(super) generation: u64,
}

/// How the rights of root can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// The user who logs in is root.
    Login,
    /// Through `sudo -n`.
    Sudo,
    /// Not at all, with what `sudo` said, or `None` where the file says `sudo: false`.
    No(Option<String>),
}

impl Facts {
    /// Whether a script with [`Rights::Root`] runs as root.
    #[must_use]
    pub fn can_be_root(&self) -> bool {
        !matches!(self.root, Root::No(_))
    }

    /// Whether a program is there, of those that were looked for.
    #[must_use]
    pub fn has(&self, tool: &str) -> bool {
        self.tools.contains(tool)
    }
}

pub(super) async fn ask(shell: &Shell) -> Result<Facts, BackendError> {
    shell.connect().await?;
    let before = crate::sys::now().as_second();
    let output = shell.run(Rights::Login, &Script::new(SCRIPT, [TOOLS.join(" ").as_str()])).await?;
    let after = crate::sys::now().as_second();
    let may_sudo = shell.place.machine().is_none_or(|machine| machine.sudo);
    let facts = parse(&output.text(), (before + after) / 2, may_sudo, shell.generation());
    facts.ok_or_else(|| {
        BackendError::new(format!("{} does not say what it is: {}", shell.place, output.stderr))
            .with_hint("orch needs a POSIX shell with `id`, `uname`, `cat`, `dd` and `date` there")
    })
}

fn parse(text: &str, now: i64, may_sudo: bool, generation: u64) -> Option<Facts> {
    let lines = || text.lines().filter_map(|line| line.split_once('='));
    let one: BTreeMap<_, _> = lines().collect();
    let get = |name: &str| one.get(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    let clock = one.get("clock")?.parse().ok()?;
    let root = match (get("root").as_str(), may_sudo) {
        ("login", _) => Root::Login,
        ("sudo", true) => Root::Sudo,
        (_, false) => Root::No(None),
        _ => Root::No(Some(get("refused").trim_start_matches("sudo: ").to_owned())),
    };
    Some(Facts {
        uid: one.get("uid")?.parse().ok()?,
        user: get("user"),
        home: get("home"),
        root,
        has_systemd: one.contains_key("systemd"),
        has_user_manager: one.contains_key("manager"),
        lingers: one.contains_key("linger"),
        boot: format!("{}:{}", get("boot"), get("init")),
        kernel: get("kernel"),
        arch: get("arch"),
        clock,
        ahead: clock - now,
        tools: lines().filter(|(name, _)| *name == "tool").map(|(_, tool)| tool.to_owned()).collect(),
        generation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_says_is_understood() {
        let text = "uid=1000\nuser=deploy\nhome=/home/deploy\nkernel=Linux\narch=x86_64\nboot=ab-c\ninit=77\n\
                    systemd=yes\nrefused=sudo: a password is required \ntool=sh\ntool=tar\nclock=1000\n";
        let facts = parse(text, 940, true, 1).unwrap();
        assert_eq!((facts.uid, facts.boot.as_str(), facts.ahead), (1000, "ab-c:77", 60));
        assert_eq!(facts.root, Root::No(Some("a password is required".into())));
        assert!(facts.has_systemd && !facts.lingers && facts.has("tar") && !facts.has("setsid"));
        assert_eq!(parse(text, 940, false, 1).unwrap().root, Root::No(None));
        assert!(parse("uid=1000\n", 0, true, 1).is_none());
    }

    #[tokio::test]
    async fn this_machine_knows_itself() {
        let facts = super::super::Hosts::default().on(&crate::model::Place::Here).facts().await.unwrap();
        assert_eq!(facts.uid, rustix::process::getuid().as_raw());
        assert!(facts.ahead.abs() <= 2 && facts.kernel == "Linux" && facts.has("sh"), "{facts:?}");
        assert!(!facts.boot.starts_with(':') && !facts.boot.ends_with(':'), "{facts:?}");
    }
}
