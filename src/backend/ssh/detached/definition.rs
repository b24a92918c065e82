//! What a keeper reads: the policy and the program, as text for a POSIX shell.

use std::fmt::Write as _;
use std::time::Duration;

use crate::backend::BackendError;
use crate::model::{Instance, LogPolicy, OpId, RemoteSpec, StopSignal, Text};

/// Where programs are looked up where the service has no `PATH` of its own.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables that some shell keeps for itself: it does not let them be set, or gives them values of its own.
const SHELLS_OWN: [&str; 27] = [
    "BASHOPTS",
    "BASHPID",
    "BASH_VERSINFO",
    "COMP_WORDBREAKS",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "HISTCMD",
    "IFS",
    "LINENO",
    "OLDPWD",
    "OPTIND",
    "POSIXLY_CORRECT",
    "PPID",
    "PS1",
    "PS2",
    "PS4",
    "PWD",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SHLVL",
    "UID",
    "_",
];

/// The text of a definition. It holds what is secret of the program, and nobody but the keeper's user reads it.
pub(super) fn render(
    spec: &RemoteSpec,
    instance: &Instance,
    op: &OpId,
    log: LogPolicy,
    interpreter: &str,
) -> Result<Text, BackendError> {
    let restart = &spec.restart;
    let mut text = String::from("case $part in\npolicy)\n");
    let mut set = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}={}", quoted(value));
    };
    set("kind", &instance.service.kind.to_string());
    set("mode", &restart.mode.to_string());
    set("delay", &hundredths(restart.delay));
    set("max_delay", &hundredths(restart.max_delay));
    set("max_restarts", &restart.max_restarts.to_string());
    set("reset_after", &hundredths(restart.reset_after));
    set("signal", signal(spec.stop_signal).trim_start_matches("SIG"));
    set("grace", &hundredths(spec.stop_timeout));
    set("log_size", &log.max_size.max(1).to_string());
    set("log_keep", &log.keep.max(1).to_string());
    set("interpreter", interpreter);
    text.push_str(";;\nprogram)\n");
    let _ = writeln!(text, "user={}", quoted(spec.user.as_deref().unwrap_or_default()));
    let _ = writeln!(text, "folder={}", quoted(spec.working_dir.as_deref().unwrap_or("/")));

    let _ = writeln!(text, "path={}", quoted(&path(spec)));

    let (own, others): (Vec<_>, Vec<_>) = spec.env.iter().partition(|(name, _)| SHELLS_OWN.contains(&name.as_str()));
    let mut words: Vec<String> = Vec::new();
    for (name, value) in own {
        if value.is_sensitive() {
            return Err(BackendError::new(format!("cannot pass on {name}: shells keep that variable for themselves"))
                .with_hint("give the variable another name: this one would have to stand in an argument list"));
        }
        words.push(format!("{name}={}", value.reveal()));
    }
    if !words.is_empty() {
        words.insert(0, "/usr/bin/env".to_owned());
    }
    words.push(spec.binary.reveal().to_owned());
    words.extend(spec.args.iter().map(|arg| arg.reveal().to_owned()));
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let _ = writeln!(text, "set -- {}", words.join(" "));

    text.push_str("become() {\n");
    let mut export = |name: &str, value: &str| {
        let _ = writeln!(text, "export {name}={}", quoted(value));
    };
    for (name, value) in others {
        export(name, value.reveal());
    }
    export("ORCH_SERVICE", &instance.address.service.to_string());
    export("ORCH_ADDRESS", &instance.address.to_string());
    export("ORCH_OP_ID", op.as_str());
    text.push_str("exec \"$@\"\n}\n;;\nesac");
    Ok(Text::sensitive(text))
}

/// The value of `PATH` that a program is looked up in.
pub(super) fn path(spec: &RemoteSpec) -> String {
    spec.env.get("PATH").map_or(PATH, Text::reveal).to_owned()
}

fn signal(signal: StopSignal) -> &'static str {
    StopSignal::ALL.iter().find(|(known, _)| *known == signal).map_or("SIGTERM", |(_, name)| name)
}

/// Hundredths of a second, rounded up: what is left of a wait is waited for.
pub(super) fn hundredths(span: Duration) -> String {
    span.as_millis().div_ceil(10).min(u128::from(u32::MAX)).to_string()
}

/// A word for a POSIX shell. A NUL cannot be in a word of any program, and config refuses it.
fn quoted(value: &str) -> String {
    let value = value.replace('\0', "");
    shlex::try_quote(&value).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{DigestKey, Place, Service, ServiceName, Spec};

    #[test]
    fn a_definition_is_one_word_for_each_value() {
        let mut spec = RemoteSpec::new(Place::Here, Text::plain("it's"));
        spec.args.push(Text::sensitive("$(a)\n;;"));
        spec.env.insert("A".to_owned(), Text::sensitive("`b`"));
        spec.env.insert("UID".to_owned(), Text::plain("7"));
        let service = Service::new(ServiceName::new("web").unwrap(), Spec::Ssh(Box::new(spec.clone())));
        let instance = Instance::new("web".parse().unwrap(), Arc::new(service), None, &DigestKey::new([7; 32]));
        let render = |spec: &RemoteSpec| render(spec, &instance, &OpId::new("run.1"), LogPolicy::default(), "/bin/sh");
        let text = render(&spec).unwrap();
        assert!(text.is_sensitive());
        let words: Vec<String> = shlex::split(text.reveal()).unwrap();
        for word in ["it's", "$(a)\n;;", "A=`b`", "UID=7", "ORCH_OP_ID=run.1", "signal=TERM", "grace=1000", "delay=10"]
        {
            assert!(words.iter().any(|known| known == word), "{word}: {words:?}");
        }
        spec.env.insert("UID".to_owned(), Text::sensitive("7"));
        assert!(render(&spec).unwrap_err().message.contains("UID"));
    }

    #[test]
    fn a_wait_is_never_cut_short() {
        for (millis, told) in [(0, "0"), (1, "1"), (10, "1"), (11, "2"), (30_000, "3000")] {
            assert_eq!(hundredths(Duration::from_millis(millis)), told);
        }
    }
}
