//! Errors at the edge: what is shown, and which exit code each stands for.

use super::Exit;
use crate::ops::OpError;
use crate::plan::PlanFileError;
use crate::report::{Output, Paint};
use crate::state::StateError;

/// Shows an error with its hint, and gives the exit code that it stands for.
pub(super) fn report(output: &mut Output, error: &OpError) -> Exit {
    let look = output.err_look;
    let head = look.paint(Paint::Red, "Error:");
    let hint = |hint: &str| format!("  {} {hint}", look.paint(Paint::Dim, "help:"));
    let text = match error {
        OpError::Config(diagnostics) => diagnostics.render(look.color, look.width.unwrap_or(100)),
        OpError::Plan(errors) => {
            let lines = errors.iter().map(|error| format!("{head} {error}\n{}", hint(error.hint())));
            lines.collect::<Vec<_>>().join("\n")
        }
        _ => match error.hint() {
            Some(advice) => format!("{head} {error}\n{}", hint(&advice)),
            None => format!("{head} {error}"),
        },
    };
    // Where not even an error can be printed, the exit code still says what happened.
    let _ = output.note(text.trim_end());
    exit_of(error)
}

fn exit_of(error: &OpError) -> Exit {
    match error {
        OpError::State(StateError::Locked { .. }) => Exit::Locked,
        OpError::Refused { .. } => Exit::PlanRefused,
        OpError::PlanFile { source: PlanFileError::Altered | PlanFileError::Format { .. }, .. } => Exit::PlanRefused,
        OpError::Config(_)
        | OpError::State(_)
        | OpError::Plan(_)
        | OpError::PlanFile { source: PlanFileError::Malformed(_), .. }
        | OpError::Backend { .. }
        | OpError::Io { .. }
        | OpError::Request { .. } => Exit::Error,
    }
}
