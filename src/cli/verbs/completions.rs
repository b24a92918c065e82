//! `orch completions`

use clap::CommandFactory as _;

use crate::cli::Exit;
use crate::cli::args::{Cli, CompletionsArgs};
use crate::cli::run::print;
use crate::cli::session::Session;
use crate::ops::OpError;

pub(super) fn run(args: &CompletionsArgs, session: &mut Session) -> Result<Exit, OpError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "orch", &mut script);
    print(session, &String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
