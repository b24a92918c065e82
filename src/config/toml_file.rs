//! TOML files as a flat list of entries with places.

use std::collections::BTreeMap;
use std::ops::Range;

use super::diagnostic::{Diagnostic, Report, shorten};
use super::source::{Sources, Span};

/// An entry at the top of a TOML file.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Where its line starts.
    pub(crate) key: Span,
    /// Where its value stands.
    pub(crate) span: Span,
    pub(crate) value: toml::Value,
}

/// Reads the entries of a file; `None` when it is not TOML, which is then reported.
pub(crate) fn read(file: u32, sources: &Sources, report: &Report) -> Option<Vec<Entry>> {
    let text = sources.get(file)?.text();
    let place = |range: Range<usize>| {
        let number = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { file, start: number(range.start), end: number(range.end) }
    };
    let table: BTreeMap<String, toml::Spanned<toml::Value>> = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            let message = format!("this is not TOML: {}", shorten(error.message()));
            report.push(Diagnostic::error("config::syntax", message).at(place(error.span().unwrap_or(0..0))));
            return None;
        }
    };
    let entry = |(name, value): (String, toml::Spanned<toml::Value>)| {
        let range = value.span();
        let line = text.get(..range.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        Entry { name, key: place(line..range.start), span: place(range), value: value.into_inner() }
    };
    Some(table.into_iter().map(entry).collect())
}
