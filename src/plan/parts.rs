//! What happens to each part of an object that has several: to each service of a Compose project.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Action, Change};
use crate::model::{Instance, ObservedObject, Spec, compose_digest_field};
use crate::state::Record;

/// What happens to one part of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Part {
    /// Its name: a service of a Compose file.
    pub name: String,
    /// What happens to it.
    pub action: PartAction,
    /// Why, as a fragment; empty where there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What happens to a part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartAction {
    /// It is made.
    Create,
    /// It is made anew.
    Recreate,
    /// It is brought up again, or back to what it was.
    Repair,
    /// It goes on as it is.
    Unchanged,
    /// It goes.
    Remove,
    /// It stays although the file has it not.
    Orphan,
}

impl PartAction {
    /// What stands before it in a list.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Recreate | Self::Repair => '~',
            Self::Unchanged | Self::Orphan => ' ',
            Self::Remove => '-',
        }
    }
}

impl fmt::Display for PartAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Create => "create",
            Self::Recreate => "recreate",
            Self::Repair => "repair",
            Self::Unchanged => "unchanged",
            Self::Remove => "remove",
            Self::Orphan => "orphan",
        })
    }
}

/// What a step does to each part of an instance, by name.
pub(super) fn parts(
    action: Action,
    wanted: Option<&Instance>,
    record: Option<&Record>,
    objects: &[ObservedObject],
    changes: &[Change],
) -> Vec<Part> {
    let spec = match wanted.map(|wanted| &wanted.service.spec) {
        Some(Spec::Compose(spec)) if spec.rendered.is_some() => Some(spec),
        _ => None,
    };
    let there: BTreeMap<&str, Option<&str>> = objects
        .iter()
        .flat_map(|object| &object.parts)
        .map(|part| (part.name.as_str(), part.trouble.as_deref()))
        .collect();
    let names: BTreeSet<&str> = spec.iter().flat_map(|spec| spec.wanted().into_keys()).collect();
    let recorded = |name: &str| record.is_some_and(|record| record.fields.contains_key(&compose_digest_field(name)));
    let goes = matches!(action, Action::Delete) || wanted.is_some() && spec.is_none();
    let part = |name: &&str| {
        let name = *name;
        let (action, why) = match (names.contains(name), there.get(name)) {
            (false, _) if goes => (PartAction::Remove, String::new()),
            (false, _) if spec.is_some_and(|spec| spec.remove_orphans && spec.services.is_empty()) => {
                (PartAction::Remove, "the file has it not".to_owned())
            }
            (false, _) => (PartAction::Orphan, "the file has it not, and `remove_orphans` is off".to_owned()),
            (true, None) if recorded(name) => (PartAction::Create, "it has no container".to_owned()),
            (true, None) => (PartAction::Create, "new in the file".to_owned()),
            (true, Some(trouble)) => changed(name, recorded(name), *trouble, changes),
        };
        Part { name: name.to_owned(), action, why }
    };
    names.iter().chain(there.keys()).collect::<BTreeSet<_>>().into_iter().map(part).collect()
}

/// What happens to a part that is there and wanted.
fn changed(name: &str, recorded: bool, trouble: Option<&str>, changes: &[Change]) -> (PartAction, String) {
    let digest = compose_digest_field(name);
    let below = format!("services.{name}.");
    let paths: Vec<&str> = changes.iter().filter_map(|change| change.path.strip_prefix(&below)).collect();
    let is_changed = recorded && changes.iter().any(|change| change.path == digest);
    match (is_changed, trouble) {
        (true, _) => (PartAction::Recreate, format!("{} changed", paths.join(", "))),
        (false, Some(trouble)) => (PartAction::Repair, trouble.to_owned()),
        (false, None) => (PartAction::Unchanged, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FieldValue;

    fn change(path: &str) -> Change {
        let value = |text: &str| Some(FieldValue::Plain(text.to_owned()));
        Change { path: path.to_owned(), old: value("1"), new: value("2"), forces: true }
    }

    #[test]
    fn a_part_is_made_anew_when_what_it_is_made_from_changes() {
        let changes = [change("digests.web"), change("services.web.image"), change("services.db.depends_on")];
        assert_eq!(changed("web", true, None, &changes), (PartAction::Recreate, "image changed".to_owned()));
        assert_eq!(changed("db", true, None, &changes), (PartAction::Unchanged, String::new()));
        // Of what is not recorded nobody knows what it was made from: only how it differs is told.
        assert_eq!(changed("web", false, None, &changes).0, PartAction::Unchanged);
        assert_eq!(changed("db", true, Some("exited"), &changes), (PartAction::Repair, "exited".to_owned()));
    }

    #[test]
    fn what_goes_is_told_part_by_part() {
        let id = crate::model::ObjectId::new("compose/p");
        let (op, address) = (crate::model::OpId::new("1"), "stack".parse().expect("an address"));
        let revision = crate::model::Digest::of(b"");
        let backend = crate::model::BackendKind::Compose;
        let state = crate::model::ObjectState::Running;
        let mut object = ObservedObject::new(backend, id, op, address, revision, state);
        object.parts = vec![crate::model::ObservedPart { name: "web".to_owned(), trouble: None }];
        let gone = parts(Action::Delete, None, None, &[object], &[]);
        assert_eq!(gone, [Part { name: "web".to_owned(), action: PartAction::Remove, why: String::new() }]);
        assert_eq!(parts(Action::Delete, None, None, &[], &[]), []);
    }
}
