//! `orch init`

use std::path::PathBuf;

use crate::cli::Exit;
use crate::cli::args::InitArgs;
use crate::cli::run::print;
use crate::cli::session::Session;
use crate::ops::{self, OpError};

pub(super) fn run(args: &InitArgs, session: &mut Session) -> Result<Exit, OpError> {
    // Taken apart and put together again, `here/.` is `here`.
    let folder: PathBuf = session.path(&args.dir).components().collect();
    let path = ops::init(&folder, args.force)?;
    let inside = if args.dir.as_os_str() == "." { String::new() } else { format!(" -C {}", args.dir.display()) };
    print(session, &format!("Wrote {}. Next: `orch{inside} plan`, then `orch{inside} apply`.\n", path.display()))?;
    Ok(Exit::Done)
}
