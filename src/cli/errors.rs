//! Errors at the edge: what is shown, and which exit code each stands for.

use super::Exit;
use crate::ops::OpError;
use crate::package::PackageError;
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
        OpError::Package(error) => package(error, head, hint),
        _ => match error.hint() {
            Some(advice) => format!("{head} {error}\n{}", hint(&advice)),
            None => format!("{head} {error}"),
        },
    };
    // Where not even an error can be printed, the exit code still says what happened.
    let _ = output.note(text.trim_end());
    exit_of(error)
}

/// A package with all that is wrong with it, one problem on a line.
fn package(error: &PackageError, head: impl std::fmt::Display, hint: impl Fn(&str) -> String) -> String {
    let mut lines = vec![format!("{head} {}", error.summary())];
    lines.extend(error.problems().iter().map(|problem| format!("  - {problem}")));
    if error.more_problems() > 0 {
        lines.push(format!("  - and {} more", error.more_problems()));
    }
    lines.extend(error.hint().map(|advice| hint(&advice)));
    lines.join("\n")
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
        | OpError::Package(_)
        | OpError::Io { .. }
        | OpError::Request { .. } => Exit::Error,
    }
}
