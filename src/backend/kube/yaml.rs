//! Manifests as text: YAML documents to JSON as the tools of Kubernetes read them, and JSON to YAML for a person.
//!
//! Those tools read YAML 1.1, in which `yes` and `on` are booleans and `017` is an octal number.

use std::collections::HashMap;
use std::fmt::Write as _;

use saphyr_parser::{Event, Input, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};

/// How deep collections may be nested.
const MAX_DEPTH: usize = 128;
/// How many nodes the documents of one text may come to, with what its aliases stand for.
const MAX_NODES: usize = 2_000_000;

/// The documents of a text, without the empty ones.
///
/// # Errors
/// When it is no YAML, as a reason: `line 3: ...`.
pub(super) fn parse(text: &str) -> Result<Vec<Value>, String> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0, line: 1 };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            None | Some(Event::StreamEnd) => return Ok(documents),
            Some(Event::DocumentStart(_)) => reader.anchors.clear(),
            Some(Event::Nothing | Event::StreamStart | Event::DocumentEnd) => {}
            Some(event) => {
                let value = reader.node(event, 0)?;
                if !value.is_null() {
                    documents.push(value);
                }
            }
        }
    }
}

struct Reader<'t, I: Input> {
    parser: Parser<'t, I>,
    anchors: HashMap<usize, Value>,
    nodes: usize,
    line: usize,
}

impl<'t, I: Input> Reader<'t, I> {
    fn next(&mut self) -> Result<Option<Event<'t>>, String> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(Some(event))
            }
            Some(Err(error)) => Err(format!("line {}: {}", error.marker().line(), error.info())),
        }
    }

    fn wrong(&self, reason: &str) -> String {
        format!("line {}: {reason}", self.line)
    }

    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES { Err(self.wrong("it is too large")) } else { Ok(()) }
    }

    fn node(&mut self, event: Event<'t>, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("it is nested too deep"));
        }
        self.count(1)?;
        let (anchor, value) = match event {
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned();
                let value = value.ok_or_else(|| self.wrong("an alias stands for nothing"))?;
                self.count(size(&value))?;
                (0, value)
            }
            Event::Scalar(text, style, anchor, tag) => (anchor, scalar(&text, style, tag.as_deref())),
            Event::SequenceStart(anchor, _) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        Some(Event::SequenceEnd) => break,
                        Some(event) => list.push(self.node(event, depth + 1)?),
                        None => return Err(self.wrong("it ends in a list")),
                    }
                }
                (anchor, Value::Array(list))
            }
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            _ => return Err(self.wrong("something stands where a value should")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn map(&mut self, depth: usize) -> Result<Value, String> {
        let (mut map, mut merged) = (Map::new(), Vec::new());
        loop {
            let key = match self.next()? {
                Some(Event::MappingEnd) => break,
                Some(event) => self.node(event, depth + 1)?,
                None => return Err(self.wrong("it ends in a map")),
            };
            let line = self.line;
            let Some(event) = self.next()? else { return Err(self.wrong("it ends in a map")) };
            let value = self.node(event, depth + 1)?;
            let key = match key {
                Value::String(key) => key,
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Null => "null".to_owned(),
                Value::Array(_) | Value::Object(_) => return Err(format!("line {line}: a key is no text")),
            };
            if key == "<<" {
                merged.push(value);
            } else if map.insert(key.clone(), value).is_some() {
                return Err(format!("line {line}: the key {key:?} is already set in this map"));
            }
        }
        for value in merged {
            let list = match value {
                Value::Array(list) => list,
                other => vec![other],
            };
            for value in list {
                let Value::Object(other) = value else { return Err(self.wrong("only a map can be merged")) };
                for (key, value) in other {
                    map.entry(key).or_insert(value);
                }
            }
        }
        Ok(Value::Object(map))
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(size).sum::<usize>() + 1,
        Value::Object(map) => map.values().map(size).sum::<usize>() + 1,
        _ => 1,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let plain = style == ScalarStyle::Plain;
    match tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str()) {
        Some("str" | "binary") => Value::String(text.to_owned()),
        Some(_) => resolve(text),
        None if plain => resolve(text),
        None => Value::String(text.to_owned()),
    }
}

/// What a plain scalar stands for.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let digits = text.replace('_', "");
    let (negative, magnitude) = match digits.as_bytes().first()? {
        b'-' => (true, &digits[1..]),
        b'+' => (false, &digits[1..]),
        _ => (false, digits.as_str()),
    };
    let radix = |digits: &str, radix| {
        let value = i64::from_str_radix(digits, radix).ok()?;
        digits.starts_with(|c: char| c.is_ascii_hexdigit()).then_some(if negative { -value } else { value })
    };
    let integer = if let Some(hex) = magnitude.strip_prefix("0x") {
        radix(hex, 16)
    } else if let Some(octal) = magnitude.strip_prefix("0o") {
        radix(octal, 8)
    } else if let Some(binary) = magnitude.strip_prefix("0b") {
        radix(binary, 2)
    } else if magnitude.len() > 1 && magnitude.starts_with('0') && magnitude.bytes().all(|b| b.is_ascii_digit()) {
        radix(&magnitude[1..], 8)
    } else if magnitude.bytes().all(|b| b.is_ascii_digit()) && !magnitude.is_empty() {
        return match (negative, magnitude.parse::<u64>()) {
            (false, Ok(value)) => Some(value.into()),
            (true, Ok(_)) => digits.parse::<i64>().ok().map(Number::from).or_else(|| float(&digits)),
            (_, Err(_)) => float(&digits),
        };
    } else {
        return is_float(magnitude).then(|| float(&digits)).flatten();
    };
    integer.map(Number::from)
}

/// Whether a text without its sign is `[digits][.digits][e[+-]digits]`, with a digit somewhere before the exponent.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.trim_start_matches(['+', '-']))),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(part)
        && !(whole.is_empty() && part.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

fn float(text: &str) -> Option<Number> {
    let value: f64 = text.parse().ok()?;
    // As JSON has it: a whole number has no point.
    let whole = value.fract() == 0.0 && value.abs() < 9e15;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    if whole { Some(Number::from(value as i64)) } else { Number::from_f64(value) }
}

/// A value as YAML with sorted keys, one line for each scalar, ending in a line break.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(&mut text, map, 0, false),
        Value::Array(list) if !list.is_empty() => write_list(&mut text, list, 0),
        other => {
            write_scalar(&mut text, other, 0);
        }
    }
    text
}

fn pad(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

fn write_map(text: &mut String, map: &Map<String, Value>, depth: usize, first_is_placed: bool) {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 || !first_is_placed {
            pad(text, depth);
        }
        let _ = write!(text, "{}:", quoted(key));
        match value {
            Value::Object(map) if !map.is_empty() => {
                text.push('\n');
                write_map(text, map, depth + 1, false);
            }
            Value::Array(list) if !list.is_empty() => {
                text.push('\n');
                write_list(text, list, depth);
            }
            other => {
                text.push(' ');
                write_scalar(text, other, depth + 1);
            }
        }
    }
}

fn write_list(text: &mut String, list: &[Value], depth: usize) {
    for value in list {
        pad(text, depth);
        text.push_str("- ");
        match value {
            Value::Object(map) if !map.is_empty() => write_map(text, map, depth + 1, true),
            Value::Array(inner) if !inner.is_empty() => {
                text.push('\n');
                write_list(text, inner, depth + 1);
            }
            other => write_scalar(text, other, depth + 1),
        }
    }
}

fn write_scalar(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(flag) => {
            let _ = write!(text, "{flag}");
        }
        Value::Number(number) => {
            let _ = write!(text, "{number}");
        }
        Value::Array(_) => text.push_str("[]"),
        Value::Object(_) => text.push_str("{}"),
        Value::String(string) if is_block(string) => {
            text.push_str(if string.ends_with('\n') { "|" } else { "|-" });
            for line in string.trim_end_matches('\n').split('\n') {
                text.push('\n');
                if !line.is_empty() {
                    pad(text, depth);
                }
                text.push_str(line);
            }
        }
        Value::String(string) => text.push_str(&quoted(string)),
    }
    text.push('\n');
}

/// Whether a text of several lines can stand as a block as it is.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control())
}

/// A text as a plain scalar where that reads back as the same text, else in quotes.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ' | '(' | ')' | '+' | '=' | ':');
    let is_plain = matches!(resolve(text), Value::String(_))
        && text.chars().all(plain)
        && !text.contains(": ")
        && !text.ends_with(':')
        && text.trim() == text
        && !text.starts_with(['-', '=', ':', '+']);
    if is_plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_are_what_kubectl_takes_them_for() {
        let text = "{a: y, b: yes, d: n, e: No, f: 0o17, g: 017, h: 0x1F, i: 1_000, j: 1e3, l: 2001-01-01, m: \"x\", \
                    n1: ~, o: 12:30:00, p: 1.5, q: +1, r: 0b11, s: 1., t: .5, v: True, w: '1', x: 089, z: 1.2.3}";
        let read = json!({"a": true, "b": true, "d": false, "e": false, "f": 15, "g": 15, "h": 31, "i": 1000, "j": 1000,
            "l": "2001-01-01", "m": "x", "n1": null, "o": "12:30:00", "p": 1.5, "q": 1, "r": 3, "s": 1, "t": 0.5,
            "v": true, "w": "1", "x": "089", "z": "1.2.3"});
        let found = parse(text).unwrap();
        let Value::Object(found) = &found[0] else { panic!("no map") };
        for (key, value) in found.iter().filter(|(key, _)| *key != "x") {
            assert_eq!(Some(value), read.get(key), "{key}");
        }
    }

    #[test]
    fn documents_anchors_and_merges_are_read() {
        let text = "---\n# nothing\n---\nbase: &b {x: 1}\nmore:\n  <<: *b\n  z: 2\n---\n- a\n";
        assert_eq!(parse(text).unwrap(), [json!({"base": {"x": 1}, "more": {"x": 1, "z": 2}}), json!(["a"])]);
        assert_eq!(parse("{\"a\": [1, {\"b\": null}]}").unwrap(), [json!({"a": [1, {"b": null}]})]);
        assert!(parse("a: [\nb: c").unwrap_err().starts_with("line 2"));
        assert!(parse("a: 1\na: 2").unwrap_err().contains("already"));
    }

    #[test]
    fn aliases_cannot_blow_up() {
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..40 {
            let _ = writeln!(text, "a{level}: &a{level} [*a{0}, *a{0}, *a{0}]", level - 1);
        }
        assert!(parse(&text).unwrap_err().contains("too large"));
    }

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({"kind": "A", "list": [1, "two", {"b": "x", "a": ["y", []]}, [1, 2]], "text": "one\n two\n",
            "more": "one\ntwo", "odd": ["yes", "1", "", "a: b", "- x", "#c", " s", "tab\t", "12:30", "*", "a\n\n"], "none": null,
            "empty": {}, "image": "registry:5000/a/b@sha256:00", "flag": true, "f": 1.5});
        let text = to_yaml(&value);
        assert_eq!(parse(&text).unwrap(), [value], "{text}");
        assert_eq!(
            to_yaml(&json!({"b": {"d": [{"x": 1, "z": 2}]}, "a": "1"})),
            "a: \"1\"\nb:\n  d:\n  - x: 1\n    z: 2\n"
        );
    }
}
