//! How far a set of workloads is, as one look at the API says.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use serde_json::Value;

use super::api::Api;
use super::{pods, workload};
use crate::backend::BackendError;
use crate::model::{Exit, KubeId};

/// The kinds whose rollout is waited for, with the version that is asked for and their plural.
const WORKLOADS: &[(&str, &str, &str)] = &[
    ("Deployment", "apps/v1", "deployments"),
    ("StatefulSet", "apps/v1", "statefulsets"),
    ("DaemonSet", "apps/v1", "daemonsets"),
    ("ReplicaSet", "apps/v1", "replicasets"),
    ("Job", "batch/v1", "jobs"),
    ("PersistentVolumeClaim", "v1", "persistentvolumeclaims"),
    ("Pod", "v1", "pods"),
];

/// How far a workload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is on its way, and how far.
    Progressing(String),
    /// It is up.
    Ready,
    /// It will not get well by itself, and why.
    Failed {
        /// Why, for a person.
        why: String,
        /// How a container of it ended the last time, where one did.
        exit: Option<Exit>,
        /// Whether it starts, and ends again and again.
        crashes: bool,
    },
    /// It is not there.
    Missing,
}

/// A workload as it was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which.
    pub id: KubeId,
    /// How far it is.
    pub verdict: Verdict,
    /// The names of its pods, the worst off first.
    pub pods: Vec<String>,
    /// How many pods it has in all: those of older definitions too, and those that are being deleted.
    pub left: usize,
    /// How often containers of its pods were started again.
    pub restarts: u32,
}

/// A pod, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The namespace that it is in.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// How far the workloads of something are.
#[derive(Debug, Clone, Default)]
pub struct Rollout {
    /// Each of them.
    pub workloads: Vec<Seen>,
}

impl Rollout {
    /// The pods of all of them, each workload's worst off first. Those of workloads that name no namespace are in
    /// this one.
    #[must_use]
    pub fn pods(&self, namespace: &str) -> Vec<Pod> {
        let pods = self.workloads.iter().flat_map(|seen| {
            let namespace = seen.id.namespace.as_deref().unwrap_or(namespace);
            seen.pods.iter().map(|name| Pod { namespace: namespace.to_owned(), name: name.clone() })
        });
        pods.collect()
    }

    /// How far the whole is: failed where one failed, else missing, else progressing, else ready. With the name of
    /// the workload in front where there is something to say.
    #[must_use]
    pub fn verdict(&self, namespace: &str) -> Verdict {
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Ready => 0,
            Verdict::Progressing(_) => 1,
            Verdict::Missing => 2,
            Verdict::Failed { .. } => 3,
        };
        let Some(worst) = self.workloads.iter().rev().max_by_key(|seen| rank(&seen.verdict)) else {
            return Verdict::Ready;
        };
        let named = |text: &str| format!("{}: {text}", worst.id.within(namespace));
        match &worst.verdict {
            Verdict::Progressing(how_far) => Verdict::Progressing(named(how_far)),
            Verdict::Failed { why, exit, crashes } => {
                Verdict::Failed { why: named(why), exit: exit.clone(), crashes: *crashes }
            }
            other => other.clone(),
        }
    }

    /// How many workloads are up, and how many there are.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        (self.workloads.iter().filter(|seen| seen.verdict == Verdict::Ready).count(), self.workloads.len())
    }

    /// How often containers were started again.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.workloads.iter().fold(0, |sum, seen| sum.saturating_add(seen.restarts))
    }
}

/// Whether the rollout of a kind is waited for.
fn plural(id: &KubeId) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let group = id.group();
    WORKLOADS
        .iter()
        .find(|(kind, version, _)| *kind == id.kind && version.split_once('/').map_or("", |(group, _)| group) == group)
}

fn path(version: &str, namespace: &str, plural: &str) -> String {
    let base = if version.contains('/') { "apis" } else { "api" };
    format!("/{base}/{version}/namespaces/{namespace}/{plural}")
}

/// What was listed of a namespace, by the plural of its kind.
type Lists = BTreeMap<(String, &'static str), Vec<Value>>;

/// Looks once.
pub(super) async fn look(api: &Api, wanted: &[KubeId]) -> Result<Rollout, BackendError> {
    let workloads: Vec<(&KubeId, &str, &(&str, &str, &str))> =
        wanted.iter().filter_map(|id| Some((id, id.namespace.as_deref()?, plural(id)?))).collect();
    let mut asked: BTreeMap<(String, &'static str, &'static str), &'static str> = BTreeMap::new();
    for (_, namespace, (_, version, plural)) in &workloads {
        // What is waited for is asked for as it is now: as it was before a change, it may well be up.
        asked.insert(((*namespace).to_owned(), version, plural), "");
    }
    for (_, namespace, (kind, ..)) in &workloads {
        let mut beside = |version, plural| {
            // What the server has in memory will do: it only says more, and is asked again.
            asked.entry(((*namespace).to_owned(), version, plural)).or_insert("?resourceVersion=0");
        };
        if *kind != "PersistentVolumeClaim" {
            beside("v1", "pods");
        }
        if *kind == "Deployment" {
            beside("apps/v1", "replicasets");
        }
    }
    let lists = asked.into_iter().map(|((namespace, version, plural), query)| async move {
        let list = api.list(&format!("{}{query}", path(version, &namespace, plural))).await?;
        Ok::<_, BackendError>(((namespace, plural), list))
    });
    let lists: Lists = try_join_all(lists).await?.into_iter().collect();
    let mut rollout = Rollout::default();
    for (id, namespace, (kind, _, plural)) in workloads {
        let list = |plural: &'static str| lists.get(&(namespace.to_owned(), plural)).map_or(&[][..], Vec::as_slice);
        let live = list(plural).iter().find(|live| pods::name(live) == id.name);
        let mut seen = see(id, kind, live, list("pods"), list("replicasets"));
        if let (Verdict::Progressing(_), Some(live), "PersistentVolumeClaim") = (&seen.verdict, live, *kind)
            && waits_for_consumer(api, live).await
        {
            seen.verdict = Verdict::Ready;
        }
        rollout.workloads.push(seen);
    }
    Ok(rollout)
}

fn see(id: &KubeId, kind: &str, live: Option<&Value>, all: &[Value], replica_sets: &[Value]) -> Seen {
    let Some(live) = live else {
        // A job that is done may be taken away by the cluster after a time.
        let verdict = if kind == "Job" { Verdict::Ready } else { Verdict::Missing };
        return Seen { id: id.clone(), verdict, pods: Vec::new(), left: 0, restarts: 0 };
    };
    // The items of a list do not say their kind.
    let mut live = live.clone();
    live["kind"] = kind.into();
    let mut own = if kind == "Pod" {
        all.iter().filter(|pod| pods::name(pod) == id.name).collect()
    } else {
        pods::of(&live, all, replica_sets)
    };
    own.sort_by_key(|pod| (pods::trouble(pod).is_none(), pods::is_ready(pod), pods::name(pod)));
    Seen {
        id: id.clone(),
        verdict: workload::judge(&live, &own),
        pods: own.iter().map(|pod| pods::name(pod)).collect(),
        left: all.iter().filter(|pod| pods::belongs(pod, &live)).count(),
        restarts: own.iter().fold(0, |sum, pod| sum.saturating_add(pods::restarts(pod))),
    }
}

/// Whether a claim is bound only when a pod wants it, so that nobody can wait for it before.
async fn waits_for_consumer(api: &Api, claim: &Value) -> bool {
    let Some(class) = claim.pointer("/spec/storageClassName").and_then(Value::as_str) else { return false };
    // Who may not read the class waits for the claim, as for any other.
    let class = api.get(&format!("/apis/storage.k8s.io/v1/storageclasses/{class}")).await.ok().flatten();
    class.is_some_and(|class| class.get("volumeBindingMode").and_then(Value::as_str) == Some("WaitForFirstConsumer"))
}
