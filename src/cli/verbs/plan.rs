//! `orch plan`

use crate::cli::Exit;
use crate::cli::args::{PlanArgs, PlanningArgs};
use crate::cli::run::{print, tell};
use crate::cli::session::{Session, block_on};
use crate::model::OnFailure;
use crate::ops::{OpError, PlanOptions, make_plan, save_plan};
use crate::plan::{Mode, Request};
use crate::report::{plan_human, plan_json, plan_markdown};

pub(super) fn run(args: &PlanArgs, session: &mut Session) -> Result<Exit, OpError> {
    let project = session.project(args.max_parallel.map(Into::into))?;
    if !args.json {
        session.tell_warnings(&project);
    }
    if let Some(holder) = project.store.peek_lock()? {
        tell(session, &format!("A run is under way ({holder}): this plan may be out of date when it ends."))?;
    }
    let options = options(&args.planning, args.on_failure);
    let plan = match &args.out {
        Some(path) => block_on(save_plan(&project, &options, &session.path(path)))??,
        None => block_on(make_plan(&project, &options))??,
    }
    .plan;
    let text = match (args.json, args.markdown) {
        (true, _) => plan_json(&plan, true).map_err(|error| OpError::io("write", "the JSON output")(error.into()))?,
        (_, true) => plan_markdown(&plan),
        _ => plan_human(&plan, session.output.look),
    };
    print(session, &text)?;
    if let Some(path) = &args.out {
        tell(session, &format!("Saved to {0}. `orch apply {0}` does exactly this.", path.display()))?;
    }
    let changes = args.detailed_exitcode && !plan.is_empty();
    Ok(if changes { Exit::Changes } else { Exit::Done })
}

/// What the planning flags ask for.
pub(super) fn options(args: &PlanningArgs, on_failure: Option<OnFailure>) -> PlanOptions {
    let mode = match (args.destroy, args.refresh_only) {
        (true, _) => Mode::Destroy,
        (_, true) => Mode::RefreshOnly,
        _ => Mode::Apply,
    };
    PlanOptions {
        request: Request {
            mode,
            target: args.targets.iter().cloned().collect(),
            exclude: args.excludes.iter().cloned().collect(),
            replace: args.replaces.iter().cloned().collect(),
        },
        no_refresh: !args.refresh,
        on_failure,
        pins: None,
        verb: None,
        leave: Default::default(),
        own_only: false,
    }
}
