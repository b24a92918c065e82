//! When a workload is up: pure, from what the API says of it and of its pods.

use serde_json::Value;

use super::pods::{self, Trouble};
use super::rollout::Verdict;

/// How far a workload is, with the pods that are its own under its present definition.
pub(super) fn judge(live: &Value, pods: &[&Value]) -> Verdict {
    let kind = live.get("kind").and_then(Value::as_str).unwrap_or_default();
    if live.pointer("/metadata/deletionTimestamp").is_some() {
        return Verdict::Progressing("it is being deleted".to_owned());
    }
    if unseen(kind, live) {
        // Pods that are in trouble may be of the definition before.
        return Verdict::Progressing("its controller has not seen the change yet".to_owned());
    }
    let verdict = match kind {
        "Deployment" => deployment(live),
        "StatefulSet" => stateful_set(live),
        "DaemonSet" => daemon_set(live),
        "ReplicaSet" | "ReplicationController" => replica_set(live),
        "Job" => job(live),
        "PersistentVolumeClaim" => claim(live),
        "Pod" => pods::judge(live),
        _ => Verdict::Ready,
    };
    match verdict {
        Verdict::Progressing(how_far) => {
            // A job gives its pods up by itself, after its own number of tries.
            let tries = kind == "Job";
            let trouble = pods.iter().filter_map(|pod| pods::trouble(pod)).max_by_key(|trouble| trouble.is_final);
            match trouble {
                Some(Trouble { why, exit, is_final: true, crashes }) if !(tries && crashes) => {
                    Verdict::Failed { why, exit, crashes }
                }
                Some(trouble) => Verdict::Progressing(format!("{how_far}; {}", trouble.why)),
                None => Verdict::Progressing(how_far),
            }
        }
        other => other,
    }
}

fn number(live: &Value, pointer: &str) -> i64 {
    live.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

fn text<'v>(live: &'v Value, pointer: &str) -> &'v str {
    live.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The condition of a type that is true (or has another given status).
fn condition<'v>(live: &'v Value, kind: &str, status: &str) -> Option<&'v Value> {
    let list = live.pointer("/status/conditions")?.as_array()?;
    list.iter().find(|condition| {
        condition.get("type").and_then(Value::as_str) == Some(kind)
            && condition.get("status").and_then(Value::as_str) == Some(status)
    })
}

/// Why, as a condition says it: `ProgressDeadlineExceeded: ReplicaSet ... has timed out progressing`.
fn reason(condition: &Value) -> String {
    let part = |key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default().trim_end_matches('.');
    match (part("reason"), part("message")) {
        ("", message) => message.to_owned(),
        (reason, "") => reason.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// Whether the status that is told is that of the definition before: of a controller that says which one it has seen.
fn unseen(kind: &str, live: &Value) -> bool {
    let says = matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController");
    says && number(live, "/status/observedGeneration") < number(live, "/metadata/generation")
}

/// How many pods are wanted; one where the definition does not say.
fn wanted(live: &Value) -> i64 {
    live.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn so_far(done: i64, of: i64, what: &str) -> Verdict {
    Verdict::Progressing(format!("{done} of {of} pods {what}"))
}

fn deployment(live: &Value) -> Verdict {
    if let Some(late) = condition(live, "Progressing", "False")
        && late.get("reason").and_then(Value::as_str) == Some("ProgressDeadlineExceeded")
    {
        return Verdict::Failed { why: reason(late), exit: None, crashes: false };
    }
    let wanted = wanted(live);
    let (all, updated) = (number(live, "/status/replicas"), number(live, "/status/updatedReplicas"));
    let available = number(live, "/status/availableReplicas");
    if updated < wanted {
        let failure = condition(live, "ReplicaFailure", "True").map(reason);
        return match failure {
            Some(why) => Verdict::Progressing(format!("{updated} of {wanted} pods are updated; {why}")),
            None => so_far(updated, wanted, "are updated"),
        };
    }
    if all > updated {
        return Verdict::Progressing(format!("{} old pods still run", all - updated));
    }
    if available < updated {
        return so_far(available, updated, "are available");
    }
    Verdict::Ready
}

fn stateful_set(live: &Value) -> Verdict {
    let wanted = wanted(live);
    let ready = number(live, "/status/readyReplicas");
    if ready < wanted {
        return so_far(ready, wanted, "are ready");
    }
    if text(live, "/spec/updateStrategy/type") == "OnDelete" {
        return Verdict::Ready;
    }
    let partition = number(live, "/spec/updateStrategy/rollingUpdate/partition");
    let (updated, due) = (number(live, "/status/updatedReplicas"), (wanted - partition).max(0));
    if updated < due {
        return so_far(updated, due, "are updated");
    }
    if number(live, "/status/replicas") > wanted {
        return Verdict::Progressing(format!("{} pods too many still run", number(live, "/status/replicas") - wanted));
    }
    let (current, update) = (text(live, "/status/currentRevision"), text(live, "/status/updateRevision"));
    if partition == 0 && current != update {
        return Verdict::Progressing(format!("it moves from {current} to {update}"));
    }
    Verdict::Ready
}

fn daemon_set(live: &Value) -> Verdict {
    let wanted = number(live, "/status/desiredNumberScheduled");
    let (updated, available) =
        (number(live, "/status/updatedNumberScheduled"), number(live, "/status/numberAvailable"));
    if updated < wanted && text(live, "/spec/updateStrategy/type") != "OnDelete" {
        return so_far(updated, wanted, "are updated");
    }
    if available < wanted {
        return so_far(available, wanted, "are available");
    }
    Verdict::Ready
}

fn replica_set(live: &Value) -> Verdict {
    let (wanted, ready) = (wanted(live), number(live, "/status/readyReplicas"));
    if ready < wanted { so_far(ready, wanted, "are ready") } else { Verdict::Ready }
}

fn job(live: &Value) -> Verdict {
    if let Some(failed) = condition(live, "Failed", "True").or_else(|| condition(live, "FailureTarget", "True")) {
        return Verdict::Failed { why: reason(failed), exit: None, crashes: false };
    }
    if condition(live, "Complete", "True").is_some() || condition(live, "SuccessCriteriaMet", "True").is_some() {
        return Verdict::Ready;
    }
    if live.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        return Verdict::Ready;
    }
    let wanted = live.pointer("/spec/completions").and_then(Value::as_i64).unwrap_or(1);
    so_far(number(live, "/status/succeeded"), wanted, "have succeeded")
}

fn claim(live: &Value) -> Verdict {
    match text(live, "/status/phase") {
        "Bound" => Verdict::Ready,
        "Lost" => Verdict::Failed { why: "the volume behind it is lost".to_owned(), exit: None, crashes: false },
        _ => Verdict::Progressing("it is not bound to a volume yet".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(spec: i64, generation: (i64, i64), counts: (i64, i64, i64)) -> Value {
        json!({"kind": "Deployment", "metadata": {"name": "web", "generation": generation.0}, "spec": {"replicas": spec},
            "status": {"observedGeneration": generation.1, "replicas": counts.0, "updatedReplicas": counts.1,
                "availableReplicas": counts.2}})
    }

    fn waiting(reason: &str) -> Value {
        json!({"kind": "Pod", "metadata": {"name": "web-1"}, "status": {"phase": "Pending", "containerStatuses": [
            {"name": "app", "restartCount": 4, "state": {"waiting": {"reason": reason, "message": "it does not"}},
             "lastState": {"terminated": {"exitCode": 3}}}]}})
    }

    fn progress(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Progressing(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_deployment_is_up_when_all_of_it_is_and_its_controller_has_seen_it() {
        assert_eq!(judge(&deployment(2, (3, 3), (2, 2, 2)), &[]), Verdict::Ready);
        assert!(progress(&judge(&deployment(2, (4, 3), (2, 2, 2)), &[])).contains("not seen"));
        // The pods are those of the definition before.
        let unseen = judge(&deployment(1, (4, 3), (1, 1, 0)), &[&waiting("ImagePullBackOff")]);
        assert!(progress(&unseen).contains("not seen"));
        assert_eq!(progress(&judge(&deployment(2, (3, 3), (2, 1, 2)), &[])), "1 of 2 pods are updated");
        assert_eq!(progress(&judge(&deployment(2, (3, 3), (3, 2, 2)), &[])), "1 old pods still run");
        assert_eq!(progress(&judge(&deployment(2, (3, 3), (2, 2, 0)), &[])), "0 of 2 pods are available");
        assert_eq!(judge(&deployment(0, (3, 3), (0, 0, 0)), &[]), Verdict::Ready);
    }

    #[test]
    fn what_will_not_get_well_fails_early() {
        let going = deployment(1, (1, 1), (1, 1, 0));
        let Verdict::Failed { why, exit, crashes } = judge(&going, &[&waiting("CrashLoopBackOff")]) else { panic!() };
        assert!(why.contains("pod web-1: container app: CrashLoopBackOff"), "{why}");
        assert!(crashes && exit.is_some_and(|exit| exit.code == Some(3)));
        for reason in ["ImagePullBackOff", "ErrImagePull", "InvalidImageName"] {
            assert!(matches!(judge(&going, &[&waiting(reason)]), Verdict::Failed { .. }), "{reason}");
        }
        assert!(progress(&judge(&going, &[&waiting("ContainerCreating")])).contains("available"));
        let mut late = going.clone();
        late["status"]["conditions"] = json!([{"type": "Progressing", "status": "False",
            "reason": "ProgressDeadlineExceeded", "message": "it timed out."}]);
        let Verdict::Failed { why, .. } = judge(&late, &[]) else { panic!() };
        assert_eq!(why, "ProgressDeadlineExceeded: it timed out");
        // What is up does not fail because a pod of it is starting again.
        assert_eq!(judge(&deployment(1, (1, 1), (1, 1, 1)), &[&waiting("CrashLoopBackOff")]), Verdict::Ready);
    }

    #[test]
    fn the_other_workloads_have_rules_of_their_own() {
        let set = |ready, updated, current: &str| {
            json!({"kind": "StatefulSet", "metadata": {"generation": 1}, "spec": {"replicas": 2}, "status":
                {"observedGeneration": 1, "replicas": 2, "readyReplicas": ready, "updatedReplicas": updated,
                 "currentRevision": current, "updateRevision": "b"}})
        };
        assert_eq!(judge(&set(2, 2, "b"), &[]), Verdict::Ready);
        assert!(progress(&judge(&set(1, 2, "b"), &[])).contains("ready"));
        assert!(progress(&judge(&set(2, 1, "a"), &[])).contains("updated"));
        assert!(progress(&judge(&set(2, 2, "a"), &[])).contains("from a to b"));
        let daemon = |updated, available| {
            json!({"kind": "DaemonSet", "metadata": {"generation": 1}, "status": {"observedGeneration": 1,
                "desiredNumberScheduled": 2, "updatedNumberScheduled": updated, "numberAvailable": available}})
        };
        assert_eq!(judge(&daemon(2, 2), &[]), Verdict::Ready);
        assert!(progress(&judge(&daemon(2, 1), &[])).contains("available"));
        let job = |kind: &str| json!({"kind": "Job", "status": {"conditions": [{"type": kind, "status": "True", "reason": "R"}]}});
        assert_eq!(judge(&job("Complete"), &[]), Verdict::Ready);
        assert!(matches!(judge(&job("Failed"), &[]), Verdict::Failed { .. }));
        assert!(progress(&judge(&job("Other"), &[&waiting("CrashLoopBackOff")])).contains("succeeded"));
        assert!(matches!(judge(&job("Other"), &[&waiting("ErrImagePull")]), Verdict::Failed { .. }));
        let claim = |phase: &str| judge(&json!({"kind": "PersistentVolumeClaim", "status": {"phase": phase}}), &[]);
        assert_eq!(claim("Bound"), Verdict::Ready);
        assert!(matches!(claim("Lost"), Verdict::Failed { .. }));
        assert!(matches!(claim("Pending"), Verdict::Progressing(_)));
    }
}
