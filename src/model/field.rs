//! A definition as a flat list of fields: what a diff shows and a revision is made of.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::endpoint::shown;
use super::{Digest, DigestKey, Text};

/// What changing a field asks for, from the least to the most disruptive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Only what is recorded changes; the object is not touched.
    Record,
    /// The object is changed in place while it keeps serving.
    Update,
    /// The object starts again under the same definition (a job runs again).
    Restart,
    /// A new object takes the place of the old one.
    Replace,
}

impl Effect {
    /// Whether a field of this effect is part of the revision that is stamped into an object.
    #[must_use]
    pub fn defines_revision(self) -> bool {
        self >= Self::Restart
    }
}

/// A value as state and plans hold it: as it is, or as a keyed digest where it may be secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldValue {
    /// The value itself; it may be shown.
    Plain(String),
    /// The keyed digest of a value that may be secret.
    Secret(Digest),
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(value) => value,
            Self::Secret(_) => "(sensitive)",
        })
    }
}

/// One field of a definition: where it stands, its value, and what changing it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The path in the service's definition, with dots: `env.PORT`, `args`, `health_check[0].url`.
    pub path: Cow<'static, str>,
    /// The value.
    pub value: FieldValue,
    /// What changing it asks for.
    pub effect: Effect,
}

/// Collects the fields of a definition; secret values become keyed digests on the way in.
#[derive(Debug)]
pub(super) struct Fields<'k> {
    key: &'k DigestKey,
    list: Vec<Field>,
}

impl<'k> Fields<'k> {
    pub(super) fn new(key: &'k DigestKey) -> Self {
        Self { key, list: Vec::new() }
    }

    /// The key that secrets are digested under.
    pub(super) fn key(&self) -> &'k DigestKey {
        self.key
    }

    pub(super) fn plain(&mut self, path: impl Into<Cow<'static, str>>, effect: Effect, value: impl Into<String>) {
        self.list.push(Field { path: path.into(), value: FieldValue::Plain(value.into()), effect });
    }

    pub(super) fn text(&mut self, path: impl Into<Cow<'static, str>>, effect: Effect, value: &Text) {
        let path = path.into();
        let value = if value.is_sensitive() {
            FieldValue::Secret(self.key.digest([path.as_bytes(), value.reveal().as_bytes()]))
        } else {
            FieldValue::Plain(shown(value.reveal()).into_owned())
        };
        self.list.push(Field { path, value, effect });
    }

    /// Adds one field for a list; one secret item makes the whole list a secret.
    pub(super) fn texts(&mut self, path: impl Into<Cow<'static, str>>, effect: Effect, values: &[Text]) {
        if values.is_empty() {
            return;
        }
        let path = path.into();
        let value = if values.iter().any(Text::is_sensitive) {
            let parts = std::iter::once(path.as_bytes()).chain(values.iter().map(|v| v.reveal().as_bytes()));
            FieldValue::Secret(self.key.digest(parts))
        } else {
            let quoted: Vec<String> = values.iter().map(|v| format!("{:?}", shown(v.reveal()))).collect();
            FieldValue::Plain(format!("[{}]", quoted.join(", ")))
        };
        self.list.push(Field { path, value, effect });
    }

    /// The fields sorted by path.
    pub(super) fn finish(mut self) -> Vec<Field> {
        self.list.sort_by(|a, b| a.path.cmp(&b.path));
        self.list
    }
}
