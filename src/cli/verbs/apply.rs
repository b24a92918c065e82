//! `orch apply`, `destroy`, `restart`, `stop` and `start`

use std::io::IsTerminal;
use std::path::Path;

use super::plan::options;
use crate::cli::Exit;
use crate::cli::args::{ApplyArgs, DestroyArgs, VerbArgs};
use crate::cli::run::{Approval, on_wait, run};
use crate::cli::session::{Session, block_on};
use crate::ops::{LockOptions, OpError, PlanOptions, prepare, prepare_saved, read_plan};
use crate::plan::{Mode, Request, Verb};

pub(super) fn apply(args: &ApplyArgs, session: &mut Session) -> Result<Exit, OpError> {
    let lock = session.lock("apply", args.lock_timeout);
    if let Some(path) = &args.plan {
        return saved(path, args, &lock, session);
    }
    let options = options(&args.planning, args.on_failure);
    let approval = approval(args.auto_approve, args.json)?;
    planned(options, args.max_parallel.map(Into::into), &lock, approval, args.json, session)
}

/// A reviewed plan needs no further approval; it is refused when it no longer fits.
fn saved(path: &Path, args: &ApplyArgs, lock: &LockOptions, session: &mut Session) -> Result<Exit, OpError> {
    let file = read_plan(&session.path(path))?;
    let project = session.project_of(&file.plan.source)?;
    block_on(async {
        let prepared = prepare_saved(&project, file, args.resume, lock, on_wait(session)).await?;
        run(session, prepared, Approval::Given, args.json).await
    })?
}

pub(super) fn destroy(args: &DestroyArgs, session: &mut Session) -> Result<Exit, OpError> {
    let lock = session.lock("destroy", args.lock_timeout);
    let request = Request { mode: Mode::Destroy, target: args.targets.iter().cloned().collect(), ..Request::default() };
    let options = PlanOptions { request, ..PlanOptions::default() };
    let approval = approval(args.auto_approve, args.json)?;
    planned(options, args.max_parallel.map(Into::into), &lock, approval, args.json, session)
}

/// A verb acts at once, as an init system's commands do.
pub(super) fn verb(args: &VerbArgs, verb: Verb, session: &mut Session) -> Result<Exit, OpError> {
    let lock = session.lock(&verb.to_string(), args.lock_timeout);
    let request = Request { mode: Mode::Verb, target: args.services.iter().cloned().collect(), ..Request::default() };
    let options = PlanOptions { request, verb: Some(verb), ..PlanOptions::default() };
    planned(options, None, &lock, Approval::Given, args.json, session)
}

/// Without a terminal to ask on, or with events in the place of a plan to look at, approval must have
/// been given: said before anything is looked at.
fn approval(auto_approve: bool, json: bool) -> Result<Approval, OpError> {
    let hint = "give --auto-approve, or apply a saved plan: `orch plan --out change.plan`, `orch apply change.plan`";
    approval_or(auto_approve, json, hint)
}

/// As [`approval`], with what the user can do instead.
pub(super) fn approval_or(auto_approve: bool, json: bool, hint: &str) -> Result<Approval, OpError> {
    let message = match (auto_approve, json, std::io::stdin().is_terminal()) {
        (true, ..) => return Ok(Approval::Given),
        (false, false, true) => return Ok(Approval::Ask),
        (false, true, _) => "--json shows no plan that could be approved",
        (false, false, false) => "there is no terminal to ask on",
    };
    Err(OpError::Request { message: message.to_owned(), hint: hint.to_owned() })
}

fn planned(
    options: PlanOptions,
    max_parallel: Option<usize>,
    lock: &LockOptions,
    approval: Approval,
    json: bool,
    session: &mut Session,
) -> Result<Exit, OpError> {
    let project = session.project(max_parallel)?;
    if !json {
        session.tell_warnings(&project);
    }
    block_on(async {
        let prepared = prepare(&project, &options, lock, on_wait(session)).await?;
        run(session, prepared, approval, json).await
    })?
}
