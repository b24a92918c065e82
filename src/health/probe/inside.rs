//! A command that runs where the object runs: inside its container.

use std::time::Duration;

use super::command::{judge, last_line, masked, secrets};
use super::{ProbeAnswer, label};
use crate::backend::Command;
use crate::health::Target;
use crate::model::{Probe, Service};

/// Has a backend run the command of a check inside what it runs; `None` where that is this machine,
/// or the probe is no command. A script is a file of this machine and runs here.
///
/// The backend keeps to the limit: only it knows what becomes of a command that took too long.
pub(super) async fn probe(
    target: Target<'_>,
    service: &Service,
    probe: &Probe,
    limit: Duration,
) -> Option<ProbeAnswer> {
    let (observer, object) = target?;
    let Probe::Command { command, args, expected_exit_code } = probe else { return None };
    let label = label(probe);
    let asked = Command { program: command, args, timeout: limit };
    let secrets = secrets(args, service);
    match observer.probe_inside(object, &asked).await {
        Ok(None) => None,
        Ok(Some(answer)) => {
            let how = format!("{label} exited {}", answer.exit_code);
            let said = last_line(answer.output.as_bytes(), &secrets);
            Some(judge(how, Some(answer.exit_code), *expected_exit_code, said))
        }
        Err(error) => Some(ProbeAnswer::unhealthy(format!("{label}: {}", masked(error.message, &secrets)))),
    }
}
