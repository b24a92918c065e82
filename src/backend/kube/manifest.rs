//! The objects of manifests, and what of them may be shown.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::yaml;
use crate::model::{KubeId, KubeObject, Text, has_password, is_secret_name};

/// What stands in the place of a value that may be secret.
const MASK: &str = "(sensitive)";

/// Kinds that are in no namespace.
const CLUSTER_WIDE: &[&str] = &[
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ComponentStatus",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PodSecurityPolicy",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

/// The order in which kinds are applied; what is not named comes after. Others need the first ones.
const ORDER: &[&str] = &[
    "Namespace",
    "PriorityClass",
    "CustomResourceDefinition",
    "StorageClass",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodDisruptionBudget",
    "PersistentVolume",
    "Secret",
    "ConfigMap",
    "PersistentVolumeClaim",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "Ingress",
];

/// What the server makes of an object, which no manifest says.
const SERVER_MADE: &[&str] =
    &["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid", "deletionTimestamp"];

/// The objects of a text with YAML documents or JSON, in the order in which they are applied; lists are taken apart.
/// An object that names no namespace is in the given one, unless its kind is in none.
///
/// # Errors
/// When the text is not YAML, or something in it is no object, as a reason.
pub fn objects(text: &str, namespace: &str) -> Result<Vec<KubeObject>, String> {
    let mut found = Vec::new();
    for document in yaml::parse(text)? {
        collect(document, namespace, &mut found)?;
    }
    Ok(sorted(found))
}

/// Objects in the order in which they are applied.
#[must_use]
pub fn sorted(mut objects: Vec<KubeObject>) -> Vec<KubeObject> {
    objects.sort_by(|a, b| (rank(&a.id.kind), &a.id).cmp(&(rank(&b.id.kind), &b.id)));
    objects
}

/// Where a kind comes when objects are applied; objects are deleted from the last to the first.
#[must_use]
pub fn rank(kind: &str) -> usize {
    ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len())
}

/// Whether a kind of Kubernetes itself is in no namespace.
#[must_use]
pub fn is_cluster_wide(id: &KubeId) -> bool {
    CLUSTER_WIDE.contains(&id.kind.as_str())
}

fn collect(value: Value, namespace: &str, found: &mut Vec<KubeObject>) -> Result<(), String> {
    let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match value {
        Value::Object(mut map) if is_list && map.get("items").is_some_and(Value::is_array) => {
            if let Some(Value::Array(items)) = map.remove("items") {
                for item in items {
                    collect(item, namespace, found)?;
                }
            }
            Ok(())
        }
        value => {
            found.push(object(value, namespace)?);
            Ok(())
        }
    }
}

/// One object.
///
/// # Errors
/// When it has no kind or no name, as a reason.
pub fn object(mut value: Value, namespace: &str) -> Result<KubeObject, String> {
    let Some(map) = value.as_object_mut() else { return Err("a document is no object of Kubernetes".to_owned()) };
    clean(map);
    let mut id = identity(&value)?;
    if id.namespace.is_none() && !is_cluster_wide(&id) {
        id.namespace = Some(namespace.to_owned());
        if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
            metadata.insert("namespace".to_owned(), namespace.into());
        }
    }
    let json = Text::sensitive(value.to_string());
    let mut secrets = BTreeMap::new();
    mask(&mut value, &mut secrets);
    Ok(KubeObject { id, shown: yaml::to_yaml(&value), secrets, json })
}

/// What identifies an object.
///
/// # Errors
/// When it has no kind or no name, as a reason.
pub fn identity(value: &Value) -> Result<KubeId, String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let kind = text(value.get("kind")).ok_or("an object has no `kind`")?;
    let api_version = text(value.get("apiVersion")).ok_or_else(|| format!("a {kind} has no `apiVersion`"))?;
    let metadata = value.get("metadata");
    let name = text(metadata.and_then(|metadata| metadata.get("name")));
    let name = name.ok_or_else(|| format!("a {kind} has no `metadata.name`"))?;
    let namespace = text(metadata.and_then(|metadata| metadata.get("namespace")));
    Ok(KubeId { api_version, kind, namespace, name })
}

/// Takes away what only the server says.
pub(super) fn clean(map: &mut Map<String, Value>) {
    map.remove("status");
    if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
        SERVER_MADE.iter().for_each(|key| drop(metadata.remove(*key)));
    }
}

/// Puts a mask over what may be secret: the data of a Secret, variables whose name says so, and URLs with a password.
fn mask(value: &mut Value, secrets: &mut BTreeMap<String, Text>) {
    let is_secret =
        value.get("kind").and_then(Value::as_str) == Some("Secret") && value.get("apiVersion") == Some(&"v1".into());
    if let (true, Some(map)) = (is_secret, value.as_object_mut()) {
        for part in ["data", "stringData"] {
            let Some(Value::Object(data)) = map.get_mut(part) else { continue };
            for (key, value) in data {
                hide(format!("{part}.{key}"), value, secrets);
            }
        }
        // What an earlier `kubectl apply` wrote holds the data once more.
        if let Some(Value::Object(annotations)) = map.get_mut("metadata").and_then(|it| it.get_mut("annotations"))
            && let Some(last) = annotations.get_mut("kubectl.kubernetes.io/last-applied-configuration")
        {
            hide("metadata.last-applied".to_owned(), last, secrets);
        }
    }
    walk(value, "", secrets);
}

fn hide(place: String, value: &mut Value, secrets: &mut BTreeMap<String, Text>) {
    let text = match &*value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    secrets.insert(place, Text::sensitive(text));
    *value = MASK.into();
}

fn walk(value: &mut Value, place: &str, secrets: &mut BTreeMap<String, Text>) {
    let below = |part: &str| if place.is_empty() { part.to_owned() } else { format!("{place}.{part}") };
    match value {
        Value::Array(list) => {
            for (index, item) in list.iter_mut().enumerate() {
                walk(item, &format!("{place}[{index}]"), secrets);
            }
        }
        Value::Object(map) => {
            let named = map.get("name").and_then(Value::as_str).is_some_and(is_secret_name);
            for (key, value) in map {
                let secret = match value {
                    Value::String(text) if text == MASK => false,
                    Value::String(text) => {
                        (key == "value" && named) || is_secret_name(key) && is_value(key) || has_password(text)
                    }
                    _ => false,
                };
                if secret { hide(below(key), value, secrets) } else { walk(value, &below(key), secrets) }
            }
        }
        Value::String(text) if has_password(text) => hide(place.to_owned(), value, secrets),
        _ => {}
    }
}

/// Whether a key holds a secret itself: `secretName` and the like only say where one is.
fn is_value(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    !key.ends_with("name") && !key.ends_with("namespace") && !key.ends_with("path") && !key.ends_with("file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_in_the_order_in_which_they_are_applied() {
        let text = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: web, uid: x, creationTimestamp: null}\nstatus: {}\n---\n\
                    kind: List\napiVersion: v1\nitems:\n- {kind: Namespace, apiVersion: v1, metadata: {name: shop}}\n\
                    - {kind: ConfigMap, apiVersion: v1, metadata: {name: c, namespace: other}}\n";
        let found = objects(text, "shop").unwrap();
        let names: Vec<String> = found.iter().map(|object| object.id.to_string()).collect();
        assert_eq!(names, ["Namespace/shop", "ConfigMap/other/c", "Deployment/shop/web"]);
        assert_eq!(
            found[2].shown,
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\n"
        );
        assert_eq!(found[2].id.within("shop"), "Deployment/web");
        assert!(objects("a: b", "x").unwrap_err().contains("kind"));
        assert!(objects("- a", "x").unwrap_err().contains("no object"));
    }

    #[test]
    fn what_may_be_secret_is_masked_and_kept_apart() {
        let text = "{kind: Secret, apiVersion: v1, metadata: {name: s}, data: {a: aHVudGVyMg==}, stringData: {b: hunter2}}\n---\n\
                    {kind: Pod, apiVersion: v1, metadata: {name: p}, spec: {containers: [{name: c, args: ['pg://u:hunter2@h'], \
                    env: [{name: DB_PASSWORD, value: hunter2}, {name: PORT, value: '1'}]}], volumes: [{secret: {secretName: s}}]}}";
        let found = objects(text, "n").unwrap();
        for object in &found {
            assert!(
                !format!("{object:?}").contains("hunter2") && !format!("{object:?}").contains("aHVud"),
                "{object:?}"
            );
            assert!(object.json.is_sensitive());
        }
        assert_eq!(found[0].secrets.keys().collect::<Vec<_>>(), ["data.a", "stringData.b"]);
        assert_eq!(
            found[1].secrets.keys().collect::<Vec<_>>(),
            ["spec.containers[0].args[0]", "spec.containers[0].env[0].value"]
        );
        assert!(found[1].shown.contains("secretName: s"));
    }
}
