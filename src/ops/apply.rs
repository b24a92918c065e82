//! `orch apply`, `orch destroy` and the verbs: everything that changes something goes through here.
//!
//! [`Prepared`] holds the lock from the moment the plan is made until the run has ended, so that
//! what a person approves is what is done.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use super::observe;
use super::plan::{PlanOptions, Planned, check_key, plan_from};
use super::{OpError, Project, saved};
use crate::event::{EventSink, RunOutcome, What};
use crate::execute::{self, Ask, RunReport, Signal, Work};
use crate::model::{Digest, DigestKey, RunId};
use crate::plan::{Plan, PlanFile};
use crate::state::{LockHolder, LockRequest, Locked, RunHeader, RunRecord};
use crate::sys::{self, Durability};

/// How the lock is taken.
#[derive(Debug, Clone)]
pub struct LockOptions {
    /// The verb, as others see it: `apply`.
    pub doing: String,
    /// How long to wait for the lock.
    pub timeout: Duration,
}

/// A plan with the lock held, ready to be approved and executed.
pub struct Prepared<'p> {
    project: &'p Project,
    locked: Locked,
    planned: Planned,
    verb: String,
    run: RunId,
    /// The saved plan that is applied, and how many steps it has in all.
    saved: Option<(Digest, usize)>,
    /// What else the user should know.
    notices: Vec<String>,
}

/// Takes the lock and makes a plan.
///
/// # Errors
/// When somebody else holds the lock, or as [`make_plan`](super::make_plan).
pub async fn prepare<'p>(
    project: &'p Project,
    options: &PlanOptions,
    lock: &LockOptions,
    on_wait: impl FnMut(Option<&LockHolder>),
) -> Result<Prepared<'p>, OpError> {
    let (locked, key) = lock_and_key(project, lock, on_wait)?;
    let planned = plan_from(project, options, locked.state().clone(), &key).await?;
    Prepared::new(project, locked, planned, lock, None)
}

/// Takes the lock and holds a saved plan against what there is now. With `resume`, what is left of a
/// plan that was applied in part is planned again within the bounds of what was reviewed.
///
/// # Errors
/// [`OpError::Refused`] when the plan is stale, altered, already applied, or of another project.
pub async fn prepare_saved<'p>(
    project: &'p Project,
    file: PlanFile,
    resume: bool,
    lock: &LockOptions,
    on_wait: impl FnMut(Option<&LockHolder>),
) -> Result<Prepared<'p>, OpError> {
    let (locked, key) = lock_and_key(project, lock, on_wait)?;
    let saved = Some((file.digest, file.plan.steps.len()));
    let planned = saved::check(project, file, resume, locked.state(), &key).await?;
    Prepared::new(project, locked, planned, lock, saved)
}

/// The lock, and the key that the records under it were digested with.
pub(super) fn lock_and_key(
    project: &Project,
    lock: &LockOptions,
    on_wait: impl FnMut(Option<&LockHolder>),
) -> Result<(Locked, DigestKey), OpError> {
    let locked = take_lock(project, lock, on_wait)?;
    check_key(project, locked.state())?;
    Ok((locked, project.store.ensure_key()?))
}

pub(super) fn take_lock(
    project: &Project,
    lock: &LockOptions,
    on_wait: impl FnMut(Option<&LockHolder>),
) -> Result<Locked, OpError> {
    let request = LockRequest { doing: &lock.doing, at: project.now(), timeout: lock.timeout };
    Ok(project.store.lock(request, on_wait)?)
}

impl<'p> Prepared<'p> {
    pub(super) fn new(
        project: &'p Project,
        locked: Locked,
        mut planned: Planned,
        lock: &LockOptions,
        saved: Option<(Digest, usize)>,
    ) -> Result<Self, OpError> {
        let run = RunId::generate(project.now())?;
        // The backends know of what is taken over while the steps that record it do so.
        if let Some(taken) = &planned.taken {
            let records = taken.records(&run, &planned.plan, &planned.state, project.now());
            planned.state.records.extend(records);
        }
        Ok(Self { project, locked, planned, verb: lock.doing.clone(), run, saved, notices: Vec::new() })
    }

    /// The same with more that the user should know.
    pub(super) fn with_notices(mut self, notices: Vec<String>) -> Self {
        self.notices.extend(notices);
        self
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.planned.plan
    }

    /// What the user should know before anything is done: a lock taken over, a run recovered.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        let taken = self.locked.taken_over().map(|holder| format!("took over the lock of {holder}, which is gone"));
        let recovered = self
            .locked
            .recovered()
            .map(|run| format!("run {run} was interrupted: this plan goes on from what it left"));
        taken.into_iter().chain(recovered).chain(self.notices.iter().cloned()).collect()
    }

    /// The folder that keeps the record of this run.
    fn run_folder(&self) -> Result<PathBuf, OpError> {
        Ok(self.project.store.runs().folder(self.run.as_str())?)
    }

    /// Opens the log of events of this run, `events.ndjson`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn event_log(&self) -> Result<File, OpError> {
        let folder = self.run_folder()?;
        sys::create_private_dir(&folder).map_err(OpError::io("make", &folder))?;
        let path = folder.join("events.ndjson");
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        opened.map_err(OpError::io("open", &path))
    }

    /// Tells of a run that has nothing to do; nothing is recorded of it.
    pub fn tell_nothing_to_do(&self, events: &EventSink) {
        let Self { run, planned, .. } = self;
        events.emit(execute::run_started(run, &planned.plan));
        for message in self.notices.iter().cloned() {
            events.emit(What::Warning { address: None, message });
        }
        let outcome = RunOutcome::Succeeded;
        events.emit(What::RunFinished {
            run: run.clone(),
            outcome,
            done: 0,
            failed: 0,
            skipped: 0,
            cancelled: 0,
            took_ms: 0,
        });
    }

    /// Looks once more, after a person took their time to approve.
    ///
    /// # Errors
    /// [`OpError::Refused`] when something that the plan touches changed meanwhile.
    pub async fn check_still_true(&self) -> Result<(), OpError> {
        let observed =
            observe::list(&self.project.observers(&self.project.key()?, self.locked.state()), self.locked.state())
                .await?;
        saved::check_fingerprints(&self.planned.plan, &observed)?;
        match &self.planned.taken {
            Some(taken) => taken.check().await,
            None => Ok(()),
        }
    }

    /// Executes the plan, and records the run.
    ///
    /// # Errors
    /// When the state cannot be written. A step that fails is not an error: the report says so.
    pub async fn execute(
        self,
        events: EventSink,
        signals: mpsc::UnboundedReceiver<Signal>,
        ask: Arc<dyn Ask>,
    ) -> Result<RunReport, OpError> {
        let folder = self.run_folder()?;
        let notices = self.notices();
        let Self { project, locked, planned, verb, run, saved, notices: _ } = self;
        let Planned { plan, instances, state, .. } = planned;
        let runs = project.store.runs();
        keep_plan(&folder, &plan)?;
        let who = format!("{}@{}", sys::user(), sys::host());
        let plan_digest = saved.map(|(digest, _)| digest);
        let started = RunRecord { plan_digest, ..RunRecord::started(run.clone(), &verb, &who, project.now()) };
        runs.start(&started)?;
        for message in notices {
            events.emit(What::Warning { address: None, message });
        }
        let header = RunHeader {
            run: run.clone(),
            who,
            verb,
            project: plan.project.clone(),
            plan_digest,
            steps: u32::try_from(saved.map_or(plan.steps.len(), |(_, steps)| steps)).unwrap_or(u32::MAX),
            at: project.now(),
            lineage: String::new(),
            serial: 0,
        };
        let operators = project.operators(&project.key()?, &state);
        let writer = Arc::new(locked.begin_run(header)?);
        let work = Work {
            run,
            plan,
            instances,
            records: state.records,
            operators,
            probe_env: project.probe_env(),
            intents: writer.clone(),
            ask,
            made: Mutex::default(),
            events,
            clock: sys::now,
            evidence: folder,
        };
        let report = execute::run(work, signals).await;
        let outcome = match report.outcome {
            RunOutcome::Succeeded => "succeeded",
            RunOutcome::Failed => "failed",
            RunOutcome::Interrupted => "interrupted",
        };
        // The state first: a run without its end in `runs/` is only a history that says less.
        writer.finish(outcome, project.now())?;
        let RunReport { done, failed, skipped, cancelled, .. } = report;
        let (outcome, ended_at) = (Some(outcome.to_owned()), Some(project.now()));
        runs.end(&RunRecord { outcome, ended_at, done, failed, skipped, cancelled, ..started })?;
        Ok(report)
    }
}

/// Keeps the plan beside the record of its run.
fn keep_plan(folder: &Path, plan: &Plan) -> Result<(), OpError> {
    let path = folder.join("plan.json");
    let written = sys::create_private_dir(folder)
        .and_then(|()| sys::write_atomic(&path, &PlanFile::seal(plan.clone()).to_bytes(), Durability::Atomic));
    written.map_err(OpError::io("write", &path))
}
