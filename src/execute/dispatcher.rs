//! What follows from each thing that happens: pure, so that every order of events can be tested
//! without a process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Signal;
use super::queue::Queue;
use super::rolls::{Next, Rolls};
use crate::event::{RunOutcome, StepOutcome, What};
use crate::model::{Address, OnFailure, Pause};
use crate::plan::{Action, Plan, Step, StepId};

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
    /// What a step left to be done after its roll, or to be put back, was done.
    Settled(Job, StepOutcome),
    /// The state cannot be written while a step is put back: nothing may begin.
    Unsettled(String),
    /// The pause before a batch of a roll is over; whether the roll is to go on.
    Resumed { roll: usize, batch: usize, go_on: bool },
    /// The run was asked to end.
    Signalled(Signal),
}

/// Something for a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    /// Do a step.
    Do(StepId),
    /// Put back what a step did, because its roll stopped.
    Undo(StepId),
    /// Take away what a step kept for that, because its roll ended well.
    After(StepId),
}

/// What the loop has to do next.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Reaction {
    /// Begin what may begin.
    Go,
    /// Begin what may begin, and tell when this pause before a batch is over.
    Pause { roll: usize, batch: usize, pause: Pause, question: String },
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
    rolls: Rolls,
    /// What is to be put back, or taken away, and has not begun.
    jobs: VecDeque<Job>,
    /// What is being put back or taken away, and the pauses that are waited for.
    busy: usize,
    pauses: usize,
    names: BTreeMap<StepId, (Address, Action)>,
    /// The steps that can be put back, and those that keep something until their roll has ended.
    undoable: BTreeSet<StepId>,
    keepers: BTreeSet<StepId>,
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
        let rolls = Rolls::new(plan);
        let with = |has: fn(&Step) -> bool| plan.steps.iter().filter(|step| has(step)).map(|step| step.id).collect();
        Self {
            queue: Queue::new(&plan.steps, rolls.held()),
            rolls,
            jobs: VecDeque::new(),
            busy: 0,
            pauses: 0,
            undoable: with(|step| !step.undo.is_empty()),
            keepers: with(|step| !step.after.is_empty()),
            names: plan.steps.iter().map(|step| (step.id, (step.address.clone(), step.action))).collect(),
            on_failure: plan.on_failure,
            max_parallel: plan.max_parallel.max(1),
            ending: BTreeSet::new(),
            interrupts: 0,
            counts: Counts::default(),
        }
    }

    /// The next thing to begin, while there is room. What is to be put back comes first.
    pub(super) fn next(&mut self) -> Option<Job> {
        let busy = self.queue.running() - self.ending.len() + self.busy;
        if busy >= self.max_parallel {
            return None;
        }
        if let Some(job) = self.jobs.pop_front() {
            self.busy += 1;
            return Some(job);
        }
        self.queue.next().map(Job::Do)
    }

    /// Whether nothing runs, so that, when nothing could begin either, the run is over.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.running() == 0 && self.busy == 0 && (self.pauses == 0 || self.interrupts > 0)
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
                return self.rolled(step, true, events);
            }
            Happening::Ended(step, StepOutcome::Cancelled) => {
                self.counts.cancelled += 1;
                self.fail(step, "was cancelled", events);
            }
            Happening::Ended(step, _) if self.rolls.tolerates(step) && self.interrupts == 0 => {
                self.counts.failed += 1;
                self.queue.tolerated(step);
                return self.rolled(step, false, events);
            }
            Happening::Ended(step, _) => {
                self.counts.failed += 1;
                self.fail(step, "failed", events);
                if self.on_failure == OnFailure::Halt {
                    self.stop(&format!("{} failed and on_failure is halt", self.name(step)), events);
                }
                return self.rolled(step, false, events);
            }
            Happening::Settled(job, outcome) => {
                self.busy -= 1;
                if let (Job::Undo(_), true) = (job, outcome != StepOutcome::Cancelled) {
                    self.counts.done -= 1;
                    self.counts.failed += 1;
                }
            }
            Happening::Unsettled(error) => {
                self.busy -= 1;
                self.stop(&format!("nothing can be recorded: {error}"), events);
            }
            Happening::Resumed { roll, batch, go_on } => {
                self.pauses -= 1;
                if self.interrupts == 0 {
                    return self.resume(roll, batch, go_on, events);
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

    /// What follows for the roll of a step that ended.
    fn rolled(&mut self, step: StepId, well: bool, events: &mut Vec<What>) -> Reaction {
        let Some(next) = self.rolls.ended(step, well) else { return Reaction::Go };
        match next {
            Next::Wait => Reaction::Go,
            Next::Batch { roll, batch, pause } => {
                if self.interrupts > 0 {
                    return Reaction::Go;
                }
                match pause {
                    None => self.resume(roll, batch, true, events),
                    Some(pause) => {
                        self.pauses += 1;
                        let (service, of) = (self.rolls.service(roll).clone(), self.rolls.batches(roll));
                        let question = format!("{service}: batch {} of {of} is well; go on with the next?", batch - 1);
                        events.push(What::RollPaused { service, batch: batch - 1, batches: of, pause });
                        Reaction::Pause { roll, batch, pause, question }
                    }
                }
            }
            Next::Ended { roll } => {
                let kept = self.rolls.done(roll).filter(|step| self.keepers.contains(step));
                self.jobs.extend(kept.map(Job::After));
                Reaction::Go
            }
            stopped @ Next::Stopped { .. } => self.stopped(stopped, events),
            Next::Undo { .. } => {
                self.put_back([step]);
                Reaction::Go
            }
        }
    }

    /// The pause before a batch is over.
    fn resume(&mut self, roll: usize, batch: usize, go_on: bool, events: &mut Vec<What>) -> Reaction {
        let (service, batches) = (self.rolls.service(roll).clone(), self.rolls.batches(roll));
        if !go_on {
            let stopped = self.rolls.stop(roll, "it was not to go on".to_owned());
            return self.stopped(stopped, events);
        }
        events.push(What::RollBatch { service, batch, batches });
        self.queue.release(self.rolls.batch(roll, batch));
        Reaction::Go
    }

    fn stopped(&mut self, stopped: Next, events: &mut Vec<What>) -> Reaction {
        let Next::Stopped { roll, because, skip, undo } = stopped else { return Reaction::Go };
        let service = self.rolls.service(roll).clone();
        let skipped = self.queue.give_up(&skip);
        let why = format!("the roll of {service} stopped");
        let undo: Vec<StepId> = undo.into_iter().filter(|step| self.undoable.contains(step)).collect();
        events.push(What::RollStopped { service, because, put_back: undo.len() });
        for (step, cause) in skipped {
            let because = if step == cause { why.clone() } else { format!("{} was skipped", self.name(cause)) };
            self.skip(step, because, events);
        }
        self.put_back(undo);
        Reaction::Go
    }

    fn put_back(&mut self, steps: impl IntoIterator<Item = StepId>) {
        if self.interrupts > 0 {
            return;
        }
        let undoable = &self.undoable;
        self.jobs.extend(steps.into_iter().filter(|step| undoable.contains(step)).map(Job::Undo));
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
        self.jobs.clear();
        for step in self.queue.stop() {
            self.skip(step, because.to_owned(), events);
        }
    }

    fn skip(&mut self, step: StepId, because: String, events: &mut Vec<What>) {
        self.counts.skipped += 1;
        self.rolls.skipped(step);
        if let Some((address, action)) = self.names.get(&step) {
            events.push(What::StepSkipped { step, address: address.clone(), action: *action, because });
        }
    }
}
