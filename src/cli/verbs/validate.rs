//! `orch validate`

use serde::Serialize;

use crate::cli::Exit;
use crate::cli::args::ValidateArgs;
use crate::cli::run::{print, print_json};
use crate::cli::session::Session;
use crate::config::{DiagnosticData, Diagnostics};
use crate::ops::OpError;

/// What `orch validate --json` prints.
#[derive(Debug, Serialize)]
struct Validated {
    valid: bool,
    errors: usize,
    warnings: usize,
    diagnostics: Vec<DiagnosticData>,
}

pub(super) fn run(args: &ValidateArgs, session: &mut Session) -> Result<Exit, OpError> {
    match session.project(None) {
        Ok(project) if args.json => {
            print_json(session, &data(project.warnings()))?;
            Ok(Exit::Done)
        }
        Ok(project) => {
            session.tell_warnings(&project);
            let desired = &project.loaded.desired;
            let (services, warnings) =
                (desired.services.keys().filter(|name| !name.is_network()).count(), project.warnings().list().len());
            let counted = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
            let rest = if warnings == 0 { String::new() } else { format!(", {}", counted(warnings, "warning")) };
            print(session, &format!("Valid: project {}, {}{rest}.\n", desired.project, counted(services, "service")))?;
            Ok(Exit::Done)
        }
        Err(OpError::Config(diagnostics)) if args.json => {
            print_json(session, &data(&diagnostics))?;
            Ok(Exit::Error)
        }
        Err(error) => Err(error),
    }
}

fn data(diagnostics: &Diagnostics) -> Validated {
    let errors = diagnostics.error_count();
    Validated {
        valid: errors == 0,
        errors,
        warnings: diagnostics.list().len() - errors,
        diagnostics: diagnostics.to_data(),
    }
}
