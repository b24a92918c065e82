//! `orch adopt`

use super::apply::approval_or;
use crate::cli::Exit;
use crate::cli::args::AdoptArgs;
use crate::cli::run::{adopt, on_wait};
use crate::cli::session::{Session, block_on};
use crate::ops::{AdoptTarget, OpError, prepare_adoption};

pub(super) fn run(args: &AdoptArgs, session: &mut Session) -> Result<Exit, OpError> {
    let lock = session.lock("adopt", args.lock_timeout);
    let hint = "give --auto-approve, or run `orch adopt` on a terminal, where it shows what it found and asks";
    let approval = approval_or(args.auto_approve, args.json, hint)?;
    let project = session.project(None)?;
    if !args.json {
        session.tell_warnings(&project);
    }
    let target = |given: &crate::cli::args::TargetArg| AdoptTarget {
        address: given.address.clone(),
        object: given.object.clone(),
    };
    let targets: Vec<AdoptTarget> = args.targets.iter().map(target).collect();
    block_on(async {
        let adopting = prepare_adoption(&project, &targets, &lock, on_wait(session)).await?;
        adopt(session, adopting, approval, args.json).await
    })?
}
