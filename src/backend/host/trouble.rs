//! Why a machine cannot be reached, from what `ssh` says, and what the user can do about it.

use crate::backend::BackendError;
use crate::model::Machine;

/// A connection that did not come up.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) cause: Cause,
    pub(super) error: BackendError,
}

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The server, or a jump host, takes no more connections for a moment.
    Busy,
    /// Nobody is there; a machine that boots is like that.
    Away,
    /// The machine, or this one, has to be set up differently.
    Setup,
}

/// What was said, as a fragment, what kind of trouble it means, and the way out.
type Finding = (String, Cause, Option<String>);

/// Reads the log of an `ssh` that ended without a connection.
pub(super) fn explain(machine: &Machine, log: &str) -> Trouble {
    let lines: Vec<_> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let (what, cause, hint) = host_key(machine, &lines)
        .or_else(|| login(machine, &lines))
        .or_else(|| network(machine, &lines))
        .unwrap_or_else(|| (unknown(&lines), Cause::Setup, None));
    let error = BackendError::new(format!("cannot reach {machine}: {what}"));
    Trouble { cause, error: BackendError { hint, ..error } }
}

/// No answer of any kind within the time that a connection may take.
pub(super) fn no_answer(machine: &Machine, waited: std::time::Duration) -> Trouble {
    let error = BackendError::new(format!("cannot reach {machine}: no answer within {} s", waited.as_secs()));
    Trouble { cause: Cause::Away, error: error.with_hint(away_hint(machine)) }
}

/// `ssh` itself could not be run.
pub(super) fn no_ssh(machine: &Machine, error: &std::io::Error) -> Trouble {
    let error = BackendError::new(format!("cannot reach {machine}: cannot run `ssh`: {error}"));
    Trouble { cause: Cause::Setup, error: error.with_hint("install the OpenSSH client: hosts are reached through it") }
}

fn host_key(machine: &Machine, lines: &[&str]) -> Option<Finding> {
    let address = &machine.address;
    if lines.iter().any(|line| line.contains("REMOTE HOST IDENTIFICATION HAS CHANGED")) {
        // `Offending ED25519 key in /home/me/.ssh/known_hosts:3`
        let place = lines.iter().find_map(|line| line.strip_prefix("Offending ")?.split_once(" key in "));
        let known = place.map_or("known_hosts", |(_, place)| place);
        let what = format!("ITS HOST KEY HAS CHANGED, it is not the one at {known}");
        let hint = format!(
            "someone may be in between, so find out first why the key is another one; if the machine was made anew, \
             remove the old key with `ssh-keygen -R {}{}` and take in the new one",
            quoted_host(machine),
            file_option(machine, " -f "),
        );
        return Some((what, Cause::Setup, Some(hint)));
    }
    let is_unknown = lines.iter().any(|line| line.contains("host key is known for"))
        || lines.iter().any(|line| line.starts_with("Host key verification failed"));
    is_unknown.then(|| {
        let file = machine.known_hosts_file.as_ref().map_or("~/.ssh/known_hosts".into(), |file| file.to_string_lossy());
        let port = machine.port.map(|port| format!("-p {port} ")).unwrap_or_default();
        let hint = format!(
            "compare the key that `ssh-keyscan {port}{address}` shows with the machine's own and add it to {file}, \
             or take in the first one seen with `known_hosts: accept-new` on the host"
        );
        ("its host key is not known".to_owned(), Cause::Setup, Some(hint))
    })
}

fn login(machine: &Machine, lines: &[&str]) -> Option<Finding> {
    let setup = |what: &str, hint: String| Some((what.to_owned(), Cause::Setup, Some(hint)));
    let key = machine.key_file.as_ref().map(|key| key.display().to_string());
    let find = |part: &str| lines.iter().find(|line| line.contains(part));
    if find("UNPROTECTED PRIVATE KEY FILE").is_some() {
        let key = key.unwrap_or_else(|| "the key file".to_owned());
        return setup(&format!("others may read {key}, so ssh does not use it"), format!("run `chmod 600 {key}`"));
    }
    if let Some(line) = find("no such identity: ") {
        let what = line.split("no such identity: ").nth(1).unwrap_or_default();
        let what = what.rsplit_once(": ").map_or(what, |(path, _)| path);
        return setup(&format!("there is no key file {what}"), "correct the host's `key_file`".to_owned());
    }
    if let Some(line) = find("Load key ").filter(|_| find("Permission denied (").is_some()) {
        let what = line.trim_end_matches(['.', '\r']);
        let hint = "check the host's `key_file`; a key with a passphrase has to be in the agent: `ssh-add`";
        return setup(&lower(what), hint.to_owned());
    }
    if let Some(line) = find("Permission denied (") {
        let methods = line.split("Permission denied ").nth(1).unwrap_or_default().trim_end_matches('.');
        let user = machine.user.as_ref().map_or("the user".to_owned(), |user| format!("`{user}`"));
        let hint = match key {
            Some(key) => format!(
                "see that {user} on the machine has the public half of {key} in `~/.ssh/authorized_keys`; \
                 a key with a passphrase has to be in the agent: `ssh-add`"
            ),
            None => format!(
                "see which keys the agent has with `ssh-add -l`, or name one with `key_file` on the host; \
                 {user} needs its public half in `~/.ssh/authorized_keys` there"
            ),
        };
        return setup(&format!("permission denied {methods}"), hint);
    }
    if find("Too many authentication failures").is_some() {
        let hint = "the agent offered too many keys: name the right one with `key_file` on the host";
        return setup("too many authentication failures", hint.to_owned());
    }
    None
}

fn network(machine: &Machine, lines: &[&str]) -> Option<Finding> {
    let find = |part: &str| lines.iter().find(|line| line.contains(part)).copied();
    if let Some(line) = find("Could not resolve hostname ") {
        let name = line.split("Could not resolve hostname ").nth(1).unwrap_or_default();
        let name = name.split(": ").next().unwrap_or_default();
        let hint = format!("see that `getent hosts {name}` finds it, or give the host an `address`");
        return Some((format!("the name {name} cannot be resolved"), Cause::Setup, Some(hint)));
    }
    // `ssh: connect to host 10.0.0.1 port 22: Connection refused`
    let connect = find("connect to host ").and_then(|line| Some((line, line.rsplit_once(": ")?.1)));
    if let Some((line, what)) = connect {
        let whom = line.split("connect to host ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        let via = if whom == machine.address || machine.jump.is_empty() {
            String::new()
        } else {
            format!(" by the jump host {whom}")
        };
        return Some((format!("{}{via}", lower(what)), Cause::Away, Some(away_hint(machine))));
    }
    if let Some(line) = find("open failed: ") {
        let what = line.split("open failed: ").nth(1).unwrap_or_default();
        return Some((format!("from the jump host: {what}"), Cause::Away, Some(away_hint(machine))));
    }
    // It accepted and then said nothing: it is frozen, or gone behind something that accepts in its place. Asking
    // again at once would only double the wait.
    if let Some(line) = find("timed out during banner exchange") {
        return Some((lower(line), Cause::Away, Some(away_hint(machine))));
    }
    let dropped = ["kex_exchange_identification", "banner exchange", "Connection closed by", "Connection reset by"];
    if let Some(line) = dropped.iter().find_map(|part| find(part)) {
        let hint = format!(
            "its server may take no more connections (`MaxStartups` in sshd_config), or be about to go down; \
             `ssh {}` says more",
            quoted_host(machine)
        );
        return Some((lower(line.trim_end_matches('.')), Cause::Busy, Some(hint)));
    }
    None
}

fn unknown(lines: &[&str]) -> String {
    let line = lines.iter().rfind(|line| !line.starts_with("Warning: ") && !line.starts_with("**"));
    line.map_or_else(|| "`ssh` ended without a word".to_owned(), |line| lower(line.trim_end_matches('.')))
}

fn away_hint(machine: &Machine) -> String {
    format!("see that the machine runs and its SSH server listens there: `ssh {} true`", quoted_host(machine))
}

/// The machine as `ssh` and its tools are told of it.
fn quoted_host(machine: &Machine) -> String {
    match machine.port {
        Some(port) if port != 22 => format!("'[{}]:{port}'", machine.address),
        _ => machine.address.clone(),
    }
}

fn file_option(machine: &Machine, option: &str) -> String {
    machine.known_hosts_file.as_ref().map(|file| format!("{option}{}", file.display())).unwrap_or_default()
}

/// What the system says begins with a capital letter, and an error is a fragment.
fn lower(text: &str) -> String {
    match text.split_at_checked(1) {
        Some((first, rest)) if rest.starts_with(|letter: char| letter.is_ascii_lowercase()) => {
            first.to_lowercase() + rest
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine { name: "web1".into(), user: Some("deploy".into()), ..Machine::at("10.0.0.1") }
    }

    fn told(log: &str) -> (String, Cause, String) {
        let trouble = explain(&machine(), log);
        let message = trouble.error.message.strip_prefix("cannot reach web1 (deploy@10.0.0.1): ").unwrap().to_owned();
        (message, trouble.cause, trouble.error.hint.unwrap_or_default())
    }

    #[test]
    fn each_known_cause_has_its_words_and_a_way_out() {
        for (log, message, cause, hint) in [
            (
                "deploy@10.0.0.1: Permission denied (publickey,password).\r\n",
                "permission denied (publickey,password)",
                Cause::Setup,
                "ssh-add -l",
            ),
            (
                "No ED25519 host key is known for 10.0.0.1 and you have requested strict checking.\r\nHost key verification failed.\r\n",
                "its host key is not known",
                Cause::Setup,
                "known_hosts: accept-new",
            ),
            (
                "@@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nOffending ED25519 key in /home/me/.ssh/known_hosts:3\r\nHost key verification failed.\r\n",
                "ITS HOST KEY HAS CHANGED, it is not the one at /home/me/.ssh/known_hosts:3",
                Cause::Setup,
                "ssh-keygen -R 10.0.0.1",
            ),
            (
                "ssh: Could not resolve hostname web1.lan: Name or service not known\r\n",
                "the name web1.lan cannot be resolved",
                Cause::Setup,
                "getent hosts web1.lan",
            ),
            (
                "ssh: connect to host 10.0.0.1 port 22: Connection refused\r\n",
                "connection refused",
                Cause::Away,
                "SSH server listens",
            ),
            (
                "ssh: connect to host 10.0.0.1 port 22: No route to host\r\n",
                "no route to host",
                Cause::Away,
                "machine runs",
            ),
            (
                "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 10.0.0.1 port 22\r\n",
                "kex_exchange_identification: Connection closed by remote host",
                Cause::Busy,
                "MaxStartups",
            ),
            (
                "Connection timed out during banner exchange\r\nConnection to 10.0.0.1 port 22 timed out\r\n",
                "connection timed out during banner exchange",
                Cause::Away,
                "machine runs",
            ),
            (
                "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\r\n",
                "too many authentication failures",
                Cause::Setup,
                "key_file",
            ),
            (
                "no such identity: /keys/a: No such file or directory\r\ndeploy@10.0.0.1: Permission denied (publickey).\r\n",
                "there is no key file /keys/a",
                Cause::Setup,
                "key_file",
            ),
        ] {
            let (said, kind, way) = told(log);
            assert_eq!((said.as_str(), kind), (message, cause), "{log}");
            assert!(way.contains(hint), "{log}: {way}");
        }
    }

    #[test]
    fn what_nobody_foresaw_is_passed_on() {
        let (said, cause, _) = told("Warning: Permanently added 'x' to the list of known hosts.\r\nSomething new.\r\n");
        assert_eq!((said.as_str(), cause), ("something new", Cause::Setup));
        assert_eq!(told("").0, "`ssh` ended without a word");
    }

    #[test]
    fn the_jump_host_that_refuses_is_named() {
        let machine = Machine { jump: vec!["bastion".into()], ..machine() };
        let log = "ssh: connect to host bastion port 22: Connection refused\r\n\
                   kex_exchange_identification: Connection closed by remote host\r\n";
        let message = explain(&machine, log).error.message;
        assert!(message.ends_with("connection refused by the jump host bastion"), "{message}");
    }
}
