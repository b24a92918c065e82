//! Which step may begin: a pure queue over the steps of a plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Milestone, Step, StepId};

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Waits for this many needs.
    Waiting(usize),
    /// May begin.
    Ready,
    Running,
    Done,
    Failed,
    Skipped,
}

/// The steps of a plan and how far each is.
#[derive(Debug)]
pub(super) struct Queue {
    progress: BTreeMap<StepId, Progress>,
    /// For each step the ones that need it, and how far it must be for them.
    unlocks: BTreeMap<StepId, Vec<(StepId, Milestone)>>,
    /// The steps that reached [`Milestone::Started`].
    started: BTreeSet<StepId>,
    ready: BTreeSet<StepId>,
    /// The steps that may not begin before their batch does, whatever they need.
    held: BTreeSet<StepId>,
    running: usize,
}

impl Queue {
    /// A queue over the steps of a plan.
    pub(super) fn new(steps: &[Step], held: impl Iterator<Item = StepId>) -> Self {
        let mut queue = Self {
            progress: BTreeMap::new(),
            unlocks: BTreeMap::new(),
            started: BTreeSet::new(),
            ready: BTreeSet::new(),
            held: held.collect(),
            running: 0,
        };
        for step in steps {
            for need in &step.needs {
                queue.unlocks.entry(need.step).or_default().push((step.id, need.milestone));
            }
            let waiting = step.needs.len();
            if waiting == 0 && !queue.held.contains(&step.id) {
                queue.ready.insert(step.id);
            }
            let progress = if waiting == 0 { Progress::Ready } else { Progress::Waiting(waiting) };
            queue.progress.insert(step.id, progress);
        }
        queue
    }

    /// The next step that may begin, in plan order; it counts as running from now on.
    pub(super) fn next(&mut self) -> Option<StepId> {
        let step = self.ready.pop_first()?;
        self.progress.insert(step, Progress::Running);
        self.running += 1;
        Some(step)
    }

    /// How many steps run.
    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// A running step reached its start: what waits for no more than that may begin.
    pub(super) fn started(&mut self, step: StepId) {
        if self.started.insert(step) {
            self.unlock(step, Milestone::Started);
        }
    }

    /// A running step is done.
    pub(super) fn done(&mut self, step: StepId) {
        self.running -= 1;
        self.progress.insert(step, Progress::Done);
        self.started(step);
        self.unlock(step, Milestone::Done);
    }

    /// A running step failed, and its roll goes on: what waits for it may begin.
    pub(super) fn tolerated(&mut self, step: StepId) {
        self.done(step);
        self.progress.insert(step, Progress::Failed);
    }

    /// The steps of a batch may begin as soon as they have what they need.
    pub(super) fn release(&mut self, steps: &[StepId]) {
        for step in steps {
            if self.held.remove(step) && self.progress.get(step) == Some(&Progress::Ready) {
                self.ready.insert(*step);
            }
        }
    }

    /// Steps that are not begun are not to begin any more: they are skipped, and what waits for them.
    /// Returns each skipped step with the step that it waited for, itself where it is one of these.
    pub(super) fn give_up(&mut self, steps: &[StepId]) -> Vec<(StepId, StepId)> {
        let mut skipped = Vec::new();
        for &step in steps {
            if let Some(Progress::Waiting(_) | Progress::Ready) = self.progress.get(&step) {
                self.progress.insert(step, Progress::Skipped);
                self.ready.remove(&step);
                skipped.push((step, step));
                skipped.extend(self.skip_waiting(step));
            }
        }
        skipped
    }

    fn unlock(&mut self, step: StepId, milestone: Milestone) {
        for &(dependent, needed) in self.unlocks.get(&step).into_iter().flatten() {
            if needed != milestone {
                continue;
            }
            if let Some(Progress::Waiting(left)) = self.progress.get_mut(&dependent) {
                *left -= 1;
                if *left == 0 {
                    self.progress.insert(dependent, Progress::Ready);
                    if !self.held.contains(&dependent) {
                        self.ready.insert(dependent);
                    }
                }
            }
        }
    }

    /// A running step failed or was cancelled: what waits for it is skipped, and what waits for
    /// that. Returns each skipped step with the step that it waited for.
    pub(super) fn failed(&mut self, step: StepId) -> Vec<(StepId, StepId)> {
        self.running -= 1;
        self.progress.insert(step, Progress::Failed);
        self.skip_waiting(step)
    }

    /// Skips what waits for a step, and what waits for that.
    fn skip_waiting(&mut self, step: StepId) -> Vec<(StepId, StepId)> {
        let mut skipped = Vec::new();
        let mut open = vec![step];
        while let Some(cause) = open.pop() {
            for &(dependent, _) in self.unlocks.get(&cause).into_iter().flatten() {
                if let Some(Progress::Waiting(_)) = self.progress.get(&dependent) {
                    self.progress.insert(dependent, Progress::Skipped);
                    skipped.push((dependent, cause));
                    open.push(dependent);
                }
            }
        }
        skipped.sort();
        skipped
    }

    /// Whether a step failed, and was not only skipped.
    pub(super) fn has_failed(&self, step: StepId) -> bool {
        self.progress.get(&step) == Some(&Progress::Failed)
    }

    /// Begins nothing more. Returns the steps that are skipped by it.
    pub(super) fn stop(&mut self) -> Vec<StepId> {
        self.ready.clear();
        let mut skipped = Vec::new();
        for (step, progress) in &mut self.progress {
            if matches!(progress, Progress::Waiting(_) | Progress::Ready) {
                *progress = Progress::Skipped;
                skipped.push(*step);
            }
        }
        skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Need;

    fn step(id: u32, needs: &[(u32, Milestone)]) -> Step {
        let needs = needs.iter().map(|&(step, milestone)| Need { step: StepId(step), milestone }).collect();
        Step { needs, ..super::super::tests::step(id, &format!("s{id}")) }
    }

    #[test]
    fn a_step_begins_when_all_it_needs_is_far_enough() {
        use Milestone::{Done, Started};
        let steps = [step(1, &[]), step(2, &[(1, Started)]), step(3, &[(1, Done), (2, Done)])];
        let mut queue = Queue::new(&steps, std::iter::empty());
        assert_eq!((queue.next(), queue.next()), (Some(StepId(1)), None));
        queue.started(StepId(1));
        assert_eq!((queue.next(), queue.next()), (Some(StepId(2)), None));
        queue.done(StepId(1));
        assert_eq!(queue.next(), None);
        queue.done(StepId(2));
        assert_eq!((queue.next(), queue.running()), (Some(StepId(3)), 1));
    }

    #[test]
    fn a_failure_skips_what_waits_and_nothing_else() {
        use Milestone::{Done, Started};
        let steps =
            [step(1, &[]), step(2, &[(1, Done)]), step(3, &[(2, Done)]), step(4, &[]), step(5, &[(1, Started)])];
        let mut queue = Queue::new(&steps, std::iter::empty());
        queue.next();
        queue.started(StepId(1));
        assert_eq!(queue.failed(StepId(1)), [(StepId(2), StepId(1)), (StepId(3), StepId(2))]);
        assert_eq!((queue.next(), queue.next(), queue.next()), (Some(StepId(4)), Some(StepId(5)), None));
        assert_eq!(queue.stop(), []);
    }
}
