//! Objects on machines are slots: a unit's name or an install path, which stays the same object however
//! often its definition changes. This is what orch keeps there of each one.
//!
//! Below [`STORE`] (for root; [`USER_STORE`] below the home of another user) a slot has a folder
//! `SCOPE/FOLDER/` with
//! - `stamp.json`, a [`Stamp`]: whose it is, and which attempt and revision it has;
//! - `pending`, while a switch is under way: whoever finds it knows that what runs may be neither the
//!   one nor the other definition, and switches again;
//! - `previous/`, what it takes to go back, with the `stamp.json` that it had.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Address, BackendKind, Digest, Kind, ObjectId, OpId, ProjectName};

/// Where slots are kept by root.
pub const STORE: &str = "/var/lib/orch";
/// Where slots are kept by another user, below the home.
pub const USER_STORE: &str = ".local/state/orch";

/// Which slot on which machine an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// The machine, by [`Place::key`](crate::model::Place::key).
    pub host: String,
    /// Who has it.
    pub backend: BackendKind,
    /// What it is called there: `web.service`, `user/web.service`, `/opt/app`.
    pub name: String,
}

impl Slot {
    /// The slot that an object id means; `None` for one of another kind.
    #[must_use]
    pub fn parse(id: &ObjectId) -> Option<Self> {
        let mut parts = id.as_str().splitn(3, '/');
        let (host, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
        let backend = [BackendKind::Ssh, BackendKind::Systemd, BackendKind::Package];
        let backend = backend.into_iter().find(|backend| backend.to_string() == kind)?;
        Some(Self { host: host.to_owned(), backend, name: name.to_owned() })
    }

    /// Its object id.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        ObjectId::new(self.to_string())
    }

    /// The name of its folder below the scope's: of letters and digits only, whatever its own name holds.
    #[must_use]
    pub fn folder(&self) -> String {
        let digest = Digest::of(self.name.as_bytes()).to_string();
        format!("{}-{}", self.backend, &digest[..16])
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.host, self.backend, self.name)
    }
}

/// What orch wrote about a slot; the content of its `stamp.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The project, for a person who looks.
    pub project: ProjectName,
    /// The state folder that it belongs to, as a digest of its key.
    pub scope: String,
    /// The instance.
    pub address: Address,
    /// The attempt that made it, or last changed it.
    pub op_id: OpId,
    /// The revision that it has.
    pub revision: Digest,
    /// How long it is meant to run.
    pub kind: Kind,
    /// Who has it.
    pub backend: BackendKind,
    /// What it is called on its machine, [`Slot::name`].
    pub slot: String,
    /// The sha256 of each file that it consists of, by path, for drift.
    #[serde(default)]
    pub files: std::collections::BTreeMap<String, Digest>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_survives_a_round_trip() {
        for name in ["web.service", "user/web.service", "/opt/a b"] {
            let slot = Slot { host: "web1".to_owned(), backend: BackendKind::Systemd, name: name.to_owned() };
            assert_eq!(Slot::parse(&slot.id()), Some(slot));
        }
        assert_eq!(Slot::parse(&ObjectId::new("container/abc/def")), None);
        assert_eq!(Slot::parse(&ObjectId::new("abc")), None);
    }
}
