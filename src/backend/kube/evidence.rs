//! What can be known of a rollout that failed: events, and the last lines that its pods logged.

use serde_json::Value;

use super::api::Api;
use super::rollout::{Rollout, Seen, Verdict};
use crate::backend::BackendError;

/// How many pods of a workload are asked for their log.
const PODS: usize = 3;
/// How many events are told.
const EVENTS: usize = 20;

/// Events of the workloads and of their pods, oldest first, and then what their pods logged last.
pub(super) async fn gather(api: &Api, rollout: &Rollout, lines: usize) -> Result<Vec<String>, BackendError> {
    let bad = |seen: &&Seen| seen.verdict != Verdict::Ready;
    let mut shown: Vec<&Seen> = rollout.workloads.iter().filter(bad).collect();
    if shown.is_empty() {
        shown = rollout.workloads.iter().collect();
    }
    let mut told = events(api, &shown).await.unwrap_or_default();
    let each = lines.saturating_sub(told.len()).max(1);
    let mut logged = Vec::new();
    for seen in shown {
        let Some(namespace) = &seen.id.namespace else { continue };
        for pod in seen.pods.iter().take(PODS) {
            logged.extend(log(api, namespace, pod, each).await?);
        }
    }
    let first = logged.len().saturating_sub(each);
    told.extend(logged.drain(first..));
    Ok(told)
}

async fn events(api: &Api, shown: &[&Seen]) -> Result<Vec<String>, BackendError> {
    let mut namespaces: Vec<&String> = shown.iter().filter_map(|seen| seen.id.namespace.as_ref()).collect();
    namespaces.sort();
    namespaces.dedup();
    let mut found: Vec<(String, String)> = Vec::new();
    for namespace in namespaces {
        for event in api.list(&format!("/api/v1/namespaces/{namespace}/events")).await? {
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let (kind, name) = (text("/involvedObject/kind"), text("/involvedObject/name"));
            let concerns = |seen: &&Seen| {
                let own = seen.id.kind == kind && seen.id.name == name;
                let owned = kind == "ReplicaSet" && name.starts_with(&format!("{}-", seen.id.name));
                own || owned || (kind == "Pod" && seen.pods.iter().any(|pod| pod == name))
            };
            if !shown.iter().any(concerns) {
                continue;
            }
            let at = [text("/lastTimestamp"), text("/eventTime"), text("/metadata/creationTimestamp")];
            let at = at.into_iter().find(|at| !at.is_empty()).unwrap_or_default().to_owned();
            let line = format!("event: {} {kind}/{name}: {}: {}", text("/type"), text("/reason"), text("/message"));
            found.push((at, line.trim().to_owned()));
        }
    }
    found.sort();
    found.dedup();
    let first = found.len().saturating_sub(EVENTS);
    Ok(found.drain(first..).map(|(_, line)| line).collect())
}

/// The last lines of a pod, of the run before where the present one has none yet.
async fn log(api: &Api, namespace: &str, pod: &str, lines: usize) -> Result<Vec<String>, BackendError> {
    let Some(object) = api.get(&format!("/api/v1/namespaces/{namespace}/pods/{pod}")).await? else {
        return Ok(Vec::new());
    };
    let containers = |key: &str| {
        let list = object.pointer(&format!("/spec/{key}")).and_then(Value::as_array).cloned().unwrap_or_default();
        list.into_iter().filter_map(|it| Some(it.get("name")?.as_str()?.to_owned())).collect::<Vec<String>>()
    };
    let mut told = Vec::new();
    for container in containers("initContainers").into_iter().chain(containers("containers")) {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/log?container={container}&tailLines={lines}");
        // A container that never ran has no log, which the server calls an error.
        let mut text = api.get(&path).await.ok().flatten();
        if text.as_ref().and_then(Value::as_str).is_none_or(str::is_empty) {
            text = api.get(&format!("{path}&previous=true")).await.ok().flatten();
        }
        let text = match text {
            Some(Value::String(text)) => text,
            // A log that is JSON by chance.
            Some(other) => other.to_string(),
            None => continue,
        };
        told.extend(text.lines().map(|line| format!("{pod}/{container}: {line}")));
    }
    Ok(told)
}
