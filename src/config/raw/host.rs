//! Machines, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::{Entries, Field, OneOrMany, Shaped};
use crate::model::HostKeys;

/// The address of a machine, a group of names, or a machine in full; nothing is a machine of that name.
pub(crate) type RawHost = Option<Shaped<String, String, RawMachine>>;

/// A machine that orch reaches over SSH.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawMachine {
    /// A host name, an IP address, or a `Host` of `~/.ssh/config`. Default: the machine's name here.
    pub(crate) address: Option<Field<String>>,
    /// The port of its SSH server. Default: what `ssh` finds, usually 22.
    pub(crate) port: Option<Field<u16>>,
    /// The user to log in as. Default: what `ssh` finds.
    pub(crate) user: Option<Field<String>>,
    /// The private key, relative to this file; `~/` is the home folder. Default: what `ssh` finds.
    pub(crate) key_file: Option<Field<String>>,
    /// The hosts to go through, one or a list in order: names of machines here, or `[USER@]HOST[:PORT]`.
    pub(crate) jump: Option<Field<OneOrMany<String>>>,
    /// What happens with a host key that is not known: `strict` refuses it, `accept-new` takes it in the
    /// first time. A key that is known and differs is always refused. Default: `strict`.
    pub(crate) known_hosts: Option<Field<HostKeys>>,
    /// The file of known host keys, relative to this file; `~/` is the home folder. Default: what `ssh`
    /// finds.
    pub(crate) known_hosts_file: Option<Field<String>>,
    /// Whether what needs root goes through `sudo -n` where the user is not root. Default: true.
    pub(crate) sudo: Option<Field<bool>>,
    /// What it is chosen by: `hosts: "role=web"`.
    pub(crate) labels: Option<Field<Entries<String>>>,
    /// What services may use of it, as `${host:facts.NAME}`.
    pub(crate) facts: Option<Field<Entries<String>>>,
}
