//! Containers, and the networks they are in, through the API of a Docker engine.
//!
//! What orch makes carries labels: the project, a scope that only this state folder has, the
//! address, the attempt and the revision. An engine cannot change labels, so what is recorded about an
//! object goes before its labels ([`Known`]); a container that was adopted has none at all.

mod candidates;
mod connect;
mod error;
mod inside;
mod logs;
mod object;
mod pins;
mod pull;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use std::sync::Arc;

use async_trait::async_trait;
use bollard::Docker;

use super::{Answer, BackendError, Command, ExecRequest, LogQuery, LogStream, Observer, OpContext, Operator};
use crate::model::{Address, Conflict, Digest, FieldValue, Instance, ObjectId, ObservedObject, OpId, ProjectName};
use connect::Engines;
use object::{Object, ObjectKind};

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

impl DockerBackend {
    /// Takes what it is told; connects to nothing yet.
    #[must_use]
    pub fn new(settings: DockerSettings) -> Self {
        let engines = Engines::new(settings.env.clone());
        Self { settings, engines }
    }

    /// The engine and the id of a container.
    async fn container(&self, object: &ObjectId) -> Result<(Arc<Docker>, String), BackendError> {
        let found = Object::parse(object).filter(|found| found.kind == ObjectKind::Container);
        let found = found.ok_or_else(|| BackendError::new(format!("{object} is no container")))?;
        Ok((self.engines.get(found.host.as_deref()).await?, found.id))
    }
}

#[async_trait]
impl Observer for DockerBackend {
    async fn list(&self) -> Result<Vec<ObservedObject>, BackendError> {
        let _ = &self.settings;
        Ok(Vec::new())
    }
    async fn conflicts(&self, _instances: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        Ok(BTreeMap::new())
    }
    async fn inspect(&self, _object: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        Ok(None)
    }
    async fn probe_inside(&self, object: &ObjectId, command: &Command<'_>) -> Result<Option<Answer>, BackendError> {
        let (engine, container) = self.container(object).await?;
        inside::probe(&engine, &container, command).await.map(Some)
    }
    async fn stream_log(&self, object: &ObjectId, query: LogQuery) -> Result<Option<LogStream>, BackendError> {
        let (engine, container) = self.container(object).await?;
        logs::stream(&engine, &container, query).await.map(Some)
    }
    async fn tail(&self, object: &ObjectId, lines: usize) -> Result<Vec<String>, BackendError> {
        let (engine, container) = self.container(object).await?;
        logs::tail(&engine, &container, lines).await
    }
    async fn log_files(&self, _object: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Operator for DockerBackend {
    async fn exec(&self, object: &ObjectId, request: ExecRequest) -> Result<i32, BackendError> {
        let (engine, container) = self.container(object).await?;
        inside::exec(&engine, &container, request).await
    }
    async fn create(&self, _op: &OpContext, _instance: &Instance) -> Result<ObjectId, BackendError> {
        Err(BackendError::new("not built yet"))
    }
    async fn update(&self, _op: &OpContext, _object: &ObjectId, _instance: &Instance) -> Result<(), BackendError> {
        Ok(())
    }
    async fn start(&self, _op: &OpContext, _object: &ObjectId) -> Result<(), BackendError> {
        Ok(())
    }
    async fn stop(&self, _op: &OpContext, _object: &ObjectId) -> Result<(), BackendError> {
        Ok(())
    }
    async fn restart(&self, _op: &OpContext, _object: &ObjectId, _instance: &Instance) -> Result<(), BackendError> {
        Ok(())
    }
    async fn remove(&self, _op: &OpContext, _object: &ObjectId, _volumes: bool) -> Result<(), BackendError> {
        Ok(())
    }
}
