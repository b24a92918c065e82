//! Releases of Helm charts.
//!
//! A release is a slot: its object is its name in a namespace of a cluster, whatever is deployed under it. orch owns
//! a release by the labels that it put on it (`stamp`), or by the record of one that it took over. Helm keeps the
//! revisions before, which [`Operator::revert`] goes back to.
//!
//! Helm is never asked to wait for workloads, nor to roll back by itself: the gate looks at the rollout of every
//! workload of the release, keeps the evidence when it is missed, and the plan's way back does the rest.
//!
//! What holds after a crash: Helm writes a revision that is pending before it changes anything, with orch's labels.
//! A Helm that outlives orch is marked (`tool`), and waited for. One that was killed leaves the pending revision:
//! it has no definition's revision, so that the next plan changes the release again, and first takes it back to the
//! revision that is deployed; one that never was deployed is uninstalled.

mod chance;
mod observe;
mod operate;
mod place;
mod render;
mod stamp;
mod storage;
mod tool;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;

use super::kube::Kube;
use super::{
    BackendError, Candidates, Connection, ExecRequest, Forward, Listing, LogQuery, LogStream, Observer, OpContext,
    Operator, Renderings,
};
use crate::model::{
    Address, Chart, Conflict, Digest, Endpoint, HelmSpec, Instance, KubeCluster, ObjectId, ObservedObject, OpId,
    ProjectName, Reach, Service, ServiceName, Spec, Vantage,
};
use place::Place;
use stamp::Owner;
pub use tool::Helm;

/// What the backend is told about the project.
#[derive(Debug, Clone)]
pub struct HelmSettings {
    /// The project.
    pub project: ProjectName,
    /// What tells the releases of this state folder from those of another one: a digest of its key.
    pub scope: String,
    /// The folder for the marks of what runs; made when it is needed.
    pub folder: PathBuf,
    /// Where releases of the file and of the records are: the cluster and the namespace; `None` for all of them.
    pub places: BTreeSet<(KubeCluster, Option<String>)>,
    /// What is recorded of releases.
    pub known: BTreeMap<ObjectId, Known>,
}

/// What is recorded of a release.
#[derive(Debug, Clone)]
pub struct Known {
    /// The instance.
    pub address: Address,
    /// The attempt that made it, or last changed it.
    pub op_id: OpId,
    /// The revision of its definition.
    pub revision: Digest,
    /// The number of the release's revision that was taken over and has no stamp.
    pub adopted: Option<u32>,
}

/// Runs releases of charts.
pub struct HelmBackend(Inner);

struct Inner {
    settings: HelmSettings,
    owner: Owner,
    kube: Arc<Kube>,
    helm: Arc<Helm>,
}

impl HelmBackend {
    /// Takes what it is told; starts nothing yet.
    #[must_use]
    pub fn new(settings: HelmSettings, kube: Arc<Kube>, helm: Arc<Helm>) -> Self {
        let owner = Owner { project: settings.project.clone(), scope: settings.scope.clone() };
        Self(Inner { settings, owner, kube, helm })
    }
}

impl Inner {
    /// Where releases are looked for.
    async fn places(&self) -> Result<BTreeSet<(KubeCluster, Option<String>)>, BackendError> {
        let mut places = BTreeSet::new();
        for (cluster, namespace) in &self.settings.places {
            places.insert((self.kube.resolved(cluster).await?, namespace.clone()));
        }
        let all: BTreeSet<KubeCluster> =
            places.iter().filter(|(_, namespace)| namespace.is_none()).map(|(cluster, _)| cluster.clone()).collect();
        places.retain(|(cluster, namespace)| namespace.is_none() || !all.contains(cluster));
        Ok(places)
    }

    /// Where an object is.
    async fn place(&self, id: &ObjectId) -> Result<Place, BackendError> {
        let (key, namespace, release) = Place::parts(id)?;
        for (cluster, _) in self.places().await? {
            if cluster.key() == key {
                return Ok(Place { cluster, namespace: namespace.to_owned(), release: release.to_owned() });
            }
        }
        Err(BackendError::new(format!("nothing says how to reach the cluster of {id}"))
            .with_hint("set `kube_context`, and `kubeconfig` if it is in another file, to the cluster that it is in"))
    }
}

/// The chart as Helm takes it.
fn chart_of(spec: &HelmSpec) -> String {
    match &spec.chart {
        Chart::Local(path) => path.display().to_string(),
        Chart::Named(name) => name.clone(),
    }
}

fn spec_of(instance: &Instance) -> Result<&HelmSpec, BackendError> {
    match &instance.service.spec {
        Spec::Helm(spec) => Ok(spec),
        other => Err(BackendError::new(format!("a {} service is no release of a chart", other.backend()))),
    }
}

#[async_trait]
impl Observer for HelmBackend {
    async fn list(&self) -> Result<Listing, BackendError> {
        self.0.list().await
    }

    async fn conflicts(&self, instances: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        self.0.conflicts(instances).await
    }

    async fn inspect(&self, object: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        self.0.inspect(object).await
    }

    async fn render(&self, services: &[&Service]) -> Renderings {
        let render = |service: &&Service| {
            let name: ServiceName = service.name.clone();
            let spec = match &service.spec {
                Spec::Helm(spec) => Some((**spec).clone()),
                _ => None,
            };
            async move {
                let rendered = self.0.rendered(&name, &spec?).await;
                Some((name, rendered.map(|spec| Spec::Helm(Box::new(spec)))))
            }
        };
        join_all(services.iter().map(render)).await.into_iter().flatten().collect()
    }

    async fn candidates(
        &self,
        instances: &[&Instance],
        named: &BTreeMap<Address, String>,
    ) -> Result<Candidates, BackendError> {
        self.0.candidates(instances, named).await
    }

    async fn dial(&self, object: &ObjectId, host: &str, port: u16) -> Result<Option<Connection>, BackendError> {
        let place = self.0.place(object).await?;
        self.0.kube.dial(&place.cluster, host, port).await
    }

    async fn locate(&self, object: &ObjectId, endpoint: &Endpoint, _: Vantage) -> Result<Option<Reach>, BackendError> {
        let place = self.0.place(object).await?;
        self.0.kube.locate(&place.cluster, &place.namespace, endpoint).await.map(Some)
    }

    async fn forward(&self, object: &ObjectId, endpoint: &Endpoint) -> Result<Option<Forward>, BackendError> {
        let place = self.0.place(object).await?;
        self.0.kube.forward(&place.cluster, &place.namespace, endpoint).await
    }

    async fn stream_log(&self, object: &ObjectId, query: LogQuery) -> Result<Option<LogStream>, BackendError> {
        let place = self.0.place(object).await?;
        let pods = self.0.workloads(&place).await?.pods(&place.namespace);
        self.0.kube.log(&place.cluster, pods, query).await.map(Some)
    }

    async fn tail(&self, object: &ObjectId, lines: usize) -> Result<Vec<String>, BackendError> {
        self.0.tail(object, lines).await
    }

    async fn log_files(&self, _: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Operator for HelmBackend {
    async fn exec(&self, object: &ObjectId, request: ExecRequest) -> Result<i32, BackendError> {
        let place = self.0.place(object).await?;
        let pods = self.0.workloads(&place).await?.pods(&place.namespace);
        self.0.kube.exec(&place.cluster, pods, request).await
    }

    async fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError> {
        self.0.create(op, instance).await
    }

    async fn update(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.0.update(op, object, instance).await
    }

    async fn switch(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.0.switch(op, object, instance).await
    }

    async fn revert(&self, op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        self.0.revert(op, object).await
    }

    async fn start(&self, _: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        // What cannot be stopped runs.
        match self.0.find(&self.0.place(object).await?).await? {
            Some(_) => Ok(()),
            None => {
                Err(BackendError::new(format!("there is no release {object} any more"))
                    .with_hint("plan and apply again"))
            }
        }
    }

    async fn stop(&self, _: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        Err(BackendError::new(format!("{object} cannot be stopped: a release is there or it is not"))
            .with_hint("take it down with `orch destroy --target SERVICE`, or set its replicas to 0 in `values`"))
    }

    async fn restart(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.0.restart(op, object, instance).await
    }

    async fn remove(&self, op: &OpContext, object: &ObjectId, _: bool) -> Result<(), BackendError> {
        self.0.remove(op, object).await
    }
}
