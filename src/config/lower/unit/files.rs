//! The files that a unit needs, and its drop-ins.

use std::collections::BTreeMap;

use super::super::remote::normal;
use super::super::{Lowering, Slot};
use crate::config::diagnostic::{Diagnostic, shorten};
use crate::config::field::{Entries, Field, RawText, Short, given};
use crate::config::raw::{RawHostFile, RawSystemd};
use crate::config::secret::masked;
use crate::config::source::Span;
use crate::model::{HostFile, Text};

/// The mode of a file where none is given.
const MODE: u32 = 0o644;

impl Lowering<'_> {
    /// Drop-ins by file name.
    pub(super) fn drop_ins(&self, raw: &RawSystemd) -> BTreeMap<String, Text> {
        let mut drop_ins = BTreeMap::new();
        if let Some((span, Entries(entries))) = raw.drop_ins.as_ref().and_then(Field::located)
            && entries.is_empty()
        {
            self.error(
                span,
                "there is no drop-in",
                "add one, `10-limits.conf: \"[Service]\\nMemoryMax=1G\"`, or take the key away",
            );
        }
        for (span, name, field) in given(raw.drop_ins.as_ref()).into_iter().flat_map(Entries::iter) {
            let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '@');
            let stem = name.strip_suffix(".conf").unwrap_or_default();
            if stem.is_empty() || stem.starts_with('.') || name.len() > 200 || !name.chars().all(part) {
                let message = format!("`{}` cannot be the name of a drop-in", shorten(name));
                self.error(
                    span,
                    message,
                    "use letters, digits, `_`, `-` and `.`, and end it in `.conf`: `10-limits.conf`",
                );
            }
            let Some((span, text)) = field.located() else { continue };
            self.no_nul(span, text.0.reveal());
            let first =
                text.0.reveal().lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
            if !first.is_some_and(|line| line.starts_with('[')) {
                let message = "a drop-in begins with a section";
                self.error(span, message, "write `[Service]` or another section on a line before its settings");
            }
            drop_ins.insert(name.to_owned(), marked(&text.0));
        }
        drop_ins
    }

    /// Files by their path on the host.
    pub(super) fn unit_files(
        &self,
        raw: &RawSystemd,
        active: bool,
        slots: &mut Vec<Slot>,
    ) -> BTreeMap<String, HostFile> {
        let mut files = BTreeMap::new();
        for (span, path, field) in given(raw.files.as_ref()).into_iter().flat_map(Entries::iter) {
            self.host_path(span, path);
            match normal(path) {
                Some(normal) if path.starts_with('/') && normal != path => {
                    let message = format!("`{}` is not the path of a file", shorten(path));
                    self.error(span, message, format!("write it as `{}`", shorten(&normal)));
                }
                _ => {}
            }
            slots.push(Slot::file(span, path.to_owned()));
            let Some((span, raw)) = field.located() else { continue };
            let file = match raw {
                Short::Short(text) => {
                    self.no_nul(span, text.0.reveal());
                    Some(HostFile { content: marked(&text.0), mode: MODE, owner: None })
                }
                Short::Full(raw) => self.host_file(span, raw, active),
            };
            let Some(file) = file else { continue };
            let open = match raw {
                Short::Short(_) => file.content.is_sensitive(),
                // What is copied counts as a secret though it may be none.
                Short::Full(raw) => raw.mode.is_none() && raw.source.is_none() && file.content.is_sensitive(),
            };
            if open {
                let message = format!("everyone on the host may read the secret in `{}`", shorten(path));
                let help = "write `{content: ..., mode: \"0600\", owner: USER}`, with the user that the unit runs as";
                self.warn(span, "config::open_secret", message, help);
            }
            files.insert(path.to_owned(), file);
        }
        files
    }

    fn host_file(&self, span: Span, raw: &RawHostFile, active: bool) -> Option<HostFile> {
        let mode = raw.mode.as_ref().and_then(Field::located).map_or(MODE, |(span, text)| self.mode(span, text));
        let owner = raw.owner.as_ref().and_then(Field::located).map(|(span, owner)| {
            self.owner(span, owner);
            owner.clone()
        });
        let content = match (&raw.content, &raw.source) {
            (Some(content), None) => self.content(content),
            (None, Some(source)) => source.located().and_then(|(span, path)| {
                if active { self.scope.content(path, span).map(Text::sensitive) } else { Some(Text::plain("")) }
            }),
            (Some(content), Some(source)) => {
                let problem = Diagnostic::error("config::unit", "both `content` and `source` are given");
                let problem = problem.label(source.span, "this").label(content.span, "and this");
                self.report.push(problem.help("keep one of the two"));
                None
            }
            (None, None) => {
                let problem = Diagnostic::error("config::missing_key", "nothing says what is in the file").at(span);
                self.report
                    .push(problem.help("add `content: ...`, or `source: PATH` for a copy of a file of this machine"));
                None
            }
        };
        Some(HostFile { content: content?, mode, owner })
    }

    fn content(&self, field: &Field<RawText>) -> Option<Text> {
        let (span, text) = field.located()?;
        self.no_nul(span, text.0.reveal());
        Some(marked(&text.0))
    }

    fn mode(&self, span: Span, text: &str) -> u32 {
        let digits = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        match u32::from_str_radix(text, 8) {
            Ok(mode) if digits && mode <= 0o777 => mode,
            Ok(_) | Err(_) => {
                let message = format!("`{}` is not the mode of a file", shorten(text));
                self.error(span, message, "write it in octal digits, `0644` or `0600`");
                MODE
            }
        }
    }

    fn owner(&self, span: Span, text: &str) {
        let (user, group) = text.split_once(':').unwrap_or((text, "root"));
        if !super::super::login::is_user(user) || !super::super::login::is_user(group) {
            let message = format!("`{}` is no owner of a file", shorten(text));
            self.error(span, message, "write it as `USER` or `USER:GROUP`");
        }
    }
}

/// A text, marked as a secret where it looks like one.
fn marked(text: &Text) -> Text {
    if masked(text.reveal()) == text.reveal() { text.clone() } else { text.clone().into_sensitive() }
}
