//! What is wrong with a configuration: messages with places, sorted, counted and as data.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::source::{Sources, Span};
use crate::model::HOST_REFERENCE;

/// How many errors are shown; the rest is only counted.
const MAX_SHOWN: usize = 100;

/// The longest piece of a user's text that a message repeats, in characters.
const MAX_QUOTED: usize = 60;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but something may be missing when it is applied.
    Warning,
}

/// A place and what it has to do with the problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is there; empty for the place itself.
    pub text: String,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem, for programs: `config::unknown_key`.
    pub code: &'static str,
    /// What is wrong, as a fragment.
    pub message: String,
    /// Where; the first one is the place of the problem, and none means that it has no place.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    pub(crate) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), labels: Vec::new(), help: None }
    }

    pub(crate) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    pub(crate) fn at(self, span: Span) -> Self {
        self.label(span, "")
    }

    pub(crate) fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Where the parts of the loader put what they find, so that one error does not hide the next.
#[derive(Debug, Default)]
pub(crate) struct Report(RefCell<Vec<Diagnostic>>);

impl Report {
    pub(crate) fn push(&self, diagnostic: Diagnostic) {
        self.0.borrow_mut().push(diagnostic);
    }

    pub(crate) fn into_diagnostics(self, sources: Arc<Sources>) -> Diagnostics {
        let mut list = self.0.into_inner();
        // Stable: what has the same place, or none, stays in the order in which it was found.
        list.sort_by_key(|diagnostic| (diagnostic.labels.first().map(|label| label.span), diagnostic.severity));
        // An anchor that is used twice is decoded twice and gives the same error twice.
        list.dedup();
        Diagnostics { list, sources }
    }
}

/// Everything that is wrong with a configuration, sorted by file and place.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    sources: Arc<Sources>,
}

impl Diagnostics {
    /// Every problem, warnings included.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// The files that the spans point into.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many problems are errors.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.list.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// The problems to show to a person, and how many errors and warnings are left out.
    #[must_use]
    pub fn shown(&self) -> (Vec<&Diagnostic>, usize) {
        let shown: Vec<&Diagnostic> = self.list.iter().take(MAX_SHOWN).collect();
        let hidden = self.list.len() - shown.len();
        (shown, hidden)
    }

    /// The problems as data, for `orch validate --json`.
    #[must_use]
    pub fn to_data(&self) -> Vec<DiagnosticData> {
        self.list.iter().map(|diagnostic| self.data(diagnostic)).collect()
    }

    fn data(&self, diagnostic: &Diagnostic) -> DiagnosticData {
        let mut places = diagnostic.labels.iter().filter_map(|label| self.place(label));
        DiagnosticData {
            severity: diagnostic.severity,
            code: diagnostic.code.to_owned(),
            message: diagnostic.message.clone(),
            place: places.next(),
            related: places.collect(),
            help: diagnostic.help.clone(),
        }
    }

    fn place(&self, label: &Label) -> Option<PlaceData> {
        let file = self.sources.get(label.span.file)?;
        let start = file.position(label.span.start as usize);
        let end = file.position(label.span.end as usize);
        Some(PlaceData {
            file: file.name().to_owned(),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            label: label.text.clone(),
        })
    }
}

impl fmt::Display for Diagnostics {
    /// One line for each problem: `orch.yaml:3:5: error: unknown key`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, hidden) = self.shown();
        for diagnostic in shown {
            if let Some(place) = diagnostic.labels.first().and_then(|label| self.place(label)) {
                write!(f, "{}:{}:{}: ", place.file, place.line, place.column)?;
            }
            let severity = match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            writeln!(f, "{severity}: {}", diagnostic.message)?;
        }
        if hidden > 0 { writeln!(f, "{hidden} more problems are not shown") } else { Ok(()) }
    }
}

impl std::error::Error for Diagnostics {}

/// One problem as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct DiagnosticData {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem: `config::unknown_key`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Where; absent when the problem has no place in a file.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<PlaceData>,
    /// Other places that have to do with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<PlaceData>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// A place in a file; lines and columns count from 1, columns in characters, the end is exclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct PlaceData {
    /// The file.
    pub file: String,
    /// The line of the first character.
    pub line: usize,
    /// The column of the first character.
    pub column: usize,
    /// The line of the end.
    pub end_line: usize,
    /// The column after the last character.
    pub end_column: usize,
    /// What is there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
}

/// A user's text as a message may repeat it: one short line without control characters.
pub(crate) fn shorten(text: &str) -> String {
    if text.contains(HOST_REFERENCE) {
        return shorten(&text.replace(HOST_REFERENCE, "${host:"));
    }
    let mut short: String = text.chars().take(MAX_QUOTED).flat_map(visible).collect();
    if text.chars().nth(MAX_QUOTED).is_some() {
        short.push_str("...");
    }
    short
}

fn visible(c: char) -> impl Iterator<Item = char> {
    let (escaped, plain) = if c.is_control() { (Some(c.escape_default()), None) } else { (None, Some(c)) };
    escaped.into_iter().flatten().chain(plain)
}

/// The known word that is closest to an unknown one, if it is close enough to be a slip.
pub(crate) fn closest<'k>(unknown: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // What is longer than any name is not a slip, and comparing it costs its length squared.
    if unknown.len() > 100 {
        return None;
    }
    let lower = unknown.to_lowercase();
    known
        .into_iter()
        .filter(|word| word.len().abs_diff(unknown.len()) <= 4 || word.starts_with(unknown))
        .map(|word| (strsim::damerau_levenshtein(&lower, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.len().max(unknown.len()) / 3).max(1))
        .min()
        .map(|(_, word)| word)
}

/// What to say about an unknown word: the close one, or the ones there are.
pub(crate) fn suggest<'k>(unknown: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    const MAX_LISTED: usize = 24;
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(close) = closest(unknown, known.iter().copied()) {
        return Some(format!("did you mean `{close}`?"));
    }
    if known.is_empty() || known.len() > MAX_LISTED {
        return None;
    }
    let list: Vec<String> = known.iter().map(|word| format!("`{}`", shorten(word))).collect();
    Some(format!("known are {}", list.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_guess_is_not_made() {
        let known = ["dependencies", "health_check", "kind"];
        assert_eq!(closest("dependancies", known), Some("dependencies"));
        assert_eq!(closest("healthcheck", known), Some("health_check"));
        assert_eq!(closest("zebra", known), None);
        assert_eq!(closest(&"k".repeat(10_000), known), None);
        assert_eq!(suggest("zebra", known).unwrap(), "known are `dependencies`, `health_check`, `kind`");
    }

    #[test]
    fn quoted_text_is_short_and_harmless() {
        assert_eq!(shorten("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n");
        assert_eq!(shorten(&"x".repeat(10_000)).len(), MAX_QUOTED + 3);
    }
}
