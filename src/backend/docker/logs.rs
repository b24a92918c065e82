//! The log of a container.

use bollard::Docker;

use crate::backend::{BackendError, LogQuery, LogStream};

/// The log as it comes.
pub(super) async fn stream(_engine: &Docker, _container: &str, _query: LogQuery) -> Result<LogStream, BackendError> {
    Err(BackendError::new("not built yet"))
}

/// The last lines, oldest first, without their time stamps.
pub(super) async fn tail(_engine: &Docker, _container: &str, _lines: usize) -> Result<Vec<String>, BackendError> {
    Err(BackendError::new("not built yet"))
}
