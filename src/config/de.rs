//! A serde deserializer over a tree that collects errors instead of stopping at the first.
//!
//! The types that it fills wrap their fields in [`Field`](super::field::Field). Where one of these is
//! asked for, an error below is reported with its place and decoding goes on behind it. Plain serde
//! has no word for that, so two names of newtype structs, [`NODE`] and [`TEXT`], are the signal
//! between the types and this deserializer.

mod access;

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, Visitor};

use access::{Entries, Items, NodeParts, TextParts, Variant};

use super::diagnostic::{Diagnostic, Report, shorten, suggest};
use super::interpolate::Scope;
use super::source::Span;
use super::tree::{NodeId, Tree, Value};
use crate::model::{HOST_REFERENCE, SERVICE_REFERENCE};

/// Asks for a node with its place: a sequence of file, start, end, shape and the node itself.
pub(crate) const NODE: &str = "$orch::node";

/// Asks for a text that may be sensitive: a sequence of the flag, the text, and whether it stands without quotes.
pub(crate) const TEXT: &str = "$orch::text";

/// What a node looks like, before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Scalar,
    List,
    Map,
}

impl Shape {
    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Scalar,
            1 => Self::List,
            _ => Self::Map,
        }
    }
}

/// A variant that is known but that this version does not have.
#[derive(Debug)]
pub(crate) struct Planned {
    /// The enum's name.
    pub(crate) of: &'static str,
    /// The variants.
    pub(crate) variants: &'static [&'static str],
    /// What to say after the variant's name, and what to do.
    pub(crate) message: &'static str,
    pub(crate) help: &'static str,
}

/// What decoding needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Decoder<'a, 's> {
    pub(crate) tree: &'a Tree<'s>,
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) report: &'a Report,
    pub(crate) planned: &'a [Planned],
}

impl<'a, 's> Decoder<'a, 's> {
    /// Decodes a node; `None` when the node as a whole is wrong.
    pub(crate) fn decode<T: de::DeserializeOwned>(self, id: NodeId) -> Option<T> {
        let node = NodeDe { cx: self, id, role: Role::Value };
        T::deserialize(node).map_err(|error| node.report(error)).ok()
    }
}

/// An error on its way to the next place where it can be reported.
#[derive(Debug)]
pub(crate) enum Error {
    /// It is in the report already.
    Reported,
    /// A key is missing.
    Missing(&'static str),
    /// Something else is wrong.
    Message(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported => f.write_str("reported before"),
            Self::Missing(key) => write!(f, "the key `{key}` is missing"),
            Self::Message(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Message(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

/// What a node is read as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A value.
    Value,
    /// A key: taken as it is, without `${...}`.
    Key,
    /// A map whose `type` was read already.
    Tagged,
}

#[derive(Clone, Copy)]
struct NodeDe<'a, 's> {
    cx: Decoder<'a, 's>,
    id: NodeId,
    role: Role,
}

/// A scalar with its `${...}` put in.
struct Scalar<'a> {
    text: Cow<'a, str>,
    /// Neither quoted nor a block, or made from `${...}`: it may be a number, true or false.
    plain: bool,
    /// Neither quoted nor a block, whatever was put in.
    bare: bool,
    sensitive: bool,
}

impl<'a, 's> NodeDe<'a, 's> {
    fn span(&self) -> Span {
        self.cx.tree.node(self.id).span
    }

    fn fail(&self, code: &'static str, message: String, help: Option<String>) -> Error {
        self.cx.report.push(Diagnostic { help, ..Diagnostic::error(code, message).at(self.span()) });
        Error::Reported
    }

    fn report(&self, error: Error) -> Error {
        match error {
            Error::Reported => Error::Reported,
            Error::Missing(key) => {
                let help = format!("add `{key}: ...`");
                self.fail("config::missing_key", format!("the key `{key}` is missing"), Some(help))
            }
            Error::Message(message) => self.fail("config::invalid_value", message, None),
        }
    }

    fn found(&self) -> String {
        if self.cx.tree.is_null(self.id) {
            return "nothing".into();
        }
        match &self.cx.tree.node(self.id).value {
            Value::Scalar { text, .. } => format!("\"{}\"", shorten(text)),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        }
    }

    fn expected(&self, what: &str) -> Error {
        self.fail("config::wrong_type", format!("expected {what}, found {}", self.found()), None)
    }

    /// The scalar with `${...}` put in; `what` says what is expected instead of a collection.
    fn scalar(&self, what: &str) -> Result<Scalar<'a>, Error> {
        let node = self.cx.tree.node(self.id);
        let Value::Scalar { text, plain } = &node.value else { return Err(self.expected(what)) };
        if self.cx.tree.is_null(self.id) && self.role != Role::Key {
            return Err(self.expected(what));
        }
        if self.role == Role::Key || !text.contains("${") {
            return Ok(Scalar { text: Cow::Borrowed(text), plain: *plain, bare: *plain, sensitive: false });
        }
        let expanded = self.cx.scope.expand(text, node.span).ok_or(Error::Reported)?;
        Ok(Scalar { text: Cow::Owned(expanded.text), plain: true, bare: *plain, sensitive: expanded.sensitive })
    }

    /// A scalar where nothing sensitive may stand.
    fn open_scalar(&self, what: &str) -> Result<Scalar<'a>, Error> {
        let scalar = self.scalar(what)?;
        if scalar.text.contains(HOST_REFERENCE) {
            let help = "what differs from host to host may stand where sensitive values may: in command lines, `env`, \
                        `files` and the like, and in `url`, `headers`, `host`, `command` and `args` of a check";
            return Err(self.fail(
                "config::host_reference",
                "`${host:..}` may not stand here".into(),
                Some(help.into()),
            ));
        }
        if scalar.text.contains(SERVICE_REFERENCE) {
            let help = "where a service is reached may stand in command lines, `env` and the like, and in `url`, `headers`, \
                        `host`, `command` and `args` of a check";
            return Err(self.fail(
                "config::service_reference",
                "`${service:..}` may not stand here".into(),
                Some(help.into()),
            ));
        }
        if !scalar.sensitive {
            return Ok(scalar);
        }
        let help = "sensitive values may stand in `binary`, `args` and `env` of a program, in `command`, `entrypoint`, \
                    `env` and `labels` of a container, in command lines, `drop_ins`, `files` and `options` of a unit, and \
                    in `url`, `headers`, `command`, `args` and `test` of a check";
        Err(self.fail("config::sensitive", "a sensitive value may not stand here".into(), Some(help.into())))
    }

    fn integer<T: std::str::FromStr + fmt::Display>(&self, least: T, most: T) -> Result<T, Error> {
        let scalar = self.open_scalar("a whole number")?;
        scalar.text.parse().map_err(|_| {
            let digits = scalar.text.strip_prefix('-').unwrap_or(&scalar.text);
            let what = if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                format!("a whole number from {least} to {most}")
            } else {
                "a whole number".into()
            };
            let found = shorten(&scalar.text);
            self.fail("config::wrong_type", format!("expected {what}, found \"{found}\""), None)
        })
    }

    fn unknown_variant(&self, of: &str, found: &str, variants: &'static [&'static str]) -> Error {
        let planned = self.cx.planned.iter().find(|planned| planned.of == of && planned.variants.contains(&found));
        if let Some(planned) = planned {
            let message = format!("`{found}` {}", planned.message);
            return self.fail("config::not_available", message, Some(planned.help.into()));
        }
        let help = suggest(found, variants.iter().copied());
        self.fail("config::unknown_variant", format!("unknown value `{}`", shorten(found)), help)
    }

    /// Reports the keys that no field has, except `x-` keys, and gives the others.
    fn known_entries(&self, fields: &'static [&'static str]) -> Result<Vec<(NodeId, NodeId)>, Error> {
        let tree = self.cx.tree;
        let Value::Map(entries) = &tree.node(self.id).value else { return Err(self.expected("a map")) };
        let mut known = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = tree.text(*key).unwrap_or_default();
            if self.role == Role::Tagged && name == "type" || name.starts_with("x-") {
                continue;
            }
            if fields.contains(&name) {
                known.push((*key, *value));
                continue;
            }
            let key = NodeDe { id: *key, ..*self };
            let help = suggest(name, fields.iter().copied());
            key.fail("config::unknown_key", format!("unknown key `{}`", shorten(name)), help);
        }
        Ok(known)
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.integer(<$type>::MIN, <$type>::MAX)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for NodeDe<'_, '_> {
    type Error = Error;

    integers!(deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.cx.tree.node(self.id).value {
            Value::Scalar { .. } if self.cx.tree.is_null(self.id) => visitor.visit_unit(),
            Value::Scalar { .. } => self.deserialize_str(visitor),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let scalar = self.open_scalar("true or false")?;
        match (&*scalar.text, scalar.plain) {
            ("true" | "True" | "TRUE", true) => visitor.visit_bool(true),
            ("false" | "False" | "FALSE", true) => visitor.visit_bool(false),
            _ => Err(self.expected("true or false")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.open_scalar("a text")?.text {
            Cow::Borrowed(text) => visitor.visit_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.cx.tree.is_null(self.id) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match name {
            NODE => visitor.visit_seq(NodeParts { node: self, next: 0 }),
            TEXT => visitor.visit_seq(TextParts::of(self.scalar("a text")?)),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::List(items) = &self.cx.tree.node(self.id).value else { return Err(self.expected("a list")) };
        visitor.visit_seq(Items { cx: self.cx, items: items.iter() })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::Map(entries) = &self.cx.tree.node(self.id).value else { return Err(self.expected("a map")) };
        visitor.visit_map(Entries { cx: self.cx, entries: entries.iter().copied(), value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let entries = self.known_entries(fields)?.into_iter();
        visitor.visit_map(Entries { cx: self.cx, entries, value: None })
    }

    /// A scalar is a unit variant; a map is a variant that its key `type` names.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let tree = self.cx.tree;
        let (tag, role) = match &tree.node(self.id).value {
            Value::Map(_) => match tree.get(self.id, "type") {
                Some(tag) => (NodeDe { id: tag, ..self }, Role::Tagged),
                None => {
                    let known: Vec<_> = variants.iter().map(|variant| format!("`{variant}`")).collect();
                    let help = format!("add `type: ...`; known are {}", known.join(", "));
                    return Err(self.fail("config::missing_key", "the key `type` is missing".into(), Some(help)));
                }
            },
            _ => (self, Role::Value),
        };
        let found = NodeDe { role: Role::Value, ..tag }.open_scalar("a name")?.text;
        let Some(variant) = variants.iter().find(|variant| **variant == found) else {
            return Err(tag.unknown_variant(name, &found, variants));
        };
        visitor.visit_enum(Variant { node: NodeDe { role, ..self }, name: variant })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}
