//! The one select loop: starts workers, hears what happens, and hands it to the dispatcher.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::dispatcher::{Dispatcher, Happening, Job, Reaction};
use super::work::Work;
use super::{Signal, settle, worker};
use crate::event::{EVENT_FORMAT, RunOutcome, What};
use crate::model::{Pause, RunId};
use crate::plan::{Plan, StepId};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunReport {
    /// How it ended, in one word.
    pub outcome: RunOutcome,
    /// Steps that were done.
    pub done: usize,
    /// Steps that failed, rolled back or not.
    pub failed: usize,
    /// Steps that were not begun.
    pub skipped: usize,
    /// Steps that were cancelled while they ran.
    pub cancelled: usize,
}

/// The first event of a run.
#[must_use]
pub fn run_started(run: &RunId, plan: &Plan) -> What {
    What::RunStarted {
        format: EVENT_FORMAT,
        orch: env!("CARGO_PKG_VERSION").to_owned(),
        run: run.clone(),
        project: plan.project.clone(),
        mode: plan.mode,
        steps: plan.steps.len(),
    }
}

/// Obeys a plan until every step has ended, or was skipped or cancelled.
pub async fn run(work: Work, mut signals: mpsc::UnboundedReceiver<Signal>) -> RunReport {
    let began = Instant::now();
    let work = Arc::new(work);
    let index: BTreeMap<StepId, usize> = work.plan.steps.iter().enumerate().map(|(i, step)| (step.id, i)).collect();
    let mut dispatcher = Dispatcher::new(&work.plan);
    let (happened, mut happenings) = mpsc::unbounded_channel();
    let (cancel, cancelled) = watch::channel(false);
    work.events.emit(run_started(&work.run, &work.plan));
    let mut listening = true;
    loop {
        while let Some(job) = dispatcher.next() {
            let (work, happened, cancelled) = (work.clone(), happened.clone(), cancelled.clone());
            match job {
                Job::Do(step) => drop(tokio::spawn(worker::work(work, index[&step], happened, cancelled))),
                Job::Undo(step) | Job::After(step) => {
                    drop(tokio::spawn(settle::settle(work, index[&step], job, happened, cancelled)));
                }
            }
        }
        if dispatcher.is_idle() {
            break;
        }
        let happening = tokio::select! {
            Some(happening) = happenings.recv() => happening,
            signal = signals.recv(), if listening => match signal {
                Some(signal) => Happening::Signalled(signal),
                None => {
                    listening = false;
                    continue;
                }
            },
        };
        let mut events = Vec::new();
        let reaction = dispatcher.handle(happening, &mut events);
        events.into_iter().for_each(|event| work.events.emit(event));
        match reaction {
            Reaction::Go => {}
            Reaction::Pause { roll, batch, pause, question } => {
                let (work, happened) = (work.clone(), happened.clone());
                tokio::spawn(async move {
                    let go_on = match pause {
                        Pause::Ask => work.ask.go_on(&question).await,
                        Pause::Millis(millis) => {
                            tokio::time::sleep(Duration::from_millis(millis)).await;
                            true
                        }
                    };
                    // The loop may have ended meanwhile, by a signal.
                    let _ = happened.send(Happening::Resumed { roll, batch, go_on });
                });
            }
            // A send fails only when every worker has ended already.
            Reaction::Cancel => drop(cancel.send(true)),
        }
    }
    let counts = dispatcher.counts();
    let report = RunReport {
        outcome: dispatcher.outcome(),
        done: counts.done,
        failed: counts.failed,
        skipped: counts.skipped,
        cancelled: counts.cancelled,
    };
    work.events.emit(What::RunFinished {
        run: work.run.clone(),
        outcome: report.outcome,
        done: report.done,
        failed: report.failed,
        skipped: report.skipped,
        cancelled: report.cancelled,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    report
}
