//! Scripts on this machine.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{Output, Rights, Script};
use crate::backend::BackendError;

/// How much of what a script complains about is kept, in bytes.
const COMPLAINT: usize = 2000;

pub(super) async fn run(rights: Rights, script: &Script) -> Result<Output, BackendError> {
    let failed = |error: &dyn std::fmt::Display| BackendError::new(format!("cannot run a script here: {error}"));
    let mut child = command(rights).spawn().map_err(|error| failed(&error))?;
    let mut stdin = child.stdin.take().ok_or_else(|| failed(&"it has no input"))?;
    let ran = async {
        // A shell that ended early does not read all of it; how it ended says more than that.
        let _ = stdin.write_all(script.text().as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await
    };
    let output = match tokio::time::timeout(script.timeout(), ran).await {
        Ok(output) => output.map_err(|error| failed(&error))?,
        Err(_) => return Err(failed(&format!("no end within {:?}", script.timeout()))),
    };
    let status = output.status;
    let complaint = String::from_utf8_lossy(&output.stderr[output.stderr.len().saturating_sub(COMPLAINT)..]);
    Ok(Output {
        code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        stdout: output.stdout,
        stderr: complaint.trim().to_owned(),
    })
}

#[expect(clippy::disallowed_methods, reason = "scripts are how the host backends do their work")]
fn command(rights: Rights) -> Command {
    let root = rights == Rights::Login || rustix::process::geteuid().is_root();
    let mut command = Command::new(if root { "/bin/sh" } else { "sudo" });
    if !root {
        command.args(["-n", "/bin/sh"]);
    }
    command.arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}
