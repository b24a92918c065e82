//! Names and addresses: how a service and each of its running copies are called.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest service or project name, in bytes; it fits a DNS label and a file name.
const MAX_NAME: usize = 63;

/// Why a text is not a name or an address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The name is empty.
    #[error("a name may not be empty")]
    Empty,
    /// The name is longer than 63 bytes.
    #[error("a name has at most {MAX_NAME} characters, this one has {0}")]
    TooLong(usize),
    /// The name starts with something other than a letter or digit.
    #[error("a name starts with a letter or digit, not with {0:?}")]
    BadStart(char),
    /// The name holds a character that is not allowed.
    #[error("a name has letters, digits, `_`, `-` and `.` only, not {0:?}")]
    BadCharacter(char),
    /// What follows the service name is neither `[N]` nor `@HOST`.
    #[error("an address reads SERVICE, SERVICE[N] or SERVICE@HOST")]
    BadInstance,
}

fn check_name(text: &str) -> Result<(), AddressError> {
    let first = text.chars().next().ok_or(AddressError::Empty)?;
    if !first.is_ascii_alphanumeric() {
        return Err(AddressError::BadStart(first));
    }
    if let Some(bad) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))) {
        return Err(AddressError::BadCharacter(bad));
    }
    if text.len() > MAX_NAME {
        return Err(AddressError::TooLong(text.len()));
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"))]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a name.
            ///
            /// # Errors
            /// When the text is empty, too long, or has a character outside `[A-Za-z0-9_.-]`.
            pub fn new(text: &str) -> Result<Self, AddressError> {
                check_name(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = AddressError;
            fn from_str(text: &str) -> Result<Self, AddressError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = AddressError;
            fn try_from(text: String) -> Result<Self, AddressError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.to_string()
            }
        }
    };
}

name_type! {
    /// The name of a service in the file: `[A-Za-z0-9][A-Za-z0-9_.-]*`, at most 63 bytes.
    ServiceName
}
/// What the names of services begin with that stand for a network of the file.
pub const NETWORK_PREFIX: &str = "networks.";

impl ServiceName {
    /// Whether it stands for a network of the file rather than for a service of it.
    #[must_use]
    pub fn is_network(&self) -> bool {
        self.as_str().starts_with(NETWORK_PREFIX)
    }
}

name_type! {
    /// The name of a project; the same rules as for a service.
    ProjectName
}

/// Which copy of a service an address means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstanceKey {
    /// The only copy: `web`.
    Only,
    /// A replica: `web[2]`.
    Replica(u32),
    /// The copy on a host of a group: `web@host1`.
    Host(Arc<str>),
}

/// The address of one instance: `web`, `web[2]` or `web@host1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Address {
    /// The service that the instance belongs to.
    pub service: ServiceName,
    /// Which copy of it.
    pub key: InstanceKey,
}

impl Address {
    /// The address of the only copy of a service.
    #[must_use]
    pub fn only(service: ServiceName) -> Self {
        Self { service, key: InstanceKey::Only }
    }

    /// The address of the copy of a service on a machine.
    #[must_use]
    pub fn on(service: ServiceName, machine: &str) -> Self {
        Self { service, key: InstanceKey::Host(Arc::from(machine)) }
    }

    /// The address of one of several copies of a service, counted from 0.
    #[must_use]
    pub fn replica(service: ServiceName, index: u32) -> Self {
        Self { service, key: InstanceKey::Replica(index) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            InstanceKey::Only => f.pad(self.service.as_str()),
            InstanceKey::Replica(n) => f.pad(&format!("{}[{n}]", self.service)),
            InstanceKey::Host(host) => f.pad(&format!("{}@{host}", self.service)),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some((service, host)) = text.split_once('@') {
            check_name(host)?;
            return Ok(Self { service: ServiceName::new(service)?, key: InstanceKey::Host(Arc::from(host)) });
        }
        if let Some((service, rest)) = text.split_once('[') {
            let number = rest.strip_suffix(']').ok_or(AddressError::BadInstance)?;
            let number = number.parse().map_err(|_| AddressError::BadInstance)?;
            return Ok(Self { service: ServiceName::new(service)?, key: InstanceKey::Replica(number) });
        }
        Ok(Self::only(ServiceName::new(text)?))
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl From<ServiceName> for Address {
    fn from(service: ServiceName) -> Self {
        Self::only(service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_a_round_trip() {
        for text in ["web", "web[0]", "web[12]", "web@host1", "a.b-c_d"] {
            assert_eq!(text.parse::<Address>().map(|a| a.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        for text in ["", "../x", "a/b", "a b", "a\nb", "$(x)", "-a", "web[", "web[x]", "web[-1]", "web@", "ü"] {
            assert!(text.parse::<Address>().is_err(), "{text:?} was taken");
        }
        assert_eq!(ServiceName::new(&"a".repeat(10_000)), Err(AddressError::TooLong(10_000)));
    }
}
