//! YAML as a person would write it: blocks for what is long, one line for what is short, quotes where they
//! are needed, comments above what they are about.

/// How long a line may get.
const WIDTH: usize = 110;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Yaml {
    /// A text, in quotes where another reading would be possible.
    Text(String),
    /// A number or a truth value.
    Bare(String),
    /// A list, on one line where it fits.
    List(Vec<Yaml>),
    /// A map, one line for each entry.
    Map(Vec<Entry>),
    /// A map that others refer to by a name.
    Anchored(String, Vec<Entry>),
    /// A map on one line where it fits.
    Short(Vec<(String, Yaml)>),
}

/// An entry of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Lines above it, without the `#`.
    pub(super) comment: Vec<String>,
    /// Whether an empty line stands before it.
    pub(super) apart: bool,
    pub(super) key: String,
    pub(super) value: Yaml,
}

impl Entry {
    pub(super) fn new(key: impl Into<String>, value: Yaml) -> Self {
        Self { comment: Vec::new(), apart: false, key: key.into(), value }
    }
}

impl Yaml {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn yes() -> Self {
        Self::Bare("true".to_owned())
    }

    pub(super) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// A map whose entries have no comments.
    pub(super) fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Yaml)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| Entry::new(key, value)).collect())
    }

    /// A map on one line.
    pub(super) fn short<K: Into<String>>(entries: impl IntoIterator<Item = (K, Yaml)>) -> Self {
        Self::Short(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The value on one line; `None` where it has comments or several lines.
    fn inline(&self, flow: bool) -> Option<String> {
        Some(match self {
            Self::Text(text) => scalar(text, flow),
            Self::Bare(text) => text.clone(),
            Self::List(items) => {
                let items: Option<Vec<String>> = items.iter().map(|item| item.inline(true)).collect();
                format!("[{}]", items?.join(", "))
            }
            Self::Short(entries) => {
                let entry =
                    |(key, value): &(String, Yaml)| Some(format!("{}: {}", scalar(key, true), value.inline(true)?));
                let entries: Option<Vec<String>> = entries.iter().map(entry).collect();
                format!("{{{}}}", entries?.join(", "))
            }
            Self::Map(entries) if entries.is_empty() => "{}".to_owned(),
            Self::Map(_) | Self::Anchored(..) => return None,
        })
    }
}

/// Comment lines, broken where they would be too long.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// A whole file.
pub(super) fn file(head: &[String], entries: &[Entry]) -> String {
    let mut text = String::new();
    comment(&mut text, head, 0);
    if !head.is_empty() {
        text.push('\n');
    }
    map(&mut text, entries, 0);
    text
}

fn comment(text: &mut String, lines: &[String], indent: usize) {
    for line in lines {
        // A comment never ends early, whatever the source held.
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        text.push_str(format!("{:indent$}# {line}", "").trim_end());
        text.push('\n');
    }
}

fn map(text: &mut String, entries: &[Entry], indent: usize) {
    for entry in entries {
        if entry.apart && !text.is_empty() && !text.ends_with("\n\n") {
            text.push('\n');
        }
        comment(text, &entry.comment, indent);
        text.push_str(&format!("{:indent$}{}:", "", scalar(&entry.key, false)));
        value(text, &entry.value, indent, entry.key.chars().count() + 2);
    }
}

/// What stands after a key, and what is below it.
fn value(text: &mut String, value: &Yaml, indent: usize, before: usize) {
    if let Yaml::Text(literal) = value
        && let Some((mark, lines)) = block(literal)
    {
        text.push_str(&format!(" {mark}\n"));
        for line in lines {
            let line = format!("{:1$}{line}", "", indent + 2);
            text.push_str(if line.trim().is_empty() { "" } else { &line });
            text.push('\n');
        }
        return;
    }
    let inline = value.inline(false);
    let fits = |line: &String| indent + before + line.chars().count() <= WIDTH;
    match (value, inline) {
        (Yaml::Text(_) | Yaml::Bare(_), Some(line)) => text.push_str(&format!(" {line}\n")),
        (Yaml::Map(entries) | Yaml::Anchored(_, entries), None) => {
            if let Yaml::Anchored(name, _) = value {
                text.push_str(&format!(" &{name}"));
            }
            text.push('\n');
            map(text, entries, indent + 2);
        }
        (_, Some(line)) if fits(&line) => text.push_str(&format!(" {line}\n")),
        (Yaml::List(items), _) => {
            text.push('\n');
            for item in items {
                list_item(text, item, indent + 2);
            }
        }
        (Yaml::Short(entries), _) => {
            text.push('\n');
            let entries: Vec<Entry> = entries.iter().map(|(key, value)| Entry::new(key, value.clone())).collect();
            map(text, &entries, indent + 2);
        }
        (_, inline) => text.push_str(&format!(" {}\n", inline.unwrap_or_default())),
    }
}

fn list_item(text: &mut String, item: &Yaml, indent: usize) {
    text.push_str(&format!("{:indent$}-", ""));
    match item.inline(false) {
        Some(line) => text.push_str(&format!(" {line}\n")),
        None => value(text, item, indent, 1),
    }
}

/// A text of several lines as a block: its mark and its lines. What a block cannot hold is `None`.
fn block(text: &str) -> Option<(&'static str, Vec<&str>)> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let unfit = |line: &str| line.chars().any(|c| c.is_control() && c != '\t') || line.ends_with([' ', '\t']);
    let fits = body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\t', '\n'])
        && !body.lines().any(unfit);
    fits.then(|| (if text.ends_with('\n') { "|" } else { "|-" }, body.split('\n').collect()))
}

/// A scalar, in quotes where it would be read as anything but this text.
fn scalar(text: &str, flow: bool) -> String {
    if is_plain(text, flow) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() || c == '\u{feff}' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn is_plain(text: &str, flow: bool) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return false };
    let starts = match first {
        '-' => chars.next().is_some_and(|next| next != ' '),
        first => !"?:,[]{}#&*!|>'\"%@`~=".contains(first),
    };
    let odd = |c: char| c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '"' | '\\');
    let other_reading = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | ".nan" | ".inf" | "-.inf"
    );
    let number = text.parse::<f64>().is_ok()
        || text.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '-' || c == '+')
            && text.chars().all(|c| c.is_ascii_hexdigit() || "+-._:xoTZ/".contains(c))
            && text.contains(|c: char| c.is_ascii_digit());
    starts
        && !text.contains(odd)
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && text.trim() == text
        && !other_reading
        && !number
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !(flow && text.contains([',', '[', ']', '{', '}', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_where_they_could_be_read_otherwise() {
        for plain in ["web", "a b", "--port", "nginx:1.27", "./data:/data:ro", "30s", "${env:A:-b}", "a#b", "it's"] {
            assert_eq!(scalar(plain, false), plain);
        }
        for quoted in [
            "",
            "yes",
            "No",
            "8080",
            "8080:80",
            "1.0",
            "0x1f",
            "a: b",
            "a #b",
            "-",
            "- a",
            "*x",
            "&x",
            "a:",
            " a",
            "~",
            "{a",
            "2026-01-01",
            "1e3",
            ".5",
        ] {
            assert_eq!(scalar(quoted, false), format!("\"{quoted}\""));
        }
        assert_eq!(scalar("a\n\"\\\u{1b}", false), r#""a\n\"\\\u001b""#);
        assert_eq!(scalar("nginx:1", true), "\"nginx:1\"");
    }

    #[test]
    fn what_is_long_stands_on_lines_of_its_own() {
        let long: Vec<String> = (0..20).map(|n| format!("argument-{n}")).collect();
        let mut told = Entry::new("b", Yaml::texts(long));
        told.comment = vec!["why".to_owned()];
        let entries = [
            Entry::new("a", Yaml::texts(["x", "8080"])),
            told,
            Entry::new("c", Yaml::text("one\ntwo\n")),
            Entry::new("d", Yaml::map([("e", Yaml::short([("f", Yaml::Bare("1".to_owned()))]))])),
        ];
        let text = file(&["head".to_owned()], &entries);
        assert!(text.starts_with("# head\n\na: [x, \"8080\"]\n# why\nb:\n  - argument-0\n  - argument-1\n"), "{text}");
        assert!(text.ends_with("c: |\n  one\n  two\nd:\n  e: {f: 1}\n"), "{text}");
    }
}
