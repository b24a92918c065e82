//! `orch history`

use crate::cli::Exit;
use crate::cli::args::HistoryArgs;
use crate::cli::run::{print, print_json};
use crate::cli::session::Session;
use crate::ops::{self, OpError};
use crate::report;

pub(super) fn run(args: &HistoryArgs, session: &mut Session) -> Result<Exit, OpError> {
    let project = session.project(None)?;
    let runs = ops::history(&project, args.lines)?;
    match args.json {
        true => print_json(session, &runs)?,
        false => print(session, &report::history(&runs, session.output.look))?,
    }
    Ok(Exit::Done)
}
