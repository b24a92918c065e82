//! `orch state`

use crate::cli::Exit;
use crate::cli::args::{StateArgs, StateCommand};
use crate::cli::run::{on_wait, print};
use crate::cli::session::Session;
use crate::ops::{self, OpError};
use crate::report::{record_details, records};
use crate::sys;

pub(super) fn run(args: &StateArgs, session: &mut Session) -> Result<Exit, OpError> {
    let project = session.project(None)?;
    match &args.command {
        StateCommand::List(_) => {
            let state = ops::read_state(&project)?;
            print(session, &records(&state, sys::now(), session.output.look))?;
        }
        StateCommand::Show(args) => {
            let state = ops::read_state(&project)?;
            let details = record_details(&state, &args.address, sys::now(), session.output.look);
            let details = details.ok_or_else(|| OpError::Request {
                message: format!("nothing is recorded of {}", args.address),
                hint: "`orch state list` lists what is recorded".to_owned(),
            })?;
            print(session, &details)?;
        }
        StateCommand::Mv(args) => {
            let lock = session.lock("state mv", args.lock_timeout);
            ops::move_record(&project, &args.from, &args.to, &lock, on_wait(session))?;
            print(session, &format!("{} is recorded as {} now.\n", args.from, args.to))?;
        }
        StateCommand::Rm(args) => {
            let lock = session.lock("state rm", args.lock_timeout);
            ops::remove_records(&project, &args.addresses, &lock, on_wait(session))?;
            let names: Vec<_> = args.addresses.iter().map(ToString::to_string).collect();
            print(session, &format!("Forgot {}. What runs goes on running.\n", names.join(", ")))?;
        }
        StateCommand::Pull(_) => {
            let bytes = ops::pull_state(&project)?;
            print(session, &String::from_utf8_lossy(&bytes))?;
        }
        StateCommand::Push(args) => {
            let lock = session.lock("state push", args.lock_timeout);
            ops::push_state(&project, &session.path(&args.file), args.force, &lock, on_wait(session))?;
            print(session, &format!("{} is the recorded state now.\n", args.file.display()))?;
        }
    }
    Ok(Exit::Done)
}
