//! The backend's own notion of health.

use std::time::Duration;

use super::command::{last_line, secrets};
use super::{ProbeAnswer, cause};
use crate::backend::{Command, Observer};
use crate::health::Target;
use crate::model::{EngineCheck, ObjectId, ObjectState, ObservedObject, Service, Spec, Text};

/// Healthy is what runs and what the backend itself does not call otherwise. Where a backend reports
/// health at all, only what it calls healthy is; before it first asked, its check is run at once.
pub(super) async fn probe(target: Target<'_>, service: &Service, limit: Duration) -> ProbeAnswer {
    let Some((observer, id)) = target else {
        return ProbeAnswer::unhealthy("backend: nothing runs that it could be asked about");
    };
    let object = match observer.inspect(id).await {
        Ok(Some(object)) => object,
        Ok(None) => return ProbeAnswer::unhealthy("backend: it is gone"),
        Err(error) => return ProbeAnswer::unhealthy(format!("backend: {}", cause(&error))),
    };
    let running = object.state == ObjectState::Running;
    if let Some(check) = unasked(&object, service)
        && passes_now(observer, id, check).await
    {
        return ProbeAnswer::healthy(format!("{}: its check passes, ahead of the engine's own", object.backend));
    }
    let own = if running { observer.own_check(id, limit).await } else { Ok(None) };
    let own = match own {
        Ok(own) => own,
        Err(error) => return ProbeAnswer::unhealthy(format!("backend: {}", cause(&error))),
    };
    // What has several parts says which of them keeps it from running.
    let says = running || !object.parts.is_empty();
    match own.or(object.reported).filter(|_| says) {
        // What a check of the engine said comes from inside, so it may hold what the service was given.
        Some(health) => ProbeAnswer {
            healthy: running && health.healthy,
            detail: last_line(health.detail.as_bytes(), &secrets(&[], service)).unwrap_or_default(),
        },
        None => ProbeAnswer { healthy: running, detail: format!("{}: {}", object.backend, object.state) },
    }
}

/// The check of the file, as long as an engine has not asked it yet: its first probe comes an interval
/// after the start, and a gate need not wait for that.
fn unasked<'s>(object: &ObservedObject, service: &'s Service) -> Option<&'s EngineCheck> {
    let Spec::Docker(spec) = &service.spec else { return None };
    let check = spec.check.as_ref()?;
    let waits = object.state == ObjectState::Running && object.reported.as_ref().is_some_and(|health| !health.healthy);
    // A clock that was set back makes it unknown, and then the engine's word is waited for.
    let age = std::time::Duration::try_from(crate::sys::now().duration_since(object.since?)).ok()?;
    (waits && age < check.interval).then_some(check)
}

/// Whether the very command of an engine's check passes inside the container.
async fn passes_now(observer: &dyn Observer, id: &ObjectId, check: &EngineCheck) -> bool {
    let command = match check.test.split_first() {
        Some((kind, rest)) if kind.reveal() == "CMD" => rest.to_vec(),
        Some((kind, [line])) if kind.reveal() == "CMD-SHELL" => {
            vec![Text::plain("/bin/sh"), Text::plain("-c"), line.clone()]
        }
        _ => return false,
    };
    let Some((program, args)) = command.split_first() else { return false };
    let answer = observer.probe_inside(id, &Command { program, args, timeout: check.timeout }).await;
    // What cannot be asked, or fails, is left to the engine's own probes.
    matches!(answer, Ok(Some(answer)) if answer.exit_code == 0)
}
