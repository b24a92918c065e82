//! Diagnostics for a person: miette draws them, from windows of the source files.

use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan,
    SpanContents,
};

use super::diagnostic::{Diagnostic, Diagnostics, Label, Severity};
use super::source::{SourceFile, Sources, char_boundary};

/// The longest piece of a line that is shown before and after a place, in bytes.
const WINDOW: usize = 160;

impl Diagnostics {
    /// Draws every problem with its lines: with colours and boxes, or in plain ASCII.
    #[must_use]
    pub fn render(&self, color: bool, width: usize) -> String {
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(width.max(40)).with_links(false);
        let (shown, hidden) = self.shown();
        let mut text = String::new();
        for diagnostic in shown {
            // Writing to a string cannot fail.
            let _ = handler.render_report(&mut text, &Drawn::new(diagnostic, self.sources()));
            text.push('\n');
        }
        if hidden > 0 {
            text.push_str(&format!("{hidden} more problems are not shown\n"));
        }
        text
    }
}

/// One diagnostic as miette wants it: one file for each report, other files as related reports.
#[derive(Debug)]
struct Drawn<'d> {
    severity: Option<miette::Severity>,
    code: Option<&'d str>,
    message: String,
    help: Option<&'d str>,
    file: Option<&'d SourceFile>,
    labels: Vec<LabeledSpan>,
    related: Vec<Drawn<'d>>,
}

impl<'d> Drawn<'d> {
    fn new(diagnostic: &'d Diagnostic, sources: &'d Sources) -> Self {
        let file = diagnostic.labels.first().map(|label| label.span.file);
        let source = file.and_then(|file| sources.get(file));
        let here = diagnostic.labels.iter().filter(|label| Some(label.span.file) == file);
        let labels = here.enumerate().filter_map(|(index, label)| labeled(label, source?, index == 0)).collect();
        let elsewhere = diagnostic.labels.iter().filter(|label| Some(label.span.file) != file);
        let related = elsewhere.filter_map(|label| Self::elsewhere(label, sources)).collect();
        Self {
            severity: Some(match diagnostic.severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
            }),
            code: Some(diagnostic.code),
            message: diagnostic.message.clone(),
            help: diagnostic.help.as_deref(),
            file: source,
            labels,
            related,
        }
    }

    fn elsewhere(label: &Label, sources: &'d Sources) -> Option<Self> {
        let file = sources.get(label.span.file)?;
        let message = if label.text.is_empty() { "this place has to do with it".into() } else { label.text.clone() };
        let place = Label { span: label.span, text: String::new() };
        Some(Self {
            severity: Some(miette::Severity::Advice),
            code: None,
            message,
            help: None,
            file: Some(file),
            labels: labeled(&place, file, true).into_iter().collect(),
            related: Vec::new(),
        })
    }
}

/// A label cut to the first line of its span, so that a whole block is not underlined.
fn labeled(label: &Label, file: &SourceFile, primary: bool) -> Option<LabeledSpan> {
    let (start, end) = (label.span.start as usize, label.span.end as usize);
    let whole = file.text().get(start..end)?;
    let line = whole.lines().next().unwrap_or_default().trim_end();
    let length = char_boundary(line, WINDOW / 2);
    let text = (!label.text.is_empty()).then(|| label.text.clone());
    Some(if primary {
        LabeledSpan::new_primary_with_span(text, (start, length))
    } else {
        LabeledSpan::new_with_span(text, (start, length))
    })
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.code.map(|code| Box::new(code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        self.severity
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.file.map(|file| file as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty())
            .then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        let related = || self.related.iter().map(|drawn| drawn as &dyn miette::Diagnostic);
        (!self.related.is_empty()).then(|| Box::new(related()) as Box<dyn Iterator<Item = &dyn miette::Diagnostic>>)
    }
}

/// Finds the lines of a span by the file's line index (miette's own search starts at the first byte
/// for every label) and cuts lines of absurd length.
impl SourceCode for SourceFile {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = self.shown();
        let (start, end) = (span.offset(), span.offset() + span.len());
        if end > text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let lines = self.lines();
        let (first, last) = (self.line_of(start), self.line_of(end));
        let first = first.saturating_sub(before);
        let last = (last + after).min(lines.len() - 1);
        let line_end = lines.get(last + 1).map_or(text.len(), |next| *next as usize);
        let from = if before == 0 { start } else { lines[first] as usize };
        let near_start = char_boundary(text, start.saturating_sub(WINDOW));
        let near_end = char_boundary(text, end + WINDOW);
        // Only a line that is longer than the window is cut; short neighbours are kept whole.
        let long = |line: usize| {
            lines.get(line + 1).map_or(text.len(), |next| *next as usize) - lines[line] as usize > 2 * WINDOW
        };
        let cut = (first..=last).any(long);
        let (from, line) =
            if cut && from < near_start { (near_start, self.line_of(near_start)) } else { (from, first) };
        let to = if cut { line_end.min(near_end) } else { line_end };
        let column = text[lines[line] as usize..from].chars().count();
        let contents = MietteSpanContents::new_named(
            self.name().to_owned(),
            &text.as_bytes()[from..to],
            (from, to - from).into(),
            line,
            column,
            last - line + 1,
        );
        Ok(Box::new(contents))
    }
}
