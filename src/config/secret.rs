//! What looks like a secret by its name or its form.

use crate::model::Text;

pub(crate) use crate::model::{has_password, is_secret_name};

/// Marks a text that holds a URL with a password.
pub(crate) fn mark_url(text: Text) -> Text {
    if has_password(text.reveal()) { text.into_sensitive() } else { text }
}

/// Marks a text whose name, or whose form, says that it is secret.
pub(crate) fn mark_named(name: &str, text: Text) -> Text {
    if is_secret_name(name) { text.into_sensitive() } else { mark_url(text) }
}

/// A text with stars in the place of what looks secret: values under a secret name, passwords in
/// URLs, and the defaults of a file that has sensitive variables. Line breaks and offsets stay.
pub(crate) fn masked(text: &str) -> String {
    let hides_defaults = text.contains("sensitive");
    let mut bytes = text.as_bytes().to_vec();
    let mut line_end = 0;
    for (at, separator) in text.match_indices([':', '=']) {
        // Looked for once for each line: a file may be one line of many megabytes.
        if at >= line_end {
            line_end = text[at..].find('\n').map_or(text.len(), |length| at + length);
        }
        let name = key_before(&text[..at]);
        if is_secret_name(name) || (hides_defaults && name == "default") {
            let (start, end) = value_after(text, at + separator.len(), line_end);
            star(&mut bytes[start..end]);
        }
    }
    for (at, separator) in text.match_indices("://") {
        let start = at + separator.len();
        let authority = text[start..].split(['/', '?', '#', ' ', '\n', '"', '\'']).next().unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@')
            && let Some((name, _)) = user.split_once(':')
        {
            star(&mut bytes[start + name.len() + 1..start + user.len()]);
        }
    }
    // Whole characters were starred, so it still is text.
    String::from_utf8(bytes).unwrap_or_default()
}

fn star(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
}

/// The key that ends here, without quotes.
fn key_before(text: &str) -> &str {
    let text = text.trim_end_matches([' ', '"', '\'']);
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let start = text.char_indices().rev().take_while(|(_, c)| is_part(*c)).last().map_or(text.len(), |(at, _)| at);
    &text[start..]
}

/// Where the value that begins here, after a separator, starts and ends.
fn value_after(text: &str, from: usize, line_end: usize) -> (usize, usize) {
    let before = &text[from..line_end];
    let start = from + (before.len() - before.trim_start_matches(' ').len());
    let (value, line) = (&text[start..], &text[start..line_end]);
    let length = match value.chars().next() {
        // A reference says only where the value is, and a map has keys of its own.
        Some('{' | '\n') | None => 0,
        Some('$') if line.starts_with("${") => 0,
        Some('|' | '>') => return block_after(text, line_end),
        Some(quote @ ('"' | '\'')) => value[1..].find(quote).map_or(value.len(), |end| end + 2),
        Some('[') => line.find(']').map_or(line.len(), |end| end + 1),
        Some(_) => line.find([',', '}']).unwrap_or(line.len()),
    };
    (start, start + length)
}

/// The lines after this one that are indented deeper than it.
fn block_after(text: &str, line_end: usize) -> (usize, usize) {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let own = indent(text[..line_end].rsplit('\n').next().unwrap_or_default());
    let lines = text[line_end..].split_inclusive('\n').skip(1);
    let inside = lines.take_while(|line| line.trim().is_empty() || indent(line) > own);
    let start = text[line_end..].find('\n').map_or(text.len(), |at| line_end + at + 1);
    (start, start + inside.map(str::len).sum::<usize>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_names_are_known_by_their_words() {
        for name in [
            "PASSWORD",
            "POSTGRES_PASSWORD",
            "db-passwd",
            "Authorization",
            "X-Api-Key",
            "apiKey",
            "AWS_SECRET_ACCESS_KEY",
            "SSH_PRIVATE_KEY",
            "GITHUB_TOKEN",
            "PGPASSWORD",
            "Set-Cookie",
            "CREDENTIALS_FILE",
            "DB_PWD",
            "githubToken",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["PORT", "KEYBOARD", "TOKENIZER", "PWD", "COOKIECUTTER", "MONKEY", "PUBLIC_KEY", "AUTHOR", ""] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn what_looks_secret_is_starred_in_its_place() {
        for (text, shown) in [
            ("A_TOKEN: abc, B: d", "A_TOKEN: ***, B: d"),
            ("{\"A_TOKEN\": \"a, b\", B: d}", "{\"A_TOKEN\": ******, B: d}"),
            ("password = \"x\"\ny = 1", "password = ***\ny = 1"),
            ("API_KEY: [a, b]", "API_KEY: ******"),
            ("TOKEN: ${var:t}", "TOKEN: ${var:t}"),
            ("CERT_SECRET: |\n  one\n  two\nB: c", "CERT_SECRET: |\n*****\n*****\nB: c"),
            ("u: pg://app:pä@h/d", "u: pg://app:***@h/d"),
            ("key: {sensitive: true, default: x}", "key: {sensitive: true, default: *}"),
            ("key: {default: x}", "key: {default: x}"),
            ("TOKEN:", "TOKEN:"),
            ("TOKEN: \"open", "TOKEN: *****"),
        ] {
            assert_eq!(masked(text), shown);
            assert_eq!(masked(text).len(), text.len());
        }
    }

    #[test]
    fn passwords_in_urls_are_found() {
        assert!(has_password("postgresql://app:hunter2@localhost:5432/api"));
        assert!(has_password("--dsn=amqp://u:p@h"));
        for text in ["http://localhost:8080/a@b:c", "http://user@host", "http://user:@host", "a:b@c"] {
            assert!(!has_password(text), "{text}");
        }
    }
}
