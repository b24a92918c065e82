//! The unit that runs the entry point of a package.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::super::host::Slot;
use crate::backend::BackendError;
use crate::model::{Address, Digest, PackageSpec, RestartMode, Text};
use crate::package::Manifest;

/// A unit, and the environment that only the manager reads.
pub(super) struct Unit {
    pub(super) text: String,
    pub(super) env: String,
}

/// The name of the unit of a slot: of the install path for people, and of its digest to tell two apart.
pub(super) fn name(scope: &str, slot: &Slot) -> String {
    let last = slot.name.rsplit('/').find(|part| !part.is_empty()).unwrap_or("package");
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let last: String = last.chars().take(40).map(plain).collect();
    let digest = Digest::of(format!("{scope} {}", slot.name).as_bytes()).to_string();
    format!("orch-{last}-{}.service", &digest[..8])
}

/// Writes the unit of a release's entry point. `owner` is the scope and the slot's folder. The host adds
/// where its environment is and what wants it, which depend on whose manager has it.
pub(super) fn render(
    address: &Address,
    owner: (&str, &str),
    spec: &PackageSpec,
    manifest: &Manifest,
    folder: &str,
    entry_point: &str,
    env: &BTreeMap<String, Text>,
) -> Result<Unit, BackendError> {
    let mut text = String::new();
    let (scope, slot) = owner;
    let restart = &spec.restart;
    let _ = writeln!(text, "# orch {scope} {slot}");
    let _ = writeln!(text, "# Written by orch; what is changed here is drift, and goes with the next apply.");
    let _ = writeln!(text, "[Unit]\nDescription={address}: {} {}", manifest.name, manifest.version);
    let _ = writeln!(text, "After=network-online.target\nWants=network-online.target");
    // Longer than all restarts in a row can take, so that so many of them are a crash loop.
    let interval = restart.delay.max(Duration::from_millis(100)) * (restart.max_restarts + 1) + restart.reset_after;
    let _ = writeln!(text, "StartLimitIntervalSec={}", seconds(interval));
    let _ = writeln!(text, "StartLimitBurst={}", restart.max_restarts.saturating_add(1));
    let _ = writeln!(text, "\n[Service]\nType=exec\nWorkingDirectory={}", path(folder)?);
    let mut command = quoted(&format!("{folder}/{entry_point}"), false);
    let args = manifest.args.iter().map(String::as_str).chain(spec.args.iter().map(Text::reveal));
    args.for_each(|arg| command.push_str(&format!(" {}", quoted(arg, true))));
    let _ = writeln!(text, "ExecStart={command}");
    if let Some(user) = &spec.user {
        let _ = writeln!(text, "User={}", path(user)?);
    }
    let mode = match restart.mode {
        RestartMode::Always => "always",
        RestartMode::OnFailure => "on-failure",
        RestartMode::Never => "no",
    };
    let _ = writeln!(text, "Restart={mode}\nRestartSec={}", seconds(restart.delay));
    let _ = writeln!(text, "KillSignal={}\nTimeoutStopSec={}", spec.stop_signal, seconds(spec.stop_timeout));
    Ok(Unit { text, env: environment(env)? })
}

fn seconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

/// A value of a setting that takes specifiers but no quotes.
fn path(text: &str) -> Result<String, BackendError> {
    if text.chars().any(char::is_control) || text.trim() != text {
        return Err(BackendError::new(format!("cannot write a unit: {text:?} cannot stand in one")));
    }
    Ok(text.replace('%', "%%"))
}

/// A word of a command line, byte for byte; only in an argument a `$` means something.
fn quoted(word: &str, argument: bool) -> String {
    let mut quoted = String::from("\"");
    for letter in word.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '%' => quoted.push_str("%%"),
            '$' if argument => quoted.push_str("$$"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// An environment file. What the manager would leave out without a word is refused.
fn environment(env: &BTreeMap<String, Text>) -> Result<String, BackendError> {
    let mut text = String::new();
    for (name, value) in env {
        let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good {
            return Err(BackendError::new(format!(
                "cannot give a unit the variable `{name}`: systemd takes no such name"
            ))
            .with_hint("use letters, digits and `_`"));
        }
        if value.reveal().chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(BackendError::new(format!(
                "cannot give a unit the variable `{name}`: systemd takes no control characters but tab and newline"
            ))
            .with_hint("give the value in a file, or encode it"));
        }
        let mut quoted = String::new();
        for letter in value.reveal().chars() {
            if "\"\\`$".contains(letter) {
                quoted.push('\\');
            }
            quoted.push(letter);
        }
        let _ = writeln!(text, "{name}=\"{quoted}\"");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_values_are_quoted_so_that_systemd_reads_them_byte_for_byte() {
        assert_eq!(quoted("a b\"c\\$HOME %i\n'", true), r#""a b\"c\\$$HOME %%i\n'""#);
        assert_eq!(quoted("/opt/$x/%y", false), r#""/opt/$x/%%y""#);
        let env = BTreeMap::from([("A".to_owned(), Text::plain("x\ny\"$(id)`\\"))]);
        assert_eq!(environment(&env).unwrap(), "A=\"x\ny\\\"\\$(id)\\`\\\\\"\n");
        for (name, value) in [("A-B", "x"), ("1A", "x"), ("A", "\u{1}")] {
            assert!(environment(&BTreeMap::from([(name.to_owned(), Text::plain(value))])).is_err());
        }
    }

    #[test]
    fn a_unit_is_named_after_its_path_and_told_apart_by_scope() {
        let slot = |name: &str| Slot {
            host: "web1".to_owned(),
            backend: crate::model::BackendKind::Package,
            name: name.to_owned(),
        };
        assert_ne!(name("a", &slot("/opt/my app")), name("b", &slot("/opt/my app")));
        assert!(name("a", &slot("/opt/my app")).starts_with("orch-my_app-"));
    }
}
