//! Containers that are not orch's and could be one of its instances.

use bollard::Docker;

use crate::backend::{BackendError, Candidate};
use crate::model::Instance;

/// What of one engine could be one of these instances, the best match first.
pub(super) async fn candidates(_engine: &Docker, _instances: &[&Instance]) -> Result<Vec<Candidate>, BackendError> {
    Ok(Vec::new())
}
