//! What a roll leaves to be done with a step that was done: it is put back when the roll stops, and what
//! it kept for that goes when the roll ends well.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use super::dispatcher::{Happening, Job};
use super::work::Work;
use super::worker::Worker;
use crate::event::{StepOutcome, What};
use crate::model::{ObjectId, OpId};
use crate::plan::Step;
use crate::state::{Pending, Record, RecordChange, RecordStatus};

/// Puts a step back, or takes away what it kept, and reports it.
pub(super) async fn settle(
    work: Arc<Work>,
    index: usize,
    job: Job,
    happenings: mpsc::UnboundedSender<Happening>,
    mut cancelled: watch::Receiver<bool>,
) {
    let step = &work.plan.steps[index];
    let made = work.made.lock().unwrap_or_else(PoisonError::into_inner).get(&step.id).cloned();
    // Put back under an attempt of its own: what a kill leaves of it is told from what the step did.
    let op_id = OpId::new(format!("{}.back", work.run.op(step.id.0)));
    let worker = Worker { op_id, ..Worker::new(&work, step, happenings.clone()) };
    let settled = async {
        match job {
            Job::Undo(_) => undo(&worker, made).await,
            Job::After(_) | Job::Do(_) => {
                clean_up(&worker, made).await;
                Ok(StepOutcome::Done)
            }
        }
    };
    let settled = tokio::select! {
        biased;
        settled = settled => settled,
        _ = cancelled.wait_for(|cancelled| *cancelled) => Ok(StepOutcome::Cancelled),
    };
    let happening = match settled {
        Ok(outcome) => Happening::Settled(job, outcome),
        Err(error) => Happening::Unsettled(error),
    };
    // The loop outlives its workers; when it is gone there is nobody left to tell.
    let _ = happenings.send(happening);
}

/// Puts back the version before. Its intent is durable before anything is touched, and its end, with the
/// record of that version, before anybody hears of it. `Err` means that the state can no longer be written.
async fn undo(worker: &Worker<'_>, mut made: Option<ObjectId>) -> Result<StepOutcome, String> {
    let (work, step) = (worker.work, worker.step);
    let Some(before) = worker.before else { return Ok(StepOutcome::Done) };
    let began = Instant::now();
    let pending = Pending {
        run: work.run.clone(),
        op_id: worker.op_id.clone(),
        action: "put back".to_owned(),
        backend: step.backend,
        begun_at: (work.clock)(),
    };
    work.intents.begin(step.id.0, &step.address, pending).await.map_err(|error| error.to_string())?;
    work.events.emit(What::UndoStarted { step: step.id, address: step.address.clone() });
    crate::crash_point!("step.undo.before");
    let error = "its roll stopped".to_owned();
    let (outcome, end) = match worker.obey(&step.undo, &mut made, true).await {
        Ok(()) => {
            let end = worker.end("put_back", RecordChange::Put(before.clone()));
            (StepOutcome::RolledBack { error }, end)
        }
        Err(failure) => {
            let record = Record { status: RecordStatus::Failed, updated_at: (work.clock)(), ..before.clone() };
            let end = worker.end("rollback_failed", RecordChange::Put(record));
            (StepOutcome::RollbackFailed { error, rollback_error: failure.message }, end)
        }
    };
    crate::crash_point!("step.undo.end.before");
    work.intents.end(end).await.map_err(|error| error.to_string())?;
    work.events.emit(What::StepFinished {
        step: step.id,
        address: step.address.clone(),
        action: step.action,
        outcome: outcome.clone(),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    Ok(outcome)
}

/// Takes away what was kept. What is left of it, by a failure or a kill, the next plan finds beside the
/// recorded object and removes.
async fn clean_up(worker: &Worker<'_>, mut made: Option<ObjectId>) {
    let Step { address, after, .. } = worker.step;
    crate::crash_point!("step.after.before");
    if let Err(failure) = worker.obey(after, &mut made, true).await {
        let message = format!("cannot take away what was kept for going back: {}", failure.message);
        worker.work.events.emit(What::Warning { address: Some(address.clone()), message });
    }
}
