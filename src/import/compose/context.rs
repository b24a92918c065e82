//! What every part of the translation works with: sources, values, names, and where findings go.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::node::Node;
use super::variables::{Values, translate};
use crate::config::{Diagnostic, Report, Sources, Span, shorten};
use crate::import::secret::Names;
use crate::import::words::{Part, Words};
use crate::import::yaml::Yaml;
use crate::import::{Files, Finding, FindingKind, Place};

/// What belongs to one source file.
#[derive(Debug, Clone, Default)]
pub(super) struct Home {
    /// The folder that its relative paths start from.
    pub(super) folder: PathBuf,
    /// The values of the `.env` files that count for it.
    pub(super) dotenv: BTreeMap<String, String>,
}

/// What every part of the translation works with.
pub(super) struct Context<'a> {
    pub(super) project: String,
    pub(super) sources: &'a Sources,
    pub(super) report: &'a Report,
    pub(super) files: &'a dyn Files,
    pub(super) env: &'a BTreeMap<String, String>,
    /// By the number of the source file.
    pub(super) homes: &'a [Home],
    /// The folder that the paths of orch's file start from.
    pub(super) folder: &'a Path,
    pub(super) names: RefCell<Names>,
    pub(super) findings: RefCell<Vec<(Option<Span>, Finding)>>,
    /// Names of the environment that were asked for already.
    pub(super) asked: RefCell<BTreeSet<String>>,
}

impl Context<'_> {
    fn find(&self, kind: FindingKind, service: Option<&str>, span: Span, message: String) {
        let finding = Finding { kind, place: self.place(span), service: service.map(str::to_owned), message };
        self.findings.borrow_mut().push((Some(span), finding));
    }

    fn place(&self, span: Span) -> Option<Place> {
        let file = self.sources.get(span.file)?;
        Some(Place { file: file.name().to_owned(), line: file.position(span.start as usize).line })
    }

    pub(super) fn lost(&self, service: Option<&str>, span: Span, message: impl Into<String>) {
        self.find(FindingKind::Lost, service, span, message.into());
    }

    pub(super) fn note(&self, service: Option<&str>, span: Span, message: impl Into<String>) {
        self.find(FindingKind::Note, service, span, message.into());
    }

    /// A secret that is left to the environment, told once.
    pub(super) fn to_set(&self, service: Option<&str>, span: Span, name: &str, literal: bool) {
        if self.asked.borrow_mut().insert(name.to_owned()) {
            let message = match literal {
                true => format!("`{name}` is a secret, and is taken from the environment; its value stands there"),
                false => format!("`{name}` is a secret, and is taken from the environment as before"),
            };
            self.find(FindingKind::ToSet, service, span, message);
        }
    }

    pub(super) fn error(&self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.report.push(Diagnostic::error("import::compose", message).at(span).help(help));
    }

    fn home(&self, span: Span) -> &Home {
        &self.homes[span.file as usize]
    }

    /// A text with orch's references in the place of Compose's.
    pub(super) fn words(&self, service: Option<&str>, node: &Node) -> Words {
        let Some(text) = node.text() else { return Words::default() };
        self.translate(service, node.span, text)
    }

    fn translate(&self, service: Option<&str>, span: Span, text: &str) -> Words {
        let home = self.home(span);
        match translate(text, Values { env: self.env, dotenv: &home.dotenv }) {
            Ok(translated) => {
                translated.notes.into_iter().for_each(|note| self.note(service, span, note));
                for name in &translated.secrets {
                    self.to_set(service, span, name, false);
                }
                translated.words
            }
            Err(message) => {
                self.error(span, message, "correct it; `docker compose config` says the same");
                Words::default()
            }
        }
    }

    /// A text, for the file.
    pub(super) fn text(&self, service: Option<&str>, node: &Node) -> String {
        self.words(service, node).written()
    }

    /// A text without references: what it is now where it has some.
    pub(super) fn plain(&self, service: Option<&str>, node: &Node) -> Option<String> {
        self.words(service, node).plain().map(str::to_owned)
    }

    /// A text under a name, its secrets hidden.
    pub(super) fn hidden(&self, service: &str, key: &str, node: &Node) -> String {
        let (words, names) = self.names.borrow_mut().hide(service, key, self.words(Some(service), node));
        names.iter().for_each(|name| self.to_set(Some(service), node.span, name, true));
        words.written()
    }

    /// A command line: a list of words as it is, a text as a text unless it holds a secret.
    pub(super) fn command(&self, service: &str, node: &Node) -> Option<Yaml> {
        let one = node.text().is_some();
        let list: Vec<Words> = match node.text() {
            Some(text) => {
                let words = self.words(Some(service), node);
                let Some(plain) = words.plain() else { return Some(Yaml::text(words.written())) };
                let Some(split) = shlex::split(plain) else {
                    self.error(node.span, format!("a quote of `{}` is not closed", shorten(text)), "close it");
                    return None;
                };
                split.into_iter().map(Words::literal).collect()
            }
            None => node.items().iter().map(|item| self.words(Some(service), item)).collect(),
        };
        let (hidden, names) = self.names.borrow_mut().hide_list(service, list);
        names.iter().for_each(|name| self.to_set(Some(service), node.span, name, true));
        if one && names.is_empty() {
            return Some(Yaml::text(self.text(Some(service), node)));
        }
        Some(Yaml::texts(hidden.iter().map(Words::written)))
    }

    /// A path of this machine as orch's file names it.
    pub(super) fn path(&self, service: Option<&str>, span: Span, mut words: Words) -> Words {
        let from = &self.home(span).folder;
        if from == self.folder {
            return words;
        }
        match words.0.first_mut() {
            Some(Part::Literal(first)) if !first.starts_with(['/', '~']) => {
                let folder = relative(self.folder, from);
                let rest = first.strip_prefix("./").unwrap_or(first);
                *first = if rest.is_empty() || rest == "." { folder } else { format!("{folder}/{rest}") };
            }
            Some(Part::Reference(_)) => {
                let message =
                    format!("a relative path was of {}, and is of the folder of this file now", from.display());
                self.note(service, span, message);
            }
            _ => {}
        }
        words
    }

    /// A path as it is on this machine, where nothing in it is referred to.
    pub(super) fn absolute(&self, node: &Node) -> Option<PathBuf> {
        let plain = self.plain(None, node)?;
        Some(self.home(node.span).folder.join(plain))
    }
}

/// A folder as seen from another one: `./a`, `../b`; absolute where nothing else is possible.
#[must_use]
pub fn relative(from: &Path, to: &Path) -> String {
    let plain = |path: &Path| -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => drop(parts.pop()),
                part => parts.push(part.as_os_str().to_string_lossy().into_owned()),
            }
        }
        parts
    };
    let (from, to) = (plain(from), plain(to));
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from.len() - same;
    let mut parts = vec![if up == 0 { "." } else { ".." }];
    parts.extend(std::iter::repeat_n("..", up.saturating_sub(1)));
    parts.extend(to[same..].iter().map(String::as_str));
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_from_each_other() {
        let relative = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(relative("/a/b", "/a/b"), ".");
        assert_eq!(relative("/a/b", "/a/b/c/d"), "./c/d");
        assert_eq!(relative("/a/b", "/a/c"), "../c");
        assert_eq!(relative("/a/b/c", "/a/./x/../d"), "../../d");
    }
}
