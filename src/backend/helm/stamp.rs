//! What a release is stamped with: labels, which Helm keeps beside every revision of it.
//!
//! A rollback takes the labels of the revision that it goes back to, and an upgrade by hand those of the one
//! before it. So the stamp names the revision that it was made for: on any other one it only says what was there
//! before.

use std::collections::BTreeMap;

use crate::model::{Address, Digest, OpId, ProjectName};

/// The project.
const PROJECT: &str = "orch.project";
/// What tells state folders with a project of the same name apart.
pub(super) const SCOPE: &str = "orch.scope";
/// The address.
const ADDRESS: &str = "orch.address";
/// The attempt.
const OP: &str = "orch.op";
/// The revision of the definition, in two halves: a label has room for 63 characters.
const REVISION: [&str; 2] = ["orch.revision", "orch.revision-rest"];
/// The number of the release's revision that it was made for.
const NUMBER: &str = "orch.number";

/// Whose a release is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) address: Address,
    pub(super) op_id: OpId,
    pub(super) revision: Digest,
    /// The number of the release's revision.
    pub(super) number: u32,
}

/// What all stamps of a state folder have in common.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) project: ProjectName,
    pub(super) scope: String,
}

impl Stamp {
    /// The labels that say it, each `KEY=VALUE`.
    pub(super) fn labels(&self, owner: &Owner) -> Vec<String> {
        let revision = self.revision.to_string();
        let (first, rest) = revision.split_at(revision.len() / 2);
        [
            (PROJECT, owner.project.to_string()),
            (SCOPE, owner.scope.clone()),
            (ADDRESS, self.address.to_string()),
            (OP, self.op_id.to_string()),
            (REVISION[0], first.to_owned()),
            (REVISION[1], rest.to_owned()),
            (NUMBER, self.number.to_string()),
        ]
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
    }

    /// What labels say; `None` where they are not this state folder's.
    pub(super) fn read(labels: &BTreeMap<String, String>, owner: &Owner) -> Option<Self> {
        let get = |key: &str| labels.get(key).map(String::as_str);
        if get(PROJECT)? != owner.project.to_string() || get(SCOPE)? != owner.scope {
            return None;
        }
        let revision = format!("{}{}", get(REVISION[0])?, get(REVISION[1])?);
        Some(Self {
            address: get(ADDRESS)?.parse().ok()?,
            op_id: OpId::new(get(OP)?),
            revision: revision.parse().ok()?,
            number: get(NUMBER)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceName;

    #[test]
    fn a_stamp_reads_back_for_its_owner_alone() {
        let owner = |scope: &str| Owner { project: ProjectName::new("shop").unwrap(), scope: scope.to_owned() };
        let stamp = Stamp {
            address: Address::only(ServiceName::new("web").unwrap()),
            op_id: OpId::new("20261121T053210Z-3f9a1c.4"),
            revision: Digest::of(b"x"),
            number: 3,
        };
        let labels = stamp.labels(&owner("a"));
        let fits = |label: &String| label.split_once('=').is_some_and(|(_, value)| value.len() <= 63);
        assert!(labels.iter().all(fits), "{labels:?}");
        let labels: BTreeMap<String, String> =
            labels.iter().filter_map(|label| label.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect();
        assert_eq!(Stamp::read(&labels, &owner("a")), Some(stamp));
        assert_eq!(Stamp::read(&labels, &owner("b")), None);
    }
}
