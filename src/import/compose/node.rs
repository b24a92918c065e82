//! The tree of Compose files, owned, so that trees of several files can be merged.

use crate::config::{NodeId, Span, Tree, Value as TreeValue};

/// A value of a Compose file.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Its place.
    pub(super) span: Span,
    /// What it is.
    pub(super) value: Value,
    /// `!reset` or `!override`.
    pub(super) tag: Option<&'static str>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) span: Span,
}

impl Node {
    /// Copies a tree.
    pub(super) fn of(tree: &Tree<'_>, id: NodeId) -> Self {
        let node = tree.node(id);
        let value = match &node.value {
            TreeValue::Scalar { .. } if tree.is_null(id) => Value::Null,
            TreeValue::Scalar { text, .. } => Value::Text(text.to_string()),
            TreeValue::List(items) => Value::List(items.iter().map(|item| Self::of(tree, *item)).collect()),
            TreeValue::Map(entries) => {
                let entry = |(key, value): &(NodeId, NodeId)| {
                    let text = tree.text(*key).unwrap_or_default().to_owned();
                    (Key { text, span: tree.node(*key).span }, Self::of(tree, *value))
                };
                Value::Map(entries.iter().map(entry).collect())
            }
        };
        Self { span: node.span, value, tag: tree.tag(id) }
    }

    pub(super) fn new(span: Span, value: Value) -> Self {
        Self { span, value, tag: None }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The items of a list; none of what is no list.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of a map; none of what is no map.
    pub(super) fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a key that has one.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(k, _)| k.text == key).map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// One scalar or a list of them, as a list.
    pub(super) fn one_or_many(&self) -> Vec<&Node> {
        match &self.value {
            Value::Null => Vec::new(),
            Value::List(items) => items.iter().collect(),
            Value::Text(_) | Value::Map(_) => vec![self],
        }
    }

    /// Whether it is empty, or off.
    pub(super) fn is_nothing(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Text(text) => text.is_empty() || text == "false",
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
        }
    }

    /// A map, or a list of `NAME=value`, as names with values; a name alone has none.
    pub(super) fn pairs(&self, separators: &[char]) -> Vec<(Key, Option<Node>)> {
        match &self.value {
            Value::Map(entries) => {
                entries.iter().map(|(key, value)| (key.clone(), (!value.is_null()).then(|| value.clone()))).collect()
            }
            Value::List(items) => items
                .iter()
                .filter_map(|item| {
                    let text = item.text()?;
                    let (name, value) = match text.split_once(separators) {
                        Some((name, value)) => (name, Some(Node::new(item.span, Value::Text(value.to_owned())))),
                        None => (text, None),
                    };
                    Some((Key { text: name.to_owned(), span: item.span }, value))
                })
                .collect(),
            Value::Null | Value::Text(_) => Vec::new(),
        }
    }

    /// A list of names, or a map by name, as names with what is said of them.
    pub(super) fn named(&self) -> Vec<(Key, Option<&Node>)> {
        match &self.value {
            Value::Map(entries) => {
                entries.iter().map(|(key, value)| (key.clone(), (!value.is_null()).then_some(value))).collect()
            }
            Value::List(items) => items
                .iter()
                .filter_map(|item| Some((Key { text: item.text()?.to_owned(), span: item.span }, None)))
                .collect(),
            Value::Null | Value::Text(_) => Vec::new(),
        }
    }

    /// Calls `f` with every text below.
    pub(super) fn each_text(&self, f: &mut impl FnMut(&str)) {
        match &self.value {
            Value::Null => {}
            Value::Text(text) => f(text),
            Value::List(items) => items.iter().for_each(|item| item.each_text(f)),
            Value::Map(entries) => entries.iter().for_each(|(_, value)| value.each_text(f)),
        }
    }
}
