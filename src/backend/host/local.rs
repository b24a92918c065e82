//! Shells on this machine.

use std::process::Stdio;

use tokio::process::Command;

use super::Rights;
use super::process::{Intake, Process, command};
use crate::backend::{BackendError, Connection};

/// Starts a shell. It goes on when orch ends, as one on another machine does, and is in a process group of
/// its own, so that what a terminal sends to orch does not reach it.
pub(super) fn start(rights: Rights, intake: Intake) -> Result<Process, BackendError> {
    let failed = |error: &dyn std::fmt::Display| BackendError::new(format!("cannot run a script here: {error}"));
    let is_root = rustix::process::geteuid().is_root();
    let child = shell(command(rights, is_root, intake)).spawn().map_err(|error| failed(&error))?;
    Process::of(child).ok_or_else(|| failed(&"it has no pipes"))
}

/// Connects to a port.
pub(super) async fn dial(host: &str, port: u16) -> Result<Connection, BackendError> {
    match tokio::net::TcpStream::connect((host, port)).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => {
            let error = error.to_string().to_lowercase();
            let error = error.split(" (os error ").next().unwrap_or_default();
            Err(BackendError::new(error))
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "scripts are how the host backends do their work")]
fn shell(text: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(text).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
