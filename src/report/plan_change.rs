//! One changed field: how its values are written, and what a diff of several lines shows.

use similar::{ChangeTag, TextDiff};

use super::text::{count, escape, quote};
use crate::model::{FieldValue, IMAGE_PIN};
use crate::plan::Change;

/// Lines of a value that a diff shows at most.
const MOST_LINES: usize = 60;
/// Values of more lines than this are not diffed: the work grows with the square of what differs.
const MOST_DIFFED: usize = 4000;

/// How one field is shown.
pub(super) enum Shown {
    /// It comes or goes whole.
    One {
        /// `+` or `-`.
        sign: char,
        /// The value as written.
        value: String,
    },
    /// It changes, and both values fit a line.
    Pair {
        /// The value before, as written.
        old: String,
        /// The value after, as written.
        new: String,
    },
    /// A secret changes.
    Secret,
    /// It has several lines; each of the diff starts with its sign, ` ` or `@@`.
    Lines {
        /// `+`, `-` or `~`.
        sign: char,
        /// The lines of the diff, escaped.
        lines: Vec<String>,
    },
}

impl Shown {
    /// Decides how a change is shown; every text in the answer is escaped.
    pub(super) fn of(change: &Change) -> Self {
        let several =
            |value: &Option<FieldValue>| matches!(value, Some(FieldValue::Plain(text)) if text.contains('\n'));
        let lines = several(&change.old) || several(&change.new);
        match (&change.old, &change.new) {
            (Some(FieldValue::Secret(_)), Some(FieldValue::Secret(_))) => Self::Secret,
            (Some(FieldValue::Plain(old)), Some(FieldValue::Plain(new))) if lines => {
                Self::Lines { sign: '~', lines: unified(old, new) }
            }
            (None, Some(FieldValue::Plain(new))) if lines => Self::Lines { sign: '+', lines: block('+', new) },
            (Some(FieldValue::Plain(old)), None) if lines => Self::Lines { sign: '-', lines: block('-', old) },
            (Some(old), Some(new)) if change.path == IMAGE_PIN => Self::Pair { old: short(old), new: short(new) },
            (None, Some(new)) if change.path == IMAGE_PIN => Self::One { sign: '+', value: short(new) },
            (Some(old), None) if change.path == IMAGE_PIN => Self::One { sign: '-', value: short(old) },
            (Some(old), Some(new)) => Self::Pair { old: written(old), new: written(new) },
            (None, Some(new)) => Self::One { sign: '+', value: written(new) },
            (Some(old), None) => Self::One { sign: '-', value: written(old) },
            // The planner makes no such change; an edited plan file may hold one.
            (None, None) => Self::One { sign: '~', value: "(nothing)".to_owned() },
        }
    }
}

/// A value on one line: text in quotes, a list as it stands.
fn written(value: &FieldValue) -> String {
    match value {
        FieldValue::Secret(_) => "(sensitive)".to_owned(),
        FieldValue::Plain(list) if list.starts_with('[') && list.ends_with(']') => escape(list).into_owned(),
        FieldValue::Plain(text) => quote(text),
    }
}

/// The digest of an image, as short as people read them.
fn short(value: &FieldValue) -> String {
    escape(value.to_string().get(.."sha256:".len() + 12).unwrap_or(&value.to_string())).into_owned()
}

fn block(sign: char, text: &str) -> Vec<String> {
    let total = text.lines().count();
    let mut lines: Vec<String> = text.lines().take(MOST_LINES).map(|line| format!("{sign}{}", escape(line))).collect();
    note_rest(&mut lines, total);
    lines
}

fn unified(old: &str, new: &str) -> Vec<String> {
    let (before, after) = (old.lines().count(), new.lines().count());
    if before.max(after) > MOST_DIFFED {
        return vec![format!("@@ {} before, {} after @@", count(before, "line"), count(after, "line"))];
    }
    let diff = TextDiff::from_lines(old, new);
    let (mut lines, mut total) = (Vec::new(), 0);
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        let header = std::iter::once(hunk.header().to_string());
        let changes = hunk.iter_changes().flat_map(|change| {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            let value = change.value();
            let line = format!("{sign}{}", escape(value.strip_suffix('\n').unwrap_or(value)));
            let no_newline = (!value.ends_with('\n')).then(|| "\\ no line break at the end".to_owned());
            [Some(line), no_newline].into_iter().flatten()
        });
        for line in header.chain(changes) {
            total += 1;
            if lines.len() < MOST_LINES {
                lines.push(line);
            }
        }
    }
    note_rest(&mut lines, total);
    lines
}

fn note_rest(lines: &mut Vec<String>, total: usize) {
    if total > lines.len() {
        let rest = count(total - lines.len(), "more line");
        lines.push(format!("@@ {rest} @@"));
    }
}

/// Cuts a long value so that what differs from its other value stays in sight.
///
/// `differs_at` counts characters from the start; both ends that are cut off are marked, and how long the
/// whole is comes after it.
pub(super) fn cut_around(value: &str, differs_at: usize, most: usize, mark: &str) -> String {
    let length = value.chars().count();
    if length <= most {
        return value.to_owned();
    }
    // A quarter of the room is left for what leads up to the difference.
    let start = differs_at.saturating_sub(most / 4).min(length - most);
    let middle: String = value.chars().skip(start).take(most).collect();
    let (before, after) = (if start > 0 { mark } else { "" }, if start + most < length { mark } else { "" });
    format!("{before}{middle}{after} ({length} characters)")
}

/// Where two values begin to differ, in characters.
pub(super) fn first_difference(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_around_what_differs() {
        let old = format!("{}old{}", "a".repeat(100), "b".repeat(100));
        let new = old.replace("old", "new");
        let at = first_difference(&old, &new);
        assert_eq!(at, 100);
        assert_eq!(cut_around(&new, at, 20, "…"), "…aaaaanewbbbbbbbbbbbb… (203 characters)");
        assert_eq!(cut_around(&new, 0, 4, "…"), "aaaa… (203 characters)");
        assert_eq!(cut_around("short", 3, 20, "…"), "short");
    }

    #[test]
    fn huge_values_are_not_diffed() {
        let old: String = (0..5000).map(|n| format!("{n}\n")).collect();
        assert_eq!(unified(&old, "x\n"), ["@@ 5000 lines before, 1 line after @@"]);
        assert_eq!(block('+', &old).len(), MOST_LINES + 1);
    }

    #[test]
    fn a_missing_line_break_is_told() {
        assert_eq!(unified("a\nb\n", "a\nb"), ["@@ -1,2 +1,2 @@", " a", "-b", "+b", "\\ no line break at the end"]);
    }
}
