//! What the engine says about a container or a network, in orch's words.

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum as Status, Health as EngineHealth,
    HealthStatusEnum, NetworkInspect,
};
use jiff::Timestamp;

use super::drift;
use super::labels::{self, Stamp};
use super::object::{Object, ObjectKind};
use super::{DockerSettings, Known};
use crate::model::{BackendKind, Exit, Health, ObjectState, ObservedObject};

/// How many restarts in a row make a crash loop; as for a process.
const CRASH_LOOP: i64 = 5;

/// How long a run must have lasted not to count as a crash at the start; the engine, too, takes its
/// restarts to be in a row only below that.
const LASTED: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);

/// A container in orch's words; `None` for one that is being removed, or is neither labelled as this
/// project's nor recorded.
pub(super) fn container(
    settings: &DockerSettings,
    host: Option<&str>,
    found: &ContainerInspectResponse,
) -> Option<ObservedObject> {
    let id = found.id.clone()?;
    let object = Object { host: host.map(str::to_owned), kind: ObjectKind::Container, id };
    let config = found.config.as_ref();
    let own = config.and_then(|config| config.labels.as_ref()).filter(|labels| labels::is_own(settings, labels));
    let (stamp, known) = stamp(settings, &object, own.and_then(labels::stamp))?;
    let state = found.state.as_ref()?;
    if state.status == Some(Status::REMOVING) {
        return None;
    }
    let started = time(state.started_at.as_ref());
    let restarts = found.restart_count.unwrap_or(0);
    let exit = exit(state);
    let now = crate::sys::now();
    let state_now = of_state(state, restarts, now);
    let is_up = matches!(state_now, ObjectState::Running | ObjectState::Starting | ObjectState::Restarting);
    let since = match &state_now {
        ObjectState::Running | ObjectState::Starting => started,
        _ => time(state.finished_at.as_ref()),
    };
    let short = object.id.get(..12).unwrap_or(&object.id);
    let mut observed = ObservedObject {
        incarnation: (state.running == Some(true))
            .then(|| format!("{short} {}", state.started_at.as_deref().unwrap_or_default())),
        pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
        since,
        restarts: u32::try_from(restarts).unwrap_or(0),
        last_exit: (restarts > 0 || !is_up).then_some(exit),
        reported: is_up.then(|| reported(state.health.as_ref())),
        ..ObservedObject::new(
            BackendKind::Docker,
            object.object_id(),
            stamp.op_id.clone(),
            stamp.address.clone(),
            stamp.revision,
            state_now,
        )
    };
    drift::note(settings, found, &stamp, known, own.is_some(), &mut observed);
    Some(observed)
}

/// A network in orch's words; `None` for one that is neither labelled as this project's nor recorded.
pub(super) fn network(settings: &DockerSettings, host: Option<&str>, found: &NetworkInspect) -> Option<ObservedObject> {
    let object = Object { host: host.map(str::to_owned), kind: ObjectKind::Network, id: found.id.clone()? };
    let own = found.labels.as_ref().filter(|labels| labels::is_own(settings, labels));
    let (stamp, _) = stamp(settings, &object, own.and_then(labels::stamp))?;
    Some(ObservedObject {
        incarnation: Some(object.id.clone()),
        since: time(found.created.as_ref()),
        ..ObservedObject::new(
            BackendKind::Docker,
            object.object_id(),
            stamp.op_id,
            stamp.address,
            stamp.revision,
            ObjectState::Running,
        )
    })
}

/// What is recorded about an object goes before its labels, which cannot change.
fn stamp<'s>(
    settings: &'s DockerSettings,
    object: &Object,
    label: Option<Stamp>,
) -> Option<(Stamp, Option<&'s Known>)> {
    match settings.known.get(&object.object_id()) {
        Some(known) => {
            let stamp = Stamp { address: known.address.clone(), op_id: known.op_id.clone(), revision: known.revision };
            Some((stamp, Some(known)))
        }
        None => Some((label?, None)),
    }
}

pub(in crate::backend) fn of_state(state: &ContainerState, restarts: i64, now: Timestamp) -> ObjectState {
    let started = time(state.started_at.as_ref());
    match state.status {
        Some(Status::RUNNING | Status::STOPPING) => {
            let young = started.is_some_and(|started| now.duration_since(started) < LASTED);
            if restarts >= CRASH_LOOP && young { ObjectState::Restarting } else { ObjectState::Running }
        }
        Some(Status::PAUSED) => ObjectState::Running,
        Some(Status::RESTARTING) => {
            let ran = started.zip(time(state.finished_at.as_ref())).map(|(start, end)| end.duration_since(start));
            let crashed = restarts >= CRASH_LOOP && ran.is_none_or(|ran| ran < LASTED);
            if crashed { ObjectState::CrashLoop(exit(state)) } else { ObjectState::Restarting }
        }
        Some(Status::EXITED) => ObjectState::Exited(exit(state)),
        // Made and never started: a run was killed in between.
        Some(Status::CREATED) => ObjectState::Stopped,
        _ => ObjectState::Lost,
    }
}

/// How it ended; the engine reports a signal as 128 and its number, as a shell does.
pub(in crate::backend) fn exit(state: &ContainerState) -> Exit {
    let code = state.exit_code.and_then(|code| i32::try_from(code).ok());
    let out_of_memory = state.oom_killed.unwrap_or(false);
    match code {
        Some(code @ 129..=192) => Exit { code: None, signal: Some(code - 128), out_of_memory },
        code => Exit { code, signal: None, out_of_memory },
    }
}

/// What the engine says of the health of what is up. No health check is not healthy.
fn reported(health: Option<&EngineHealth>) -> Health {
    let last = health.and_then(|health| health.log.as_ref()?.last());
    let output = last.and_then(|result| result.output.as_deref()?.lines().rev().find(|line| !line.trim().is_empty()));
    let output = output.map(|line| format!(": {}", line.trim())).unwrap_or_default();
    let (healthy, detail) = match health.and_then(|health| health.status) {
        Some(HealthStatusEnum::HEALTHY) => (true, format!("docker: healthy{output}")),
        Some(HealthStatusEnum::STARTING) => (false, format!("docker: starting{output}")),
        Some(HealthStatusEnum::UNHEALTHY) => (false, format!("docker: unhealthy{output}")),
        _ => (false, "docker: neither the file nor the image has a health check (`test`)".to_owned()),
    };
    Health { healthy, detail }
}

/// A time of the engine; what never happened is the year 1 there.
pub(in crate::backend) fn time(text: Option<&String>) -> Option<Timestamp> {
    text?.parse::<Timestamp>().ok().filter(|time| *time > Timestamp::UNIX_EPOCH)
}
