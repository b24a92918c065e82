//! What orch puts into the containers of a Compose project: whose they are, and what they are made from.
//!
//! The labels change only when the definition of their own service does, so that they alone never make
//! Compose recreate a container. The attempt and the revision are therefore not among them: these are recorded,
//! and what is recorded holds as long as the containers carry the digests that go with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::ComposeSettings;
use crate::model::{Address, ComposeProject};

/// The project.
const PROJECT: &str = "orch.project";
/// What tells state folders with a project of the same name apart.
pub(super) const SCOPE: &str = "orch.scope";
/// The address.
const ADDRESS: &str = "orch.address";
/// The digest of what the container is made from.
const DIGEST: &str = "orch.compose.digest";
/// The definition of the service, so that it can come back after a change that went wrong.
const DEFINITION: &str = "orch.compose.definition";
/// What a service refers to at the end of a project.
const SHARED: &[&str] = &["networks", "volumes", "configs", "secrets"];

/// Whether labels say that a container is this state folder's.
pub(super) fn is_own(settings: &ComposeSettings, labels: &HashMap<String, String>) -> bool {
    labels.get(SCOPE) == Some(&settings.scope)
        && labels.get(PROJECT).map(String::as_str) == Some(settings.project.as_str())
}

/// The address that labels give.
pub(super) fn address(labels: &HashMap<String, String>) -> Option<Address> {
    labels.get(ADDRESS)?.parse().ok()
}

/// The digest that labels give.
pub(super) fn digest(labels: &HashMap<String, String>) -> Option<&str> {
    labels.get(DIGEST).map(String::as_str)
}

/// The definition of a project with orch's labels on its services but those of `bare`, which Compose or
/// somebody else made and which are as they should be.
pub(super) fn stamped(
    settings: &ComposeSettings,
    project: &ComposeProject,
    address: &Address,
    bare: &BTreeSet<String>,
) -> String {
    let mut root: Value = serde_json::from_str(project.definition.reveal()).unwrap_or_default();
    let whole = root.clone();
    for (name, service) in &project.services {
        if bare.contains(name) {
            continue;
        }
        let definition = json!({"service": whole["services"][name], "shared": used(&whole, name)});
        let labels = [
            (PROJECT, settings.project.to_string()),
            (SCOPE, settings.scope.clone()),
            (ADDRESS, address.to_string()),
            (DIGEST, service.digest(&settings.key)),
            // A `$` would be taken for the start of a variable.
            (DEFINITION, definition.to_string().replace('$', "$$")),
        ];
        let Some(service) = root["services"][name].as_object_mut() else { continue };
        let mut map = match service.remove("labels") {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        map.extend(labels.map(|(label, value)| (label.to_owned(), Value::String(value))));
        service.insert("labels".to_owned(), Value::Object(map));
    }
    root.to_string()
}

/// What a service refers to at the end of a project, by kind.
fn used(root: &Value, service: &str) -> Value {
    let service = &root["services"][service];
    let mut shared = Map::new();
    for kind in SHARED {
        let names: BTreeSet<&str> = match &service[kind] {
            Value::Object(map) => map.keys().map(String::as_str).collect(),
            Value::Array(list) => {
                list.iter().filter_map(|used| used.as_str().or_else(|| used["source"].as_str())).collect()
            }
            _ => continue,
        };
        let all = root[kind].as_object();
        let defined = names.into_iter().filter_map(|name| Some((name.to_owned(), all?.get(name)?.clone())));
        let defined: Map<String, Value> = defined.collect();
        if !defined.is_empty() {
            shared.insert((*kind).to_owned(), Value::Object(defined));
        }
    }
    Value::Object(shared)
}

/// What a project was before a change.
#[derive(Debug, Clone)]
pub(super) struct Previous {
    /// Its definition with orch's labels, as far as its containers say.
    pub(super) definition: String,
    /// The services whose containers do not say, and those containers.
    pub(super) untold: BTreeMap<String, BTreeSet<String>>,
}

/// A container as far as [`previous`] needs it.
pub(super) struct Told<'a> {
    pub(super) service: &'a str,
    pub(super) id: &'a str,
    /// The image that it runs, by the engine's id, where its name stands for another one by now.
    pub(super) image: Option<String>,
    pub(super) labels: &'a HashMap<String, String>,
}

/// Puts together what a project was from the labels of its containers; `None` when none of them says.
pub(super) fn previous(settings: &ComposeSettings, name: &str, containers: &[Told<'_>]) -> Option<Previous> {
    let mut root = json!({"name": name, "services": {}});
    let mut untold: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for container in containers {
        let definition = container.labels.get(DEFINITION).filter(|_| is_own(settings, container.labels));
        let Some(mut definition) = definition.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
            untold.entry(container.service.to_owned()).or_default().insert(container.id.to_owned());
            continue;
        };
        let mut service = definition["service"].take();
        if let Some(image) = &container.image {
            service["image"] = Value::String(image.clone());
            service["pull_policy"] = Value::String("never".to_owned());
        }
        let own = [PROJECT, SCOPE, ADDRESS, DIGEST, DEFINITION];
        for label in own {
            let value = container.labels.get(label).map(|value| value.replace('$', "$$")).unwrap_or_default();
            service["labels"][label] = Value::String(value);
        }
        root["services"][container.service] = service;
        for kind in SHARED {
            for (name, value) in definition["shared"][kind].as_object().into_iter().flatten() {
                root[kind][name] = value.clone();
            }
        }
    }
    let told = root["services"].as_object().is_some_and(|services| !services.is_empty());
    told.then(|| Previous { definition: root.to_string(), untold })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComposeService, DigestKey, ProjectName, Text};

    fn settings() -> ComposeSettings {
        ComposeSettings {
            project: ProjectName::new("shop").unwrap(),
            scope: "0123".to_owned(),
            key: DigestKey::new([7; 32]),
            env: BTreeMap::new(),
            dir: "/nonexistent".into(),
            names: BTreeSet::new(),
            known: BTreeMap::new(),
            pending: BTreeMap::new(),
        }
    }

    #[test]
    fn what_was_before_comes_back_from_the_labels() {
        let settings = settings();
        let service = json!({"image": "a:1", "command": ["echo", "$$HOME"], "networks": {"default": null}, "labels": {"own": "x"}});
        let definition = json!({"name": "p", "services": {"a": service, "b": {"image": "b"}},
            "networks": {"default": {"name": "p_default"}, "other": {}}});
        let made = ComposeService {
            made_from: BTreeMap::from([("image".to_owned(), Text::plain("a:1"))]),
            ..Default::default()
        };
        let project = ComposeProject {
            definition: Text::sensitive(definition.to_string()),
            services: BTreeMap::from([("a".to_owned(), made), ("b".to_owned(), ComposeService::default())]),
            shared: BTreeMap::new(),
        };
        let bare = BTreeSet::from(["b".to_owned()]);
        let address: Address = "stack".parse().unwrap();
        let stamped: Value = serde_json::from_str(&stamped(&settings, &project, &address, &bare)).unwrap();
        assert_eq!(stamped["services"]["b"], json!({"image": "b"}));
        let labels = stamped["services"]["a"]["labels"].as_object().unwrap();
        assert_eq!(labels["own"], "x");
        // Compose takes one of each two `$` away.
        let labels: HashMap<String, String> =
            labels.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().replace("$$", "$"))).collect();
        assert!(is_own(&settings, &labels));
        let none = HashMap::new();
        let told = [
            Told { service: "a", id: "1", image: None, labels: &labels },
            Told { service: "b", id: "2", image: None, labels: &none },
        ];
        let before = previous(&settings, "p", &told).unwrap();
        let again: Value = serde_json::from_str(&before.definition).unwrap();
        assert_eq!(again["services"], json!({"a": stamped["services"]["a"]}));
        assert_eq!(again["networks"], json!({"default": {"name": "p_default"}}));
        assert_eq!(before.untold, BTreeMap::from([("b".to_owned(), BTreeSet::from(["2".to_owned()]))]));
    }
}
