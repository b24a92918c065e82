//! The difference between what is recorded of an instance and what the file wants.

use std::collections::BTreeMap;

use super::Change;
use crate::model::{BackendKind, Effect, Field, FieldValue, IMAGE_PIN, effect_of};

/// The fields that change, and the most disruptive thing that one of them asks for.
#[derive(Debug, Default)]
pub(super) struct Diff {
    pub(super) changes: Vec<Change>,
    pub(super) effect: Option<Effect>,
    /// Whether a change reaches the object itself in place, and not only its record or its checks.
    pub(super) touches_object: bool,
}

impl Diff {
    /// Every field is new.
    pub(super) fn all_new(fields: &[Field]) -> Self {
        let change = |field: &Field| Change {
            path: field.path.to_string(),
            old: None,
            new: Some(field.value.clone()),
            forces: false,
        };
        Self { changes: fields.iter().map(change).collect(), ..Self::default() }
    }

    /// Compares the fields that a backend's object was recorded with and wanted ones.
    pub(super) fn between(backend: BackendKind, recorded: &BTreeMap<String, FieldValue>, wanted: &[Field]) -> Self {
        let mut diff = Self::default();
        for field in wanted {
            let old = recorded.get(field.path.as_ref());
            if old != Some(&field.value) {
                diff.push(&field.path, old.cloned(), Some(field.value.clone()), field.effect);
            }
        }
        let wanted_path = |path: &str| wanted.binary_search_by(|field| field.path.as_ref().cmp(path)).is_ok();
        for (path, old) in recorded.iter().filter(|(path, _)| !wanted_path(path)) {
            diff.push(path, Some(old.clone()), None, removal(backend, path));
        }
        diff.changes.sort_by(|a, b| a.path.cmp(&b.path));
        diff
    }

    fn push(&mut self, path: &str, old: Option<FieldValue>, new: Option<FieldValue>, effect: Effect) {
        self.effect = self.effect.max(Some(effect));
        self.touches_object |= effect == Effect::Update && !path.starts_with("health_check");
        self.changes.push(Change { path: path.to_owned(), old, new, forces: effect.defines_revision() });
    }

    /// The paths that a reason names: those that force the action, or all when none does.
    pub(super) fn reason_fields(&self) -> Vec<String> {
        let renamed = self.changes.iter().any(|change| change.path == "image");
        let told = |path: &str| if path == IMAGE_PIN && renamed { "image".to_owned() } else { path.to_owned() };
        let forcing: Vec<_> = self.changes.iter().filter(|c| c.forces).map(|c| told(&c.path)).collect();
        if forcing.is_empty() { self.changes.iter().map(|c| c.path.clone()).collect() } else { forcing }
    }

    /// The trigger that changed, when triggers are all that forces the action.
    pub(super) fn only_trigger(&self) -> Option<&str> {
        let mut forcing = self.changes.iter().filter(|change| change.forces);
        let first = forcing.next()?.path.strip_prefix("triggers.")?;
        forcing.all(|change| change.path.starts_with("triggers.")).then_some(first)
    }

    /// Whether all that forces the action is that an image's name stands for another image now.
    pub(super) fn only_image_moved(&self) -> bool {
        let mut forcing = self.changes.iter().filter(|change| change.forces);
        let renamed = self.changes.iter().any(|change| change.path == "image");
        let moved = forcing.next().is_some_and(|first| first.path == IMAGE_PIN && first.old.is_some());
        moved && !renamed && forcing.next().is_none()
    }

    /// Whether a change reaches how the gate is judged.
    pub(super) fn touches_checks(&self) -> bool {
        self.changes.iter().any(|change| change.path.starts_with("health_check"))
    }

    /// Whether a change reaches what a command that checks the service runs in.
    pub(super) fn touches_environment(&self) -> bool {
        self.changes.iter().any(|change| change.path.starts_with("env.") || change.path == "working_dir")
    }
}

/// The fields in which something that runs differs from what the file wants, sorted by path.
#[must_use]
pub fn changes(backend: BackendKind, observed: &BTreeMap<String, FieldValue>, wanted: &[Field]) -> Vec<Change> {
    Diff::between(backend, observed, wanted).changes
}

/// What it takes to take a field away. An engine can change a limit while a container runs, but not
/// lift it.
fn removal(backend: BackendKind, path: &str) -> Effect {
    match (backend, path) {
        (BackendKind::Docker, "memory" | "cpus") => Effect::Replace,
        _ => effect_of(backend, path),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn field(path: &'static str, value: &str, effect: Effect) -> Field {
        Field { path: Cow::Borrowed(path), value: FieldValue::Plain(value.to_owned()), effect }
    }

    #[test]
    fn a_diff_has_what_came_went_and_changed() {
        let recorded = BTreeMap::from([
            ("args".to_owned(), FieldValue::Plain("[1]".to_owned())),
            ("stop_timeout".to_owned(), FieldValue::Plain("1s".to_owned())),
            ("env.OLD".to_owned(), FieldValue::Plain("x".to_owned())),
        ]);
        let wanted = [field("args", "[2]", Effect::Replace), field("stop_timeout", "1s", Effect::Update)];
        let diff = Diff::between(BackendKind::Process, &recorded, &wanted);
        let paths: Vec<_> = diff.changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["args", "env.OLD"]);
        assert_eq!(diff.effect, Some(Effect::Replace));
        assert!(diff.only_trigger().is_none());
    }

    #[test]
    fn a_lone_trigger_is_the_reason() {
        let wanted = [field("triggers.a.sql", "1", Effect::Restart)];
        assert_eq!(Diff::between(BackendKind::Process, &BTreeMap::new(), &wanted).only_trigger(), Some("a.sql"));
    }
}
