//! How far the rolls of a plan are: pure, so that every order of endings can be tested.
//!
//! A roll holds the steps of a batch back until all of the batch before have ended. One failure more
//! than it tolerates stops it: what was not begun is skipped, and what was done is put back where the
//! plan says so.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Pause, RollFailure, ServiceName};
use crate::plan::{Plan, Roll, StepId};

/// The rolls of a plan.
#[derive(Debug)]
pub(super) struct Rolls {
    list: Vec<State>,
    by_step: BTreeMap<StepId, usize>,
}

/// How far a roll is.
#[derive(Debug)]
struct State {
    roll: Roll,
    /// The batch that may begin, from 0.
    open: usize,
    /// The steps of that batch that have not ended.
    left: BTreeSet<StepId>,
    done: BTreeSet<StepId>,
    failures: usize,
    stopped: bool,
}

/// What follows from the end of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: others of its batch go on.
    Wait,
    /// The next batch may begin: of this roll, with this number from 1, after this pause.
    Batch { roll: usize, batch: usize, pause: Option<Pause> },
    /// The roll ended well.
    Ended { roll: usize },
    /// The roll stops: these were not begun, these are put back.
    Stopped { roll: usize, because: String, skip: Vec<StepId>, undo: Vec<StepId> },
    /// The roll had stopped before, and this step is put back too.
    Undo { roll: usize },
}

impl Rolls {
    pub(super) fn new(plan: &Plan) -> Self {
        let state = |roll: &Roll| State {
            left: roll.batches.first().into_iter().flatten().copied().collect(),
            roll: roll.clone(),
            open: 0,
            done: BTreeSet::new(),
            failures: 0,
            stopped: false,
        };
        let list: Vec<State> = plan.rolls.iter().map(state).collect();
        let steps = plan.rolls.iter().enumerate();
        let by_step =
            steps.flat_map(|(index, roll)| roll.batches.iter().flatten().map(move |step| (*step, index))).collect();
        Self { list, by_step }
    }

    /// The steps that are held back at first: all but those of first batches.
    pub(super) fn held(&self) -> impl Iterator<Item = StepId> {
        self.list.iter().flat_map(|state| state.roll.batches.iter().skip(1).flatten().copied())
    }

    /// Whether the roll of a step goes on although the step failed.
    pub(super) fn tolerates(&self, step: StepId) -> bool {
        self.by_step.get(&step).is_some_and(|&index| {
            !self.list[index].stopped && self.list[index].failures < self.list[index].roll.max_failures
        })
    }

    /// The service of a roll.
    pub(super) fn service(&self, roll: usize) -> &ServiceName {
        &self.list[roll].roll.service
    }

    /// How many batches a roll has.
    pub(super) fn batches(&self, roll: usize) -> usize {
        self.list[roll].roll.batches.len()
    }

    /// The steps of a batch of a roll, by its number from 1.
    pub(super) fn batch(&self, roll: usize, batch: usize) -> &[StepId] {
        self.list[roll].roll.batches.get(batch - 1).map_or(&[], Vec::as_slice)
    }

    /// The steps of a roll that were done.
    pub(super) fn done(&self, roll: usize) -> impl Iterator<Item = StepId> {
        self.list[roll].done.iter().copied()
    }

    /// A step ended, well or not.
    pub(super) fn ended(&mut self, step: StepId, well: bool) -> Option<Next> {
        let index = *self.by_step.get(&step)?;
        let state = &mut self.list[index];
        state.left.remove(&step);
        if well {
            state.done.insert(step);
            if state.stopped {
                let goes_back = state.roll.on_failure == RollFailure::Rollback;
                return Some(if goes_back { Next::Undo { roll: index } } else { Next::Wait });
            }
        } else {
            state.failures += 1;
            if state.stopped {
                return Some(Next::Wait);
            }
            if state.failures > state.roll.max_failures {
                let all: usize = state.roll.batches.iter().map(Vec::len).sum();
                let because = format!("{} of {all} failed", state.failures);
                return Some(self.stop(index, because));
            }
        }
        let state = &mut self.list[index];
        if !state.left.is_empty() {
            return Some(Next::Wait);
        }
        state.open += 1;
        match state.roll.batches.get(state.open) {
            Some(batch) => {
                state.left = batch.iter().copied().collect();
                Some(Next::Batch { roll: index, batch: state.open + 1, pause: state.roll.pause })
            }
            None => Some(Next::Ended { roll: index }),
        }
    }

    /// Stops a roll.
    pub(super) fn stop(&mut self, roll: usize, because: String) -> Next {
        let state = &mut self.list[roll];
        state.stopped = true;
        let skip = state.roll.batches.iter().skip(state.open).flatten().copied().collect();
        let goes_back = state.roll.on_failure == RollFailure::Rollback;
        let undo = if goes_back { state.done.iter().copied().collect() } else { Vec::new() };
        Next::Stopped { roll, because, skip, undo }
    }

    /// A step was skipped before it began, for a reason outside of its roll: the roll waits for it no longer.
    pub(super) fn skipped(&mut self, step: StepId) {
        if let Some(&index) = self.by_step.get(&step) {
            self.list[index].left.remove(&step);
        }
    }
}
