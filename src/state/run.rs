//! A run in progress: it holds the lock and keeps the intents of its steps.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use super::fold::Fold;
use super::journal::{Entry, RunHeader};
use super::store::Locked;
use super::writer::{Appender, WriterThread};
use super::{End, Intents, LockHolder, Pending, State, StateError};
use crate::model::{Address, RunId};

/// Keeps the intents of one run. Dropped without [`finish`](Self::finish), it leaves all that was
/// durable for the next one who takes the lock to fold, as a kill would.
#[must_use = "a run that is not finished counts as killed"]
pub struct RunWriter {
    run: RunId,
    /// `None` once the run has ended.
    open: Mutex<Option<Open>>,
}

impl fmt::Debug for RunWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunWriter").field("run", &self.run).finish_non_exhaustive()
    }
}

/// What a run holds until it ends.
struct Open {
    /// `None` only while this is being dropped.
    appender: Option<Appender>,
    /// `None` only once it was joined.
    thread: Option<WriterThread>,
    /// Dropped last: whoever gets the lock next finds no writer at work.
    locked: Locked,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.appender = None;
        if let Some(thread) = self.thread.take() {
            // What it wrote is in the journal; its fold is made again from there.
            let _ = thread.join();
        }
    }
}

impl RunWriter {
    /// Begins a run: its header is durable when this returns.
    pub(super) fn begin_run(mut locked: Locked, mut header: RunHeader) -> Result<Self, StateError> {
        let mut journal = locked.open_journal()?;
        let snapshot = locked.take_snapshot()?;
        header.lineage.clone_from(&snapshot.state.lineage);
        header.serial = snapshot.state.serial;
        let run = header.run.clone();
        let mut fold = Fold::new(snapshot);
        journal.append_one(&mut fold, Entry::RunBegin(header))?;
        let (appender, thread) = Appender::spawn(journal, fold)?;
        let open = Open { appender: Some(appender), thread: Some(thread), locked };
        Ok(Self { run, open: Mutex::new(Some(open)) })
    }

    /// The dead process that the lock was taken from, for a warning.
    #[must_use]
    pub fn taken_over(&self) -> Option<LockHolder> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().and_then(|open| open.locked.taken_over().cloned())
    }

    /// Ends the run: folds the journal into the state file and lets go of the lock. No step may be
    /// in progress, except those that were cancelled and whose intents are to stay. It blocks while
    /// it writes the state, which takes as long as the state is large.
    ///
    /// # Errors
    /// When the journal or the state file cannot be written. What was durable stays, and the next
    /// one who takes the lock folds it.
    pub fn finish(&self, outcome: &str, at: Timestamp) -> Result<State, StateError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut open = open.ok_or_else(|| self.ended())?;
        open.appender = None;
        let thread = open.thread.take().ok_or_else(|| self.ended())?;
        let written = thread.join().map_err(|_| self.ended())??;
        let (mut journal, mut fold) = (written.journal, written.fold);
        journal.append_one(&mut fold, Entry::RunEnd { run: self.run.clone(), outcome: outcome.to_owned(), at })?;
        open.locked.compact(fold.finish(), &format!("run {}", self.run))?;
        Ok(open.locked.take_snapshot()?.state)
    }

    async fn append(&self, entry: Entry) -> Result<(), StateError> {
        let acked = {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let appender = open.as_ref().and_then(|open| open.appender.as_ref());
            appender.map(|appender| appender.append(entry)).ok_or_else(|| self.ended())?
        };
        acked.await.unwrap_or_else(|_| Err(self.ended()))
    }

    fn ended(&self) -> StateError {
        StateError::RunEnded(self.run.to_string())
    }
}

#[async_trait]
impl Intents for RunWriter {
    async fn begin(&self, step: u32, address: &Address, pending: Pending) -> Result<(), StateError> {
        self.append(Entry::Begin { step, address: address.clone(), pending }).await
    }

    async fn end(&self, end: End) -> Result<(), StateError> {
        self.append(Entry::End(Box::new(end))).await
    }
}
