//! A network that orch makes for the services that are in it.

use crate::model::field::{Effect, Fields};

/// A network of a container engine, made, owned and removed by orch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// The network's name in the file.
    pub name: String,
    /// What the engine calls it; `PROJECT_NAME` where it is not given.
    pub engine_name: Option<String>,
    /// The address of the engine; `None` for the one that the environment names.
    pub host: Option<String>,
    /// The subnet, an address and a prefix length; the engine chooses one where it is not given.
    pub subnet: Option<String>,
}

impl NetworkSpec {
    pub(in crate::model) fn fields(&self, fields: &mut Fields<'_>) {
        if let Some(host) = &self.host {
            fields.plain("host", Effect::Replace, host.clone());
        }
        if let Some(name) = &self.engine_name {
            fields.plain("name", Effect::Replace, name.clone());
        }
        if let Some(subnet) = &self.subnet {
            fields.plain("subnet", Effect::Replace, subnet.clone());
        }
    }
}
