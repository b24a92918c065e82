//! What orch calls the objects of an engine.

use std::fmt;

use crate::model::ObjectId;

/// An object of an engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object {
    /// The engine's address; `None` for the one that the environment names.
    pub(super) host: Option<String>,
    /// What it is.
    pub(super) kind: ObjectKind,
    /// The engine's id of it, 64 hexadecimal digits.
    pub(super) id: String,
}

/// What an object of an engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ObjectKind {
    /// A container.
    Container,
    /// A network.
    Network,
}

impl Object {
    /// Reads what [`Display`](fmt::Display) wrote; `None` when it is no object of an engine.
    pub(super) fn parse(id: &ObjectId) -> Option<Self> {
        let (host, rest) = match id.as_str().rsplit_once('#') {
            Some((host, rest)) => (Some(host.to_owned()), rest),
            None => (None, id.as_str()),
        };
        let (kind, id) = rest.split_once('/')?;
        let kind = match kind {
            "container" => ObjectKind::Container,
            "network" => ObjectKind::Network,
            _ => return None,
        };
        Some(Self { host, kind, id: id.to_owned() })
    }

    /// What orch calls it.
    pub(super) fn object_id(&self) -> ObjectId {
        ObjectId::new(self.to_string())
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}#")?;
        }
        let kind = match self.kind {
            ObjectKind::Container => "container",
            ObjectKind::Network => "network",
        };
        write!(f, "{kind}/{}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_reads_back_as_it_was_written() {
        for (host, kind) in
            [(None, ObjectKind::Container), (Some("ssh://me@host/run/docker#1.sock".to_owned()), ObjectKind::Network)]
        {
            let object = Object { host, kind, id: "0123".to_owned() };
            assert_eq!(Object::parse(&object.object_id()), Some(object));
        }
        assert_eq!(Object::parse(&ObjectId::new("web-1")), None);
        assert_eq!(Object::parse(&ObjectId::new("volume/1")), None);
    }
}
