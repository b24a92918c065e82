//! What is wrong with a pod, and which pods are whose.

use serde_json::{Map, Value};

use super::rollout::Verdict;
use crate::model::Exit;

/// Why a container that waits will not start by itself.
const FINAL: &[&str] =
    &["CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName"];
/// Why a container waits that nothing is wrong with.
const USUAL: &[&str] = &["ContainerCreating", "PodInitializing", ""];

/// What is wrong with a pod.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What, for a person.
    pub(super) why: String,
    /// How its container ended the last time.
    pub(super) exit: Option<Exit>,
    /// Whether it will not get well by itself.
    pub(super) is_final: bool,
    /// Whether it starts, and ends again and again.
    pub(super) crashes: bool,
}

/// What is wrong with a pod; `None` where nothing is.
pub(super) fn trouble(pod: &Value) -> Option<Trouble> {
    let name = name(pod);
    let of_containers = statuses(pod).filter_map(|status| {
        let waiting = status.pointer("/state/waiting")?;
        let part = |key: &str| waiting.get(key).and_then(Value::as_str).unwrap_or_default();
        let (reason, message) = (part("reason"), part("message"));
        if USUAL.contains(&reason) {
            return None;
        }
        let exit = status.pointer("/lastState/terminated").map(exit);
        let container = status.get("name").and_then(Value::as_str).unwrap_or_default();
        let ended = exit.as_ref().map(|exit| format!(" ({exit} the last time)")).unwrap_or_default();
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        let why = format!("pod {name}: container {container}: {reason}{message}{ended}");
        Some(Trouble { why, exit, is_final: FINAL.contains(&reason), crashes: reason == "CrashLoopBackOff" })
    });
    of_containers.max_by_key(|trouble| trouble.is_final).or_else(|| unscheduled(pod, &name))
}

/// Whether no machine takes a pod, which may change when one comes.
fn unscheduled(pod: &Value, name: &str) -> Option<Trouble> {
    let conditions = pod.pointer("/status/conditions")?.as_array()?;
    let text = |condition: &Value, key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let refused = conditions.iter().find(|it| text(it, "type") == "PodScheduled" && text(it, "status") == "False")?;
    let why = format!("pod {name}: {}: {}", text(refused, "reason"), text(refused, "message"));
    Some(Trouble { why, exit: None, is_final: false, crashes: false })
}

/// How far a pod is that is no other workload's.
pub(super) fn judge(pod: &Value) -> Verdict {
    let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
    let trouble = trouble(pod);
    if let Some(Trouble { why, exit, is_final: true, crashes }) = trouble {
        return Verdict::Failed { why, exit, crashes };
    }
    match phase {
        "Succeeded" => Verdict::Ready,
        "Failed" => {
            let exit = statuses(pod).find_map(|status| status.pointer("/state/terminated").map(exit));
            let reason = pod.pointer("/status/reason").and_then(Value::as_str).unwrap_or("it failed");
            let why = match &exit {
                Some(exit) => format!("{reason} ({exit})"),
                None => reason.to_owned(),
            };
            Verdict::Failed { why, exit, crashes: false }
        }
        _ if is_ready(pod) => Verdict::Ready,
        _ => Verdict::Progressing(trouble.map_or_else(|| "it is not ready".to_owned(), |trouble| trouble.why)),
    }
}

/// Whether a pod takes requests.
pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|it| {
        it.get("type").and_then(Value::as_str) == Some("Ready")
            && it.get("status").and_then(Value::as_str) == Some("True")
    })
}

/// The states of its containers.
pub(super) fn statuses(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .filter_map(|key| pod.get("status")?.get(key)?.as_array())
        .flatten()
}

/// How often its containers were started again.
pub(super) fn restarts(pod: &Value) -> u32 {
    let count = |status: &Value| status.get("restartCount").and_then(Value::as_u64);
    u32::try_from(statuses(pod).filter_map(count).sum::<u64>()).unwrap_or(u32::MAX)
}

fn exit(terminated: &Value) -> Exit {
    let number = |key: &str| terminated.get(key).and_then(Value::as_i64).and_then(|it| i32::try_from(it).ok());
    let signal = number("signal").filter(|signal| *signal != 0);
    Exit {
        code: number("exitCode").filter(|_| signal.is_none()),
        signal,
        out_of_memory: terminated.get("reason").and_then(Value::as_str) == Some("OOMKilled"),
    }
}

/// The name of an object.
pub(super) fn name(object: &Value) -> String {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn uid(object: &Value) -> Option<&str> {
    object.pointer("/metadata/uid").and_then(Value::as_str)
}

fn is_owned_by(object: &Value, owner: &Value) -> bool {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let Some(uid) = uid(owner) else { return false };
    owners.into_iter().flatten().any(|reference| reference.get("uid").and_then(Value::as_str) == Some(uid))
}

fn annotation<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

fn label<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.pointer("/metadata/labels")?.get(key)?.as_str()
}

/// The pods of a workload that run its present definition.
pub(super) fn of<'v>(workload: &Value, pods: &'v [Value], replica_sets: &[Value]) -> Vec<&'v Value> {
    let kind = workload.get("kind").and_then(Value::as_str).unwrap_or_default();
    let live = pods.iter().filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
    if kind == "Deployment" {
        const REVISION: &str = "deployment.kubernetes.io/revision";
        let own: Vec<&Value> = replica_sets.iter().filter(|set| is_owned_by(set, workload)).collect();
        if !own.is_empty() {
            let revision = annotation(workload, REVISION);
            let current = own.iter().find(|set| annotation(set, REVISION) == revision);
            return live.filter(|pod| current.is_some_and(|set| is_owned_by(pod, set))).collect();
        }
    }
    let owned: Vec<&Value> = live.clone().filter(|pod| is_owned_by(pod, workload)).collect();
    let found = if owned.is_empty() && uid(workload).is_none_or(|_| kind == "Deployment") {
        let selector = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
        live.filter(|pod| selector.is_some_and(|selector| matches(pod, selector))).collect()
    } else {
        owned
    };
    let (key, current) = match kind {
        "StatefulSet" => {
            ("controller-revision-hash", workload.pointer("/status/updateRevision").and_then(Value::as_str))
        }
        "DaemonSet" => ("pod-template-generation", annotation(workload, "deprecated.daemonset.template.generation")),
        _ => return found,
    };
    // A pod that does not say which definition it runs may run any.
    found
        .into_iter()
        .filter(|pod| current.is_none() || label(pod, key).is_none_or(|own| Some(own) == current))
        .collect()
}

/// Whether a pod is of a workload, under whichever definition.
pub(super) fn belongs(pod: &Value, workload: &Value) -> bool {
    let selector = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    uid(workload).is_some() && uid(pod) == uid(workload)
        || is_owned_by(pod, workload)
        || selector.is_some_and(|selector| !selector.is_empty() && matches(pod, selector))
}

fn matches(pod: &Value, selector: &Map<String, Value>) -> bool {
    selector.iter().all(|(key, value)| label(pod, key) == value.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_of_an_older_definition_are_not_looked_at() {
        let revision = |number: &str| json!({"deployment.kubernetes.io/revision": number});
        let owner = |uid: &str| json!([{"uid": uid}]);
        let deployment = json!({"kind": "Deployment", "metadata": {"uid": "d", "annotations": revision("2")},
            "spec": {"selector": {"matchLabels": {"app": "web"}}}});
        let sets = [
            json!({"metadata": {"uid": "old", "ownerReferences": owner("d"), "annotations": revision("1")}}),
            json!({"metadata": {"uid": "new", "ownerReferences": owner("d"), "annotations": revision("2")}}),
        ];
        let pods = [
            json!({"metadata": {"name": "a", "ownerReferences": owner("old"), "labels": {"app": "web"}}}),
            json!({"metadata": {"name": "b", "ownerReferences": owner("new"), "labels": {"app": "web"}}}),
            json!({"metadata": {"name": "c", "labels": {"app": "other"}}}),
        ];
        let names = |found: Vec<&Value>| found.into_iter().map(name).collect::<Vec<_>>();
        assert_eq!(names(of(&deployment, &pods, &sets)), ["b"]);
        assert_eq!(names(of(&deployment, &pods, &[])), ["a", "b"]);
    }
}
