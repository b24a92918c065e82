//! What only one object can have at a time.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::container::Protocol;

/// Something that only one object on a machine can have at a time: it decides whether a new one can
/// come up beside the old one, and who must let go before whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub enum Claim {
    /// A port of the host.
    Port {
        /// The port.
        port: u16,
        /// The protocol.
        protocol: Protocol,
    },
    /// A volume, or a folder, that it writes to.
    Volume(String),
    /// A name.
    Name(String),
    /// One of these on another machine than the one that orch runs on.
    At {
        /// The machine's name in the file.
        host: String,
        /// What is claimed there.
        claim: Box<Claim>,
    },
}

impl Claim {
    /// The same claim on a machine; `None` is the one that orch runs on.
    #[must_use]
    pub fn at(self, host: Option<String>) -> Self {
        match host {
            Some(host) => Self::At { host, claim: Box::new(self) },
            None => self,
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { port, protocol: Protocol::Tcp } => write!(f, "port {port}"),
            Self::Port { port, protocol } => write!(f, "port {port}/{protocol}"),
            Self::Volume(name) => write!(f, "volume {name}"),
            Self::Name(name) => write!(f, "name {name}"),
            Self::At { host, claim } => write!(f, "{host}: {claim}"),
        }
    }
}

impl From<Claim> for String {
    fn from(claim: Claim) -> Self {
        claim.to_string()
    }
}

impl TryFrom<String> for Claim {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a claim");
        let (kind, rest) = text.split_once(' ').ok_or_else(wrong)?;
        if let Some(host) = kind.strip_suffix(':') {
            return Ok(Self::try_from(rest.to_owned())?.at(Some(host.to_owned())));
        }
        match kind {
            "volume" => Ok(Self::Volume(rest.to_owned())),
            "name" => Ok(Self::Name(rest.to_owned())),
            "port" => {
                let (port, protocol) = rest.split_once('/').unwrap_or((rest, "tcp"));
                let protocol = match protocol {
                    "tcp" => Protocol::Tcp,
                    "udp" => Protocol::Udp,
                    "sctp" => Protocol::Sctp,
                    _ => return Err(wrong()),
                };
                Ok(Self::Port { port: port.parse().map_err(|_| wrong())?, protocol })
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_reads_back_as_it_was_written() {
        let port = |protocol| Claim::Port { port: 53, protocol };
        let claims = [
            port(Protocol::Tcp),
            port(Protocol::Udp),
            Claim::Volume("/srv/a b".to_owned()),
            Claim::Name("db".to_owned()),
            port(Protocol::Tcp).at(Some("web1".to_owned())),
        ];
        for claim in claims {
            assert_eq!(Claim::try_from(claim.to_string()), Ok(claim));
        }
        for wrong in ["", "port", "port x", "port 1/icmp", "shelf 1"] {
            assert!(Claim::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
