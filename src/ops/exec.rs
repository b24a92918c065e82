//! `orch exec`: a command in the container of a service.

use std::sync::Arc;

use super::find::find;
use super::{OpError, Project};
use crate::backend::{ExecRequest, Operator};
use crate::model::{Address, BackendKind, ObjectId};

/// Where a command is to run.
pub struct Inside {
    address: Address,
    object: ObjectId,
    operator: Arc<dyn Operator>,
}

impl Inside {
    /// Finds the container of a service, or of one copy of it.
    ///
    /// # Errors
    /// When the service is not known, does not run, or has no inside, as a process.
    pub async fn find(project: &Project, service: &str) -> Result<Self, OpError> {
        let found = find(project, service, true).await?;
        let address = found.address;
        let Some((kind, _, object)) = found.object else {
            return Err(OpError::request(
                format!("nothing of {address} runs, so no command can run in it"),
                "`orch status` shows what runs",
            ));
        };
        if !matches!(kind, BackendKind::Docker | BackendKind::Compose) {
            return Err(OpError::request(
                format!("{address} has no inside: its backend is `{kind}`"),
                "it runs on this machine: run the command in your own shell",
            ));
        }
        if !object.is_up() {
            return Err(OpError::request(
                format!("{address} is {}, so no command can run in it", object.state),
                format!("`orch start {address}` starts it"),
            ));
        }
        let state = project.store.read()?;
        let operators = project.operators(&project.key()?, &state);
        let operator = operators.get(kind).ok_or_else(|| {
            OpError::request(format!("there is no backend `{kind}`"), "`orch status` shows what runs")
        })?;
        Ok(Self { address, object: object.id, operator: operator.clone() })
    }

    /// Runs a command; its exit code.
    ///
    /// # Errors
    /// When it cannot be run, or its output cannot be written.
    pub async fn run(&self, request: ExecRequest) -> Result<i32, OpError> {
        let ran = self.operator.exec(&self.object, request).await;
        ran.map_err(|error| OpError::backend(format!("running a command in {}", self.address), error))
    }
}
