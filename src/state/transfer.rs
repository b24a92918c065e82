//! Pulling and pushing whole states, and the way back from a damaged one.

use std::path::Path;

use super::fold::Folded;
use super::format::{self, Keep, Snapshot};
use super::journal::{self, Entry};
use super::store::{LockRequest, Store, empty_journal};
use super::{LockHolder, State, StateError};

/// The least serial that a pushed state may be given.
struct Floor(u64);

impl Store {
    /// The recorded state in the format of the state file, with the journal folded in; `None` when
    /// there is none yet.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn pull(&self) -> Result<Option<Vec<u8>>, StateError> {
        let loaded = self.load_unlocked()?;
        let Folded { snapshot, .. } = loaded.folded;
        if !loaded.file_exists && snapshot.state.lineage.is_empty() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let reason = format!("pulled at serial {}", snapshot.state.serial);
        format::serialize(&snapshot, &reason, &mut bytes).map_err(StateError::io("write", &self.state_path()))?;
        Ok(Some(bytes))
    }

    /// Records a state that was pulled, or kept as the previous one, in the place of the current one,
    /// under the lock. `from` is where the bytes came from, for errors. The state that was pushed
    /// already is left as it is.
    ///
    /// Without `force` it must be of the same lineage and project and have a higher serial. With it,
    /// it is given the next serial, so that plans made before are stale. A current state that is
    /// damaged or missing is replaced without `force`; a damaged file is set aside as
    /// `state.json.damaged`, and what the journal has beyond the pushed state is folded in.
    ///
    /// # Errors
    /// When the lock is held, the bytes are not a state or are refused by the rules above, or a file
    /// cannot be written; the current state then stands.
    pub fn push(
        &self,
        from: &Path,
        bytes: &[u8],
        force: bool,
        request: LockRequest<'_>,
        mut on_wait: impl FnMut(Option<&LockHolder>),
    ) -> Result<State, StateError> {
        let (pushed, _) = format::parse(from, bytes)?;
        if pushed.state.lineage.is_empty() {
            let why = "it has no lineage".to_owned();
            return Err(StateError::Damaged { path: from.to_owned(), why, previous: None });
        }
        let (_guard, _) = self.acquire(request, &mut on_wait)?;
        let (mut next, keep, floor) = match self.load() {
            Ok(current) => {
                let current = current.folded.snapshot;
                if current.state == pushed.state {
                    return Ok(current.state);
                }
                check_rules(&current.state, &pushed.state, force)?;
                let floor = Floor(current.state.serial + 1);
                (Snapshot { journal: current.journal, ..pushed }, Keep::AsBackup, floor)
            }
            Err(StateError::Damaged { .. } | StateError::Missing { .. }) => {
                let (next, floor) = self.recover(pushed)?;
                (next, Keep::AsDamaged, floor)
            }
            Err(error) => return Err(error),
        };
        next.state.serial = next.state.serial.max(floor.0);
        format::write(&self.state_path(), &next, "push", keep)?;
        empty_journal(self, &next)?;
        Ok(next.state)
    }

    /// Folds what the journal knows beyond a state that takes the place of an unreadable one.
    fn recover(&self, pushed: Snapshot) -> Result<(Snapshot, Floor), StateError> {
        let contents = journal::read(&self.journal_path())?;
        // The serial of the lost state is what its journal started from.
        let lost = contents.entries.iter().map(|(_, entry)| match entry {
            Entry::Folded { serial, .. } => *serial,
            Entry::RunBegin(header) => header.serial,
            _ => 0,
        });
        let floor = Floor(lost.max().map_or(0, |serial| serial + 1));
        Ok((self.fold(Some(pushed), contents)?.folded.snapshot, floor))
    }
}

fn check_rules(current: &State, pushed: &State, force: bool) -> Result<(), StateError> {
    if force {
        return Ok(());
    }
    if !current.lineage.is_empty() && current.lineage != pushed.lineage {
        return Err(StateError::OtherLineage { current: current.lineage.clone(), pushed: pushed.lineage.clone() });
    }
    if let (Some(current), Some(pushed)) = (&current.project, &pushed.project)
        && current != pushed
    {
        return Err(StateError::OtherProject { current: current.to_string(), pushed: pushed.to_string() });
    }
    if !current.lineage.is_empty() && pushed.serial <= current.serial {
        return Err(StateError::OlderSerial { current: current.serial, pushed: pushed.serial });
    }
    Ok(())
}
