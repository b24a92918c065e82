//! What raw types are made of: fields with places that may be invalid, ordered maps, one or many.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{Schema, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::de::{NODE, Shape, TEXT};
use super::source::Span;
use crate::model::Text;

/// A value with its place; without a value where it was wrong, which is then in the report.
#[derive(Debug, Clone)]
pub(crate) struct Field<T> {
    pub(crate) span: Span,
    pub(crate) value: Option<T>,
}

impl<T> Field<T> {
    /// The value, unless it was wrong.
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The value with its place, unless it was wrong.
    pub(crate) fn located(&self) -> Option<(Span, &T)> {
        self.value.as_ref().map(|value| (self.span, value))
    }
}

impl<T> Default for Field<T> {
    /// What stands for a key that is not there: nowhere, and without a value.
    fn default() -> Self {
        Self { span: Span::default(), value: None }
    }
}

/// The value of a key that may be absent: absent and wrong are both `None`.
pub(crate) fn given<T>(field: Option<&Field<T>>) -> Option<&T> {
    field.and_then(Field::get)
}

/// A type that looks at the shape of a node before it decodes it.
trait FromNode<'de>: Sized {
    fn from_node<A: SeqAccess<'de>>(span: Span, shape: Shape, node: A) -> Result<Self, A::Error>;
}

fn read_node<'de, T: FromNode<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct NodeVisitor<T>(PhantomData<T>);

    impl<'de, T: FromNode<'de>> Visitor<'de> for NodeVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a node of a configuration file")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<T, A::Error> {
            let mut number = || next::<u32, A>(&mut parts);
            let span = Span { file: number()?, start: number()?, end: number()? };
            let shape = Shape::from_number(number()?);
            T::from_node(span, shape, parts)
        }
    }

    deserializer.deserialize_newtype_struct(NODE, NodeVisitor(PhantomData))
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(parts: &mut A) -> Result<T, A::Error> {
    parts.next_element()?.ok_or_else(|| A::Error::custom("a part of the node is missing"))
}

impl<'de, T: Deserialize<'de>> FromNode<'de> for Field<T> {
    fn from_node<A: SeqAccess<'de>>(span: Span, _: Shape, mut node: A) -> Result<Self, A::Error> {
        // The deserializer has reported the error; decoding goes on behind this field.
        Ok(Self { span, value: next(&mut node).ok() })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_node(deserializer)
    }
}

/// A map in the order of the file, its keys with their places.
#[derive(Debug, Clone)]
pub(crate) struct Entries<T>(pub(crate) Vec<(Field<String>, Field<T>)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Entries<T> {
    /// The entries: place of the key, key, value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Span, &str, &Field<T>)> {
        self.0.iter().filter_map(|(key, value)| Some((key.span, key.get()?.as_str(), value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

/// One item, or a list of them.
#[derive(Debug, Clone)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<Field<T>>);

impl<'de, T: Deserialize<'de>> FromNode<'de> for OneOrMany<T> {
    fn from_node<A: SeqAccess<'de>>(_: Span, shape: Shape, mut node: A) -> Result<Self, A::Error> {
        Ok(Self(if shape == Shape::List { next(&mut node)? } else { vec![next(&mut node)?] }))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_node(deserializer)
    }
}

/// One scalar, or a list, which mean different things.
#[derive(Debug, Clone)]
pub(crate) enum OneOrList<S, I> {
    /// The scalar.
    One(S),
    /// The list.
    List(Vec<Field<I>>),
}

impl<'de, S: Deserialize<'de>, I: Deserialize<'de>> FromNode<'de> for OneOrList<S, I> {
    fn from_node<A: SeqAccess<'de>>(_: Span, shape: Shape, mut node: A) -> Result<Self, A::Error> {
        match shape {
            Shape::List => next(&mut node).map(Self::List),
            Shape::Scalar | Shape::Map => next(&mut node).map(Self::One),
        }
    }
}

impl<'de, S: Deserialize<'de>, I: Deserialize<'de>> Deserialize<'de> for OneOrList<S, I> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_node(deserializer)
    }
}

/// A map from names to texts, or a list of `NAME=text`.
#[derive(Debug, Clone)]
pub(crate) enum Pairs {
    /// The map; a name may have nothing.
    Map(Entries<Option<RawText>>),
    /// The list; an item may be a name alone.
    List(Vec<Field<RawText>>),
}

impl<'de> FromNode<'de> for Pairs {
    fn from_node<A: SeqAccess<'de>>(_: Span, shape: Shape, mut node: A) -> Result<Self, A::Error> {
        match shape {
            Shape::List => next(&mut node).map(Self::List),
            Shape::Scalar | Shape::Map => next(&mut node).map(Self::Map),
        }
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_node(deserializer)
    }
}

/// A scalar, or a map that says it in full.
#[derive(Debug, Clone)]
pub(crate) enum Short<S, F> {
    /// The scalar.
    Short(S),
    /// The map.
    Full(F),
}

impl<'de, S: Deserialize<'de>, F: Deserialize<'de>> FromNode<'de> for Short<S, F> {
    fn from_node<A: SeqAccess<'de>>(_: Span, shape: Shape, mut node: A) -> Result<Self, A::Error> {
        match shape {
            Shape::Map => next(&mut node).map(Self::Full),
            Shape::Scalar | Shape::List => next(&mut node).map(Self::Short),
        }
    }
}

impl<'de, S: Deserialize<'de>, F: Deserialize<'de>> Deserialize<'de> for Short<S, F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_node(deserializer)
    }
}

/// A scalar, a list or a map, which mean different things.
#[derive(Debug, Clone)]
pub(crate) enum Shaped<S, I, F> {
    /// The scalar.
    One(S),
    /// The list.
    List(Vec<Field<I>>),
    /// The map.
    Full(F),
}

impl<'de, S: Deserialize<'de>, I: Deserialize<'de>, F: Deserialize<'de>> FromNode<'de> for Shaped<S, I, F> {
    fn from_node<A: SeqAccess<'de>>(_: Span, shape: Shape, mut node: A) -> Result<Self, A::Error> {
        match shape {
            Shape::Scalar => next(&mut node).map(Self::One),
            Shape::List => next(&mut node).map(Self::List),
            Shape::Map => next(&mut node).map(Self::Full),
        }
    }
}

impl<'de, S: Deserialize<'de>, I: Deserialize<'de>, F: Deserialize<'de>> Deserialize<'de> for Shaped<S, I, F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_node(deserializer)
    }
}

/// A list of names, or a map from names to what there is to say about each.
#[derive(Debug, Clone)]
pub(crate) enum Names<T> {
    /// The names alone.
    List(Vec<Field<String>>),
    /// The names with more; nothing stands for the defaults.
    Map(Entries<Option<T>>),
}

impl<'de, T: Deserialize<'de>> FromNode<'de> for Names<T> {
    fn from_node<A: SeqAccess<'de>>(_: Span, shape: Shape, mut node: A) -> Result<Self, A::Error> {
        match shape {
            Shape::Map => next(&mut node).map(Self::Map),
            Shape::Scalar | Shape::List => next(&mut node).map(Self::List),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Names<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_node(deserializer)
    }
}

/// Any scalar as it is written, which may be secret.
#[derive(Debug, Clone)]
pub(crate) struct RawText(pub(crate) Text);

impl<'de> Deserialize<'de> for RawText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = RawText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<RawText, A::Error> {
                let sensitive: bool = next(&mut parts)?;
                let text: Box<str> = next(&mut parts)?;
                Ok(RawText(if sensitive { Text::sensitive(text) } else { Text::plain(text) }))
            }
        }

        deserializer.deserialize_newtype_struct(TEXT, TextVisitor)
    }
}

/// Any scalar with its type: what stands without quotes may be a number, true or false.
#[derive(Debug, Clone)]
pub(crate) struct RawScalar {
    /// As it is written.
    pub(crate) text: Text,
    /// Whether it stands without quotes.
    pub(crate) bare: bool,
}

impl<'de> Deserialize<'de> for RawScalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = RawScalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a scalar")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<RawScalar, A::Error> {
                let sensitive: bool = next(&mut parts)?;
                let text: Box<str> = next(&mut parts)?;
                let bare = next(&mut parts)?;
                Ok(RawScalar { text: if sensitive { Text::sensitive(text) } else { Text::plain(text) }, bare })
            }
        }

        deserializer.deserialize_newtype_struct(TEXT, ScalarVisitor)
    }
}

/// Anything that YAML can say: what another tool gets as it is.
#[derive(Debug, Clone)]
pub(crate) enum RawTree {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// A scalar.
    Scalar(RawScalar),
    /// A list.
    List(Vec<Field<RawTree>>),
    /// A map.
    Map(Entries<RawTree>),
}

impl<'de> FromNode<'de> for RawTree {
    fn from_node<A: SeqAccess<'de>>(_: Span, shape: Shape, mut node: A) -> Result<Self, A::Error> {
        match shape {
            Shape::Scalar => next::<Option<RawScalar>, A>(&mut node).map(|it| it.map_or(Self::Null, Self::Scalar)),
            Shape::List => next(&mut node).map(Self::List),
            Shape::Map => next(&mut node).map(Self::Map),
        }
    }
}

impl<'de> Deserialize<'de> for RawTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_node(deserializer)
    }
}

/// The schema of any scalar: what is meant as a text need not be quoted.
pub(crate) fn scalar_schema() -> Schema {
    json_schema!({"type": ["string", "number", "boolean"]})
}

macro_rules! schema {
    (@[$($generic:ident),*] $type:ty, |$generator:ident| $schema:expr) => {
        impl<$($generic: schemars::JsonSchema),*> schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                std::any::type_name::<Self>().into()
            }

            fn json_schema($generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    };
    ($type:ty, |$generator:ident| $schema:expr) => {
        crate::config::field::schema!(@[] $type, |$generator| $schema);
    };
}

pub(crate) use schema;

schema!(RawText, |_generator| scalar_schema());
schema!(RawScalar, |_generator| scalar_schema());
schema!(RawTree, |_generator| json_schema!(true));
schema!(@[T] Field<T>, |generator| generator.subschema_for::<T>());
schema!(@[T] Entries<T>, |generator| generator.subschema_for::<BTreeMap<String, T>>());
schema!(@[T] OneOrMany<T>, |generator| {
    let one = generator.subschema_for::<T>();
    json_schema!({"anyOf": [one, {"type": "array", "items": one}]})
});
schema!(@[S, I] OneOrList<S, I>, |generator| {
    let (one, item) = (generator.subschema_for::<S>(), generator.subschema_for::<I>());
    json_schema!({"anyOf": [one, {"type": "array", "items": item}]})
});
schema!(@[S, I, F] Shaped<S, I, F>, |generator| {
    let (one, item) = (generator.subschema_for::<S>(), generator.subschema_for::<I>());
    json_schema!({"anyOf": [one, {"type": "array", "items": item}, generator.subschema_for::<F>()]})
});
schema!(Pairs, |_generator| json_schema!({"anyOf": [
    {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
    {"type": "array", "items": scalar_schema()},
]}));
schema!(@[S, F] Short<S, F>, |generator| {
    json_schema!({"anyOf": [generator.subschema_for::<S>(), generator.subschema_for::<F>()]})
});
schema!(@[T] Names<T>, |generator| {
    let full = generator.subschema_for::<T>();
    json_schema!({"anyOf": [
        {"type": "array", "items": scalar_schema()},
        {"type": "object", "additionalProperties": {"anyOf": [full, {"type": "null"}]}},
    ]})
});
