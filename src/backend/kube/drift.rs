//! How live objects differ from what was applied: what the server would make of them if it were applied again.

use futures_util::future::try_join_all;
use serde_json::{Map, Value};

use super::{Kube, manifest, said, trouble};
use crate::backend::BackendError;
use crate::model::{KubeCluster, KubeId, KubeObject, has_password, is_secret_name};

/// How long a value may be to be told.
const LONGEST: usize = 60;
/// How many differences of an object are told.
const MOST: usize = 5;

/// How an object differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which object.
    pub id: KubeId,
    /// Whether it is gone.
    pub is_gone: bool,
    /// Each difference for a person, `spec.replicas is 5, not 3`; nothing that may be secret.
    pub fields: Vec<String>,
}

/// The objects that are not as they were applied.
pub(super) async fn find(
    kube: &Kube,
    cluster: &KubeCluster,
    objects: &[KubeObject],
    manager: &str,
) -> Result<Vec<Difference>, BackendError> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let api = kube.api(cluster).await?;
    let live = try_join_all(objects.iter().map(|object| api.object(&object.id))).await?;
    let mut found = Vec::new();
    let mut there = Vec::new();
    for (object, live) in objects.iter().zip(live) {
        match live {
            Some(live) => there.push((object, live)),
            None => found.push(Difference { id: object.id.clone(), is_gone: true, fields: Vec::new() }),
        }
    }
    if there.is_empty() {
        return Ok(found);
    }
    let input = document(there.iter().map(|(object, _)| *object));
    let manager = format!("--field-manager={manager}");
    // What was applied once is valid: to have kubectl say so again would cost a download of all schemas.
    let args = [
        "apply",
        "--server-side",
        "--force-conflicts",
        &manager,
        "--dry-run=server",
        "--validate=false",
        "--output=json",
        "--filename=-",
    ];
    let ended = kube.run(cluster, &args, Some(input.as_bytes())).await?;
    let would = Would::read(&ended.stdout);
    if !ended.is_success() && would.0.is_empty() {
        return Err(trouble("compare what is there with what was applied", &said(&ended)));
    }
    for (object, live) in there {
        match would.get(&object.id) {
            Some(would) => {
                let fields = differences(&live, would);
                if !fields.is_empty() {
                    found.push(Difference { id: object.id.clone(), is_gone: false, fields });
                }
            }
            // What the server refuses to apply again, such as a field that cannot change, differs too.
            None => {
                let fields =
                    vec![format!("it cannot be applied again: {}", trouble("apply it", &said(&ended)).message)];
                found.push(Difference { id: object.id.clone(), is_gone: false, fields });
            }
        }
    }
    Ok(found)
}

/// Objects as one text that kubectl takes: one after the other, as it knows more about each than about a list.
fn document<'o>(objects: impl Iterator<Item = &'o KubeObject>) -> String {
    let items: Vec<&str> = objects.map(|object| object.json.reveal()).collect();
    items.join("\n")
}

/// What objects would become.
struct Would(Vec<(KubeId, Value)>);

impl Would {
    /// Reads what kubectl prints: an object, a list, or one after the other.
    fn read(stdout: &[u8]) -> Self {
        let values = serde_json::Deserializer::from_slice(stdout).into_iter::<Value>().map_while(Result::ok);
        let mut found = Vec::new();
        for value in values {
            let items = match value.get("items").and_then(Value::as_array) {
                Some(items) => items.clone(),
                None => vec![value],
            };
            found.extend(items.into_iter().filter_map(|item| Some((manifest::identity(&item).ok()?, item))));
        }
        Self(found)
    }

    fn get(&self, id: &KubeId) -> Option<&Value> {
        self.0.iter().find(|(other, _)| other.is_same(id)).map(|(_, value)| value)
    }
}

/// How a live object differs from another form of it, for a person; nothing that may be secret is told.
#[must_use]
pub fn differences(live: &Value, would: &Value) -> Vec<String> {
    let clean = |value: &Value| {
        let mut map = value.as_object().cloned().unwrap_or_default();
        manifest::clean(&mut map);
        map
    };
    let is_secret = live.get("kind").and_then(Value::as_str) == Some("Secret");
    let mut found = Vec::new();
    compare_maps("", &clean(live), &clean(would), is_secret, &mut found);
    let more = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    if more > 0 {
        found.push(format!("{more} more"));
    }
    found
}

fn compare_maps(
    place: &str,
    live: &Map<String, Value>,
    would: &Map<String, Value>,
    hidden: bool,
    found: &mut Vec<String>,
) {
    let mut keys: Vec<&String> = live.keys().chain(would.keys()).collect();
    keys.sort();
    keys.dedup();
    let named = live.get("name").or(would.get("name")).and_then(Value::as_str).is_some_and(is_secret_name);
    for key in keys {
        let at = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
        let hidden = hidden || is_secret_name(key) || (named && key == "value");
        compare(&at, live.get(key), would.get(key), hidden, found);
    }
}

fn compare(place: &str, live: Option<&Value>, would: Option<&Value>, hidden: bool, found: &mut Vec<String>) {
    match (live, would) {
        (Some(a), Some(b)) if a == b => {}
        (Some(Value::Object(a)), Some(Value::Object(b))) => compare_maps(place, a, b, hidden, found),
        (Some(Value::Array(a)), Some(Value::Array(b))) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{place}[{index}]"), Some(a), Some(b), hidden, found);
            }
        }
        (live, would) => match (told(live, hidden), told(would, hidden)) {
            (Some(live), Some(would)) => found.push(format!("{place} is {live}, not {would}")),
            _ => found.push(format!("{place} differs")),
        },
    }
}

/// A value that is short and not secret.
fn told(value: Option<&Value>, hidden: bool) -> Option<String> {
    if hidden {
        return None;
    }
    match value {
        None => Some("not set".to_owned()),
        Some(Value::String(text)) if text.len() <= LONGEST && !has_password(text) => Some(format!("{text:?}")),
        Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Null)) => Some(value.to_string()),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_names_the_field_and_no_secret() {
        let live = json!({"kind": "Deployment", "metadata": {"name": "web", "resourceVersion": "7"}, "spec": {"replicas": 5,
            "c": [{"image": "a:1", "env": [{"name": "DB_PASSWORD", "value": "hunter2"}]}]}, "status": {"x": 1}});
        let would = json!({"kind": "Deployment", "metadata": {"name": "web", "resourceVersion": "9"}, "spec": {"replicas": 3,
            "c": [{"image": "a:2", "env": [{"name": "DB_PASSWORD", "value": "hunter3"}]}]}});
        assert_eq!(
            differences(&live, &would),
            ["spec.c[0].env[0].value differs", "spec.c[0].image is \"a:1\", not \"a:2\"", "spec.replicas is 5, not 3"]
        );
        let secret = |text: &str| json!({"kind": "Secret", "data": {"a": text}});
        assert_eq!(differences(&secret("x"), &secret("y")), ["data.a differs"]);
        assert!(differences(&live, &live).is_empty());
    }
}
