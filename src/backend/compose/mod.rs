//! Compose projects: Compose changes them, and orch looks at their containers by itself.
//!
//! A project is one object that keeps its name whatever its files say. What the files come to is asked of
//! Compose when a plan is made (`render`), and just that is given back to Compose when the plan is applied, over
//! its standard input: what was reviewed is what is done, and no secret is in an argument or a file.
//!
//! A project is orch's by the labels of its containers (`stamp`) or, when it was taken over as it ran, by its
//! record. What holds after a crash: Compose goes on without orch and holds a lock until its end (`tool`); each
//! change brings the whole project to its definition, so that doing it again completes it.

mod adopt;
mod change;
mod detect;
mod files;
mod inside;
mod locate;
mod look;
mod render;
mod stamp;
mod state;
mod tool;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::docker::{Engine, Engines, Known};
use super::{
    BackendError, Candidates, ExecRequest, Listing, LogQuery, LogStream, Observer, OpContext, Operator, Renderings,
};
use crate::model::{
    Address, BackendKind, ComposeSpec, Conflict, Digest, DigestKey, Drift, DriftKind, Endpoint, Instance, ObjectId,
    ObservedObject, ObservedPart, OpId, ProjectName, Reach, Repair, Service, Spec, Vantage,
};
use look::Container;
use stamp::Previous;
use state::{Expected, sum_up};
use tool::Tool;

/// What the backend is told about the project.
#[derive(Debug, Clone)]
pub struct ComposeSettings {
    /// The project.
    pub project: ProjectName,
    /// What tells the containers of this state folder from those of another one with a project of the same name.
    pub scope: String,
    /// The key that definitions are digested under.
    pub key: DigestKey,
    /// orch's environment, which Compose gets, and `DOCKER_HOST` and the like.
    pub env: BTreeMap<String, String>,
    /// The folder for the locks.
    pub dir: PathBuf,
    /// The names of the Compose projects that the file and the records have.
    pub names: BTreeSet<String>,
    /// What is recorded about the backend's objects.
    pub known: BTreeMap<ObjectId, Known>,
    /// The attempts that were begun and whose end was never written.
    pub pending: BTreeMap<Address, OpId>,
}

/// Runs Compose projects.
pub struct ComposeBackend {
    settings: ComposeSettings,
    engines: Engines,
    tool: Tool,
    memory: Mutex<Memory>,
}

/// What is known of projects beside what is recorded, as long as this orch runs.
#[derive(Default)]
struct Memory {
    /// What the files come to, as they were rendered last.
    rendered: BTreeMap<String, ComposeSpec>,
    /// What this run brought up.
    made: BTreeMap<String, Made>,
    /// What was there before a change, by its attempt.
    previous: BTreeMap<OpId, Option<Previous>>,
}

/// What this run brought a project up as.
#[derive(Debug, Clone)]
struct Made {
    op_id: OpId,
    revision: Digest,
    address: Address,
    expected: Expected,
}

impl ComposeBackend {
    /// Takes what it is told; starts and connects to nothing yet.
    #[must_use]
    pub fn new(settings: ComposeSettings) -> Self {
        let engines = Engines::new(settings.env.clone());
        let tool = Tool::new(settings.env.clone(), settings.dir.clone());
        Self { settings, engines, tool, memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn engine(&self) -> Result<Arc<Engine>, BackendError> {
        self.engines.get(None).await
    }

    fn known(&self, project: &str) -> Option<&Known> {
        self.settings.known.get(&object_id(project))
    }

    /// Whether a project is orch's: recorded, made by this run, or labelled.
    fn is_own(&self, project: &str, containers: &[Container]) -> bool {
        let labelled = || containers.iter().any(|container| stamp::is_own(&self.settings, &container.labels));
        self.known(project).is_some() || self.memory().made.contains_key(project) || labelled()
    }

    /// What a project is to have: as this run made it, or as it is recorded.
    fn expected(&self, project: &str) -> Expected {
        if let Some(made) = self.memory().made.get(project) {
            return made.expected.clone();
        }
        self.known(project).map(|known| Expected::recorded(&known.fields)).unwrap_or_default()
    }

    /// What Compose makes of the definition that is recorded, for containers without a digest of orch's; `None`
    /// where there are none, or where the files come to something else by now.
    async fn hashes(&self, project: &str, containers: &[Container]) -> Option<BTreeMap<String, String>> {
        let bare = containers.iter().filter(|container| stamp::digest(&container.labels).is_none());
        let bare: BTreeSet<&str> = bare.map(|container| container.service.as_str()).collect();
        let spec = self.memory().rendered.get(project).cloned().filter(|_| !bare.is_empty())?;
        let (now, recorded) = (Expected::of(&spec, &self.settings.key), self.expected(project));
        let same = |name: &&str| now.digests.get(*name) == recorded.digests.get(*name);
        let mut hashes = adopt::hashes(&spec, &self.tool).await.ok()?;
        hashes.retain(|name, _| bare.contains(name.as_str()) && same(&name.as_str()));
        Some(hashes)
    }

    /// A project in orch's words; `None` where nothing of it is left or it is not orch's.
    fn observed(
        &self,
        project: &str,
        containers: &[Container],
        hashes: Option<&BTreeMap<String, String>>,
    ) -> Option<ObservedObject> {
        if containers.is_empty() || !self.is_own(project, containers) {
            return None;
        }
        let id = object_id(project);
        let seen = sum_up(&self.expected(project), containers, hashes);
        let stamped = || containers.iter().find_map(|container| stamp::address(&container.labels));
        let (address, op_id, revision) = match (self.memory().made.get(project), self.known(project)) {
            (Some(made), _) => (made.address.clone(), made.op_id.clone(), made.revision),
            (None, Some(known)) => (known.address.clone(), known.op_id.clone(), known.revision),
            (None, None) => {
                // An attempt was cut off before its end was written: what it came to is for the next one to say.
                let address = stamped()?;
                let attempt = self.settings.pending.get(&address).cloned();
                (address, attempt.unwrap_or_else(|| OpId::new("compose")), Digest::of(b"unknown"))
            }
        };
        let is_up = matches!(
            seen.state,
            crate::model::ObjectState::Running
                | crate::model::ObjectState::Starting
                | crate::model::ObjectState::Restarting
        );
        Some(ObservedObject {
            incarnation: seen.incarnation,
            since: seen.since,
            restarts: seen.restarts,
            last_exit: seen.last_exit,
            drift: seen.drift,
            repair: seen.repair,
            reported: is_up.then_some(seen.health),
            parts: seen.parts.into_iter().map(|(name, trouble)| ObservedPart { name, trouble }).collect(),
            ..ObservedObject::new(BackendKind::Compose, id, op_id, address, revision, seen.state)
        })
    }

    /// Notes on a project whose images' names stand for other images by now: Compose would recreate these.
    async fn note_images(&self, engine: &Engine, containers: &[Container], observed: &mut ObservedObject) {
        let names: BTreeSet<&str> = containers.iter().map(|container| container.image_name.as_str()).collect();
        let ask = |name| async move { (name, engine.inspect_image(name).await.ok().and_then(|image| image.id)) };
        let now: BTreeMap<&str, Option<String>> =
            futures_util::future::join_all(names.into_iter().map(ask)).await.into_iter().collect();
        for container in containers {
            let moved = now.get(container.image_name.as_str()).and_then(Option::as_ref);
            if let Some(moved) = moved.filter(|id| **id != container.image) {
                let short = moved.get(.."sha256:".len() + 12).unwrap_or(moved);
                let detail =
                    format!("{} runs another image than {} is now ({short})", container.service, container.image_name);
                if let Some(part) = observed.parts.iter_mut().find(|part| part.name == container.service) {
                    part.trouble.get_or_insert_with(|| format!("{} is another image now", container.image_name));
                }
                observed.drift.push(Drift { kind: DriftKind::Image, detail });
                observed.repair = observed.is_up().then_some(Repair::Update);
            }
        }
    }
}

#[async_trait]
impl Observer for ComposeBackend {
    async fn list(&self) -> Result<Listing, BackendError> {
        let engine = self.engine().await?;
        let names = &self.settings.names;
        let all = look::projects(&engine, |name, labels| {
            names.contains(name) || labels.get(stamp::SCOPE) == Some(&self.settings.scope)
        });
        let mut objects = Vec::new();
        for (project, containers) in all.await? {
            let hashes = self.hashes(&project, &containers).await;
            let Some(mut observed) = self.observed(&project, &containers, hashes.as_ref()) else { continue };
            self.note_images(&engine, &containers, &mut observed).await;
            objects.push(observed);
        }
        Ok(objects.into())
    }

    async fn conflicts(&self, instances: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        let engine = self.engine().await?;
        let all = look::summaries(&engine, None).await?;
        let mut found = BTreeMap::new();
        for instance in instances {
            let Spec::Compose(spec) = &instance.service.spec else { continue };
            let conflicts = self.in_the_way(spec, &all, self.engines.is_local(None));
            if !conflicts.is_empty() {
                found.insert(instance.address.clone(), conflicts);
            }
        }
        Ok(found)
    }

    async fn inspect(&self, id: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        let project = project_of(id)?;
        let engine = self.engine().await?;
        let containers = look::of_project(&engine, project).await?;
        Ok(self.observed(project, &containers, None))
    }

    async fn render(&self, services: &[&Service]) -> Renderings {
        let specs = services.iter().filter_map(|service| match &service.spec {
            Spec::Compose(spec) => Some((service.name.clone(), ComposeSpec::clone(spec))),
            _ => None,
        });
        let render = |(name, spec): (_, ComposeSpec)| async move { (name, render::render(&spec, &self.tool).await) };
        let rendered = futures_util::future::join_all(specs.map(render)).await;
        let keep = |(name, spec): (crate::model::ServiceName, Result<ComposeSpec, BackendError>)| {
            if let Ok(spec) = &spec {
                self.memory().rendered.insert(spec.project_name.clone(), spec.clone());
            }
            (name, spec.map(|spec| Spec::Compose(Box::new(spec))))
        };
        rendered.into_iter().map(keep).collect()
    }

    /// Containers that are not labelled by orch are compared with what the files come to.
    fn lists_by_rendering(&self) -> bool {
        true
    }

    async fn candidates(
        &self,
        instances: &[&Instance],
        named: &BTreeMap<Address, String>,
    ) -> Result<Candidates, BackendError> {
        self.adoptable(instances, named).await
    }

    async fn locate(&self, id: &ObjectId, endpoint: &Endpoint, _: Vantage) -> Result<Option<Reach>, BackendError> {
        self.published(project_of(id)?, endpoint).await.map(Some)
    }

    async fn tail(&self, id: &ObjectId, lines: usize) -> Result<Vec<String>, BackendError> {
        self.last_lines(project_of(id)?, lines).await
    }

    async fn stream_log(&self, id: &ObjectId, query: LogQuery) -> Result<Option<LogStream>, BackendError> {
        self.stream(project_of(id)?, query).await.map(Some)
    }

    async fn log_files(&self, _: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Operator for ComposeBackend {
    async fn prepare(&self, op: &OpContext, instance: &Instance) -> Result<(), BackendError> {
        self.get_images(op, spec_of(instance)?).await
    }

    async fn exec(&self, id: &ObjectId, request: ExecRequest) -> Result<i32, BackendError> {
        self.run_inside(project_of(id)?, request).await
    }

    async fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError> {
        let spec = spec_of(instance)?;
        self.check_foreign(spec).await?;
        self.bring_up(op, instance, spec).await?;
        Ok(object_id(&spec.project_name))
    }

    async fn update(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let spec = spec_of(instance)?;
        let known = self.known(project_of(id)?);
        let op = OpContext { op_id: known.map_or_else(|| op.op_id.clone(), |known| known.op_id.clone()), ..op.clone() };
        self.bring_up(&op, instance, spec).await
    }

    async fn switch(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.remember(op, project_of(id)?).await?;
        self.bring_up(op, instance, spec_of(instance)?).await
    }

    async fn revert(&self, op: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        self.go_back(op, project_of(id)?).await
    }

    async fn start(&self, op: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        self.start_all(op, project_of(id)?).await
    }

    async fn stop(&self, op: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        self.stop_all(op, project_of(id)?).await
    }

    async fn restart(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.start_anew(op, project_of(id)?, instance).await
    }

    async fn remove(&self, op: &OpContext, id: &ObjectId, volumes: bool) -> Result<(), BackendError> {
        self.take_down(op, project_of(id)?, volumes).await
    }
}

/// What orch calls a project.
fn object_id(project: &str) -> ObjectId {
    ObjectId::new(format!("compose/{project}"))
}

/// The name of a project that is orch's object.
fn project_of(id: &ObjectId) -> Result<&str, BackendError> {
    id.as_str().strip_prefix("compose/").ok_or_else(|| BackendError::new(format!("{id} is not a Compose project")))
}

fn spec_of(instance: &Instance) -> Result<&ComposeSpec, BackendError> {
    match &instance.service.spec {
        Spec::Compose(spec) => Ok(spec),
        _ => Err(BackendError::new("Compose runs Compose projects, not this")),
    }
}
