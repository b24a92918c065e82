//! How a later Compose file changes an earlier one, and a service the one that it extends.

use super::node::{Key, Node, Value};

/// Lists whose items have a name: by which key a later item takes an earlier one's place.
const BY_TARGET: [(&str, &str); 4] =
    [("volumes", "target"), ("secrets", "target"), ("configs", "target"), ("devices", "target")];

/// Maps that may be written as lists of `NAME=value`.
const PAIRS: [&str; 5] = ["environment", "labels", "extra_hosts", "sysctls", "annotations"];

/// A whole file over an earlier one.
pub(super) fn files(base: Node, over: Node) -> Node {
    merge_map(base, over, &|key, base, over| match key {
        "services" => merge_map(base, over, &|_, base, over| service(base, over)),
        "networks" | "volumes" | "secrets" | "configs" => merge_map(base, over, &|_, base, over| generic(base, over)),
        _ => over,
    })
}

/// A service over the one that it extends, or over itself in an earlier file.
pub(super) fn service(base: Node, over: Node) -> Node {
    merge_map(base, over, &field)
}

fn field(key: &str, base: Node, over: Node) -> Node {
    match key {
        "command" | "entrypoint" => over,
        "healthcheck" => {
            merge_map(base, over, &|key, base, over| if key == "test" { over } else { generic(base, over) })
        }
        "logging" if driver(&base) != driver(&over) && driver(&over).is_some() => over,
        key if PAIRS.contains(&key) => generic(paired(base), paired(over)),
        "depends_on" | "networks" => generic(by_name(base), by_name(over)),
        key => match BY_TARGET.iter().find(|(list, _)| *list == key) {
            Some((_, target)) => by_target(base, over, target),
            None => generic(base, over),
        },
    }
}

fn driver(logging: &Node) -> Option<&str> {
    logging.get("driver").and_then(Node::text)
}

/// Maps are merged, lists go on, everything else is taken from the later one.
fn generic(base: Node, over: Node) -> Node {
    match (&base.value, &over.value) {
        (Value::Map(_), Value::Map(_)) => merge_map(base, over, &|_, base, over| generic(base, over)),
        (Value::List(_), Value::List(_)) => {
            let Value::List(mut items) = base.value else { return over };
            for item in over.items() {
                let same = |other: &Node| item.text().is_some() && other.text() == item.text();
                if !items.iter().any(same) {
                    items.push(item.clone());
                }
            }
            Node::new(over.span, Value::List(items))
        }
        _ => over,
    }
}

fn merge_map(base: Node, over: Node, each: &dyn Fn(&str, Node, Node) -> Node) -> Node {
    let (Value::Map(mut entries), Value::Map(later)) = (base.value, over.value.clone()) else { return over };
    for (key, value) in later {
        let place = entries.iter().position(|(other, _)| other.text == key.text);
        match (value.tag, place) {
            (Some("!reset"), Some(place)) => drop(entries.remove(place)),
            (Some("!reset"), None) => {}
            (Some(_), Some(place)) => entries[place] = (key, Node { tag: None, ..value }),
            // Nothing over something leaves it as it is.
            (None, Some(_)) if value.is_null() => {}
            (None, Some(place)) => {
                let before = entries[place].1.clone();
                entries[place].1 = if before.is_null() { value } else { each(&key.text, before, value) };
            }
            (_, None) => entries.push((key, value)),
        }
    }
    Node::new(base.span, Value::Map(entries))
}

/// `NAME=value` as a map.
fn paired(node: Node) -> Node {
    let Value::List(_) = node.value else { return node };
    let separators: &[char] = &['='];
    let entries = node.pairs(separators).into_iter().map(|(key, value)| {
        let value = value.unwrap_or_else(|| Node::new(key.span, Value::Null));
        (key, value)
    });
    Node::new(node.span, Value::Map(entries.collect()))
}

/// Names as a map.
fn by_name(node: Node) -> Node {
    let Value::List(_) = node.value else { return node };
    let entry = |(key, _): (Key, Option<&Node>)| {
        let nothing = Node::new(key.span, Value::Null);
        (key, nothing)
    };
    Node::new(node.span, Value::Map(node.named().into_iter().map(entry).collect()))
}

fn by_target(base: Node, over: Node, target: &str) -> Node {
    let name = |node: &Node| -> Option<String> {
        if let Some(found) = node.get(target).or_else(|| node.get("source")).and_then(Node::text) {
            return Some(found.to_owned());
        }
        let text = node.text()?;
        let parts: Vec<&str> = text.split(':').collect();
        Some(match parts.as_slice() {
            [_, second, ..] if second.starts_with('/') => (*second).to_owned(),
            _ => text.to_owned(),
        })
    };
    let mut items = base.items().to_vec();
    for item in over.items() {
        match items.iter().position(|other| name(other).is_some() && name(other) == name(item)) {
            Some(place) => items[place] = item.clone(),
            None => items.push(item.clone()),
        }
    }
    Node::new(over.span, Value::List(items))
}
