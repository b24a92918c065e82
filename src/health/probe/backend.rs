//! The backend's own notion of health.

use super::command::{last_line, secrets};
use super::{ProbeAnswer, cause};
use crate::health::Target;
use crate::model::{ObjectState, Service};

/// Healthy is what runs and what the backend itself does not call otherwise. Where a backend reports
/// health at all, only what it calls healthy is.
pub(super) async fn probe(target: Target<'_>, service: &Service) -> ProbeAnswer {
    let Some((observer, id)) = target else {
        return ProbeAnswer::unhealthy("backend: nothing runs that it could be asked about");
    };
    let object = match observer.inspect(id).await {
        Ok(Some(object)) => object,
        Ok(None) => return ProbeAnswer::unhealthy("backend: it is gone"),
        Err(error) => return ProbeAnswer::unhealthy(format!("backend: {}", cause(&error))),
    };
    let running = object.state == ObjectState::Running;
    match object.reported.filter(|_| running) {
        // What a check of the engine said comes from inside, so it may hold what the service was given.
        Some(health) => ProbeAnswer {
            healthy: health.healthy,
            detail: last_line(health.detail.as_bytes(), &secrets(&[], service)).unwrap_or_default(),
        },
        None => ProbeAnswer { healthy: running, detail: format!("{}: {}", object.backend, object.state) },
    }
}
