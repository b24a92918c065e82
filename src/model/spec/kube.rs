//! An object of Kubernetes, as a definition says it.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::Text;
use crate::model::field::{Effect, Fields};

/// An object that a definition asks a cluster for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeObject {
    /// What identifies it in its cluster.
    pub id: KubeId,
    /// The object as YAML with sorted keys, with `(sensitive)` in the place of every value that may be secret.
    pub shown: String,
    /// The values that may be secret, by their place: `data.password`.
    pub secrets: BTreeMap<String, Text>,
    /// The whole object as JSON, which may hold secrets.
    pub json: Text,
}

/// What identifies an object in its cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubeId {
    /// The group and version of its kind: `apps/v1`.
    pub api_version: String,
    /// Its kind: `Deployment`.
    pub kind: String,
    /// Its namespace; `None` for what is in none.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl KubeId {
    /// The group of its kind, which stays when the version moves on; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether both are the same object, whatever version of its kind they name.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.group(), &self.kind, &self.namespace, &self.name)
            == (other.group(), &other.kind, &other.namespace, &other.name)
    }

    /// What it is called for someone who looks at one namespace: `Deployment/web`, and with its namespace
    /// where that is another one.
    #[must_use]
    pub fn within(&self, namespace: &str) -> String {
        match &self.namespace {
            Some(own) if own != namespace => format!("{}/{own}/{}", self.kind, self.name),
            _ => format!("{}/{}", self.kind, self.name),
        }
    }
}

impl fmt::Display for KubeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{namespace}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

impl KubeObject {
    /// Adds one field for the object, `objects.Deployment/web`, and one for each of its values that may be secret.
    pub(in crate::model) fn fields(&self, namespace: &str, fields: &mut Fields<'_>) {
        let path = format!("objects.{}", self.id.within(namespace));
        for (place, secret) in &self.secrets {
            fields.text(format!("{path}.{place}"), Effect::Restart, secret);
        }
        fields.plain(path, Effect::Restart, self.shown.clone());
    }
}
