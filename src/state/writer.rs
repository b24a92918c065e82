//! Appending to the journal: one thread writes, and concurrent steps share a sync.
//!
//! While one batch is being synced the next one gathers, so N steps at once cost one sync between
//! them. After a failed write or sync the file is cut back to what was
//! durable, everyone who waited gets the error, and no further step may begin; ends are still tried,
//! because each one that can be kept saves the next plan from having to look.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::StateError;
use super::fold::Fold;
use super::journal::{Entry, encode};
use crate::sys::sync_dir;

/// How many entries share a sync at most.
const BATCH: usize = 1024;
/// How long a batch is held open at most, however slow the disk.
const LONGEST_PATIENCE: Duration = Duration::from_millis(1);

/// What a journal is written to; a double in tests fills up.
pub(super) trait Medium: Send {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.sync_data()
    }
}

/// The journal of the run that holds the lock.
pub(super) struct JournalFile {
    path: PathBuf,
    medium: Box<dyn Medium>,
    /// How many bytes are durable; the file is cut back to them after a failure.
    durable: u64,
    /// The number of the next entry.
    next: u64,
    /// Why nothing can be appended any more: a failed write could not be cut away.
    dead: Option<StateError>,
    buffer: Vec<u8>,
}

impl JournalFile {
    /// Opens a journal of which the first `durable` bytes are whole entries, up to number `last`.
    pub(super) fn open(path: &Path, durable: u64, last: u64) -> Result<Self, StateError> {
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(path).map_err(StateError::io("open", path))?;
        if is_new {
            let folder = path.parent().unwrap_or(Path::new("."));
            sync_dir(folder).map_err(StateError::io("sync", folder))?;
        }
        Ok(Self::on(path, Box::new(file), durable, last))
    }

    pub(super) fn on(path: &Path, medium: Box<dyn Medium>, durable: u64, last: u64) -> Self {
        Self { path: path.to_owned(), medium, durable, next: last + 1, dead: None, buffer: Vec::new() }
    }

    /// Appends one entry and folds it in.
    pub(super) fn append_one(&mut self, fold: &mut Fold, entry: Entry) -> Result<(), StateError> {
        let seq = self.append(std::iter::once(&entry))?;
        fold.take(seq, entry).map_err(|foreign| foreign.in_journal(&self.path))
    }

    /// Appends entries and returns once they are durable, with the number of the first. On an error
    /// none of them is.
    pub(super) fn append<'a>(&mut self, entries: impl Iterator<Item = &'a Entry> + Clone) -> Result<u64, StateError> {
        if let Some(error) = &self.dead {
            return Err(error.clone());
        }
        self.buffer.clear();
        let first = self.next;
        let mut next = first;
        for entry in entries.clone() {
            encode(next, entry, &mut self.buffer)
                .map_err(|error| StateError::io("write", &self.path)(io::Error::from(error)))?;
            next += 1;
        }
        entries.clone().for_each(before);
        let mut kept = self.medium.append(&self.buffer);
        if kept.is_ok() {
            entries.clone().for_each(written);
            kept = self.medium.sync();
        }
        if let Err(error) = kept {
            let error = StateError::io("write", &self.path)(error);
            // After a failed sync nobody knows what is on the disk beyond what was durable; written
            // again from there, it is synced anew.
            if self.medium.cut(self.durable).is_err() {
                self.dead = Some(error.clone());
            }
            return Err(error);
        }
        entries.for_each(synced);
        self.durable += self.buffer.len() as u64;
        self.next = next;
        Ok(first)
    }
}

/// Marks the boundary before an entry is written.
fn before(entry: &Entry) {
    match entry {
        Entry::RunBegin(_) => {
            crate::crash_point!("journal.run_begin.before");
        }
        Entry::Begin { .. } => {
            crate::crash_point!("journal.begin.before");
        }
        Entry::End(_) => {
            crate::crash_point!("journal.end.before");
        }
        Entry::RunEnd { .. } => {
            crate::crash_point!("journal.run_end.before");
        }
        Entry::Folded { .. } => {}
    }
}

/// Marks the boundary between the write of an entry and its sync.
fn written(entry: &Entry) {
    match entry {
        Entry::RunBegin(_) => {
            crate::crash_point!("journal.run_begin.written");
        }
        Entry::Begin { .. } => {
            crate::crash_point!("journal.begin.written");
        }
        Entry::End(_) => {
            crate::crash_point!("journal.end.written");
        }
        Entry::RunEnd { .. } => {
            crate::crash_point!("journal.run_end.written");
        }
        Entry::Folded { .. } => {}
    }
}

/// Marks the boundary between the sync of an entry and the answer to who waits for it.
fn synced(entry: &Entry) {
    match entry {
        Entry::RunBegin(_) => {
            crate::crash_point!("journal.run_begin.synced");
        }
        Entry::Begin { .. } => {
            crate::crash_point!("journal.begin.synced");
        }
        Entry::End(_) => {
            crate::crash_point!("journal.end.synced");
        }
        Entry::RunEnd { .. } => {
            crate::crash_point!("journal.run_end.synced");
        }
        Entry::Folded { .. } => {}
    }
}

/// An entry, and who waits until it is durable.
struct Request {
    entry: Entry,
    ack: oneshot::Sender<Result<(), StateError>>,
}

/// The sending end of the thread that writes.
pub(super) struct Appender(mpsc::Sender<Request>);

/// The thread that writes; it ends once every [`Appender`] is dropped.
pub(super) type WriterThread = JoinHandle<Result<Written, StateError>>;

/// What the thread leaves behind: the journal, and the state with all that became durable.
pub(super) struct Written {
    pub(super) journal: JournalFile,
    pub(super) fold: Fold,
}

impl Appender {
    /// Starts the thread.
    pub(super) fn spawn(journal: JournalFile, fold: Fold) -> Result<(Self, WriterThread), StateError> {
        let (sender, requests) = mpsc::channel();
        let path = journal.path.clone();
        let thread = std::thread::Builder::new().name("journal".to_owned());
        let thread = thread.spawn(move || write_all(journal, fold, &requests));
        Ok((Self(sender), thread.map_err(StateError::io("start the writer of", &path))?))
    }

    /// Hands an entry over; what is returned is answered once it is durable, and fails when the
    /// thread has ended. Who waits for the answer holds no appender, so the thread can end then.
    pub(super) fn append(&self, entry: Entry) -> oneshot::Receiver<Result<(), StateError>> {
        let (ack, acked) = oneshot::channel();
        // A request that cannot be sent is dropped, which its receiver reports.
        let _ = self.0.send(Request { entry, ack });
        acked
    }
}

/// Gathers what shares the next sync.
///
/// Steps that were answered together come back together, a moment after the answer. So the gathering
/// waits for as many as there are known to be, but for a fraction of what a sync costs only: a step
/// that is busy with its backend delays nobody for long.
struct Gathering<'a> {
    requests: &'a mpsc::Receiver<Request>,
    /// What came while the batch before was being synced.
    waiting: Vec<Request>,
    /// How many may come: those that were answered last, and those that wait.
    expected: usize,
    patience: Duration,
}

impl<'a> Gathering<'a> {
    fn new(requests: &'a mpsc::Receiver<Request>) -> Self {
        Self { requests, waiting: Vec::new(), expected: 1, patience: Duration::ZERO }
    }

    /// The next batch; `None` once nothing more will come.
    fn next(&mut self) -> Option<Vec<Request>> {
        let mut batch = std::mem::take(&mut self.waiting);
        if batch.is_empty() {
            batch.push(self.requests.recv().ok()?);
        }
        let started = Instant::now();
        while batch.len() < BATCH {
            let left = self.patience.saturating_sub(started.elapsed());
            let next = if batch.len() < self.expected && !left.is_zero() {
                self.requests.recv_timeout(left).ok()
            } else {
                self.requests.try_recv().ok()
            };
            match next {
                Some(request) => batch.push(request),
                None => break,
            }
        }
        Some(batch)
    }

    /// Takes in what came during a sync, before its answers bring back those who waited for it.
    fn synced(&mut self, answered: usize, cost: Duration) {
        self.waiting.extend(self.requests.try_iter().take(BATCH));
        self.expected = answered + self.waiting.len();
        self.patience = (cost / 4).min(LONGEST_PATIENCE);
    }
}

fn write_all(
    mut journal: JournalFile,
    mut fold: Fold,
    requests: &mpsc::Receiver<Request>,
) -> Result<Written, StateError> {
    let mut stopped: Option<StateError> = None;
    let mut gathering = Gathering::new(requests);
    while let Some(batch) = gathering.next() {
        let (batch, refused): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|request| stopped.is_none() || !matches!(request.entry, Entry::Begin { .. }));
        if let Some(error) = &stopped {
            answer(refused, &Err(StateError::Stopped(Box::new(error.clone()))));
        }
        if batch.is_empty() {
            continue;
        }
        let started = Instant::now();
        let appended = journal.append(batch.iter().map(|request| &request.entry));
        gathering.synced(batch.len(), started.elapsed());
        match appended {
            Ok(first) => {
                // Who waits goes on while the entries are folded.
                let entries: Vec<Entry> = batch
                    .into_iter()
                    .map(|Request { entry, ack }| {
                        let _ = ack.send(Ok(()));
                        entry
                    })
                    .collect();
                for (seq, entry) in (first..).zip(entries) {
                    fold.take(seq, entry).map_err(|foreign| foreign.in_journal(&journal.path))?;
                }
            }
            Err(error) => {
                answer(batch, &Err(error.clone()));
                stopped.get_or_insert(error);
            }
        }
    }
    Ok(Written { journal, fold })
}

fn answer(requests: Vec<Request>, result: &Result<(), StateError>) {
    for Request { ack, .. } in requests {
        // Who no longer waits was cancelled; what it asked for is durable or not all the same.
        let _ = ack.send(result.clone());
    }
}
