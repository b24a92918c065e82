//! `orch doctor`

use crate::cli::Exit;
use crate::cli::args::DoctorArgs;
use crate::cli::run::{print, print_json};
use crate::cli::session::{Session, block_on};
use crate::ops::{self, OpError};
use crate::report::{self, Level};

pub(super) fn run(args: &DoctorArgs, session: &mut Session) -> Result<Exit, OpError> {
    let project = session.project(None)?;
    let hosts = block_on(ops::doctor(&project, &args.hosts))??;
    if args.json {
        print_json(session, &hosts)?;
    } else {
        print(session, &report::doctor(&hosts, session.output.look))?;
    }
    let is_well = hosts.iter().all(|host| host.level() == Level::Ok);
    Ok(if is_well { Exit::Done } else { Exit::Error })
}
