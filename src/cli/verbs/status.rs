//! `orch status`

use crate::cli::Exit;
use crate::cli::args::StatusArgs;
use crate::cli::run::{print, print_json, tell};
use crate::cli::session::{Session, block_on};
use crate::ops::{self, OpError};
use crate::report;
use crate::sys;

pub(super) fn run(args: &StatusArgs, session: &mut Session) -> Result<Exit, OpError> {
    let project = session.project(None)?;
    let names: Vec<String> = args.services.iter().map(ToString::to_string).collect();
    let status = block_on(ops::status(&project, &names))??;
    if args.json {
        print_json(session, &status.rows)?;
        return Ok(Exit::Done);
    }
    print(session, &report::status(&status.rows, sys::now(), session.output.look))?;
    if let Some(holder) = status.holder {
        tell(session, &format!("A run is under way: {holder}."))?;
    }
    Ok(Exit::Done)
}
