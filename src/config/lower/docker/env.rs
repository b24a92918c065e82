//! The environment and the labels of a container.

use std::collections::BTreeMap;

use super::Lowering;
use crate::config::diagnostic::{Diagnostic, shorten};
use crate::config::field::{Field, OneOrMany, Pairs, RawText, given};
use crate::config::raw::RawDocker;
use crate::config::secret::mark_named;
use crate::config::source::Span;
use crate::model::Text;

/// A name with its place, and its value where it has one.
type Pair = (Span, String, Option<Text>);

/// The names of an env file, with their values where they have one.
type Lines = Vec<(String, Option<String>)>;

impl Lowering<'_> {
    /// The environment: env files in their order, then `env`. What an inactive service would read from
    /// outside is not read, as it need not be there.
    pub(super) fn container_env(&self, raw: &RawDocker, active: bool) -> BTreeMap<String, Text> {
        let mut env = BTreeMap::new();
        let files = given(raw.env_file.as_ref()).map_or(&[][..], |OneOrMany(list)| list);
        for (span, path) in files.iter().filter_map(Field::located).filter(|_| active) {
            for (name, value) in self.env_file(span, path) {
                let value = match value {
                    Some(value) => Some(Text::plain(value)),
                    None => self.scope.environment(&name, span).map(|(value, _)| Text::plain(value)),
                };
                env.extend(value.map(|value| (name.clone(), mark_named(&name, value))));
            }
        }
        env.extend(self.interpolated(raw.env.as_ref(), active));
        env
    }

    /// Variables by name; one without a value has that of orch's environment.
    pub(in crate::config::lower) fn interpolated(
        &self,
        raw: Option<&Field<Pairs>>,
        active: bool,
    ) -> BTreeMap<String, Text> {
        let mut env = BTreeMap::new();
        for (span, name, value) in self.pairs(raw, "the variable") {
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("`{}` cannot be the name of an environment variable", shorten(&name));
                self.error(span, message, "a name is not empty and holds neither `=` nor NUL");
                continue;
            }
            let value = match value {
                None if active => self.scope.environment(&name, span).map(|(value, _)| Text::plain(value)),
                value => value,
            };
            env.extend(value.map(|value| (name.clone(), mark_named(&name, value))));
        }
        env
    }

    /// The labels; a name alone has an empty value.
    pub(super) fn labels(&self, raw: Option<&Field<Pairs>>) -> BTreeMap<String, Text> {
        let mut labels = BTreeMap::new();
        for (span, name, value) in self.pairs(raw, "the label") {
            if name.is_empty() {
                self.error(span, "a label has no name", "write it as `NAME=value`");
            } else if name.starts_with("orch.") {
                let message = format!("the label `{}` is one of orch's own", shorten(&name));
                self.error(span, message, "choose a name that does not start with `orch.`");
            }
            let value = mark_named(&name, value.unwrap_or_else(|| Text::plain("")));
            labels.insert(name, value);
        }
        labels
    }

    fn pairs(&self, raw: Option<&Field<Pairs>>, what: &str) -> Vec<Pair> {
        let pairs: Vec<Pair> = match given(raw) {
            None => Vec::new(),
            Some(Pairs::Map(entries)) => {
                let pair = |(span, name, field): (Span, &str, &Field<Option<RawText>>)| {
                    let (place, value) = field.located()?;
                    let value = value.as_ref().map(|value| value.0.clone());
                    self.no_nul(place, value.as_ref().map_or("", Text::reveal));
                    Some((span, name.to_owned(), value))
                };
                entries.iter().filter_map(pair).collect()
            }
            Some(Pairs::List(list)) => {
                list.iter().filter_map(Field::located).filter_map(|(span, text)| self.pair(span, &text.0)).collect()
            }
        };
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for (span, name, _) in &pairs {
            if let Some(first) = seen.insert(name, *span) {
                let message = format!("{what} `{}` stands here twice", shorten(name));
                let problem = Diagnostic::error("config::duplicate", message).label(*span, "again");
                self.report.push(problem.label(first, "first").help("keep one of the two"));
            }
        }
        pairs
    }

    /// One `NAME=value`. A name may be shown, so it may not come out of a secret.
    fn pair(&self, span: Span, text: &Text) -> Option<Pair> {
        self.no_nul(span, text.reveal());
        let written = self.sources.slice(span);
        let before = written.find("${").map_or(written, |at| &written[..at]);
        if text.is_sensitive() && !before.contains('=') {
            let problem = Diagnostic::error("config::sensitive", "a sensitive value may not stand for a name");
            self.report.push(problem.at(span).help("write the name before it: `NAME=${...}`"));
            return None;
        }
        let Some((name, value)) = text.reveal().split_once('=') else {
            return Some((span, text.reveal().to_owned(), None));
        };
        let value = if text.is_sensitive() { Text::sensitive(value) } else { Text::plain(value) };
        Some((span, name.to_owned(), Some(value)))
    }

    fn env_file(&self, span: Span, path: &str) -> Lines {
        let Some(path) = self.path(span, path) else { return Vec::new() };
        let Some((content, _)) = self.scope.file(&path.display().to_string(), span) else { return Vec::new() };
        parse(&content).unwrap_or_else(|(line, reason)| {
            // The line itself may be a secret.
            let message = format!("line {line} of `{}` {reason}", shorten(&path.display().to_string()));
            self.error(
                span,
                message,
                "write lines of `NAME=value`, with quotes around what holds ` #` or several lines",
            );
            Vec::new()
        })
    }
}

/// Reads lines of `[export ]NAME[=value]`; the number of the line that is wrong, and why.
///
/// As in Compose, a value in single quotes is taken as it is, one in double quotes may hold `\n`, `\r`,
/// `\t`, `\"`, `\$` and `\\`, both may have several lines, and a bare one ends before ` #`. Nothing is
/// expanded.
pub(crate) fn parse(text: &str) -> Result<Lines, (usize, &'static str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    let mut rest = text;
    let line_of = |rest: &str| text[..text.len() - rest.len()].matches('\n').count() + 1;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let number = line_of(rest);
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            rest = after;
            continue;
        }
        let named = trimmed.strip_prefix("export ").unwrap_or(trimmed).trim_start();
        let (name, has_value) = match named.split_once('=') {
            Some((name, _)) => (name.trim_end(), true),
            None => (named.split(" #").next().unwrap_or_default().trim_end(), false),
        };
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if name.is_empty() || !name.chars().all(known) {
            return Err((number, "does not start with a name"));
        }
        if !has_value {
            found.push((name.to_owned(), None));
            rest = after;
            continue;
        }
        let at = rest.find('=').map_or(rest.len(), |at| at + 1);
        let value = rest[at..].trim_start_matches([' ', '\t']);
        let (value, left) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let (value, left) = quoted(&value[1..], quote).ok_or((number, "has a quote that is not closed"))?;
                let (end, left_lines) = left.split_once('\n').unwrap_or((left, ""));
                if !end.trim().is_empty() && !end.trim_start().starts_with('#') {
                    return Err((line_of(left), "goes on after its quote"));
                }
                (value, left_lines)
            }
            _ => {
                let (value, left) = value.split_once('\n').unwrap_or((value, ""));
                let comment =
                    if value.starts_with('#') { Some(0) } else { value.find(" #").or_else(|| value.find("\t#")) };
                (value[..comment.unwrap_or(value.len())].trim_end().to_owned(), left)
            }
        };
        found.push((name.to_owned(), Some(value)));
        rest = left;
    }
    Ok(found)
}

/// The value up to its closing quote, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Some((value, &text[at + 1..])),
            '\\' if quote == '"' => match chars.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                c @ ('"' | '\\' | '$') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let shown = |(name, value): (String, Option<String>)| match value {
            Some(value) => format!("{name}={value:?}"),
            None => name,
        };
        parse(text)
            .map(|list| list.into_iter().map(shown).collect::<Vec<_>>().join(" "))
            .map_err(|(line, reason)| format!("{line}: {reason}"))
    }

    #[test]
    fn lines_are_read_as_compose_reads_them() {
        for (text, values) in [
            ("A=1\nB=2\n", r#"A="1" B="2""#),
            ("\u{feff}# note\n\n  export A = b c  # note\r\nB", r#"A="b c" B"#),
            ("A=a#b\nB=#c\nC=", r#"A="a#b" B="" C="""#),
            ("A='x $Y \\n' # note\nB=\"x\\n\\\"\\z\"", r#"A="x $Y \\n" B="x\n\"\\z""#),
            ("A=\"one\ntwo\"\nB=a=b", r#"A="one\ntwo" B="a=b""#),
            ("B # note", "B"),
            ("", ""),
        ] {
            assert_eq!(read(text).as_deref(), Ok(values), "{text:?}");
        }
        for (text, problem) in [
            ("A=1\n=2", "2: does not start with a name"),
            ("A B=1", "1: does not start with a name"),
            ("A=1\nB='x\ny", "2: has a quote that is not closed"),
            ("A=\"x\ny\" z", "2: goes on after its quote"),
            ("A=\"\\", "1: has a quote that is not closed"),
        ] {
            assert_eq!(read(text), Err(problem.to_owned()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\PC|\n|\"|'|=|#|\\\\|A|export ){0,40}") {
            let _ = parse(&text);
        }
    }
}
