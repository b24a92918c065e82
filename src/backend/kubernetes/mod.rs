//! Manifests that are applied to a Kubernetes cluster.
//!
//! A service is a slot: its object is its inventory (`inventory`), a Secret in its namespace that says which objects
//! are its, in which version, and what they were before. An object of the cluster is orch's by the stamp that names
//! that inventory, never by its name alone.
//!
//! What holds after a crash: the inventory has the version that is being applied before any object changes. Whoever
//! finds one `pending` knows every object that may be there. A change that was not finished is made again by the next
//! one, or finished as it was by what takes the object over; applying twice is applying once.

mod apply;
mod inventory;
mod observe;
mod operate;
mod render;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};

use super::kube::Kube;
use super::{
    BackendError, Connection, ExecRequest, Forward, Listing, LogQuery, LogStream, Observer, OpContext, Operator,
    Renderings,
};
use crate::model::{
    Address, BackendKind, Conflict, Endpoint, Instance, KubeCluster, ObjectId, ObservedObject, ProjectName, Reach,
    Service, Spec, Vantage,
};
use inventory::{Broken, Found, Inventory, Owner, Slot};

/// What the backend is told about the project.
#[derive(Debug, Clone)]
pub struct KubernetesSettings {
    /// The project.
    pub project: ProjectName,
    /// What tells the objects of this state folder from those of another one: a digest of its key.
    pub scope: String,
    /// The clusters and namespaces that the file and the records name.
    pub places: BTreeSet<(KubeCluster, String)>,
}

/// Applies manifests.
pub struct KubernetesBackend {
    kube: Arc<Kube>,
    owner: Owner,
    places: BTreeSet<(KubeCluster, String)>,
}

impl KubernetesBackend {
    /// Takes what it is told; asks no cluster yet.
    #[must_use]
    pub fn new(kube: Arc<Kube>, settings: KubernetesSettings) -> Self {
        let KubernetesSettings { project, scope, places } = settings;
        Self { kube, owner: Owner { project, scope }, places }
    }

    /// The inventories in a namespace.
    async fn known(&self, cluster: &KubeCluster, namespace: &str) -> Result<Vec<Found>, BackendError> {
        inventory::list(&self.kube, cluster, namespace, &self.owner).await
    }

    /// Where the inventory of an object is.
    fn slot(&self, id: &ObjectId) -> Result<Slot, BackendError> {
        let unknown = || BackendError::new(format!("{id} is not an object of backend kubernetes"));
        let rest = id.as_str().strip_prefix("kubernetes/").ok_or_else(unknown)?;
        let mut parts = rest.rsplitn(3, '/');
        let (Some(name), Some(namespace), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(unknown());
        };
        let place = self.places.iter().find(|(cluster, _)| cluster.key() == key);
        let (cluster, _) = place.ok_or_else(|| {
            BackendError::new(format!("no cluster of {key} is known"))
                .with_hint("name it in a service again until nothing of the project is left there")
        })?;
        Ok(Slot { cluster: cluster.clone(), namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// The inventory of an object.
    async fn read(&self, id: &ObjectId) -> Result<(Slot, Inventory), BackendError> {
        let slot = self.slot(id)?;
        match slot.read(&self.kube, &self.owner).await? {
            Some(Ok(inventory)) => Ok((slot, inventory)),
            Some(Err(broken)) => Err(unreadable(&slot, &broken)),
            None => Err(BackendError::new(format!("there is no {} any more", slot.stamp())).with_hint("plan again")),
        }
    }
}

/// What a cluster calls a service of orch's.
fn object_id(slot: &Slot) -> ObjectId {
    ObjectId::new(format!("kubernetes/{}/{}/{}", slot.cluster.key(), slot.namespace, slot.name))
}

/// The inventory of an address.
fn find<'f>(found: &'f [Found], address: &Address) -> Option<(&'f String, Option<&'f Inventory>)> {
    found.iter().find_map(|(name, inventory)| match inventory {
        Ok(inventory) => (inventory.address == *address).then_some((name, Some(inventory))),
        Err(broken) => (broken.address.as_ref() == Some(address)).then_some((name, None)),
    })
}

fn unreadable(slot: &Slot, broken: &Broken) -> BackendError {
    BackendError::new(format!("the Secret {} cannot be read: {}", slot.stamp(), broken.why))
        .with_hint("put it back from a backup, or delete it and hand its objects over as the next apply says")
}

#[async_trait]
impl Observer for KubernetesBackend {
    async fn list(&self) -> Result<Listing, BackendError> {
        let listed = self.places.iter().map(|(cluster, namespace)| async move {
            let found = self.known(cluster, namespace).await?;
            let objects = found.into_iter().map(|(name, inventory)| async move {
                let slot = Slot { cluster: cluster.clone(), namespace: namespace.clone(), name };
                match inventory {
                    Ok(inventory) => self.observe(&slot, &inventory, true).await,
                    Err(broken) => Ok(observe::broken(&slot, &broken)),
                }
            });
            try_join_all(objects).await
        });
        let mut objects: Vec<ObservedObject> = Vec::new();
        for found in join_all(listed).await {
            objects.extend(found?.into_iter().flatten());
        }
        Ok(objects.into())
    }

    async fn conflicts(&self, _: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        // What is another's is told where the objects are known: when they are rendered.
        Ok(BTreeMap::new())
    }

    async fn inspect(&self, id: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        let slot = self.slot(id)?;
        match slot.read(&self.kube, &self.owner).await? {
            Some(Ok(inventory)) => self.observe(&slot, &inventory, false).await,
            Some(Err(broken)) => Ok(observe::broken(&slot, &broken)),
            None => Ok(None),
        }
    }

    async fn render(&self, services: &[&Service]) -> Renderings {
        let rendered = services.iter().map(|service| async { (service.name.clone(), self.rendered(service).await) });
        join_all(rendered).await.into_iter().collect()
    }

    async fn dial(&self, id: &ObjectId, host: &str, port: u16) -> Result<Option<Connection>, BackendError> {
        self.kube.dial(&self.slot(id)?.cluster, host, port).await
    }

    async fn locate(&self, id: &ObjectId, endpoint: &Endpoint, _: Vantage) -> Result<Option<Reach>, BackendError> {
        let slot = self.slot(id)?;
        self.kube.locate(&slot.cluster, &slot.namespace, endpoint).await.map(Some)
    }

    async fn forward(&self, id: &ObjectId, endpoint: &Endpoint) -> Result<Option<Forward>, BackendError> {
        let slot = self.slot(id)?;
        self.kube.forward(&slot.cluster, &slot.namespace, endpoint).await
    }

    async fn stream_log(&self, id: &ObjectId, query: LogQuery) -> Result<Option<LogStream>, BackendError> {
        let (slot, inventory) = self.read(id).await?;
        let pods = self.rollout(&slot, &inventory).await?.pods(&slot.namespace);
        self.kube.log(&slot.cluster, pods, query).await.map(Some)
    }

    async fn tail(&self, id: &ObjectId, lines: usize) -> Result<Vec<String>, BackendError> {
        let (slot, inventory) = self.read(id).await?;
        let rollout = self.rollout(&slot, &inventory).await?;
        self.kube.evidence(&slot.cluster, &rollout, lines).await
    }

    async fn log_files(&self, _: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Operator for KubernetesBackend {
    async fn exec(&self, id: &ObjectId, request: ExecRequest) -> Result<i32, BackendError> {
        let (slot, inventory) = self.read(id).await?;
        let pods = self.rollout(&slot, &inventory).await?.pods(&slot.namespace);
        self.kube.exec(&slot.cluster, pods, request).await
    }

    async fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError> {
        let Spec::Kubernetes(spec) = &instance.service.spec else {
            return Err(BackendError::new("kubernetes takes manifests, not this"));
        };
        let slot = Slot::new(&spec.cluster, &spec.namespace, &op.address, &op.op_id);
        self.make(op, &slot, instance).await?;
        Ok(object_id(&slot))
    }

    async fn update(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.renew(op, id, instance).await
    }

    async fn switch(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let slot = self.slot(id)?;
        self.make(op, &slot, instance).await
    }

    async fn revert(&self, op: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        self.go_back(op, id).await
    }

    async fn start(&self, _: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        self.raise(id).await
    }

    async fn stop(&self, _: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        self.lower(id).await
    }

    async fn restart(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.again(op, id, instance).await
    }

    async fn remove(&self, op: &OpContext, id: &ObjectId, _: bool) -> Result<(), BackendError> {
        self.take_away(op, id).await
    }
}

/// Which backend this is, for what is observed.
const KIND: BackendKind = BackendKind::Kubernetes;
