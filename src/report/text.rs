//! Text of unknown origin made safe to show, measured and cut to fit.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::Look;

/// Whether a character could move the cursor, hide or reorder what is around it.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{061C}'
            | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
}

/// Text on one line, with control, line-breaking and text-direction characters written as escapes, so that
/// nothing from a log or a name can forge what a terminal shows.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_dangerous(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// Text in double quotes, with quotes and backslashes in it escaped too.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_dangerous(c) => quoted.extend(c.escape_default()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// How many columns a character takes: 0 for what combines with the one before, 2 for East Asian wide
/// characters and emoji (the wide and fullwidth blocks of Unicode's `EastAsianWidth`), else 1.
fn char_width(c: char) -> usize {
    match c {
        '\0'..='\u{2FF}' => 1,
        '\u{300}'..='\u{36F}'
        | '\u{483}'..='\u{489}'
        | '\u{591}'..='\u{5BD}'
        | '\u{610}'..='\u{61A}'
        | '\u{64B}'..='\u{65F}'
        | '\u{E31}'
        | '\u{E34}'..='\u{E3A}'
        | '\u{1AB0}'..='\u{1AFF}'
        | '\u{1DC0}'..='\u{1DFF}'
        | '\u{200B}'..='\u{200F}'
        | '\u{20D0}'..='\u{20FF}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FE20}'..='\u{FE2F}'
        | '\u{E0100}'..='\u{E01EF}' => 0,
        '\u{1100}'..='\u{115F}'
        | '\u{231A}'..='\u{231B}'
        | '\u{23E9}'..='\u{23EC}'
        | '\u{2614}'..='\u{2615}'
        | '\u{26A1}'
        | '\u{2705}'
        | '\u{274C}'
        | '\u{2753}'..='\u{2757}'
        | '\u{2B50}'
        | '\u{2E80}'..='\u{303E}'
        | '\u{3041}'..='\u{33FF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{A4CF}'
        | '\u{A960}'..='\u{A97F}'
        | '\u{AC00}'..='\u{D7A3}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FE30}'..='\u{FE6F}'
        | '\u{FF01}'..='\u{FF60}'
        | '\u{FFE0}'..='\u{FFE6}'
        | '\u{1F1E6}'..='\u{1F1FF}'
        | '\u{1F300}'..='\u{1F64F}'
        | '\u{1F680}'..='\u{1F6FF}'
        | '\u{1F7E0}'..='\u{1F7EB}'
        | '\u{1F900}'..='\u{1FAFF}'
        | '\u{20000}'..='\u{3FFFD}' => 2,
        _ => 1,
    }
}

/// How many columns text takes; it must be escaped already.
pub(super) fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char_width).sum() }
}

/// Escaped text cut at its end to at most `max` columns.
pub(super) fn cut(text: &str, max: usize, look: Look) -> Cow<'_, str> {
    if width(text) <= max {
        return Cow::Borrowed(text);
    }
    let mark = look.ellipsis();
    let Some(room) = max.checked_sub(width(mark)) else {
        return Cow::Owned(".".repeat(max));
    };
    let (mut used, mut end) = (0, 0);
    for (at, c) in text.char_indices() {
        used += char_width(c);
        if used > room {
            break;
        }
        end = at + c.len_utf8();
    }
    Cow::Owned(format!("{}{mark}", &text[..end]))
}

/// A count with its noun: `1 service`, `3 services`.
pub(super) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Names in a row: `api, web and 12 more`.
pub(super) fn names<T: std::fmt::Display>(list: &[T], most: usize) -> String {
    let mut text = String::new();
    // Hiding a single name behind `and 1 more` saves nothing.
    let shown = if list.len() <= most + 1 { list.len() } else { most };
    for (index, name) in list.iter().take(shown).enumerate() {
        let _ = write!(text, "{}{}", if index == 0 { "" } else { ", " }, escape(&name.to_string()));
    }
    if shown < list.len() {
        let _ = write!(text, " and {} more", list.len() - shown);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_forge_terminal_output() {
        assert_eq!(escape("a\x1b[2Jb\r\nc\td"), "a\\u{1b}[2Jb\\r\\nc\\td");
        assert_eq!(escape("a\u{202E}b\u{9b}31m"), "a\\u{202e}b\\u{9b}31m");
        assert_eq!(escape("zażółć 日本"), "zażółć 日本");
        assert_eq!(quote("a\"b\\c\n"), r#""a\"b\\c\n""#);
    }

    #[test]
    fn width_counts_columns_and_cut_respects_them() {
        assert_eq!((width("abc"), width("日本"), width("e\u{301}"), width("🚀")), (3, 4, 1, 2));
        assert_eq!(cut("日本語", 5, Look::plain()), "日本…");
        assert_eq!(cut("日本語", 4, Look::plain()), "日…");
        assert_eq!(cut("abcdef", 5, Look { unicode: false, ..Look::plain() }), "ab...");
        assert_eq!(cut("abcdef", 1, Look { unicode: false, ..Look::plain() }), ".");
    }

    #[test]
    fn lists_are_kept_short() {
        assert_eq!(names(&["a", "b", "c"], 2), "a, b, c");
        assert_eq!(names(&["a", "b", "c", "d"], 2), "a, b and 2 more");
        assert_eq!(count(1, "service"), "1 service");
    }
}
