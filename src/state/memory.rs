//! Intents kept in memory, for tests of the executor.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::fold::Fold;
use super::format::Snapshot;
use super::{End, Entry, Intents, Pending, State, StateError};
use crate::model::Address;

/// A double of [`RunWriter`](super::RunWriter) that keeps everything in memory and can fill up.
#[derive(Debug, Default)]
pub struct MemoryIntents {
    base: State,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: Vec<Entry>,
    room: Option<usize>,
}

impl MemoryIntents {
    /// Starts from a state.
    #[must_use]
    pub fn new(base: State) -> Self {
        Self { base, kept: Mutex::default() }
    }

    /// The same with room for so many entries; what comes after fails as on a full disk.
    #[must_use]
    pub fn with_room(self, entries: usize) -> Self {
        self.kept().room = Some(entries);
        self
    }

    /// What was kept so far, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.kept().entries.clone()
    }

    /// The state with all that was kept folded in.
    #[must_use]
    pub fn state(&self) -> State {
        let mut fold = Fold::new(Snapshot { state: self.base.clone(), journal: 0 });
        for (seq, entry) in (1..).zip(self.entries()) {
            // Begins and ends have no lineage that could differ.
            let _ = fold.take(seq, entry);
        }
        fold.finish().snapshot.state
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, entry: Entry) -> Result<(), StateError> {
        let mut kept = self.kept();
        if kept.room.is_some_and(|room| kept.entries.len() >= room) {
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(StateError::io("write", std::path::Path::new("journal.ndjson"))(full));
        }
        kept.entries.push(entry);
        Ok(())
    }
}

#[async_trait]
impl Intents for MemoryIntents {
    async fn begin(&self, step: u32, address: &Address, pending: Pending) -> Result<(), StateError> {
        self.keep(Entry::Begin { step, address: address.clone(), pending })
    }

    async fn end(&self, end: End) -> Result<(), StateError> {
        self.keep(Entry::End(Box::new(end)))
    }
}
