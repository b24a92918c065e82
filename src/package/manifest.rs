//! `manifest.yaml`: what a package says about itself.
//!
//! It is read from the parser's events, apart from orch.yaml's reader: nothing is put into it (no variables,
//! no aliases, no merges), it is flat, and it may come from anybody. All that is wrong is said at once.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde::Serialize;

use super::names;
use super::problem::{Fault, shown};
use crate::model::{Digest, ServiceName};

/// What a package says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// The package's name: letters, digits, `_`, `-` and `.`, at most 63.
    pub name: String,
    /// Its version: letters, digits, `.`, `_`, `+`, `~` and `-`, at most 64.
    pub version: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// The program that runs the service, below `bin/`: `bin/service`.
    pub entry_point: Option<String>,
    /// The arguments that the program gets.
    pub args: Vec<String>,
    /// Environment variables that the program gets.
    pub env: BTreeMap<String, String>,
    /// The digest of each file by its path; empty where nobody wrote them. `orch package build` does.
    pub checksums: BTreeMap<String, Digest>,
}

impl Manifest {
    /// The name of the archive: `NAME-VERSION.tar.gz`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-{}.tar.gz", self.name, self.version)
    }
}

const KEYS: [&str; 7] = ["args", "checksums", "description", "entry_point", "env", "name", "version"];

/// The longest version, which is a part of file names.
const MOST_VERSION: usize = 64;

/// The longest path of an entry point or checksum. Those of the archive have a limit of their own.
const MOST_PATH: usize = 4096;

/// How deep a manifest is read. It is a map of lists or maps of texts; a little more is told better.
const MOST_DEPTH: usize = 4;

/// Reads a manifest; the error is everything that is wrong with it.
pub(super) fn read(text: &[u8]) -> Result<Manifest, Vec<Fault>> {
    let at_start = |message: &str| vec![Fault::Manifest { line: 1, column: 1, message: message.to_owned() }];
    let text = std::str::from_utf8(text).map_err(|_| at_start("it is not UTF-8"))?;
    let root = tree(text).map_err(|fault| vec![fault])?.ok_or_else(|| at_start("it is empty"))?;
    let mut decode = Decode::default();
    let manifest = decode.manifest(&root);
    match manifest {
        Some(manifest) if decode.faults.is_empty() => Ok(manifest),
        _ => Err(decode.faults),
    }
}

/// A line and a column, from 1.
type Place = (usize, usize);

/// A value and where it begins.
struct Node {
    place: Place,
    value: Value,
}

enum Value {
    Text(String),
    Nothing,
    List(Vec<Node>),
    Map(Vec<(Place, String, Node)>),
}

fn fault(place: Place, message: impl Into<String>) -> Fault {
    Fault::Manifest { line: place.0, column: place.1, message: message.into() }
}

fn place(span: Span) -> Place {
    (span.start.line(), span.start.col() + 1)
}

/// A collection that is not at its end.
struct Open {
    node: Node,
    key: Option<(Place, String)>,
}

fn tree(text: &str) -> Result<Option<Node>, Fault> {
    let (mut open, mut root): (Vec<Open>, Option<Node>) = (Vec::new(), None);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        let at = place(span);
        let node = match event {
            Event::DocumentStart(_) if root.is_some() => return Err(fault(at, "a second document starts here")),
            Event::Alias(_) => return Err(fault(at, "aliases are not taken in a manifest")),
            Event::Scalar(_, _, anchor, ref tag) if anchor > 0 || tag.is_some() => return Err(decorated(at)),
            Event::SequenceStart(anchor, ref tag) | Event::MappingStart(anchor, ref tag)
                if anchor > 0 || tag.is_some() =>
            {
                return Err(decorated(at));
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let is_map = matches!(event, Event::MappingStart(..));
                let keyless =
                    open.last().is_some_and(|open| open.key.is_none() && matches!(open.node.value, Value::Map(_)));
                if keyless {
                    return Err(fault(at, "a key is a text"));
                }
                if open.len() >= MOST_DEPTH {
                    return Err(fault(at, "nothing in a manifest is nested so deep"));
                }
                let value = if is_map { Value::Map(Vec::new()) } else { Value::List(Vec::new()) };
                open.push(Open { node: Node { place: at, value }, key: None });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(closed) => closed.node,
                None => continue,
            },
            Event::Scalar(text, style, ..) => {
                let nothing = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if nothing { Value::Nothing } else { Value::Text(text.into_owned()) };
                Node { place: at, value }
            }
            _ => continue,
        };
        put(node, &mut open, &mut root)?;
    }
    Ok(root.filter(|root| !matches!(root.value, Value::Nothing)))
}

/// Puts a finished value where it belongs.
fn put(node: Node, open: &mut [Open], root: &mut Option<Node>) -> Result<(), Fault> {
    let Some(parent) = open.last_mut() else {
        *root = Some(node);
        return Ok(());
    };
    match (&mut parent.node.value, parent.key.take()) {
        (Value::Map(entries), Some((at, key))) => entries.push((at, key, node)),
        (Value::Map(_), None) => match node.value {
            Value::Text(key) => parent.key = Some((node.place, key)),
            _ => return Err(fault(node.place, "a key is a text")),
        },
        (Value::List(items), _) => items.push(node),
        _ => {}
    }
    Ok(())
}

fn decorated(at: Place) -> Fault {
    fault(at, "anchors and tags are not taken in a manifest")
}

fn syntax(error: &ScanError) -> Fault {
    let marker = error.marker();
    fault((marker.line(), marker.col() + 1), format!("this is not YAML: {}", shown(error.info())))
}

#[derive(Default)]
struct Decode {
    faults: Vec<Fault>,
}

impl Decode {
    fn wrong<T>(&mut self, place: Place, message: impl Into<String>) -> Option<T> {
        self.faults.push(fault(place, message));
        None
    }

    fn manifest(&mut self, root: &Node) -> Option<Manifest> {
        let entries = self.map(root, "a map with `name` and `version`")?;
        for (at, key, _) in entries.iter().filter(|(_, key, _)| !KEYS.contains(&key.as_str())) {
            let close = KEYS.iter().find(|known| strsim::jaro_winkler(known, &shown(key)) > 0.85);
            let help = match close {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known are `{}`", KEYS.join("`, `")),
            };
            self.faults.push(fault(*at, format!("unknown key `{}`; {help}", shown(key))));
        }
        let get = |name: &str| entries.iter().find(|(_, key, _)| key == name).map(|(_, _, value)| value);
        let name = self.required(root, "name", get("name"), name);
        let version = self.required(root, "version", get("version"), version);
        Some(Manifest {
            description: get("description").and_then(|node| self.text(node)),
            entry_point: get("entry_point").and_then(|node| self.checked(node, entry_point)),
            args: get("args").and_then(|node| self.args(node)).unwrap_or_default(),
            env: get("env").and_then(|node| self.pairs(node, variable, no_nul)).unwrap_or_default(),
            checksums: get("checksums").and_then(|node| self.pairs(node, path, digest)).unwrap_or_default(),
            name: name?,
            version: version?,
        })
    }

    fn required(
        &mut self,
        root: &Node,
        key: &str,
        node: Option<&Node>,
        check: fn(&str) -> Result<String, String>,
    ) -> Option<String> {
        match node {
            Some(node) => self.checked(node, check),
            None => self.wrong(root.place, format!("the key `{key}` is missing")),
        }
    }

    fn checked<T>(&mut self, node: &Node, check: fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(node)?;
        check(&text).map_or_else(|message| self.wrong(node.place, message), Some)
    }

    fn text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => self.wrong(node.place, "expected a text"),
        }
    }

    fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [(Place, String, Node)]> {
        let Value::Map(entries) = &node.value else { return self.wrong(node.place, format!("expected {what}")) };
        let mut seen = BTreeMap::new();
        for (at, key, _) in entries {
            if let Some((line, _)) = seen.insert(key, *at) {
                self.faults.push(fault(*at, format!("the key `{}` stands in line {line} already", shown(key))));
            }
        }
        Some(entries)
    }

    fn args(&mut self, node: &Node) -> Option<Vec<String>> {
        let Value::List(items) = &node.value else { return self.wrong(node.place, "expected a list") };
        Some(items.iter().filter_map(|item| self.checked(item, no_nul)).collect())
    }

    fn pairs<T>(
        &mut self,
        node: &Node,
        key_check: fn(&str) -> Result<String, String>,
        check: fn(&str) -> Result<T, String>,
    ) -> Option<BTreeMap<String, T>> {
        let mut pairs = BTreeMap::new();
        for (at, key, value) in self.map(node, "a map")? {
            let key = key_check(key).map_or_else(|message| self.wrong(*at, message), Some);
            if let (Some(key), Some(value)) = (key, self.checked(value, check)) {
                pairs.insert(key, value);
            }
        }
        Some(pairs)
    }
}

fn name(text: &str) -> Result<String, String> {
    ServiceName::new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn version(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '~' | '-');
    let good = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed);
    if good && text.len() <= MOST_VERSION {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{}` is no version: it has letters, digits, `.`, `_`, `+`, `~` and `-`, at most {MOST_VERSION}, and starts with a \
         letter or digit",
        shown(text)
    ))
}

fn path(text: &str) -> Result<String, String> {
    match names::clean(text.as_bytes(), false, MOST_PATH) {
        Ok(Some(clean)) if clean == text => Ok(clean),
        Ok(_) => Err(format!("`{}` begins with `./`", shown(text))),
        Err(fault) => Err(format!("`{}` {fault}", shown(text))),
    }
}

fn entry_point(text: &str) -> Result<String, String> {
    let path = path(text)?;
    if path.starts_with("bin/") { Ok(path) } else { Err(format!("`{}` is not below `bin/`", shown(text))) }
}

fn variable(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['=', '\0']) {
        return Err(format!("`{}` cannot be the name of an environment variable", shown(text)));
    }
    Ok(text.to_owned())
}

fn no_nul(text: &str) -> Result<String, String> {
    if text.contains('\0') { Err("a NUL character may not stand here".to_owned()) } else { Ok(text.to_owned()) }
}

fn digest(text: &str) -> Result<Digest, String> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    hex.parse().map_err(|_| format!("`{}` is no digest: `sha256:` and 64 hexadecimal digits are expected", shown(text)))
}
