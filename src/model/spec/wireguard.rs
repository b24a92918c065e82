//! A WireGuard interface of this machine, for what is reached through it.

use crate::model::Text;
use crate::model::field::{Effect, Fields};

/// An interface that is brought up from a configuration file before what uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireguardSpec {
    /// The network's name in the file.
    pub name: String,
    /// The interface: the name of the configuration file without `.conf`.
    pub interface: String,
    /// The configuration file, absolute.
    pub config: String,
    /// What is in it, which holds the private key; `None` while it does not exist.
    pub content: Option<Text>,
}

impl WireguardSpec {
    pub(in crate::model) fn fields(&self, fields: &mut Fields<'_>) {
        fields.plain("interface", Effect::Replace, self.interface.clone());
        fields.plain("config", Effect::Record, self.config.clone());
        match &self.content {
            Some(content) => fields.text("content", Effect::Restart, content),
            None => fields.plain("content", Effect::Restart, "(missing)"),
        }
    }
}
