//! Gets images, with progress.

use bollard::Docker;

use crate::backend::{BackendError, ProgressSink};
use crate::model::DockerSpec;

/// Makes the engine have the image that a pin stands for; what to make a container from.
pub(super) async fn ensure(
    _engine: &Docker,
    spec: &DockerSpec,
    _pin: Option<&str>,
    _progress: &ProgressSink,
) -> Result<String, BackendError> {
    Ok(spec.image.clone())
}
