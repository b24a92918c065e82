//! `orch unlock`

use crate::cli::Exit;
use crate::cli::args::UnlockArgs;
use crate::cli::run::print;
use crate::cli::session::Session;
use crate::ops::OpError;

pub(super) fn run(args: &UnlockArgs, session: &mut Session) -> Result<Exit, OpError> {
    let project = session.project(None)?;
    let holder = project.store.unlock(&args.id)?;
    print(session, &format!("Removed the lock of {holder}.\n"))?;
    Ok(Exit::Done)
}
