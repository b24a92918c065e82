//! How live objects differ from what was applied: what the server would make of them if it were applied again.

use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Map, Value};

use super::api::Api;
use super::{Kube, manifest, trouble};
use crate::backend::BackendError;
use crate::model::{KubeCluster, KubeId, KubeObject, has_password, is_secret_name};

/// How many objects are asked about at the same time.
const AT_ONCE: usize = 32;
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
    let api = &*kube.api(cluster).await?;
    let compared: Vec<_> = objects.iter().map(|object| compare_object(api, object, manager)).collect();
    let found: Vec<Option<Difference>> = stream::iter(compared).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn compare_object(api: &Api, object: &KubeObject, manager: &str) -> Result<Option<Difference>, BackendError> {
    let (live, would) = try_join(api.object(&object.id), api.would_become(object, manager)).await?;
    let (is_gone, fields) = match (live, would) {
        (None, _) => (true, Vec::new()),
        (Some(live), Ok(would)) => (false, differences(&live, &would)),
        // What the server refuses to apply again, such as a field that cannot change, differs too.
        (Some(_), Err(said)) => {
            (false, vec![format!("it cannot be applied again: {}", trouble("apply it", &said).message)])
        }
    };
    let is_other = is_gone || !fields.is_empty();
    Ok(is_other.then(|| Difference { id: object.id.clone(), is_gone, fields }))
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
