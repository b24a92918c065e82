//! `orch import`

use crate::cli::Exit;
use crate::cli::args::{ImportArgs, ImportCommand};
use crate::cli::run::{print, tell};
use crate::cli::session::Session;
use crate::ops::{self, ImportFrom, OpError};
use crate::report::{Verbosity, import_findings};

pub(super) fn run(args: &ImportArgs, session: &mut Session) -> Result<Exit, OpError> {
    let output = match &args.command {
        ImportCommand::Compose(args) => &args.output,
        ImportCommand::Procfile(args) => &args.output,
        ImportCommand::Systemd(args) => &args.output,
    };
    let path = output.output.as_ref().map(|path| session.path(path));
    let folder = path.as_ref().and_then(|path| path.parent()).unwrap_or(&session.cwd).components().collect();
    let from = ImportFrom { files: Vec::new(), cwd: session.cwd.clone(), folder, env: session.environment().clone() };
    let imported = match &args.command {
        ImportCommand::Compose(args) => {
            let from = ImportFrom { files: args.files.clone(), ..from };
            ops::import_compose(&from, args.project_name.as_deref(), &args.env_files)?
        }
        ImportCommand::Procfile(args) => ops::import_procfile(&ImportFrom { files: vec![args.file.clone()], ..from })?,
        ImportCommand::Systemd(args) => ops::import_systemd(&from, &args.units, args.user)?,
    };
    match &path {
        Some(path) => ops::write_imported(path, &imported.text, output.force)?,
        None => print(session, &imported.text)?,
    }
    if session.verbosity > Verbosity::Quiet || path.is_none() {
        for line in import_findings(&imported) {
            tell(session, &line)?;
        }
    }
    if let Some(path) = &path {
        let next = if matches!(args.command, ImportCommand::Compose(_)) {
            "`orch adopt` takes over what runs"
        } else {
            "`orch plan`"
        };
        tell(session, &format!("Wrote {}. Next: {next}.", path.display()))?;
    }
    Ok(Exit::Done)
}
