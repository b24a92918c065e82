//! The verbs that plan and change: `plan`, `apply`, `destroy`, `adopt`, `restart`, `stop`, `start`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::values::TargetArg;
use super::{SourceArgs, values};
use crate::model::{OnFailure, ServiceName};

/// What a plan is made of; `plan` and `apply` take the same.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Planning")]
pub struct PlanningArgs {
    /// Plan to take everything down.
    #[arg(long, conflicts_with = "refresh_only")]
    pub destroy: bool,
    /// Only bring the records up to what is observed; touch nothing that runs.
    #[arg(long, conflicts_with_all = ["targets", "excludes", "replaces"])]
    pub refresh_only: bool,
    /// Whether to look at what runs before planning; with `false` the records are believed.
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true", conflicts_with = "refresh_only")]
    pub refresh: bool,
    /// Plan only this service and what it needs; give it again for several.
    #[arg(long = "target", value_name = "SVC")]
    pub targets: Vec<ServiceName>,
    /// Leave this service out, and what depends on it; give it again for several.
    #[arg(long = "exclude", value_name = "SVC")]
    pub excludes: Vec<ServiceName>,
    /// Replace this service even though nothing about it changed; give it again for several.
    #[arg(long = "replace", value_name = "SVC", conflicts_with = "destroy")]
    pub replaces: Vec<ServiceName>,
}

/// `orch plan`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orch plan --out change.plan                Save the plan; `orch apply change.plan` does what it says
  orch plan --markdown > comment.md          Write it for a pull request
  orch plan --detailed-exitcode              Exit 2 when there are changes, 0 when there are none
  orch plan --target api                     Plan only api and what it needs")]
pub struct PlanArgs {
    /// Save the plan to this file; it holds no secret.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the plan as JSON.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print the plan as Markdown, fit for a comment on a pull request.
    #[arg(long)]
    pub markdown: bool,
    /// Exit 2 when there are changes.
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// How many steps run at once when the plan is applied [default: what the file says].
    #[arg(long, value_name = "N")]
    pub max_parallel: Option<NonZeroUsize>,
    /// What happens when a step of the plan fails [default: what the file says].
    #[arg(long, value_name = "POLICY", value_parser = values::on_failure())]
    pub on_failure: Option<OnFailure>,
    /// What the plan is made of.
    #[command(flatten)]
    pub planning: PlanningArgs,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch apply`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orch apply                                 Plan, ask, and do it
  orch apply change.plan                     Do what was reviewed, or refuse when it is stale
  orch apply change.plan --resume            Do the steps that an earlier apply of it left
  orch apply --auto-approve --json           Run in a pipeline; one event a line

The first Ctrl-C starts nothing new and finishes what runs; the second cancels it. Either way all that \
was done is recorded, and the next apply goes on from there.")]
pub struct ApplyArgs {
    /// A plan saved by `orch plan --out`; without one, a plan is made and shown first.
    #[arg(value_name = "PLAN")]
    #[arg(conflicts_with_all = ["destroy", "refresh_only", "refresh", "targets", "excludes", "replaces", "max_parallel", "on_failure"])]
    pub plan: Option<PathBuf>,
    /// Do not ask; needed where there is no terminal to ask on, unless a saved plan is given.
    #[arg(long)]
    pub auto_approve: bool,
    /// Print events as JSON, one a line; the first carries the version of the format.
    #[arg(long)]
    pub json: bool,
    /// Do the steps that an earlier apply of the same saved plan left.
    #[arg(long, requires = "plan")]
    pub resume: bool,
    /// How many steps run at once [default: what the file says].
    #[arg(long, value_name = "N")]
    pub max_parallel: Option<NonZeroUsize>,
    /// What happens when a step fails [default: what the file says].
    #[arg(long, value_name = "POLICY", value_parser = values::on_failure())]
    pub on_failure: Option<OnFailure>,
    /// Wait so long for the lock instead of failing at once: `30s`, `5m`.
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub lock_timeout: Option<Duration>,
    /// What the plan is made of.
    #[command(flatten)]
    pub planning: PlanningArgs,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch destroy`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orch destroy                               Show what goes, ask, and take it down
  orch destroy --target web                  Take down web and what depends on it")]
pub struct DestroyArgs {
    /// Do not ask; needed where there is no terminal to ask on.
    #[arg(long)]
    pub auto_approve: bool,
    /// Print events as JSON, one a line.
    #[arg(long)]
    pub json: bool,
    /// Take down only this service and what depends on it; give it again for several.
    #[arg(long = "target", value_name = "SVC")]
    pub targets: Vec<ServiceName>,
    /// How many steps run at once [default: what the file says].
    #[arg(long, value_name = "N")]
    pub max_parallel: Option<NonZeroUsize>,
    /// Wait so long for the lock instead of failing at once: `30s`, `5m`.
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub lock_timeout: Option<Duration>,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch adopt`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orch adopt                                 Show what could be taken over, and ask
  orch adopt web db --auto-approve           Take over what runs as web and db
  orch adopt web=old_web_1                   Say which container is web

A container is found by orch's own labels (the state folder was lost), by Compose's labels, by its name, \
by its image or by a port that it publishes, in this order. It is recorded as it is and goes on running; \
`orch plan` shows in what the file differs from it.")]
pub struct AdoptArgs {
    /// A service, and the container that it is where that is not clear [default: all that have none].
    #[arg(value_name = "SVC[=CONTAINER]")]
    pub targets: Vec<TargetArg>,
    /// Do not ask; needed where there is no terminal to ask on.
    #[arg(long)]
    pub auto_approve: bool,
    /// Print events as JSON, one a line.
    #[arg(long)]
    pub json: bool,
    /// Wait so long for the lock instead of failing at once: `30s`, `5m`.
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub lock_timeout: Option<Duration>,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch restart`, `orch stop` and `orch start`
#[derive(Debug, Args)]
#[command(after_help = "It acts at once, as an init system's commands do, and is recorded as a run in `orch history`.")]
pub struct VerbArgs {
    /// The services.
    #[arg(value_name = "SVC", required = true)]
    pub services: Vec<ServiceName>,
    /// Print events as JSON, one a line.
    #[arg(long)]
    pub json: bool,
    /// Wait so long for the lock instead of failing at once: `30s`, `5m`.
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub lock_timeout: Option<Duration>,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}
