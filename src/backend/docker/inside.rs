//! Commands inside a container, for probes and for `orch exec`.

use bollard::Docker;

use crate::backend::{Answer, BackendError, Command, ExecRequest};

/// Runs a command that probes a container.
pub(super) async fn probe(_engine: &Docker, _container: &str, _command: &Command<'_>) -> Result<Answer, BackendError> {
    Err(BackendError::new("not built yet"))
}

/// Runs a command with the caller's terminal or pipes; its exit code.
pub(super) async fn exec(_engine: &Docker, _container: &str, _request: ExecRequest) -> Result<i32, BackendError> {
    Err(BackendError::new("not built yet"))
}
