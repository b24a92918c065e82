//! The store: the state folder of one project, and who may write to it.
//!
//! Reading needs no lock: the journal is read before the state file. Entries only ever move from the
//! journal into the state, so whatever the journal read earlier lacks is in the state read later, and
//! whatever both have is passed over by its number.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::fold::{Fold, Folded};
use super::format::{self, Keep, Snapshot};
use super::journal::{self, Contents, Entry, RunHeader};
use super::lock::{self, LockGuard};
use super::writer::JournalFile;
use super::{LockHolder, RunWriter, Runs, State, StateError, key, random_hex};
use crate::model::DigestKey;
use crate::sys::{Durability, create_private_dir, sync_dir, write_atomic};

/// How often a reader without the lock looks again before it believes in damage.
const READS: u32 = 3;
const READ_PAUSE: Duration = Duration::from_millis(20);

/// The state folder of one project.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// What a lock is wanted for.
#[derive(Debug, Clone, Copy)]
pub struct LockRequest<'a> {
    /// The verb, as others see it: `apply`.
    pub doing: &'a str,
    /// Now.
    pub at: Timestamp,
    /// How long to wait for it.
    pub timeout: Duration,
}

impl Store {
    /// The store in a folder; nothing is read or made yet.
    #[must_use]
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The state file.
    #[must_use]
    pub fn state_path(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    pub(super) fn journal_path(&self) -> PathBuf {
        self.dir.join("journal.ndjson")
    }

    /// The records of the runs.
    #[must_use]
    pub fn runs(&self) -> Runs {
        Runs::at(self.dir.join("runs"))
    }

    /// The key for digests; `None` before [`ensure_key`](Self::ensure_key) made one.
    ///
    /// # Errors
    /// When it cannot be read or is not a key.
    pub fn key(&self) -> Result<Option<DigestKey>, StateError> {
        key::read(&self.key_path())
    }

    /// The key for digests, made and kept durably if there is none.
    ///
    /// # Errors
    /// When it cannot be read or written, or is not a key.
    pub fn ensure_key(&self) -> Result<DigestKey, StateError> {
        self.make_dir()?;
        key::ensure(&self.key_path())
    }

    fn key_path(&self) -> PathBuf {
        self.dir.join("digest.key")
    }

    /// What is recorded, with the journal folded in; the empty state when there is none yet. Writes
    /// nothing, and needs no lock.
    ///
    /// # Errors
    /// When a file cannot be read, is damaged or missing, or was written by a newer orch.
    pub fn read(&self) -> Result<State, StateError> {
        Ok(self.load_unlocked()?.folded.snapshot.state)
    }

    /// Takes the lock, waiting for it as long as asked, and folds in what a killed run left.
    /// `on_wait` is called once if it has to wait, with the holder if that is known. It blocks.
    ///
    /// # Errors
    /// [`StateError::Locked`] when someone else has it; else as for [`read`](Self::read).
    pub fn lock(
        &self,
        request: LockRequest<'_>,
        mut on_wait: impl FnMut(Option<&LockHolder>),
    ) -> Result<Locked, StateError> {
        let (guard, taken_over) = self.acquire(request, &mut on_wait)?;
        Locked::open(self.clone(), guard, taken_over)
    }

    pub(super) fn acquire(
        &self,
        request: LockRequest<'_>,
        on_wait: &mut dyn FnMut(Option<&LockHolder>),
    ) -> Result<(LockGuard, Option<LockHolder>), StateError> {
        self.make_dir()?;
        let LockRequest { doing, at, timeout } = request;
        let acquired = lock::acquire(&lock::path_in(&self.dir), doing, at, timeout, on_wait)?;
        Ok((acquired.guard, acquired.taken_over))
    }

    /// Who holds the lock, without taking it.
    ///
    /// # Errors
    /// When the lock file cannot be read.
    pub fn peek_lock(&self) -> Result<Option<LockHolder>, StateError> {
        lock::peek(&lock::path_in(&self.dir))
    }

    /// Removes the lock `id`, whose holder is gone for good, and says whose it was.
    ///
    /// # Errors
    /// When nobody holds it, it has another id, or its holder is a process that still runs.
    pub fn unlock(&self, id: &str) -> Result<LockHolder, StateError> {
        lock::unlock(&lock::path_in(&self.dir), id)
    }

    /// Makes the folder, and its name durable: what is synced inside would be lost with it.
    fn make_dir(&self) -> Result<(), StateError> {
        if self.dir.is_dir() {
            return Ok(());
        }
        create_private_dir(&self.dir).map_err(StateError::io("make the folder", &self.dir))?;
        let parent = self.dir.parent().unwrap_or(Path::new("."));
        sync_dir(parent).map_err(StateError::io("sync", parent))
    }

    /// Loads without the lock. A file that is cut or replaced between two reads can look damaged for
    /// a moment, so damage must be there more than once.
    pub(super) fn load_unlocked(&self) -> Result<Loaded, StateError> {
        let mut reads = 1;
        loop {
            match self.load() {
                Err(
                    StateError::Missing { .. } | StateError::JournalDamaged { .. } | StateError::ForeignJournal { .. },
                ) if reads < READS => {
                    reads += 1;
                    std::thread::sleep(READ_PAUSE);
                }
                other => return other,
            }
        }
    }

    /// Reads the journal, then the state file, and folds.
    pub(super) fn load(&self) -> Result<Loaded, StateError> {
        let contents = journal::read(&self.journal_path())?;
        let file = format::read(&self.state_path())?;
        if file.is_none() {
            self.check_never_written(&contents)?;
        }
        self.fold(file, contents)
    }

    /// Refuses a missing state file when something proves that there was one: a lost state must not
    /// look like a new project.
    fn check_never_written(&self, contents: &Contents) -> Result<(), StateError> {
        let path = self.state_path();
        let previous = format::previous(&path);
        let first_run = match contents.entries.first() {
            None => true,
            Some((1, Entry::RunBegin(header))) => header.serial == 0,
            Some(_) => false,
        };
        let proof = match (&previous, first_run) {
            (Some(previous), _) => previous.clone(),
            (None, false) => self.journal_path(),
            (None, true) => return Ok(()),
        };
        Err(StateError::Missing { path, proof, previous })
    }

    /// Folds the entries of a journal into what a state file holds.
    pub(super) fn fold(&self, file: Option<Snapshot>, contents: Contents) -> Result<Loaded, StateError> {
        let file_exists = file.is_some();
        let Contents { entries, valid, torn } = contents;
        let marked = matches!(entries.as_slice(), [] | [(_, Entry::Folded { .. })]);
        let last_entry = entries.last().map(|(seq, _)| *seq);
        let mut killed = None;
        let mut fold = Fold::new(file.unwrap_or_default());
        for (seq, entry) in entries {
            match &entry {
                Entry::RunBegin(header) => killed = Some(header.run.to_string()),
                Entry::RunEnd { .. } => killed = None,
                _ => {}
            }
            fold.take(seq, entry).map_err(|foreign| foreign.in_journal(&self.journal_path()))?;
        }
        let folded = fold.finish();
        let last = folded.snapshot.journal;
        // Numbers may not have a gap, so a journal that ends before the state does starts anew.
        let clean = marked && !torn && last_entry.is_none_or(|entry| entry == last);
        let journal = JournalEnd { valid, last, clean };
        Ok(Loaded { folded, file_exists, journal, killed })
    }
}

/// What the files of a store hold together.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) folded: Folded,
    pub(super) file_exists: bool,
    pub(super) journal: JournalEnd,
    /// The run that was killed, if one was.
    pub(super) killed: Option<String>,
}

/// Where the next entry of the journal goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct JournalEnd {
    /// How many bytes of whole entries there are.
    pub(super) valid: u64,
    /// The number of the last entry, in the journal or folded.
    pub(super) last: u64,
    /// Whether it holds nothing that is not in the state file.
    pub(super) clean: bool,
}

/// A store that only this process may write to, until this is dropped.
#[derive(Debug)]
pub struct Locked {
    store: Store,
    snapshot: Snapshot,
    file_exists: bool,
    journal: JournalEnd,
    taken_over: Option<LockHolder>,
    recovered: Option<String>,
    _guard: LockGuard,
}

impl Locked {
    /// Loads, and folds in durably what a killed run left.
    fn open(store: Store, guard: LockGuard, taken_over: Option<LockHolder>) -> Result<Self, StateError> {
        sweep(store.dir());
        let Loaded { folded, file_exists, journal, killed } = store.load()?;
        let mut locked = Self {
            store,
            snapshot: Snapshot::default(),
            file_exists,
            journal,
            taken_over,
            recovered: killed,
            _guard: guard,
        };
        if journal.clean {
            locked.snapshot = folded.snapshot;
        } else {
            let reason = match &locked.recovered {
                Some(run) => format!("recovery of run {run}"),
                None => "recovery".to_owned(),
            };
            locked.compact(folded, &reason)?;
        }
        Ok(locked)
    }

    /// What is recorded.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.snapshot.state
    }

    /// The dead process that the lock was taken from, for a warning.
    #[must_use]
    pub fn taken_over(&self) -> Option<&LockHolder> {
        self.taken_over.as_ref()
    }

    /// The run that was killed and whose journal was folded in just now, for a warning.
    #[must_use]
    pub fn recovered(&self) -> Option<&str> {
        self.recovered.as_deref()
    }

    /// Begins a run; its header is durable when this returns.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn begin_run(self, header: RunHeader) -> Result<RunWriter, StateError> {
        RunWriter::begin_run(self, header)
    }

    /// Records another state than the one that was [read](Self::state), outside of a run: `state mv`,
    /// `state rm`, a refresh. Lineage and serial are the store's own; the serial goes up by one. The
    /// state before is kept as the backup.
    ///
    /// # Errors
    /// When it cannot be written; the old one stands.
    pub fn replace_state(&mut self, state: State, reason: &str) -> Result<&State, StateError> {
        let lineage = self.ensure_lineage()?;
        let serial = self.snapshot.state.serial + 1;
        let snapshot = Snapshot { state: State { lineage, serial, ..state }, journal: self.journal.last };
        self.compact(Folded { snapshot, changed: true }, reason)?;
        Ok(self.state())
    }

    /// The lineage, given now if there is none; it is written with the first state or run.
    fn ensure_lineage(&mut self) -> Result<String, StateError> {
        let lineage = &mut self.snapshot.state.lineage;
        if lineage.is_empty() {
            *lineage = random_hex::<16>()?;
        }
        Ok(lineage.clone())
    }

    /// Opens the journal to append to.
    pub(super) fn open_journal(&self) -> Result<JournalFile, StateError> {
        JournalFile::open(&self.store.journal_path(), self.journal.valid, self.journal.last)
    }

    /// Gives the snapshot away, with a lineage.
    pub(super) fn take_snapshot(&mut self) -> Result<Snapshot, StateError> {
        self.ensure_lineage()?;
        Ok(std::mem::take(&mut self.snapshot))
    }

    /// Writes the folded state, then empties the journal. After a crash in between, the numbers say
    /// that the entries are folded in already. A journal that changed nothing leaves the state file
    /// alone, so that the backup stays a state that differs.
    pub(super) fn compact(&mut self, folded: Folded, reason: &str) -> Result<(), StateError> {
        let Folded { snapshot, changed } = folded;
        let has_lineage = !snapshot.state.lineage.is_empty();
        if has_lineage && (changed || !self.file_exists) {
            format::write(&self.store.state_path(), &snapshot, reason, Keep::AsBackup)?;
            self.file_exists = true;
        }
        self.journal = empty_journal(&self.store, &snapshot)?;
        self.snapshot = snapshot;
        Ok(())
    }
}

/// Replaces the journal by an empty one that names the state it goes on from. It is replaced, not
/// cut, so that a reader without the lock sees the old or the new one.
pub(super) fn empty_journal(store: &Store, snapshot: &Snapshot) -> Result<JournalEnd, StateError> {
    let path = store.journal_path();
    let State { lineage, serial, .. } = &snapshot.state;
    let mut line = Vec::new();
    if !lineage.is_empty() {
        let mark = Entry::Folded { lineage: lineage.clone(), serial: *serial };
        journal::encode(snapshot.journal, &mark, &mut line)
            .map_err(|error| StateError::io("write", &path)(error.into()))?;
    }
    write_atomic(&path, &line, Durability::Durable).map_err(StateError::io("write", &path))?;
    crate::crash_point!("journal.emptied");
    Ok(JournalEnd { valid: line.len() as u64, last: snapshot.journal, clean: true })
}

/// Removes the temporary files that a killed run left; only the holder of the lock writes any.
fn sweep(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".tmp") && (name.starts_with("state.json.") || name.starts_with("journal.ndjson.")) {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}
