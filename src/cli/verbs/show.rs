//! `orch show`

use crate::cli::Exit;
use crate::cli::args::ShowArgs;
use crate::cli::run::{print, print_json};
use crate::cli::session::Session;
use crate::ops::{self, OpError};
use crate::report::{plan_human, plan_markdown, records};
use crate::sys;

pub(super) fn run(args: &ShowArgs, session: &mut Session) -> Result<Exit, OpError> {
    match &args.plan {
        Some(path) => {
            let file = ops::read_plan(&session.path(path))?;
            match (args.json, args.markdown) {
                (true, _) => print_json(session, &file)?,
                (_, true) => print(session, &plan_markdown(&file.plan))?,
                _ => print(session, &plan_human(&file.plan, session.output.look))?,
            }
        }
        None => {
            let project = session.project(None)?;
            match args.json {
                true => print(session, &String::from_utf8_lossy(&ops::pull_state(&project)?))?,
                false => {
                    let state = ops::read_state(&project)?;
                    print(session, &records(&state, sys::now(), session.output.look))?;
                }
            }
        }
    }
    Ok(Exit::Done)
}
