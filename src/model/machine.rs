//! The machines that services run on.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ServiceName, Text};

/// A machine that orch reaches over SSH. It is recorded with what runs there, so that the machine can
/// still be reached when the file no longer names it; it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Machine {
    /// Its name in the file, or its address where the file has no name for it.
    pub name: String,
    /// A host name, an IP address, or a `Host` of the user's `~/.ssh/config`.
    pub address: String,
    /// The port of its SSH server; what `ssh` finds where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The user to log in as; what `ssh` finds where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The private key, absolute; what `ssh` finds where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The hosts to go through, in order, each `[USER@]HOST[:PORT]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jump: Vec<String>,
    /// What happens with a host key that is not known.
    #[serde(default)]
    pub known_hosts: HostKeys,
    /// The file of known host keys, absolute; what `ssh` finds where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts_file: Option<PathBuf>,
    /// Whether what needs root goes through `sudo -n` where the user is not root.
    #[serde(default = "yes")]
    pub sudo: bool,
    /// What it can be chosen by, `role=web`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What services may use of it, as `${host:facts.NAME}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

/// What happens with a host key that is not known. A key that is known and differs is always refused.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum HostKeys {
    /// It is refused.
    #[default]
    Strict,
    /// It is taken in the first time.
    AcceptNew,
}

impl Machine {
    /// A machine with nothing but its address.
    #[must_use]
    pub fn at(address: impl Into<String>) -> Self {
        let address = address.into();
        Self {
            name: address.clone(),
            address,
            port: None,
            user: None,
            key_file: None,
            jump: Vec::new(),
            known_hosts: HostKeys::default(),
            known_hosts_file: None,
            sudo: true,
            labels: BTreeMap::new(),
            facts: BTreeMap::new(),
        }
    }

    /// What `${host:WHAT}` stands for in a file: `name`, `address`, `user`, `labels.KEY` or `facts.KEY`.
    #[must_use]
    pub fn fact(&self, what: &str) -> Option<&str> {
        match what.split_once('.') {
            Some(("labels", key)) => self.labels.get(key).map(String::as_str),
            Some(("facts", key)) => self.facts.get(key).map(String::as_str),
            Some(_) => None,
            None => match what {
                "name" => Some(&self.name),
                "address" => Some(&self.address),
                "user" => self.user.as_deref(),
                _ => None,
            },
        }
    }

    /// A text with every reference (see [`HOST_REFERENCE`]) replaced by what it stands for; what stands for nothing stays.
    #[must_use]
    pub fn fill(&self, text: &Text) -> Text {
        if !text.reveal().contains(HOST_REFERENCE) {
            return text.clone();
        }
        let mut filled = String::new();
        let mut rest = text.reveal();
        while let Some((before, after)) = rest.split_once(HOST_REFERENCE) {
            filled.push_str(before);
            match after.split_once('}').and_then(|(what, after)| Some((self.fact(what)?, after))) {
                Some((value, after)) => {
                    filled.push_str(value);
                    rest = after;
                }
                None => {
                    filled.push_str(HOST_REFERENCE);
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        if text.is_sensitive() { Text::sensitive(filled) } else { Text::plain(filled) }
    }
}

/// A machine that a service in a local network runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanHost {
    /// The service.
    pub service: ServiceName,
    /// The network.
    pub network: String,
    /// What the machine's address must be in: an address and a prefix length.
    pub subnet: String,
    /// The machine.
    pub machine: Arc<Machine>,
}

/// What a reference to the host of an instance begins with, in a text of the model; `}` ends it. The
/// character in it stands in no text: what a file, a variable or a secret holds is never taken for one.
pub const HOST_REFERENCE: &str = "\u{fdd0}{host:";

impl fmt::Display for Machine {
    /// The name, and the address where that says more: `web1 (deploy@10.0.0.1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        if self.name == self.address {
            return write!(f, "{user}{}{port}", self.address);
        }
        write!(f, "{} ({user}{}{port})", self.name, self.address)
    }
}

/// Where something runs: on this machine, or on one that is reached over SSH.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Place {
    /// This machine.
    #[default]
    Here,
    /// Another one.
    On(Arc<Machine>),
}

impl Place {
    /// The machine, where it is not this one.
    #[must_use]
    pub fn machine(&self) -> Option<&Arc<Machine>> {
        match self {
            Self::Here => None,
            Self::On(machine) => Some(machine),
        }
    }

    /// What a field says of it: the name and the address, which are what makes it another machine.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Here => "localhost".to_owned(),
            Self::On(machine) => machine.name.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("this machine"),
            Self::On(machine) => machine.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_to_the_host_is_filled_in_and_an_unknown_one_stays() {
        let mut machine = Machine { name: "web1".into(), ..Machine::at("10.0.0.1") };
        machine.facts.insert("zone".into(), "a$b".into());
        let text = |text: &str| Text::plain(text.replace("@{host:", HOST_REFERENCE));
        let filled = machine.fill(&text("@{host:name}-@{host:facts.zone} @{host:nothing} ${host:name} @{host:address"));
        assert_eq!(filled, text("web1-a$b @{host:nothing} ${host:name} @{host:address"));
        assert!(machine.fill(&text("@{host:name}").into_sensitive()).is_sensitive());
    }
}
