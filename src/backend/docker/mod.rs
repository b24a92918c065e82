//! Containers, and the networks they are in, through the API of a Docker engine.
//!
//! What orch makes carries labels: the project, a scope that only this state folder has, the
//! address, the attempt and the revision. An engine cannot change labels, so what is recorded about an
//! object goes before its labels ([`Known`]); a container that was adopted has none at all.

mod address;
mod auth;
mod candidates;
mod conflicts;
mod connect;
mod container;
mod context;
mod drift;
mod error;
mod flight;
mod inside;
mod inverse;
mod labels;
mod local;
mod locate;
mod logs;
mod matching;
mod network;
mod object;
mod observe;
mod operate;
mod pins;
mod pull;
mod reference;
mod registry;
mod ssh;
mod transport;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bollard::Docker;
use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::StreamExt;

use super::{
    Answer, BackendError, Candidates, Command, ExecRequest, Listing, LogQuery, LogStream, Observer, OpContext,
    Operator, PinAnswers,
};
use crate::model::{
    Address, Conflict, Digest, Endpoint, FieldValue, Instance, ObjectId, ObservedObject, OpId, Pins, ProjectName,
    Reach, Service, Spec, Vantage,
};
pub(in crate::backend) use conflicts::{names, ports};
pub(in crate::backend) use connect::{Engine, Engines};
pub(in crate::backend) use error::{failed, is_missing};
pub(in crate::backend) use inside::exec;
pub(in crate::backend) use locate::published;
pub(in crate::backend) use logs::{stream as stream_log, tail as tail_log};
use object::{Object, ObjectKind};
pub(in crate::backend) use observe::{exit as exit_of, of_state as state_of, time as time_of};
use operate::Site;

/// What the backend is told about the project.
#[derive(Debug, Clone)]
pub struct DockerSettings {
    /// The project.
    pub project: ProjectName,
    /// What tells the objects of this state folder from those of another one with a project of the
    /// same name; a label of every object.
    pub scope: String,
    /// orch's environment, for `DOCKER_HOST`, `DOCKER_CONTEXT`, `DOCKER_CONFIG` and the like.
    pub env: BTreeMap<String, String>,
    /// The engines that the file and the records name; `None` is the one that the environment names.
    /// Where there are none, nothing is connected to.
    pub hosts: BTreeSet<Option<String>>,
    /// What is recorded about the backend's objects.
    pub known: BTreeMap<ObjectId, Known>,
    /// The attempts that were begun and whose end was never written.
    pub pending: BTreeMap<Address, OpId>,
}

/// What is recorded about an object, which its labels may say otherwise or not at all.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its address.
    pub address: Address,
    /// The attempt that made it or took it over.
    pub op_id: OpId,
    /// Its revision.
    pub revision: Digest,
    /// Its definition.
    pub fields: BTreeMap<String, FieldValue>,
}

/// Runs containers.
pub struct DockerBackend {
    settings: DockerSettings,
    engines: Engines,
}

/// How many requests run at once where many are asked about one after the other.
const AT_ONCE: usize = 16;

impl DockerBackend {
    /// Takes what it is told; connects to nothing yet.
    #[must_use]
    pub fn new(settings: DockerSettings) -> Self {
        let engines = Engines::new(settings.env.clone());
        Self { settings, engines }
    }

    /// The engine's object behind an id, and the engine that has it.
    async fn reach(&self, id: &ObjectId) -> Result<(Object, Arc<Engine>), BackendError> {
        let object =
            Object::parse(id).ok_or_else(|| BackendError::new(format!("{id} is not an object of a Docker engine")))?;
        let engine = self.engines.get(object.host.as_deref()).await?;
        Ok((object, engine))
    }

    /// As [`reach`](Self::reach), for what only a container has.
    async fn container(&self, id: &ObjectId) -> Result<(Object, Arc<Engine>), BackendError> {
        let (object, engine) = self.reach(id).await?;
        match object.kind {
            ObjectKind::Container => Ok((object, engine)),
            ObjectKind::Network => Err(BackendError::new("a network has neither an inside nor a log")),
        }
    }

    /// Every container of an engine, up or not.
    async fn containers(&self, engine: &Docker, own: bool) -> Result<Vec<ContainerSummary>, BackendError> {
        let mut options = ListContainersOptionsBuilder::default().all(true);
        if own {
            let label = vec![format!("{}={}", labels::SCOPE, self.settings.scope)];
            options = options.filters(&HashMap::from([("label", label)]));
        }
        engine.list_containers(Some(options.build())).await.map_err(|error| failed("list the containers", &error))
    }

    async fn list_engine(&self, host: Option<&str>) -> Result<Vec<ObservedObject>, BackendError> {
        let engine = self.engines.get(host).await?;
        let site = Site { engine: &engine, settings: &self.settings };
        let (containers, networks) =
            tokio::try_join!(self.containers(&engine, true), network::list(&engine, &self.settings))?;
        // What was taken over carries no labels.
        let known = |kind: ObjectKind| {
            let known = self.settings.known.keys().filter_map(Object::parse);
            known.filter(move |object| object.host.as_deref() == host && object.kind == kind).map(|object| object.id)
        };
        let listed: BTreeSet<&str> = networks.iter().filter_map(|network| network.id.as_deref()).collect();
        let unlisted: Vec<String> = known(ObjectKind::Network).filter(|id| !listed.contains(id.as_str())).collect();
        let mut objects: Vec<ObservedObject> =
            networks.iter().filter_map(|found| observe::network(&self.settings, host, found)).collect();
        for id in unlisted {
            let found = network::inspect(&engine, &id).await?;
            objects.extend(found.and_then(|found| observe::network(&self.settings, host, &found)));
        }
        let mut ids: BTreeSet<String> = containers.into_iter().filter_map(|container| container.id).collect();
        ids.extend(known(ObjectKind::Container));
        let mut inspected =
            futures_util::stream::iter(ids).map(|id| async move { site.inspect(&id).await }).buffer_unordered(AT_ONCE);
        let mut by_image: BTreeMap<String, Vec<ObservedObject>> = BTreeMap::new();
        while let Some(found) = inspected.next().await {
            let Some(found) = found? else { continue };
            if let Some(object) = observe::container(&self.settings, host, &found) {
                by_image.entry(found.image.unwrap_or_default()).or_default().push(object);
            }
        }
        let looks = by_image.into_iter().map(|(image, containers)| site.note_image(image, containers));
        objects.extend(futures_util::future::try_join_all(looks).await?.into_iter().flatten());
        Ok(objects)
    }
}

#[async_trait]
impl Observer for DockerBackend {
    async fn list(&self) -> Result<Listing, BackendError> {
        let hosts = self.settings.hosts.iter().map(|host| self.list_engine(host.as_deref()));
        Ok(futures_util::future::try_join_all(hosts).await?.into_iter().flatten().collect::<Vec<_>>().into())
    }

    async fn pins(&self, services: &[&Service], recorded: &Pins) -> PinAnswers {
        pins::pins(&self.engines, services, recorded).await
    }

    async fn conflicts(&self, instances: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        let mut by_host: BTreeMap<Option<String>, Vec<&Instance>> = BTreeMap::new();
        for instance in instances {
            if let Spec::Docker(spec) = &instance.service.spec {
                by_host.entry(spec.host.clone()).or_default().push(instance);
            }
        }
        let mut found = BTreeMap::new();
        for (host, instances) in by_host {
            let engine = self.engines.get(host.as_deref()).await?;
            let site = Site { engine: &engine, settings: &self.settings };
            let all = self.containers(&engine, false).await?;
            let local = self.engines.is_local(host.as_deref());
            found.extend(site.conflicts(&instances, &all, local).await?);
        }
        Ok(found)
    }

    async fn candidates(
        &self,
        instances: &[&Instance],
        named: &BTreeMap<Address, String>,
    ) -> Result<Candidates, BackendError> {
        self.adoptable(instances, named).await
    }

    async fn inspect(&self, id: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        let (object, engine) = self.reach(id).await?;
        let host = object.host.as_deref();
        match object.kind {
            ObjectKind::Container => {
                let site = Site { engine: &engine, settings: &self.settings };
                let found = site.inspect(&object.id).await?;
                Ok(found.and_then(|found| observe::container(&self.settings, host, &found)))
            }
            ObjectKind::Network => {
                let found = network::inspect(&engine, &object.id).await?;
                Ok(found.and_then(|found| observe::network(&self.settings, host, &found)))
            }
        }
    }

    async fn tail(&self, id: &ObjectId, lines: usize) -> Result<Vec<String>, BackendError> {
        let (object, engine) = self.reach(id).await?;
        match object.kind {
            ObjectKind::Container => logs::tail(&engine, &object.id, lines).await,
            ObjectKind::Network => Ok(Vec::new()),
        }
    }

    async fn probe_inside(&self, id: &ObjectId, command: &Command<'_>) -> Result<Option<Answer>, BackendError> {
        let (object, engine) = self.container(id).await?;
        inside::probe(&engine, &object.id, command).await.map(Some)
    }

    async fn locate(&self, id: &ObjectId, endpoint: &Endpoint, from: Vantage) -> Result<Option<Reach>, BackendError> {
        let (object, engine) = self.container(id).await?;
        let site = Site { engine: &engine, settings: &self.settings };
        let Some(found) = site.inspect(&object.id).await? else { return Ok(None) };
        let host = self.engines.far_host(object.host.as_deref());
        let reach = locate::locate(&found, endpoint.port, from, host.as_deref());
        let none = || {
            let name = found.name.as_deref().unwrap_or_default().trim_start_matches('/');
            BackendError::new(format!("the port {} of the container {name} cannot be reached from here", endpoint.port))
                .with_hint(format!("publish it: `ports: [{}]`", endpoint.port))
        };
        reach.map(Some).ok_or_else(none)
    }

    async fn stream_log(&self, id: &ObjectId, query: LogQuery) -> Result<Option<LogStream>, BackendError> {
        let (object, engine) = self.container(id).await?;
        logs::stream(&engine, &object.id, query).await.map(Some)
    }

    async fn log_files(&self, _: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Operator for DockerBackend {
    async fn prepare(&self, op: &OpContext, instance: &Instance) -> Result<(), BackendError> {
        let Spec::Docker(spec) = &instance.service.spec else { return Ok(()) };
        let engine = self.engines.get(spec.host.as_deref()).await?;
        pull::ensure(&engine, spec, instance.pin.as_deref(), &op.progress).await.map(|_| ())
    }

    async fn exec(&self, id: &ObjectId, request: ExecRequest) -> Result<i32, BackendError> {
        let (object, engine) = self.container(id).await?;
        inside::exec(&engine, &object.id, request).await
    }

    async fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError> {
        let (host, kind, id) = match &instance.service.spec {
            Spec::Docker(spec) => {
                let engine = self.engines.get(spec.host.as_deref()).await?;
                let site = Site { engine: &engine, settings: &self.settings };
                (spec.host.clone(), ObjectKind::Container, site.create(spec, op, instance).await?)
            }
            Spec::Network(spec) => {
                let engine = self.engines.get(spec.host.as_deref()).await?;
                let id = network::create(&engine, &self.settings, spec, op, instance).await?;
                (spec.host.clone(), ObjectKind::Network, id)
            }
            _ => {
                return Err(BackendError::new("a Docker engine runs containers, not this"));
            }
        };
        Ok(Object { host, kind, id }.object_id())
    }

    async fn update(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let (object, engine) = self.reach(id).await?;
        match &instance.service.spec {
            Spec::Docker(spec) => Site { engine: &engine, settings: &self.settings }.update(&object.id, spec, op).await,
            _ => Ok(()),
        }
    }

    async fn start(&self, _: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        let (object, engine) = self.reach(id).await?;
        match object.kind {
            ObjectKind::Container => Site { engine: &engine, settings: &self.settings }.start_again(&object.id).await,
            ObjectKind::Network => Ok(()),
        }
    }

    async fn stop(&self, _: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        let (object, engine) = self.reach(id).await?;
        match object.kind {
            ObjectKind::Container => Site { engine: &engine, settings: &self.settings }.stop(&object.id).await,
            ObjectKind::Network => Ok(()),
        }
    }

    async fn restart(&self, _: &OpContext, id: &ObjectId, _: &Instance) -> Result<(), BackendError> {
        let (object, engine) = self.reach(id).await?;
        match object.kind {
            ObjectKind::Container => Site { engine: &engine, settings: &self.settings }.restart(&object.id).await,
            ObjectKind::Network => Ok(()),
        }
    }

    async fn remove(&self, _: &OpContext, id: &ObjectId, volumes: bool) -> Result<(), BackendError> {
        let (object, engine) = self.reach(id).await?;
        match object.kind {
            ObjectKind::Container => {
                Site { engine: &engine, settings: &self.settings }.remove(&object.id, volumes).await
            }
            ObjectKind::Network => {
                network::remove(Site { engine: &engine, settings: &self.settings }, &object.id).await
            }
        }
    }
}
