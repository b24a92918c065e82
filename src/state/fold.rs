//! Folding the journal into the state: a pure function of the two.
//!
//! Every entry says what holds from then on, not by how much something changed, and an entry that is
//! folded in already is passed over. So folding twice, or folding again after a crash between the
//! write of the state and the emptying of the journal, changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use super::format::Snapshot;
use super::journal::{End, Entry, RecordChange, RunHeader};
use super::{AppliedPlan, State, StateError};
use crate::model::{Digest, RunId};

/// How many applied plans the state remembers. A plan that was applied before them is refused all
/// the same, because the serial moved on.
const APPLIED_KEPT: usize = 16;

/// A state that takes journal entries in.
#[derive(Debug)]
pub(super) struct Fold {
    snapshot: Snapshot,
    run: Option<OpenRun>,
    /// Whether the state differs from the one that it started from.
    changed: bool,
}

/// A state with the journal folded in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folded {
    pub(super) snapshot: Snapshot,
    /// Whether the journal changed anything.
    pub(super) changed: bool,
}

/// The run that the entries belong to.
#[derive(Debug)]
struct OpenRun {
    id: RunId,
    plan: Option<Digest>,
    steps: u32,
    /// Whether a step was begun: from then on plans made before this run are stale.
    begun: bool,
    done: BTreeSet<u32>,
}

/// The entry was written for another lineage than that of the state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ForeignEntry {
    entry: String,
    state: String,
}

impl ForeignEntry {
    /// The error for the journal that has the entry.
    pub(super) fn in_journal(self, path: &Path) -> StateError {
        StateError::ForeignJournal { path: path.to_owned(), journal: self.entry, state: self.state }
    }
}

impl Fold {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, run: None, changed: false }
    }

    /// Takes one entry in, or passes over it when it is folded in already.
    pub(super) fn take(&mut self, seq: u64, entry: Entry) -> Result<(), ForeignEntry> {
        if seq <= self.snapshot.journal {
            return Ok(());
        }
        match entry {
            Entry::Folded { lineage, .. } => self.check_lineage(lineage)?,
            Entry::RunBegin(header) => self.run_begin(header)?,
            Entry::Begin { address, pending, .. } => {
                self.touch();
                self.snapshot.state.pending.insert(address, pending);
            }
            Entry::End(end) => self.end(*end),
            Entry::RunEnd { .. } => self.settle(),
        }
        self.snapshot.journal = seq;
        Ok(())
    }

    /// The state with all that was taken in. A run without an end counts as far as it came.
    pub(super) fn finish(mut self) -> Folded {
        self.settle();
        Folded { snapshot: self.snapshot, changed: self.changed }
    }

    fn check_lineage(&mut self, lineage: String) -> Result<(), ForeignEntry> {
        let state = &mut self.snapshot.state;
        if state.lineage.is_empty() {
            state.lineage = lineage;
            self.changed = true;
        } else if state.lineage != lineage {
            return Err(ForeignEntry { entry: lineage, state: state.lineage.clone() });
        }
        Ok(())
    }

    fn run_begin(&mut self, header: RunHeader) -> Result<(), ForeignEntry> {
        self.settle();
        let RunHeader { run, project, plan_digest, steps, lineage, .. } = header;
        self.check_lineage(lineage)?;
        let State { project: recorded, applied, .. } = &mut self.snapshot.state;
        if recorded.is_none() {
            *recorded = Some(project);
            self.changed = true;
        }
        // A resumed plan goes on from what the run before it did.
        let earlier = applied.iter().find(|plan| Some(plan.digest) == plan_digest && !plan.complete);
        let done = earlier.map(|plan| plan.done.iter().copied().collect()).unwrap_or_default();
        self.run = Some(OpenRun { id: run, plan: plan_digest, steps, begun: false, done });
        Ok(())
    }

    fn touch(&mut self) {
        self.changed = true;
        // Entries without a run can come from a state that was put back over a later journal; they
        // are as true as any, and the serial moves on with them.
        let run = self.run.as_mut();
        if run.as_ref().is_none_or(|run| !run.begun) {
            self.snapshot.state.serial += 1;
        }
        match run {
            Some(run) => run.begun = true,
            None => {
                let (id, done) = (RunId::new(""), BTreeSet::new());
                self.run = Some(OpenRun { id, plan: None, steps: u32::MAX, begun: true, done });
            }
        }
    }

    fn end(&mut self, end: End) {
        self.touch();
        if let Some(run) = &mut self.run {
            // A step that was done may be put back later in its run.
            if end.done {
                run.done.insert(end.step);
            } else {
                run.done.remove(&end.step);
            }
        }
        let state = &mut self.snapshot.state;
        if let Some(old) = &end.renamed_from {
            state.records.remove(old);
            state.pending.remove(old);
        }
        state.pending.remove(&end.address);
        match end.record {
            RecordChange::Keep => {}
            RecordChange::Put(record) => {
                state.records.insert(end.address, record);
            }
            RecordChange::Remove => {
                state.records.remove(&end.address);
            }
        }
    }

    /// Notes how far the plan of the open run came, so that it is not applied twice.
    fn settle(&mut self) {
        let Some(OpenRun { id, plan: Some(digest), steps, begun, done }) = self.run.take() else { return };
        let complete = done.len() as u64 >= u64::from(steps);
        if !begun && !complete {
            return;
        }
        let State { applied, serial, .. } = &mut self.snapshot.state;
        self.changed = true;
        applied.retain(|plan| plan.digest != digest);
        let done = if complete { Vec::new() } else { done.into_iter().collect() };
        applied.push(AppliedPlan { digest, run: id, serial: *serial, complete, done });
        let surplus = applied.len().saturating_sub(APPLIED_KEPT);
        applied.drain(..surplus);
    }
}
