//! What follows from each thing that happens: pure, so that every order of events can be tested
//! without a process.

use std::collections::{BTreeMap, BTreeSet};

use super::Signal;
use super::queue::Queue;
use crate::event::{RunOutcome, StepOutcome, What};
use crate::model::{Address, OnFailure};
use crate::plan::{Action, Plan, StepId};

/// Something that happened.
#[derive(Debug)]
pub(super) enum Happening {
    /// A worker's object was started; its gate is still open.
    Started(StepId),
    /// A worker did its step; only the write of its end is left.
    Ending(StepId),
    /// A worker ended.
    Ended(StepId, StepOutcome),
    /// Intents can no longer be written (a full disk): nothing may begin.
    Unwritable(StepId, String),
    /// The run was asked to end.
    Signalled(Signal),
}

/// What the loop has to do next.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Reaction {
    /// Begin what may begin.
    Go,
    /// Cancel every worker.
    Cancel,
}

/// Counts of steps by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) done: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
    pub(super) cancelled: usize,
}

/// Holds the queue and decides what follows from what happens.
#[derive(Debug)]
pub(super) struct Dispatcher {
    queue: Queue,
    names: BTreeMap<StepId, (Address, Action)>,
    on_failure: OnFailure,
    max_parallel: usize,
    /// Steps that are done but for the write of their end. They take no room: the intents of the
    /// next ones are written with those ends, in one sync. What depends on them waits all the same.
    ending: BTreeSet<StepId>,
    interrupts: u8,
    counts: Counts,
}

impl Dispatcher {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            queue: Queue::new(&plan.steps),
            names: plan.steps.iter().map(|step| (step.id, (step.address.clone(), step.action))).collect(),
            on_failure: plan.on_failure,
            max_parallel: plan.max_parallel.max(1),
            ending: BTreeSet::new(),
            interrupts: 0,
            counts: Counts::default(),
        }
    }

    /// The next step to begin, while there is room.
    pub(super) fn next(&mut self) -> Option<StepId> {
        let busy = self.queue.running() - self.ending.len();
        if busy >= self.max_parallel { None } else { self.queue.next() }
    }

    /// Whether nothing runs, so that, when nothing could begin either, the run is over.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.running() == 0
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// How the run ended.
    pub(super) fn outcome(&self) -> RunOutcome {
        let Counts { failed, skipped, cancelled, .. } = self.counts;
        if self.interrupts > 0 && skipped + cancelled > 0 {
            RunOutcome::Interrupted
        } else if failed + skipped + cancelled > 0 {
            RunOutcome::Failed
        } else {
            RunOutcome::Succeeded
        }
    }

    /// Takes in what happened; what is to be told goes to `events`.
    pub(super) fn handle(&mut self, happening: Happening, events: &mut Vec<What>) -> Reaction {
        if let Happening::Ended(step, _) | Happening::Unwritable(step, _) = &happening {
            self.ending.remove(step);
        }
        match happening {
            Happening::Started(step) => self.queue.started(step),
            Happening::Ending(step) => {
                self.ending.insert(step);
            }
            Happening::Ended(step, StepOutcome::Done) => {
                self.counts.done += 1;
                self.queue.done(step);
            }
            Happening::Ended(step, StepOutcome::Cancelled) => {
                self.counts.cancelled += 1;
                self.fail(step, "was cancelled", events);
            }
            Happening::Ended(step, _) => {
                self.counts.failed += 1;
                self.fail(step, "failed", events);
                if self.on_failure == OnFailure::Halt {
                    self.stop(&format!("{} failed and on_failure is halt", self.name(step)), events);
                }
            }
            Happening::Unwritable(step, error) => {
                self.counts.failed += 1;
                self.fail(step, "failed", events);
                self.stop(&format!("nothing can be recorded: {error}"), events);
            }
            Happening::Signalled(signal) => {
                self.interrupts = self.interrupts.saturating_add(1);
                events.push(What::Interrupted { level: self.interrupts.min(2), signal: signal.name().to_owned() });
                if self.interrupts > 1 {
                    return Reaction::Cancel;
                }
                self.stop(&format!("interrupted by {}", signal.name()), events);
            }
        }
        Reaction::Go
    }

    fn name(&self, step: StepId) -> String {
        self.names.get(&step).map_or_else(|| step.to_string(), |(address, _)| address.to_string())
    }

    fn fail(&mut self, step: StepId, how: &str, events: &mut Vec<What>) {
        let skipped = self.queue.failed(step);
        for (step, cause) in skipped {
            let how = if self.queue.has_failed(cause) { how } else { "was skipped" };
            let because = format!("{} {how}", self.name(cause));
            self.skip(step, because, events);
        }
    }

    fn stop(&mut self, because: &str, events: &mut Vec<What>) {
        for step in self.queue.stop() {
            self.skip(step, because.to_owned(), events);
        }
    }

    fn skip(&mut self, step: StepId, because: String, events: &mut Vec<What>) {
        self.counts.skipped += 1;
        if let Some((address, action)) = self.names.get(&step) {
            events.push(What::StepSkipped { step, address: address.clone(), action: *action, because });
        }
    }
}
