//! What is done to a container. Each step is idempotent: a run that was killed anywhere in it is
//! followed by the same step, or by one that observation led to.

use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum as Status, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions, RenameContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;

use super::connect::Engine;
use super::error::{failed, is_missing, status};
use super::{DockerSettings, container, labels, network, pull};
use crate::backend::{BackendError, OpContext, ProgressSink};
use crate::model::{DockerSpec, Drift, DriftKind, Instance, MountSource, ObservedObject, OpId};

/// How long a stop may take at most as far as the connection goes: the container has its own time, and
/// the step that waits has its own too.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// An engine, and what is told about the project: what every step works with.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) engine: &'a Engine,
    pub(super) settings: &'a DockerSettings,
}

impl Site<'_> {
    /// Makes and starts a container; its engine id. Where it cannot be started it is removed again:
    /// nothing ever ran in it that could be looked at.
    pub(super) async fn create(
        self,
        spec: &DockerSpec,
        op: &OpContext,
        instance: &Instance,
    ) -> Result<String, BackendError> {
        let Self { engine, settings } = self;
        let name = match &spec.container_name {
            Some(name) => name.clone(),
            None => labels::container_name(settings, &op.address, &op.op_id),
        };
        if spec.container_name.is_some() {
            self.free_name(&name, &op.op_id).await?;
        }
        self.ensure_volumes(spec).await?;
        let image = pull::ensure(engine, spec, instance.pin.as_deref(), &ProgressSink::default()).await?;
        let stamps = labels::of(settings, op, instance);
        let body = container::body(settings, spec, &op.address.service, image, stamps);
        crate::crash_point!("docker.create.before");
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let id = match engine.create_container(Some(options), body).await {
            Ok(made) => made.id,
            Err(error) if status(&error) == Some(409) => self.own_attempt(&name, &op.op_id).await?,
            Err(error) => return Err(failed(&format!("make the container {name}"), &error)),
        };
        crate::crash_point!("docker.create.made");
        let started = match network::join(engine, settings, &id, spec, &op.address.service).await {
            Ok(()) => self.start(&id).await,
            Err(error) => Err(error),
        };
        if let Err(error) = started {
            // The first error is the one to tell; what cannot be removed now is swept by the next plan.
            let _ = self.remove(&id, false).await;
            return Err(error);
        }
        crate::crash_point!("docker.create.started");
        self.sweep_late(op).await?;
        Ok(id)
    }

    /// Removes what the attempt before left without anybody having seen it: the engine may carry out a
    /// request of a killed orch after the next plan has looked. By now it has, and it was never started.
    async fn sweep_late(self, op: &OpContext) -> Result<(), BackendError> {
        let Some(attempt) = self.settings.pending.get(&op.address).filter(|attempt| **attempt != op.op_id) else {
            return Ok(());
        };
        let name = labels::container_name(self.settings, &op.address, attempt);
        let Some(found) = self.inspect(&name).await? else { return Ok(()) };
        let unstarted = found.state.as_ref().is_some_and(|state| state.status == Some(Status::CREATED));
        match &found.id {
            Some(late) if unstarted && self.is_own(&found) => self.remove(late, false).await,
            _ => Ok(()),
        }
    }

    /// The container that has a name, when this very attempt made it before it was cut off.
    async fn own_attempt(self, name: &str, op_id: &OpId) -> Result<String, BackendError> {
        let found = self.inspect(name).await?;
        let made_here = found.as_ref().is_some_and(|found| label(found, labels::OP) == Some(op_id.as_str()));
        match found.and_then(|found| found.id) {
            Some(id) if made_here => Ok(id),
            _ => Err(BackendError::new(format!("cannot make the container {name}: another container has this name"))
                .with_hint(format!(
                    "rename or remove it (`docker rename {name} ...`), or take it over with `orch adopt`"
                ))),
        }
    }

    /// Lets the old container of the same service have another name, so that the new one gets the
    /// fixed name; a rollback gives it back. Another's container is left alone.
    async fn free_name(self, name: &str, op_id: &OpId) -> Result<(), BackendError> {
        let Some(found) = self.inspect(name).await? else { return Ok(()) };
        let (Some(id), true) = (&found.id, self.is_own(&found)) else { return Ok(()) };
        let made_by = label(&found, labels::OP).unwrap_or("before");
        if made_by == op_id.as_str() {
            return Ok(());
        }
        let parked = format!("{name}.{}", labels::attempt(&OpId::new(made_by)));
        self.rename(id, &parked).await?;
        crate::crash_point!("docker.create.parked");
        Ok(())
    }

    /// Whether a container is this project's: labelled as such, or recorded.
    pub(super) fn is_own(self, found: &ContainerInspectResponse) -> bool {
        let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
        let known = found.id.as_ref().map(|id| format!("container/{id}"));
        labels.is_some_and(|found| labels::is_own(self.settings, found))
            || known.is_some_and(|id| self.settings.known.keys().any(|known| known.as_str().ends_with(&id)))
    }

    async fn ensure_volumes(self, spec: &DockerSpec) -> Result<(), BackendError> {
        for mount in &spec.mounts {
            let MountSource::Volume { name, external } = &mount.source else { continue };
            if *external {
                match self.engine.inspect_volume(name).await {
                    Ok(_) => {}
                    Err(error) if is_missing(&error) => {
                        return Err(BackendError::new(format!("the external volume {name} does not exist")).with_hint(
                            format!("make it with `docker volume create {name}`, or take `external` away"),
                        ));
                    }
                    Err(error) => return Err(failed(&format!("look at the volume {name}"), &error)),
                }
                continue;
            }
            let name = labels::shared_name(self.settings, name);
            let request = VolumeCreateRequest {
                name: Some(name.clone()),
                labels: Some(labels::owner(self.settings)),
                ..VolumeCreateRequest::default()
            };
            let made = self.engine.create_volume(request).await;
            made.map_err(|error| failed(&format!("make the volume {name}"), &error))?;
        }
        Ok(())
    }

    /// Changes what can change while a container runs: its limits, its restart rule, the networks that
    /// it lost, its name, a pause.
    pub(super) async fn update(self, id: &str, spec: &DockerSpec, op: &OpContext) -> Result<(), BackendError> {
        let Self { engine, settings } = self;
        let Some(found) = self.inspect(id).await? else {
            return Err(BackendError::new("cannot update the container: it is gone"));
        };
        if found.state.as_ref().and_then(|state| state.paused) == Some(true) {
            engine.unpause_container(id).await.map_err(|error| failed("let the container run on", &error))?;
        }
        let updated = engine.update_container(id, container::update(spec)).await;
        updated.map_err(|error| failed("update the container", &error))?;
        crate::crash_point!("docker.update.limits");
        network::join(engine, settings, id, spec, &op.address.service).await?;
        let made_by = label(&found, labels::OP).map(OpId::new);
        let usual = spec.container_name.clone();
        let usual = usual.or_else(|| Some(labels::container_name(settings, &op.address, &made_by?)));
        if let Some(usual) = usual.filter(|usual| *usual != name(&found)) {
            self.rename(id, &usual).await?;
        }
        crate::crash_point!("docker.update.done");
        Ok(())
    }

    /// Starts a container; one that runs is left alone.
    pub(super) async fn start(self, id: &str) -> Result<(), BackendError> {
        crate::crash_point!("docker.start.before");
        let started = self.engine.start_container(id, None).await;
        started.map_err(|error| failed("start the container", &error))?;
        crate::crash_point!("docker.start.done");
        Ok(())
    }

    /// Gives a container that was parked for a fixed name this name back, and starts it.
    pub(super) async fn start_again(self, id: &str) -> Result<(), BackendError> {
        let found = self.inspect(id).await?;
        let parked = found.as_ref().and_then(|found| {
            let usual =
                name(found).strip_suffix(&format!(".{}", labels::attempt(&OpId::new(label(found, labels::OP)?))))?;
            Some(usual.to_owned())
        });
        if let Some(usual) = parked
            && self.inspect(&usual).await?.is_none()
        {
            self.rename(id, &usual).await?;
        }
        self.start(id).await
    }

    /// Stops a container as it was made to be stopped: by its signal, within its time.
    pub(super) async fn stop(self, id: &str) -> Result<(), BackendError> {
        crate::crash_point!("docker.stop.before");
        let stopped = self.engine.patient(GRACE).stop_container(id, None).await;
        stopped.map_err(|error| failed("stop the container", &error))?;
        crate::crash_point!("docker.stop.done");
        Ok(())
    }

    pub(super) async fn restart(self, id: &str) -> Result<(), BackendError> {
        let paused = self.inspect(id).await?.and_then(|found| found.state).and_then(|state| state.status);
        if paused == Some(Status::PAUSED) {
            self.engine.unpause_container(id).await.map_err(|error| failed("let the container run on", &error))?;
        }
        crate::crash_point!("docker.restart.before");
        let restarted = self.engine.patient(GRACE).restart_container(id, None).await;
        restarted.map_err(|error| failed("restart the container", &error))?;
        crate::crash_point!("docker.restart.done");
        Ok(())
    }

    /// Stops a container, removes it with its unnamed volumes, and, where that is asked for, with the
    /// named ones that are this project's and that nobody else uses. One that is gone is fine.
    pub(super) async fn remove(self, id: &str, volumes: bool) -> Result<(), BackendError> {
        let Some(found) = self.inspect(id).await? else { return Ok(()) };
        if found.state.as_ref().is_some_and(|state| state.running == Some(true)) {
            match self.engine.patient(GRACE).stop_container(id, None).await {
                Ok(()) => {}
                Err(error) if is_missing(&error) => return Ok(()),
                Err(error) => return Err(failed("stop the container", &error)),
            }
        }
        crate::crash_point!("docker.remove.stopped");
        let options = RemoveContainerOptionsBuilder::default().v(true).force(true).build();
        match self.engine.remove_container(id, Some(options)).await {
            Ok(()) => {}
            Err(error) if is_missing(&error) => {}
            // Somebody else is removing it, or the run before was killed in the middle of that.
            Err(error) if status(&error) == Some(409) => self.until_removed(id).await?,
            Err(error) => return Err(failed("remove the container", &error)),
        }
        crate::crash_point!("docker.remove.removed");
        if volumes {
            self.remove_volumes(&found).await?;
        }
        Ok(())
    }

    async fn until_removed(self, id: &str) -> Result<(), BackendError> {
        let options = WaitContainerOptionsBuilder::default().condition("removed").build();
        let engine = self.engine.patient(GRACE);
        let mut wait = engine.wait_container(id, Some(options));
        while let Some(answer) = wait.next().await {
            match answer {
                Ok(_) => {}
                Err(error) if is_missing(&error) => return Ok(()),
                // The exit code of the container itself.
                Err(bollard::errors::Error::DockerContainerWaitError { .. }) => {}
                Err(error) => return Err(failed("wait for the container to be removed", &error)),
            }
        }
        Ok(())
    }

    async fn remove_volumes(self, found: &ContainerInspectResponse) -> Result<(), BackendError> {
        for name in found.mounts.iter().flatten().filter_map(|mount| mount.name.as_deref()) {
            let own = match self.engine.inspect_volume(name).await {
                Ok(volume) => labels::is_own(self.settings, &volume.labels),
                Err(_) => false,
            };
            if !own {
                continue;
            }
            match self.engine.remove_volume(name, None::<RemoveVolumeOptions>).await {
                Ok(()) => {}
                // Gone already, or another container still uses it.
                Err(error) if matches!(status(&error), Some(404 | 409)) => {}
                Err(error) => return Err(failed(&format!("remove the volume {name}"), &error)),
            }
            crate::crash_point!("docker.remove.volume");
        }
        Ok(())
    }

    async fn rename(self, id: &str, to: &str) -> Result<(), BackendError> {
        let options = RenameContainerOptionsBuilder::default().name(to).build();
        let renamed = self.engine.rename_container(id, options).await;
        renamed.map_err(|error| failed(&format!("rename the container to {to}"), &error))
    }

    /// Notes on containers of one image when the engine no longer has it: they run on, but nothing
    /// could be made from it any more.
    pub(super) async fn note_image(
        self,
        image: String,
        mut containers: Vec<ObservedObject>,
    ) -> Result<Vec<ObservedObject>, BackendError> {
        match self.engine.inspect_image(&image).await {
            Ok(_) => {}
            Err(error) if is_missing(&error) => {
                let short = image.get(.."sha256:".len() + 12).unwrap_or(&image);
                let detail = format!("its image {short} is no longer on the engine");
                let drift = Drift { kind: DriftKind::Image, detail };
                containers.iter_mut().for_each(|container| container.drift.push(drift.clone()));
            }
            Err(error) => return Err(failed(&format!("look at the image {image}"), &error)),
        }
        Ok(containers)
    }

    /// A container by its id or name; `None` when there is none.
    pub(super) async fn inspect(self, container: &str) -> Result<Option<ContainerInspectResponse>, BackendError> {
        match self.engine.inspect_container(container, None).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed("look at the container", &error)),
        }
    }
}

fn label<'f>(found: &'f ContainerInspectResponse, name: &str) -> Option<&'f str> {
    found.config.as_ref()?.labels.as_ref()?.get(name).map(String::as_str)
}

fn name(found: &ContainerInspectResponse) -> &str {
    found.name.as_deref().unwrap_or_default().trim_start_matches('/')
}
