//! How serde walks through a node: its parts, items, entries and variants.

use std::borrow::Cow;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::{Decoder, Error, NodeDe, Role, Scalar};
use crate::config::tree::{NodeId, Value};

/// The answer to [`NODE`].
pub(super) struct NodeParts<'a, 's> {
    pub(super) node: NodeDe<'a, 's>,
    pub(super) next: u8,
}

impl<'de> SeqAccess<'de> for NodeParts<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let part = self.next;
        self.next += 1;
        let span = self.node.span();
        let number: u32 = match part {
            0 => span.file,
            1 => span.start,
            2 => span.end,
            3 => match &self.node.cx.tree.node(self.node.id).value {
                Value::Scalar { .. } => 0,
                Value::List(_) => 1,
                Value::Map(_) => 2,
            },
            _ => return seed.deserialize(self.node).map(Some).map_err(|error| self.node.report(error)),
        };
        seed.deserialize(number.into_deserializer()).map(Some)
    }
}

/// The answer to [`TEXT`].
pub(super) struct TextParts<'a> {
    sensitive: Option<bool>,
    text: Option<Cow<'a, str>>,
    bare: Option<bool>,
}

impl<'a> TextParts<'a> {
    pub(super) fn of(scalar: Scalar<'a>) -> Self {
        let Scalar { text, bare, sensitive, .. } = scalar;
        Self { sensitive: Some(sensitive), text: Some(text), bare: Some(bare) }
    }
}

impl<'de> SeqAccess<'de> for TextParts<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if let Some(sensitive) = self.sensitive.take() {
            return seed.deserialize(sensitive.into_deserializer()).map(Some);
        }
        if let Some(text) = self.text.take() {
            return seed.deserialize(StrDeserializer::new(&text)).map(Some);
        }
        let Some(bare) = self.bare.take() else { return Ok(None) };
        seed.deserialize(bare.into_deserializer()).map(Some)
    }
}

/// The items of a list.
pub(super) struct Items<'a, 's, 'n> {
    pub(super) cx: Decoder<'a, 's>,
    pub(super) items: std::slice::Iter<'n, NodeId>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(id) = self.items.next() else { return Ok(None) };
        seed.deserialize(NodeDe { cx: self.cx, id: *id, role: Role::Value }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a map.
pub(super) struct Entries<'a, 's, I> {
    pub(super) cx: Decoder<'a, 's>,
    pub(super) entries: I,
    pub(super) value: Option<NodeId>,
}

impl<'de, I: Iterator<Item = (NodeId, NodeId)>> MapAccess<'de> for Entries<'_, '_, I> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(KeyDe(NodeDe { cx: self.cx, id: key, role: Role::Key })).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let id = self.value.take().unwrap_or_else(|| unreachable!("serde asks for a value after its key"));
        let node = NodeDe { cx: self.cx, id, role: Role::Value };
        seed.deserialize(node).map_err(|error| node.report(error))
    }
}

/// A key: the name of a field, or with [`NODE`] a text with its place.
struct KeyDe<'a, 's>(NodeDe<'a, 's>);

impl<'de> Deserializer<'de> for KeyDe<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.0.cx.tree.text(self.0.id).unwrap_or_default())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_newtype_struct(name, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

/// A variant of an enum and the node that it is decoded from.
pub(super) struct Variant<'a, 's> {
    pub(super) node: NodeDe<'a, 's>,
    pub(super) name: &'static str,
}

impl<'de> EnumAccess<'de> for Variant<'_, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        Ok((seed.deserialize(StrDeserializer::<Error>::new(self.name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        // A unit variant may be written as a map too; then the map has no other key.
        if self.node.role == Role::Tagged {
            self.node.known_entries(&[])?;
        }
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        if self.node.role != Role::Tagged {
            return Err(self.node.expected(&format!("a map such as `{{type: {}, ...}}`", self.name)));
        }
        seed.deserialize(self.node)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        self.node.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.node.deserialize_struct(self.name, fields, visitor)
    }
}
