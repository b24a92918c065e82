//! The lines of a unit that orch writes: command lines and settings.

use std::collections::BTreeMap;

use super::super::Lowering;
use crate::config::diagnostic::shorten;
use crate::config::field::{Entries, Field, OneOrList, given};
use crate::config::raw::{RawExec, RawSystemd};
use crate::config::secret::{mark_named, mark_url};
use crate::config::source::Span;
use crate::model::{Exec, Text};

/// Settings that have a key of their own, or stand in another section, and what to use in their place.
const OWN_KEYS: &[(&str, &str)] = &[
    ("After", "after"),
    ("Description", "description"),
    ("Environment", "env"),
    ("EnvironmentFile", "env"),
    ("ExecReload", "exec_reload"),
    ("ExecStart", "exec"),
    ("ExecStartPost", "exec_start_post"),
    ("ExecStartPre", "exec_start_pre"),
    ("Group", "group"),
    ("OnCalendar", "schedule"),
    ("Persistent", "schedule"),
    ("RandomizedDelaySec", "schedule"),
    ("Requires", "requires"),
    ("RequiredBy", "enable"),
    ("Restart", "restart"),
    ("RestartSec", "restart_delay"),
    ("TimeoutSec", "stop_timeout"),
    ("TimeoutStopSec", "stop_timeout"),
    ("Type", "service_type"),
    ("User", "user"),
    ("WantedBy", "enable"),
    ("Wants", "wants"),
    ("WorkingDirectory", "working_dir"),
];

/// Settings of `[Unit]` and `[Install]`, which systemd passes over in `[Service]`.
const ELSEWHERE: &[&str] = &[
    "Alias",
    "Also",
    "AllowIsolate",
    "Before",
    "BindsTo",
    "CollectMode",
    "Conflicts",
    "DefaultDependencies",
    "DefaultInstance",
    "Documentation",
    "FailureAction",
    "JobTimeoutSec",
    "JoinsNamespaceOf",
    "OnFailure",
    "OnSuccess",
    "PartOf",
    "PropagatesReloadTo",
    "RefuseManualStart",
    "RefuseManualStop",
    "ReloadPropagatedFrom",
    "Requisite",
    "RequiresMountsFor",
    "StartLimitAction",
    "StartLimitBurst",
    "StartLimitIntervalSec",
    "StopWhenUnneeded",
    "SuccessAction",
    "Upholds",
    "UpheldBy",
];

impl Lowering<'_> {
    /// A command line; `None` when there is none.
    pub(super) fn exec(&self, raw: &Field<RawExec>) -> Option<Exec> {
        let (span, raw) = raw.located()?;
        match raw {
            OneOrList::One(text) => {
                self.no_nul(span, text.0.reveal());
                for (on, line) in self.filled(&text.0) {
                    self.setting(span, line.reveal());
                    if !self.starts_with_path(span, first_word(line.reveal()), &text.0, &on) {
                        break;
                    }
                }
                Some(Exec::Line(mark_url(text.0.clone())))
            }
            OneOrList::List(words) => {
                let args = self.text_list(words);
                let Some(first) = args.first() else {
                    if words.is_empty() {
                        self.error(span, "the command line has no program", "name one by its absolute path");
                    }
                    return None;
                };
                let place = words[0].span;
                for (on, word) in self.filled(first) {
                    if !self.starts_with_path(place, word.reveal(), first, &on) {
                        break;
                    }
                }
                Some(Exec::Args(args))
            }
        }
    }

    /// Whether a command line begins with what systemd takes for a program; it may not look one up.
    fn starts_with_path(&self, span: Span, word: &str, written: &Text, on: &str) -> bool {
        if word.is_empty() {
            self.error(span, format!("the command line has no program{on}"), "name one by its absolute path");
        } else if !word.starts_with('/') {
            let message = format!("the program of `{}` is no absolute path{on}", shorten(written.shown()));
            self.error(span, message, "systemd wants the whole path of a program on the host, such as `/usr/bin/env`");
        } else {
            return true;
        }
        false
    }

    /// Checks a text that becomes the value of one setting of a unit.
    pub(super) fn setting(&self, span: Span, text: &str) {
        self.one_line(span, text);
        if text.ends_with('\\') {
            self.error(span, "a `\\` at the end joins the next line to this one", "take it out");
        }
    }

    /// The settings that have no key of their own.
    pub(super) fn options(&self, raw: &RawSystemd) -> BTreeMap<String, Vec<Text>> {
        let mut options = BTreeMap::new();
        for (span, name, field) in given(raw.options.as_ref()).into_iter().flat_map(Entries::iter) {
            let own = OWN_KEYS.iter().find(|(own, _)| *own == name);
            if !name.starts_with(|c: char| c.is_ascii_uppercase()) || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
                let message = format!("`{}` is no setting of systemd", shorten(name));
                self.error(span, message, "write its name as `systemd.exec(5)` does: `MemoryMax`, `NoNewPrivileges`");
            } else if let Some((_, key)) = own {
                self.error(span, format!("`{name}` is written by orch"), format!("use the key `{key}` of the backend"));
            } else if ELSEWHERE.contains(&name) {
                let message = format!("`{name}` does not stand in `[Service]`, where `options` go");
                self.error(
                    span,
                    message,
                    format!("put it into `drop_ins`: `{{10-more.conf: \"[Unit]\\n{name}=...\"}}`"),
                );
            }
            let mut values = Vec::new();
            for (span, text) in field.get().into_iter().flat_map(|list| &list.0).filter_map(Field::located) {
                self.no_nul(span, text.0.reveal());
                self.filled(&text.0).iter().for_each(|(_, text)| self.setting(span, text.reveal()));
                values.push(mark_named(name, text.0.clone()));
            }
            options.insert(name.to_owned(), values);
        }
        options
    }
}

/// The program of a command line, without the characters before it that have a meaning of their own.
fn first_word(line: &str) -> &str {
    let line = line.trim_start().trim_start_matches(['@', '-', ':', '+', '!', '|']);
    match line.strip_prefix(['"', '\'']) {
        Some(quoted) => quoted.split(['"', '\'']).next().unwrap_or_default(),
        None => line.split_ascii_whitespace().next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_a_line_is_found() {
        for (line, program) in [
            ("/bin/true a b", "/bin/true"),
            ("  -/bin/true", "/bin/true"),
            ("@+!!/bin/sh sh -c x", "/bin/sh"),
            ("\"/opt/a b/c\" d", "/opt/a b/c"),
            ("", ""),
            ("-", ""),
            ("true", "true"),
        ] {
            assert_eq!(first_word(line), program, "{line}");
        }
    }
}
