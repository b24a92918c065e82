//! What can go wrong with the recorded state, and what the user can do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::lock::LockHolder;

/// Why the recorded state cannot be read or written. Nothing was lost: whatever the error, what was
/// durable before is still there.
#[derive(Debug, Clone, Error)]
pub enum StateError {
    /// The system refused.
    #[error("cannot {doing} {}: {error}", path.display())]
    Io {
        /// What was tried: `write`.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said; shared, because one failed sync fails every step that waits for it.
        error: Arc<io::Error>,
    },
    /// The state file is gone although there was one.
    #[error("{} is missing, but {} proves that there was one", path.display(), proof.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// What shows that it was there.
        proof: PathBuf,
        /// The previous state, where it was kept.
        previous: Option<PathBuf>,
    },
    /// The state file does not hold what orch wrote.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// The previous state, where it was kept.
        previous: Option<PathBuf>,
    },
    /// A newer orch wrote the state file.
    #[error("{} has state format {format}, written by orch {orch}; this is orch {}, which reads up to format {}",
        path.display(), env!("CARGO_PKG_VERSION"), super::STATE_FORMAT)]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The version of orch that wrote it.
        orch: String,
    },
    /// A line in the middle of the journal does not hold what orch wrote.
    #[error("{} is damaged in line {line}: {why}", path.display())]
    JournalDamaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A whole line of the journal has a content that this orch does not know.
    #[error("{} has an entry in line {line} that orch {} does not know: {why}", path.display(), env!("CARGO_PKG_VERSION"))]
    JournalNewer {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is not known.
        why: String,
    },
    /// The journal was written for another state.
    #[error("{} belongs to the lineage {journal}, the state beside it to {state}", path.display())]
    ForeignJournal {
        /// The journal.
        path: PathBuf,
        /// The lineage that the journal was written for.
        journal: String,
        /// The lineage of the state.
        state: String,
    },
    /// The key file does not hold a key.
    #[error("{} does not hold a key of 64 hexadecimal digits", path.display())]
    KeyDamaged {
        /// The file.
        path: PathBuf,
    },
    /// Someone else works on this state.
    #[error("{} is held by {}", path.display(), holder.as_ref().map_or_else(|| "a process that did not say which".to_owned(), ToString::to_string))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it; `None` when it did not write that in time.
        holder: Option<Box<LockHolder>>,
        /// Whether it is known to be alive, so that waiting for it makes sense.
        alive: bool,
    },
    /// There is no lock to remove.
    #[error("{} is not held by anyone", path.display())]
    NotLocked {
        /// The lock file.
        path: PathBuf,
    },
    /// The lock has another id than the one given.
    #[error("the lock has the id {}, not {given}; it is held by {holder}", holder.id)]
    OtherLock {
        /// The id that was given.
        given: String,
        /// Who holds it.
        holder: Box<LockHolder>,
    },
    /// The holder of the lock is a process that still runs.
    #[error("the holder of {} is still running: {holder}", path.display())]
    HolderAlive {
        /// The lock file.
        path: PathBuf,
        /// Who holds it.
        holder: Box<LockHolder>,
    },
    /// A state of another lineage was to take the place of this one.
    #[error("the state to push belongs to the lineage {pushed}, the recorded one to {current}")]
    OtherLineage {
        /// The lineage of the recorded state.
        current: String,
        /// The lineage of the other one.
        pushed: String,
    },
    /// A state of another project was to take the place of this one.
    #[error("the state to push belongs to the project {pushed}, the recorded one to {current}")]
    OtherProject {
        /// The project of the recorded state.
        current: String,
        /// The project of the other one.
        pushed: String,
    },
    /// An older state, or another one of the same age, was to take the place of this one.
    #[error("the state to push has the serial {pushed}, the recorded one has {current} and differs")]
    OlderSerial {
        /// The serial of the recorded state.
        current: u64,
        /// The serial of the other one.
        pushed: u64,
    },
    /// The journal could not be written, so no further step may begin.
    #[error("no further step may begin, because {0}")]
    Stopped(Box<StateError>),
    /// The run was finished before.
    #[error("run {0} has ended")]
    RunEnded(String),
    /// There is no such run.
    #[error("there is no run {id} in {}", folder.display())]
    UnknownRun {
        /// What was asked for.
        id: String,
        /// Where the runs are.
        folder: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}

impl StateError {
    /// Wraps what the system said about a path.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { doing, path, error: Arc::new(error) }
    }

    /// What the user can do about it, as a sentence fragment.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { error, .. } => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "free some space and run the command again: what was done is recorded or will be found".to_owned()
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "make the state folder writable for this user, or set `settings.state_dir` to one that is"
                        .to_owned()
                }
                _ => return None,
            },
            Self::Missing { path, previous, .. } | Self::Damaged { path, previous, .. } => {
                put_back(path, previous.as_deref())
            }
            Self::Newer { orch, .. } => format!("use orch {orch} or newer"),
            Self::JournalDamaged { path, .. } => format!(
                "move it away (`mv {0} {0}.damaged`): the next plan looks at what runs and records it again",
                path.display()
            ),
            Self::JournalNewer { .. } => "use the orch that wrote it, or a newer one".to_owned(),
            Self::ForeignJournal { path, .. } => format!(
                "put back the state file that belongs to it, or move it away (`mv {0} {0}.other`)",
                path.display()
            ),
            Self::KeyDamaged { path } => format!(
                "put {} back from a copy; without it every sensitive value counts as changed and every service as new",
                path.display()
            ),
            Self::Locked { holder: Some(holder), alive: false, .. } => format!(
                "wait for it; if {} is gone for good, remove the lock with `orch unlock {}`",
                holder.host, holder.id
            ),
            Self::Locked { .. } => "wait for it, or give `--lock-timeout 5m` to wait that long".to_owned(),
            Self::NotLocked { .. } => return None,
            Self::OtherLock { holder, .. } => format!("if it is gone for good, run `orch unlock {}`", holder.id),
            Self::HolderAlive { holder, .. } => match &holder.process {
                Some(process) => format!("wait for pid {} to end, or end it", process.pid),
                None => "wait for it to end, or end it".to_owned(),
            },
            Self::OtherLineage { .. } | Self::OtherProject { .. } => {
                "check that this is the right project; `--force` pushes it all the same".to_owned()
            }
            Self::OlderSerial { .. } => {
                "pull the recorded state and make the change there; `--force` pushes it all the same".to_owned()
            }
            Self::Stopped(because) => return because.hint(),
            Self::UnknownRun { .. } => "`orch history` lists the runs".to_owned(),
            Self::RunEnded(_) | Self::Random(_) => return None,
        })
    }
}

/// How to put the previous state back in the place of one that cannot be read.
fn put_back(path: &Path, previous: Option<&Path>) -> String {
    match previous {
        Some(previous) => format!(
            "the previous state is kept in {0}: put it back with `orch state push {0}` (or `cp {0} {1}`), \
             then plan: what was done since is found by looking at what runs",
            previous.display(),
            path.display()
        ),
        None => format!(
            "no previous state is kept: put {0} back from a copy, or move it and the journal beside it away and plan: \
             what runs is found by looking and adopted",
            path.display()
        ),
    }
}
