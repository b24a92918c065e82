//! What is done to a project. Each step brings all of it where it is to be, so that it can be done again after
//! it was cut off anywhere.

use std::collections::BTreeSet;

use bollard::query_parameters::RestartContainerOptions;

use super::look::{self, Container, Doing};
use super::stamp::{self, Told};
use super::state::{Expected, sum_up};
use super::tool::Call;
use super::{ComposeBackend, Made, adopt, object_id, render};
use crate::backend::docker::failed;
use crate::backend::{BackendError, OpContext, ProgressSink};
use crate::model::{ComposePull, ComposeSpec, Instance, Spec};

impl ComposeBackend {
    /// Refuses a project that is there already and not orch's: Compose would take it over by its name.
    pub(super) async fn check_foreign(&self, spec: &ComposeSpec) -> Result<(), BackendError> {
        let name = &spec.project_name;
        let containers = look::of_project(&*self.engine().await?, name).await?;
        let Some(first) = containers.first().filter(|_| !self.is_own(name, &containers)) else { return Ok(()) };
        Err(BackendError::new(format!(
            "cannot bring up the Compose project {name}: one of this name is there already ({}), and orch did not make it",
            first.name
        ))
        .with_hint("take it over as it runs with `orch adopt`, or give this one another `project_name`"))
    }

    /// Brings a project to its definition.
    pub(super) async fn bring_up(
        &self,
        op: &OpContext,
        instance: &Instance,
        spec: &ComposeSpec,
    ) -> Result<(), BackendError> {
        let name = &spec.project_name;
        let Some(project) = &spec.rendered else {
            return Err(BackendError::new(format!("cannot bring up the Compose project {name}: it was not read")));
        };
        let bare = self.stay_bare(spec).await?;
        let definition = stamp::stamped(&self.settings, project, &op.address, &bare);
        let call = render::call_with(spec, &self.tool, definition).with(["up", "--detach"]);
        let flags = [
            (spec.remove_orphans && spec.services.is_empty(), &["--remove-orphans"][..]),
            (spec.build == Some(false), &["--no-build"]),
            // What is to be got at each change was got before.
            (spec.pull == Some(ComposePull::Always), &["--pull", "missing"]),
            (spec.pull == Some(ComposePull::Missing), &["--pull", "missing"]),
            (spec.pull == Some(ComposePull::Never), &["--pull", "never"]),
        ];
        let call =
            flags.into_iter().filter(|(on, _)| *on).fold(call, |call, (_, flag)| call.with(flag.iter().copied()));
        crate::crash_point!("compose.up.before");
        let doing = format!("bring up the Compose project {name}");
        let done = self.tool.change(name, &call, &doing, &op.progress).await;
        crate::crash_point!("compose.up.done");
        if let Err(error) = done {
            let error = self.with_troubled(name, error, &Expected::of(spec, &self.settings.key)).await;
            return Err(error.about(object_id(name)));
        }
        let made = Made {
            op_id: op.op_id.clone(),
            revision: instance.revision,
            address: op.address.clone(),
            expected: Expected::of(spec, &self.settings.key),
        };
        self.memory().made.insert(name.clone(), made);
        Ok(())
    }

    /// What Compose said, and which services it left not well.
    async fn with_troubled(&self, name: &str, error: BackendError, expected: &Expected) -> BackendError {
        let Ok(engine) = self.engine().await else { return error };
        let Ok(containers) = look::of_project(&engine, name).await else { return error };
        let failed = containers.into_iter().filter(|container| {
            matches!(container.doing, Doing::Failed(_) | Doing::CrashLoop(_) | Doing::Unhealthy(_))
        });
        let failed: Vec<Container> = failed.collect();
        if failed.is_empty() {
            return error;
        }
        let seen = sum_up(&Expected { digests: Default::default(), ..expected.clone() }, &failed, None);
        let detail = seen.health.detail.trim_start_matches("compose: ").to_owned();
        BackendError { message: format!("{} ({detail})", error.message), ..error }
    }

    /// The services of a project that was taken over whose containers are as they should be: labels of orch's
    /// would make Compose recreate them.
    async fn stay_bare(&self, spec: &ComposeSpec) -> Result<BTreeSet<String>, BackendError> {
        let name = &spec.project_name;
        let containers = look::of_project(&*self.engine().await?, name).await?;
        let is_bare = |container: &&Container| stamp::digest(&container.labels).is_none();
        if self.known(name).is_none() || !containers.iter().any(|container| is_bare(&container)) {
            return Ok(BTreeSet::new());
        }
        let hashes = adopt::hashes(spec, &self.tool).await?;
        let (wanted, recorded) = (Expected::of(spec, &self.settings.key), self.expected(name));
        let same = |container: &&Container| {
            let service = &container.service;
            let as_recorded = wanted.digests.get(service) == recorded.digests.get(service);
            as_recorded && container.hash() == hashes.get(service).map(String::as_str)
        };
        Ok(containers.iter().filter(is_bare).filter(same).map(|container| container.service.clone()).collect())
    }

    /// Gets the images that are missing, or all of them where that is asked for, and builds.
    pub(super) async fn get_images(&self, op: &OpContext, spec: &ComposeSpec) -> Result<(), BackendError> {
        let Some(project) = &spec.rendered else { return Ok(()) };
        let engine = self.engine().await?;
        let built = |name: &str| {
            project
                .services
                .get(name)
                .is_some_and(|service| service.beside.keys().any(|path| path.starts_with("build.")))
        };
        let mut missing = Vec::new();
        for (name, service) in &project.services {
            let Some(image) = service.made_from.get("image") else { continue };
            let policy = service.beside.get("pull_policy").map_or("", |policy| policy.reveal());
            if matches!(policy, "never" | "build") && !built(name) {
                continue;
            }
            if engine.inspect_image(image.reveal()).await.is_err() {
                missing.push(name.as_str());
            }
        }
        let definition = || render::call_with(spec, &self.tool, project.definition.reveal().to_owned());
        let name = &spec.project_name;
        let pulls = match spec.pull {
            Some(ComposePull::Always) => Some("always"),
            Some(ComposePull::Never) => None,
            _ => missing.iter().any(|service| !built(service)).then_some("missing"),
        };
        if let Some(policy) = pulls {
            let call = definition().with(["pull", "--ignore-buildable", "--policy", policy]);
            self.tool
                .change(name, &call, &format!("pull the images of the Compose project {name}"), &op.progress)
                .await?;
        }
        let builds: Vec<&str> = match spec.build {
            Some(true) => project.services.keys().map(String::as_str).filter(|name| built(name)).collect(),
            Some(false) => Vec::new(),
            None => missing.into_iter().filter(|name| built(name)).collect(),
        };
        // One that is built has no name in the file where it has no `image`: `up` builds it when it is missing.
        if !builds.is_empty() {
            let call = definition().with(["build"]).with(builds);
            let doing = format!("build the images of the Compose project {name}");
            self.tool.change(name, &call, &doing, &op.progress).await?;
        }
        Ok(())
    }

    /// Remembers what a project is before it changes, as its containers have it.
    pub(super) async fn remember(&self, op: &OpContext, name: &str) -> Result<(), BackendError> {
        if self.memory().previous.contains_key(&op.op_id) {
            return Ok(());
        }
        let engine = self.engine().await?;
        let containers = look::of_project(&engine, name).await?;
        let mut told = Vec::new();
        for container in &containers {
            let now = engine.inspect_image(&container.image_name).await.ok().and_then(|image| image.id);
            let image = Some(container.image.clone()).filter(|image| now.as_ref() != Some(image));
            told.push(Told { service: &container.service, id: &container.id, image, labels: &container.labels });
        }
        let previous = stamp::previous(&self.settings, name, &told);
        self.memory().previous.insert(op.op_id.clone(), previous);
        Ok(())
    }

    /// Brings back what a project was before the change of an attempt.
    pub(super) async fn go_back(&self, op: &OpContext, name: &str) -> Result<(), BackendError> {
        let doing = format!("bring back what the Compose project {name} was");
        let previous = self.memory().previous.get(&op.op_id).cloned();
        let containers = look::of_project(&*self.engine().await?, name).await?;
        let Some(Some(previous)) = previous else {
            // Nothing was changed by this attempt, or what was before did not say what it was made from.
            let recorded = self.known(name).map(|known| Expected::recorded(&known.fields)).unwrap_or_default();
            let seen = sum_up(&recorded, &containers, None);
            self.memory().made.remove(name);
            return match (previous, seen.drift.is_empty()) {
                (_, true) => Ok(()),
                (Some(_), false) => Err(BackendError::new(format!("cannot {doing}: orch did not make its containers"))
                    .with_hint("bring the Compose file back to what it was, and apply again")),
                (None, false) => Err(BackendError::new(format!(
                    "cannot {doing}: an earlier run was killed while it changed it, and the containers before are gone"
                ))
                .with_hint("bring the Compose file back to what it was, and apply again")),
            };
        };
        let is_left = |(_, ids): &(&String, &BTreeSet<String>)| {
            ids.iter().all(|id| containers.iter().any(|container| container.id == **id))
        };
        if let Some((service, _)) = previous.untold.iter().find(|untold| !is_left(untold)) {
            return Err(BackendError::new(format!("cannot {doing}: orch did not make the containers of `{service}`"))
                .with_hint("bring the Compose file back to what it was, and apply again"));
        }
        crate::crash_point!("compose.revert.before");
        let mut call = Call::of(name).with(["--file", "-", "up", "--detach", "--no-build"]);
        if previous.untold.is_empty() {
            call = call.with(["--remove-orphans"]);
        }
        call.secrets = self.secrets(name);
        call.stdin = Some(previous.definition);
        self.tool.change(name, &call, &doing, &ProgressSink::default()).await?;
        crate::crash_point!("compose.revert.done");
        self.memory().made.remove(name);
        Ok(())
    }

    /// What must not be shown of what Compose says about a project.
    fn secrets(&self, name: &str) -> Vec<String> {
        let spec = self.memory().rendered.get(name).cloned();
        spec.map(|spec| render::call_with(&spec, &self.tool, String::new()).secrets).unwrap_or_default()
    }

    pub(super) async fn start_all(&self, op: &OpContext, name: &str) -> Result<(), BackendError> {
        let call = Call::of(name).with(["start"]);
        self.tool.check().await?;
        self.tool.change(name, &call, &format!("start the Compose project {name}"), &op.progress).await?;
        crate::crash_point!("compose.start.done");
        Ok(())
    }

    /// Stops everything, each container by its own signal and within its own time.
    pub(super) async fn stop_all(&self, op: &OpContext, name: &str) -> Result<(), BackendError> {
        self.tool.check().await?;
        crate::crash_point!("compose.stop.before");
        let call = Call::of(name).with(["stop"]);
        self.tool.change(name, &call, &format!("stop the Compose project {name}"), &op.progress).await?;
        crate::crash_point!("compose.stop.done");
        Ok(())
    }

    /// Starts what is not well again, or all of it where all is well. `up` comes after it and not `restart`, which
    /// knows neither order nor health.
    pub(super) async fn start_anew(&self, op: &OpContext, name: &str, instance: &Instance) -> Result<(), BackendError> {
        let engine = self.engine().await?;
        let containers = look::of_project(&engine, name).await?;
        let seen = sum_up(&self.expected(name), &containers, None);
        let spec = match &instance.service.spec {
            Spec::Compose(spec) if spec.rendered.is_some() => Some(spec),
            _ => None,
        };
        let Some(spec) = spec else {
            self.stop_all(op, name).await?;
            crate::crash_point!("compose.restart.stopped");
            return self.start_all(op, name).await.map(|()| self.note_made(op, name, instance));
        };
        if seen.troubled.is_empty() {
            self.stop_all(op, name).await?;
            crate::crash_point!("compose.restart.stopped");
        }
        let is_unhealthy =
            |container: &&Container| matches!(container.doing, Doing::Unhealthy(_) | Doing::CrashLoop(_));
        for container in containers.iter().filter(is_unhealthy) {
            let restarted = engine.restart_container(&container.id, None::<RestartContainerOptions>).await;
            restarted.map_err(|error| failed(&format!("restart the container {}", container.name), &error))?;
        }
        self.bring_up(op, instance, spec).await
    }

    /// Remembers an attempt that started again what is recorded.
    fn note_made(&self, op: &OpContext, name: &str, instance: &Instance) {
        let made = Made {
            op_id: op.op_id.clone(),
            revision: instance.revision,
            address: op.address.clone(),
            expected: self.expected(name),
        };
        self.memory().made.insert(name.to_owned(), made);
    }

    /// Takes a project down, in order and gracefully, with its networks, and with its volumes where that is asked
    /// for. One that is gone is fine; one that is not orch's is left alone.
    pub(super) async fn take_down(&self, op: &OpContext, name: &str, volumes: bool) -> Result<(), BackendError> {
        let containers = look::of_project(&*self.engine().await?, name).await?;
        if !self.is_own(name, &containers) {
            return Ok(());
        }
        self.tool.check().await?;
        crate::crash_point!("compose.remove.before");
        let call = Call::of(name).with(["down"]).with(volumes.then_some("--volumes"));
        self.tool.change(name, &call, &format!("take down the Compose project {name}"), &op.progress).await?;
        crate::crash_point!("compose.remove.done");
        self.memory().made.remove(name);
        Ok(())
    }
}
