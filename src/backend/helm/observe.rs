//! What releases there are, how far their workloads are, and how they differ from what they were made as.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use serde_json::Value;

use super::place::Place;
use super::stamp::Stamp;
use super::storage::{self, Content, Stored, Which};
use super::{Inner, tool};
use crate::backend::kube::{Rollout, Verdict};
use crate::backend::{BackendError, Candidate, Candidates, Listing};
use crate::model::{
    Address, BackendKind, Conflict, Digest, Drift, DriftKind, Exit, HelmSpec, Instance, KubeId, KubeObject, ObjectId,
    ObjectState, ObservedObject, Rendered, Repair, Spec,
};

/// How long a Helm of a killed run is waited for when something is looked at.
const PATIENCE: Duration = Duration::from_secs(30);

/// A release that is this state folder's.
pub(super) struct Owned {
    pub(super) place: Place,
    /// Its newest revision.
    pub(super) newest: Stored,
    /// The newest one that is deployed, where the newest of all is not.
    pub(super) deployed: Option<u32>,
    pub(super) stamp: Stamp,
}

impl Inner {
    pub(super) async fn list(&self) -> Result<Listing, BackendError> {
        let looked = try_join_all(self.places().await?.into_iter().map(|(cluster, namespace)| async move {
            let owned = self.owned(&cluster, namespace.as_deref()).await?;
            try_join_all(owned.iter().map(|owned| self.object(owned, true))).await
        }));
        Ok(looked.await?.into_iter().flatten().collect::<Vec<_>>().into())
    }

    /// The releases of a namespace that are this state folder's: by their stamp, or because they are recorded.
    async fn owned(
        &self,
        cluster: &crate::model::KubeCluster,
        namespace: Option<&str>,
    ) -> Result<Vec<Owned>, BackendError> {
        // What still runs is looked at once it ended, also where it has not left a trace in the cluster yet; one that
        // takes longer is as it is.
        let marks = tool::marks(&self.settings.folder);
        join_all(marks.iter().map(|mark| tool::released(mark, "", PATIENCE))).await;
        let which = Which::Stamped(&self.owner.scope);
        let mut stored = storage::list(&self.kube, cluster, namespace, which).await?;
        let place = |one: &Stored| Place {
            cluster: cluster.clone(),
            namespace: one.namespace.clone(),
            release: one.release.clone(),
        };
        // One that was taken over is not stamped before it is changed the first time.
        let unstamped = self.settings.known.keys().filter_map(|id| {
            let (key, own, release) = Place::parts(id).ok()?;
            let is_here = key == cluster.key() && namespace.is_none_or(|namespace| namespace == own);
            let is_found = stored.iter().any(|one| one.namespace == own && one.release == release);
            (is_here && !is_found).then(|| (own.to_owned(), release.to_owned()))
        });
        for (own, release) in unstamped.collect::<Vec<_>>() {
            stored.extend(storage::list(&self.kube, cluster, Some(&own), Which::Current(&release)).await?);
        }
        let deployed = |of: &Stored| {
            let is_it = |one: &&Stored| {
                one.status == "deployed" && (&one.namespace, &one.release) == (&of.namespace, &of.release)
            };
            stored.iter().rfind(is_it).map(|one| one.number)
        };
        let newest = storage::newest(stored.clone());
        Ok(newest
            .into_iter()
            .filter_map(|newest| {
                let place = place(&newest);
                let stamp = self.stamp(&place, &newest)?;
                Some(Owned { deployed: deployed(&newest), place, newest, stamp })
            })
            .collect())
    }

    /// Whose a revision is; `None` where it is not this state folder's.
    pub(super) fn stamp(&self, place: &Place, stored: &Stored) -> Option<Stamp> {
        Stamp::read(&stored.labels, &self.owner).or_else(|| {
            let known = self.settings.known.get(&place.id()).filter(|known| known.adopted == Some(stored.number))?;
            let (address, op_id) = (known.address.clone(), known.op_id.clone());
            Some(Stamp { address, op_id, revision: known.revision, number: stored.number })
        })
    }

    /// One release that is this state folder's; `None` where it is not there, or not its.
    pub(super) async fn find(&self, place: &Place) -> Result<Option<Owned>, BackendError> {
        let which = Which::Current(&place.release);
        let stored = storage::list(&self.kube, &place.cluster, Some(&place.namespace), which).await?;
        let deployed = stored.iter().rfind(|one| one.status == "deployed").map(|one| one.number);
        let Some(newest) = stored.into_iter().next_back() else { return Ok(None) };
        let stamp = self.stamp(place, &newest);
        Ok(stamp.map(|stamp| Owned { place: place.clone(), newest, deployed, stamp }))
    }

    pub(super) async fn inspect(&self, id: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        match self.find(&self.place(id).await?).await? {
            Some(owned) => self.object(&owned, false).await.map(Some),
            None => Ok(None),
        }
    }

    /// A release as it is; `in_full` says whether its live objects are compared with what was deployed.
    pub(super) async fn object(&self, owned: &Owned, in_full: bool) -> Result<ObservedObject, BackendError> {
        let Owned { place, newest, stamp, .. } = owned;
        let content = newest.content()?;
        let objects = content.objects(&place.namespace)?;
        let ids: Vec<KubeId> = objects.iter().map(|object| object.id.clone()).collect();
        let rollout = self.kube.rollout(&place.cluster, &ids).await?;
        let mut object = ObservedObject::new(
            BackendKind::Helm,
            place.id(),
            stamp.op_id.clone(),
            stamp.address.clone(),
            stamp.revision,
            ObjectState::Running,
        );
        judge(&rollout, place, &mut object);
        object.incarnation = Some(newest.number.to_string());
        object.since = content.info.last_deployed.parse().ok();
        if newest.status == "deployed" {
            self.note_drift(owned, &objects, in_full, &mut object).await?;
        } else {
            // What is there may be half the one and half the other: only another change makes it whole.
            object.revision = Digest::new([0; 32]);
            object.drift.push(config(told(owned, &content)));
        }
        Ok(object)
    }

    async fn note_drift(
        &self,
        owned: &Owned,
        objects: &[KubeObject],
        in_full: bool,
        object: &mut ObservedObject,
    ) -> Result<(), BackendError> {
        let Owned { place, newest, stamp, .. } = owned;
        if stamp.number != newest.number {
            object.drift.push(config(format!(
                "the release was changed by hand: it is at revision {}, and orch left it at {}",
                newest.number, stamp.number
            )));
        }
        if in_full {
            for difference in self.kube.drift(&place.cluster, objects, MANAGER).await? {
                let name = difference.id.within(&place.namespace);
                if !difference.is_gone {
                    let fields = difference.fields.iter().map(|field| config(format!("{name}: {field}")));
                    object.drift.extend(fields);
                } else if !goes_by_itself(objects, &difference.id) {
                    object.drift.push(Drift { kind: DriftKind::Missing, detail: format!("{name} is gone") });
                }
            }
        }
        if !object.drift.is_empty() {
            object.repair = Some(Repair::Update);
        }
        Ok(())
    }

    pub(super) async fn conflicts(
        &self,
        instances: &[&Instance],
    ) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        let mut found = BTreeMap::new();
        for instance in instances {
            let Spec::Helm(spec) = &instance.service.spec else { continue };
            let Some((place, other)) = self.foreign(spec).await? else { continue };
            let holder = format!("the release of the chart {}, revision {}", other.content()?.chart(), other.number);
            found.insert(instance.address.clone(), vec![Conflict { what: format!("release {place}"), holder }]);
        }
        Ok(found)
    }

    /// A release of that name that is not this state folder's.
    async fn foreign(&self, spec: &HelmSpec) -> Result<Option<(Place, Stored)>, BackendError> {
        let cluster = self.kube.resolved(&spec.cluster).await?;
        let place = Place { cluster, ..Place::of(spec) };
        let which = Which::Current(&place.release);
        let stored = storage::list(&self.kube, &place.cluster, Some(&place.namespace), which).await?;
        let newest = stored.into_iter().next_back().filter(|one| one.status != "uninstalled");
        Ok(newest.filter(|newest| self.stamp(&place, newest).is_none()).map(|newest| (place, newest)))
    }

    /// The releases that are there under the names of instances and are nobody's of orch.
    pub(super) async fn candidates(
        &self,
        instances: &[&Instance],
        named: &BTreeMap<Address, String>,
    ) -> Result<Candidates, BackendError> {
        let mut found = Vec::new();
        for instance in instances {
            let Spec::Helm(spec) = &instance.service.spec else { continue };
            let own = format!("{}/{}", spec.namespace, spec.release);
            if let Some(other) = named.get(&instance.address).filter(|name| **name != own && **name != spec.release) {
                return Err(BackendError::new(format!("{other} is not the release of {}", instance.address))
                    .with_hint(format!("the file names {own}: set `release` and `namespace` to those of {other}")));
            }
            let Some((place, stored)) = self.foreign(spec).await? else { continue };
            if stored.status != "deployed" {
                return Err(BackendError::new(format!("the release {place} is {}, not deployed", stored.status))
                    .with_hint(format!("see `helm history --namespace {} {}`", place.namespace, place.release)));
            }
            let content = stored.content()?;
            let hooks = spec.rendered.as_ref().map(|rendered| rendered.hooks.clone()).unwrap_or_default();
            let objects = content.objects(&place.namespace)?;
            let rendered = Rendered { version: content.version().to_owned(), objects, hooks };
            let (cluster, adopted) = (place.cluster.clone(), Some(stored.number));
            let spec = HelmSpec { rendered: Some(rendered), cluster, adopted, ..(**spec).clone() };
            found.push(Candidate {
                address: instance.address.clone(),
                matched_by: "the name of the release".to_owned(),
                name: format!("{place} ({}, revision {})", content.chart(), stored.number),
                id: place.id(),
                incarnation: Some(stored.number.to_string()),
                spec: Spec::Helm(Box::new(spec)),
                pin: None,
                beyond: Vec::new(),
            });
        }
        Ok(Candidates { found, unclear: Vec::new() })
    }

    pub(super) async fn tail(&self, id: &ObjectId, lines: usize) -> Result<Vec<String>, BackendError> {
        let place = self.place(id).await?;
        let rollout = self.workloads(&place).await?;
        self.kube.evidence(&place.cluster, &rollout, lines).await
    }

    /// How far the workloads of a release are; none where there is no release.
    pub(super) async fn workloads(&self, place: &Place) -> Result<Rollout, BackendError> {
        let Some(owned) = self.find(place).await? else { return Ok(Rollout::default()) };
        let objects = owned.newest.content()?.objects(&place.namespace)?;
        let ids: Vec<KubeId> = objects.into_iter().map(|object| object.id).collect();
        self.kube.rollout(&place.cluster, &ids).await
    }
}

/// Who the server is told would apply an object, when it is asked what would change: not Helm, whose own labels the
/// manifest does not have.
const MANAGER: &str = "orch";

fn config(detail: impl Into<String>) -> Drift {
    Drift { kind: DriftKind::Config, detail: detail.into() }
}

/// What a release is doing, from how far its workloads are.
fn judge(rollout: &Rollout, place: &Place, object: &mut ObservedObject) {
    let (up, all) = rollout.count();
    object.restarts = rollout.restarts();
    let health = |healthy: bool, detail: String| Some(crate::model::Health { healthy, detail });
    match rollout.verdict(&place.namespace) {
        Verdict::Ready => object.reported = health(true, format!("{up} of {all} workloads are up")),
        Verdict::Progressing(how_far) => {
            object.state = ObjectState::Starting;
            object.reported = health(false, how_far);
        }
        Verdict::Missing => {
            object.state = ObjectState::Starting;
            object.reported = health(false, format!("{up} of {all} workloads are up, and one is gone"));
        }
        Verdict::Failed { why, exit, crashes } => {
            let ended = exit.clone().unwrap_or(Exit { code: None, signal: None, out_of_memory: false });
            object.state = if crashes { ObjectState::CrashLoop(ended) } else { ObjectState::Exited(ended) };
            object.last_exit = exit;
            object.reported = health(false, why.clone());
            object.failure = Some(why);
        }
    }
}

/// What is wrong with a release whose newest revision is not deployed, and what becomes of it.
fn told(owned: &Owned, content: &Content) -> String {
    let Owned { newest, deployed, .. } = owned;
    let since = newest.written.map(|at| format!(" since {at}")).unwrap_or_default();
    let description = &content.info.description;
    match (newest.status.as_str(), deployed) {
        ("failed", _) => format!("revision {} of the release failed: {description}", newest.number),
        ("uninstalled" | "uninstalling", _) => "the release was uninstalled".to_owned(),
        (status, Some(deployed)) => {
            format!("the release is {status}{since}: it is first rolled back to revision {deployed}")
        }
        (status, None) => format!("the release is {status}{since}, and was never deployed: it is first uninstalled"),
    }
}

/// Whether an object goes by itself once it is done: a job that is not kept.
fn goes_by_itself(objects: &[KubeObject], id: &KubeId) -> bool {
    let json = objects.iter().find(|object| object.id == *id).map(|object| object.json.reveal());
    let json: Option<Value> = json.and_then(|json| serde_json::from_str(json).ok());
    json.is_some_and(|json| json.pointer("/spec/ttlSecondsAfterFinished").is_some())
}
