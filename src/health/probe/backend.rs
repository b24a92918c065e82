//! The backend's own notion of health.

use super::{ProbeAnswer, cause};
use crate::health::Target;
use crate::model::ObjectState;

/// Healthy is what runs: the backends that there are know no finer state.
pub(super) async fn probe(target: Target<'_>) -> ProbeAnswer {
    let Some((observer, id)) = target else {
        return ProbeAnswer::unhealthy("backend: nothing runs that it could be asked about");
    };
    match observer.inspect(id).await {
        Ok(Some(object)) => ProbeAnswer {
            healthy: object.state == ObjectState::Running,
            detail: format!("{}: {}", object.backend, object.state),
        },
        Ok(None) => ProbeAnswer::unhealthy("backend: it is gone"),
        Err(error) => ProbeAnswer::unhealthy(format!("backend: {}", cause(&error))),
    }
}
