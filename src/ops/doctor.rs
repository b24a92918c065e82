//! `orch doctor`: whether the hosts that the file names are fit to be deployed to. Changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{OpError, Project};
use crate::backend::BackendError;
use crate::backend::host::{Facts, Hosts, Rights, Root, STORE, Script, Shell, USER_STORE};
use crate::model::{Desired, Machine, Place};
use crate::report::{HostCheck, HostReport, Level};

/// How far a clock may be off, in seconds: what is timed here and there is then still comparable.
const CLOCK: i64 = 2;
/// From when on it is wrong, in seconds: certificates and tokens are refused.
const CLOCK_WRONG: i64 = 300;
/// How much of a disk should be free, in per cent, and in kB where that is more than enough.
const DISK_PERCENT: u64 = 10;
const DISK_ENOUGH: u64 = 5 * 1024 * 1024;
/// With less free than this, in kB, nothing can be deployed.
const DISK_FULL: u64 = 64 * 1024;
/// How many of the inodes should be free, in per cent.
const INODES_PERCENT: u64 = 5;
/// How many channels orch uses of a connection.
const CHANNELS: usize = 8;

/// `$1` is where orch keeps its things; the nearest folder above it that is there has the disk.
const LOOK: &str = r#"
if [ -d /run/systemd/system ]; then
  echo "systemd $(systemctl is-system-running 2>/dev/null)"
  systemctl list-units --failed --plain --no-legend --no-pager 2>/dev/null |
    while read -r unit rest; do echo "failed $unit"; done
fi
store=$1
while [ ! -d "$store" ] && [ "$store" != / ]; do store=${store%/*}; store=${store:-/}; done
for folder in / "$store"; do
  df -P -k "$folder" 2>/dev/null | { read -r rest; read -r rest all rest free rest mount; echo "disk $all $free $mount"; }
  df -P -i "$folder" 2>/dev/null | { read -r rest; read -r rest all rest free rest mount; echo "inodes $all $free $mount"; }
done
"#;

/// Looks at the hosts that the file names, all at the same time; at those of `names` only, where any is named.
///
/// # Errors
/// When a name means no host of the file. A host that is ill, or cannot be reached, is a report, not an error.
pub async fn doctor(project: &Project, names: &[String]) -> Result<Vec<HostReport>, OpError> {
    let machines = choose(names, machines(&project.loaded.desired))?;
    let hosts = Hosts::default();
    let reports = machines.into_iter().map(|machine| {
        let shell = hosts.on(&Place::On(machine.clone()));
        async move { examine(&machine, &shell).await }
    });
    Ok(futures_util::future::join_all(reports).await)
}

/// The machines that the file names: under `hosts:`, and with a service.
fn machines(desired: &Desired) -> BTreeMap<String, Arc<Machine>> {
    let mut machines = desired.machines.clone();
    for service in desired.services.values() {
        for machine in service.hosts.iter().flatten().chain(service.spec.place().and_then(Place::machine)) {
            machines.entry(machine.name.clone()).or_insert_with(|| machine.clone());
        }
    }
    machines
}

fn choose(names: &[String], machines: BTreeMap<String, Arc<Machine>>) -> Result<Vec<Arc<Machine>>, OpError> {
    if names.is_empty() {
        return Ok(machines.into_values().collect());
    }
    let find = |name: &String| {
        machines.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = machines.keys().map(String::as_str).collect();
            let hint = match known.as_slice() {
                [] => "the file names no hosts".to_owned(),
                known => format!("the file names {}", known.join(", ")),
            };
            OpError::request(format!("there is no host `{name}` in the file"), hint)
        })
    };
    names.iter().map(find).collect()
}

async fn examine(machine: &Machine, shell: &Shell) -> HostReport {
    let user = machine.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let port = machine.port.map(|port| format!(":{port}")).unwrap_or_default();
    let checks = match look(machine, shell).await {
        Ok(checks) => checks,
        Err(error) => vec![HostCheck {
            check: "reachable",
            level: Level::Error,
            found: error.message.split_once(&format!("{machine}: ")).map_or(&*error.message, |(_, why)| why).to_owned(),
            hint: error.hint,
        }],
    };
    HostReport { host: machine.name.clone(), address: format!("{user}{}{port}", machine.address), checks }
}

async fn look(machine: &Machine, shell: &Shell) -> Result<Vec<HostCheck>, BackendError> {
    let facts = shell.facts().await?;
    let store = if facts.can_be_root() { STORE.to_owned() } else { format!("{}/{USER_STORE}", facts.home) };
    let output = shell.run(Rights::Login, &Script::new(LOOK, [store.as_str()])).await?;
    let sessions = shell.channels(CHANNELS).await?;
    let seen = output.text();
    let mut checks = vec![
        well("reachable", format!("as {}, {} {}", facts.user, facts.kernel, facts.arch)),
        root(machine, &facts),
        systemd(&facts, &seen),
    ];
    checks.extend(room(&seen));
    checks.extend([clock(facts.ahead), channels(sessions), tools(&facts)]);
    Ok(checks)
}

fn well(check: &'static str, found: impl Into<String>) -> HostCheck {
    HostCheck { check, level: Level::Ok, found: found.into(), hint: None }
}

fn ill(check: &'static str, level: Level, found: impl Into<String>, hint: impl Into<String>) -> HostCheck {
    HostCheck { check, level, found: found.into(), hint: Some(hint.into()) }
}

fn root(machine: &Machine, facts: &Facts) -> HostCheck {
    match &facts.root {
        Root::Login => well("root", "is the user"),
        Root::Sudo => well("root", "through sudo -n"),
        Root::No(_) if !machine.sudo => well("root", format!("not used, all runs as {}", facts.user)),
        Root::No(why) => ill(
            "root",
            Level::Error,
            format!(
                "sudo -n is refused: {}",
                why.as_deref().filter(|why| !why.is_empty()).unwrap_or("no reason given")
            ),
            format!(
                "add `{} ALL=(ALL) NOPASSWD: ALL` to a file in /etc/sudoers.d there, or say `sudo: false` on the host",
                facts.user
            ),
        ),
    }
}

fn systemd(facts: &Facts, seen: &str) -> HostCheck {
    if !facts.has_systemd {
        return well("systemd", "not there: programs run detached");
    }
    let all = |word: &'static str| seen.lines().filter_map(move |line| line.strip_prefix(word)).map(str::trim);
    let state = all("systemd ").next().unwrap_or_default();
    let failed: Vec<_> = all("failed ").collect();
    if !facts.can_be_root() && !facts.has_user_manager {
        return ill(
            "systemd",
            Level::Error,
            format!("{state}, but none runs for {}", facts.user),
            format!("run `loginctl enable-linger {}` there as root", facts.user),
        );
    }
    if !facts.can_be_root() && !facts.lingers {
        return ill(
            "systemd",
            Level::Warning,
            format!("{state}, but units of {} end with the last login", facts.user),
            format!("run `loginctl enable-linger {}` there as root", facts.user),
        );
    }
    match state {
        "running" => well("systemd", state),
        "degraded" => ill(
            "systemd",
            Level::Warning,
            format!("degraded: {}", failed.join(", ")),
            "see why with `systemctl status`, and `systemctl reset-failed` what does not matter",
        ),
        "starting" | "initializing" => ill("systemd", Level::Warning, state, "wait until the machine has booted"),
        "" => ill("systemd", Level::Error, "does not answer", "see `systemctl is-system-running` there"),
        state => ill("systemd", Level::Error, state, "see `systemctl is-system-running` there"),
    }
}

/// Disks and their inodes; a disk that is both `/` and the store's is told once.
fn room(seen: &str) -> Vec<HostCheck> {
    let mut told = std::collections::BTreeSet::new();
    let mut checks = Vec::new();
    for line in seen.lines().filter(|line| line.starts_with("disk ") || line.starts_with("inodes ")) {
        let mut words = line.splitn(4, ' ');
        let (kind, all, free, mount) = (words.next(), words.next(), words.next(), words.next().unwrap_or("/"));
        // A file system without a number of inodes, or of blocks, says `-` or 0.
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
        let (Some(all @ 1..), Some(free)) = (number(all), number(free)) else { continue };
        if !told.insert((kind, mount)) {
            continue;
        }
        let percent = free.saturating_mul(100) / all;
        if kind == Some("disk") {
            let found = format!("{percent} % of {mount} free, {}", size(free));
            let hint = format!("make room on {mount}: `df -h {mount}`, `journalctl --vacuum-size=200M`");
            checks.push(match () {
                () if free < DISK_FULL => ill("disk", Level::Error, found, hint),
                () if percent < DISK_PERCENT && free < DISK_ENOUGH => ill("disk", Level::Warning, found, hint),
                () => well("disk", found),
            });
        } else {
            let found = format!("{percent} % of {mount} free");
            let hint = format!("find the many small files: `df -i {mount}`, `du --inodes -xS {mount} | sort -n`");
            checks.push(match () {
                () if free < 100 => ill("inodes", Level::Error, found, hint),
                () if percent < INODES_PERCENT => ill("inodes", Level::Warning, found, hint),
                () => well("inodes", found),
            });
        }
    }
    checks
}

fn size(kb: u64) -> String {
    match kb {
        0..10_240 => format!("{kb} kB"),
        10_240..10_485_760 => format!("{} MB", kb / 1024),
        _ => format!("{} GB", kb / 1024 / 1024),
    }
}

fn clock(ahead: i64) -> HostCheck {
    let off = ahead.unsigned_abs();
    let found = format!("{off} s {}", if ahead < 0 { "behind" } else { "ahead" });
    let hint = "let it keep time: `timedatectl set-ntp true`, or chrony; see that this machine's clock is right too";
    match ahead.abs() {
        0 => well("clock", "as here"),
        // It is known to a second only.
        1..=CLOCK => well("clock", found),
        off if off < CLOCK_WRONG => ill("clock", Level::Warning, found, hint),
        _ => ill("clock", Level::Error, found, hint),
    }
}

fn channels(sessions: usize) -> HostCheck {
    let hint = "set `MaxSessions 10` in its sshd_config, which is what it is where nobody changed it";
    match sessions {
        CHANNELS.. => well("sessions", format!("{CHANNELS} at a time")),
        0 => ill("sessions", Level::Error, "its server opens no second one on a connection", hint),
        few => ill("sessions", Level::Warning, format!("{few} at a time, so more connections are made"), hint),
    }
}

fn tools(facts: &Facts) -> HostCheck {
    let any = |names: &[&str]| names.iter().any(|name| facts.has(name));
    let mut missing = Vec::new();
    for (names, what) in [
        (["tar"].as_slice(), "tar"),
        (&["sha256sum", "shasum", "openssl"], "sha256sum"),
        (&["setsid", "systemd-run"], "setsid"),
    ] {
        if !any(names) {
            missing.push(what);
        }
    }
    if missing.is_empty() {
        return well("tools", "all there");
    }
    let missing = missing.join(", ");
    ill("tools", Level::Error, format!("{missing} missing"), format!("install what brings {missing} there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thresholds_hold() {
        let levels = |checks: Vec<HostCheck>| checks.iter().map(|check| (check.check, check.level)).collect::<Vec<_>>();
        let seen = "disk 100000000 50000000 /\ninodes 1000000 500000 /\ndisk 100000000 50000000 /\n\
                    disk 100000 60000 /var\ninodes 0 0 /var\ndisk 20000000 1000000 /srv\ninodes 100000 4000 /srv\n";
        assert_eq!(
            levels(room(seen)),
            [
                ("disk", Level::Ok),
                ("inodes", Level::Ok),
                ("disk", Level::Error),
                ("disk", Level::Warning),
                ("inodes", Level::Warning),
            ]
        );
        for (ahead, level) in [(0, Level::Ok), (-2, Level::Ok), (3, Level::Warning), (-3600, Level::Error)] {
            assert_eq!(clock(ahead).level, level, "{ahead}");
        }
        assert_eq!(clock(-3600).found, "3600 s behind");
        for (sessions, level) in [(8, Level::Ok), (1, Level::Warning), (0, Level::Error)] {
            assert_eq!(channels(sessions).level, level, "{sessions}");
        }
    }
}
