//! The lock: one process at a time changes a project.
//!
//! The lock is an advisory lock (flock) on a file that also says who holds it. The kernel drops the
//! advisory lock when the holder dies, however it dies; the text stays and tells the next one whom
//! it takes over from. The file itself is never removed, so that two processes never lock two
//! files of the same name.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::{StateError, random_hex};
use crate::sys::{self, Identity};

/// How long a refused contender waits for the holder to write who it is, when it need not wait
/// for the lock itself.
const GRACE: Duration = Duration::from_millis(500);
/// The first and the longest pause between two tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));
/// More than any holder writes; what is longer was not written by orch.
const LONGEST: u64 = 64 * 1024;

/// Who holds a lock, where, since when, doing what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LockHolder {
    /// What `orch unlock` asks for.
    pub id: String,
    /// The user.
    pub who: String,
    /// The machine.
    pub host: String,
    /// The process; `None` where the system does not tell processes apart.
    #[serde(flatten)]
    pub process: Option<Identity>,
    /// Since when.
    pub since: Timestamp,
    /// What it does: `apply`.
    pub doing: String,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, who, host, process, since, doing } = self;
        write!(f, "{who}@{host}")?;
        if let Some(process) = process {
            write!(f, " (pid {})", process.pid)?;
        }
        write!(f, ", doing `{doing}` since {since}, lock id {id}")
    }
}

/// What can be known of a holder from what it wrote.
#[derive(Debug, PartialEq, Eq)]
enum Life {
    /// It runs on this machine.
    Alive,
    /// It ran on this machine and ended without releasing the lock.
    Dead,
    /// It is on another machine.
    Elsewhere,
    /// It is on this machine, which does not tell processes apart: only the advisory lock knows.
    Unknown,
}

impl LockHolder {
    fn this_process(doing: &str, since: Timestamp) -> Result<Self, StateError> {
        Ok(Self {
            id: random_hex::<4>()?,
            who: sys::user(),
            host: sys::host(),
            process: Identity::own(),
            since,
            doing: doing.to_owned(),
        })
    }

    fn life(&self) -> Life {
        match &self.process {
            _ if self.host != sys::host() => Life::Elsewhere,
            Some(process) if process.is_alive() => Life::Alive,
            Some(_) => Life::Dead,
            None => Life::Unknown,
        }
    }
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(super) struct LockGuard {
    file: File,
}

/// A lock, and the dead process that it was taken from.
#[derive(Debug)]
pub(super) struct Acquired {
    pub(super) guard: LockGuard,
    pub(super) taken_over: Option<LockHolder>,
}

/// Why a try was refused.
enum Refused {
    /// Someone has the advisory lock.
    Busy,
    /// Nobody has it, but a holder that may live is written down: the file system keeps no
    /// advisory locks, or not across machines.
    Named(Box<LockHolder>),
}

/// Takes the lock, waiting at most `timeout`; says once through `on_wait` that it waits, and for whom.
///
/// Waiting polls: a blocking flock cannot be given up after a time without a signal, and would not
/// notice a lock that is only written down.
pub(super) fn acquire(
    path: &Path,
    doing: &str,
    since: Timestamp,
    timeout: Duration,
    on_wait: &mut dyn FnMut(Option<&LockHolder>),
) -> Result<Acquired, StateError> {
    let mut file = open(path, true)?;
    let mut holder = LockHolder::this_process(doing, since)?;
    let started = Instant::now();
    let (mut pause, mut told) = (PAUSE.0, false);
    loop {
        let refused = match try_once(path, &mut file)? {
            Ok(taken_over) => {
                let waited = Duration::from_secs(started.elapsed().as_secs());
                holder.since = since.checked_add(waited).unwrap_or(since);
                return take(path, file, &holder, taken_over);
            }
            Err(refused) => refused,
        };
        let waited = started.elapsed();
        let (named, alive) = match refused {
            Refused::Named(holder) => {
                let alive = holder.life() == Life::Alive;
                (Some(holder), alive)
            }
            // What a dead holder wrote is still there until the new one has written.
            Refused::Busy => (read_holder(path, &mut file)?.filter(|h| h.life() != Life::Dead).map(Box::new), true),
        };
        let out_of_time = waited >= timeout;
        if out_of_time && (named.is_some() || waited >= GRACE) {
            return Err(StateError::Locked { path: path.to_owned(), holder: named, alive });
        }
        if !out_of_time && !told && (named.is_some() || waited >= GRACE) {
            on_wait(named.as_deref());
            told = true;
        }
        let left = timeout.saturating_sub(waited);
        std::thread::sleep(if left.is_zero() { PAUSE.0 } else { pause.min(left) });
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Tries to get the advisory lock, and only then reads who wrote the file: before that, what it says
/// may be about to change.
fn try_once(path: &Path, file: &mut File) -> Result<Result<Option<LockHolder>, Refused>, StateError> {
    if !flock(path, file)? {
        return Ok(Err(Refused::Busy));
    }
    let Some(holder) = read_holder(path, file)? else { return Ok(Ok(None)) };
    match holder.life() {
        Life::Dead | Life::Unknown => Ok(Ok(Some(holder))),
        Life::Alive | Life::Elsewhere => {
            rustix::fs::flock(&*file, FlockOperation::Unlock).map_err(|e| StateError::io("unlock", path)(e.into()))?;
            Ok(Err(Refused::Named(Box::new(holder))))
        }
    }
}

fn take(path: &Path, file: File, holder: &LockHolder, taken_over: Option<LockHolder>) -> Result<Acquired, StateError> {
    crate::crash_point!("lock.taken");
    // From here on the guard's drop clears what is written if anything fails.
    let guard = LockGuard { file };
    let text = serde_json::to_vec(holder).map_err(io::Error::from);
    text.and_then(|text| overwrite(&guard.file, &text)).map_err(StateError::io("write", path))?;
    crate::crash_point!("lock.written");
    Ok(Acquired { guard, taken_over })
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        // If clearing fails, the next one finds the text of a dead process and takes over.
        let _ = overwrite(&self.file, b"");
        // Closing the file is not enough: a child that was forked and has not begun its program yet has it open too.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
        crate::crash_point!("lock.released");
    }
}

/// Who holds the lock, without taking it; `None` when nobody does, or a process that is dead.
pub(super) fn peek(path: &Path) -> Result<Option<LockHolder>, StateError> {
    let Some(mut file) = open_existing(path)? else { return Ok(None) };
    Ok(read_holder(path, &mut file)?.filter(|holder| holder.life() != Life::Dead))
}

/// Removes a lock whose holder is gone for good, and says whose it was.
pub(super) fn unlock(path: &Path, id: &str) -> Result<LockHolder, StateError> {
    let not_locked = || StateError::NotLocked { path: path.to_owned() };
    let mut file = open_existing(path)?.ok_or_else(not_locked)?;
    let named = read_holder(path, &mut file)?.ok_or_else(not_locked)?;
    if named.id != id {
        return Err(StateError::OtherLock { given: id.to_owned(), holder: Box::new(named) });
    }
    let alive = |holder| StateError::HolderAlive { path: path.to_owned(), holder: Box::new(holder) };
    if named.life() == Life::Alive || !flock(path, &file)? {
        return Err(alive(named));
    }
    // Now nobody can take it: look again.
    match read_holder(path, &mut file)? {
        Some(holder) if holder.id != id => {
            Err(StateError::OtherLock { given: id.to_owned(), holder: Box::new(holder) })
        }
        Some(holder) => {
            overwrite(&file, b"").map_err(StateError::io("write", path))?;
            Ok(holder)
        }
        None => Err(not_locked()),
    }
}

fn open(path: &Path, create: bool) -> Result<File, StateError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).mode(0o600);
    options.open(path).map_err(StateError::io("open", path))
}

fn open_existing(path: &Path) -> Result<Option<File>, StateError> {
    match open(path, false) {
        Err(StateError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Whether the advisory lock was got. Files are opened close-on-exec, so no child keeps it.
fn flock(path: &Path, file: &File) -> Result<bool, StateError> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        // A file system without advisory locks is refused too: the text alone cannot be taken
        // by one of two contenders.
        Err(error) => Err(StateError::io("lock", path)(error.into())),
    }
}

/// Who wrote the file; `None` when it is empty or torn, which nobody who holds it leaves for long.
fn read_holder(path: &Path, file: &mut File) -> Result<Option<LockHolder>, StateError> {
    let mut text = Vec::new();
    file.rewind().and_then(|()| file.take(LONGEST).read_to_end(&mut text)).map_err(StateError::io("read", path))?;
    Ok(serde_json::from_slice(&text).ok())
}

fn overwrite(mut file: &File, text: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text)?;
    file.sync_all()
}

/// Where the lock of a state folder is.
pub(super) fn path_in(folder: &Path) -> PathBuf {
    folder.join("lock")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn at() -> Timestamp {
        "2026-11-21T05:32:10Z".parse().unwrap()
    }

    fn try_now(path: &Path) -> Result<Acquired, StateError> {
        acquire(path, "apply", at(), Duration::ZERO, &mut |_| {})
    }

    fn write_holder(path: &Path, change: impl FnOnce(&mut LockHolder)) -> LockHolder {
        let mut holder = LockHolder::this_process("destroy", at()).unwrap();
        change(&mut holder);
        overwrite(&open(path, true).unwrap(), &serde_json::to_vec(&holder).unwrap()).unwrap();
        holder
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        (folder, path)
    }

    #[test]
    fn the_second_is_refused_and_told_who_holds_it_until_the_first_lets_go() {
        let (_folder, path) = folder();
        let first = try_now(&path).unwrap();
        assert_eq!(first.taken_over, None);
        let error = try_now(&path).unwrap_err();
        assert!(error.to_string().contains(&format!("(pid {}), doing `apply`", std::process::id())), "{error}");
        assert_eq!(peek(&path).unwrap().unwrap().doing, "apply");
        let id = peek(&path).unwrap().unwrap().id;
        assert!(matches!(unlock(&path, &id), Err(StateError::HolderAlive { .. })));
        drop(first);
        assert_eq!(peek(&path).unwrap(), None);
        assert!(matches!(unlock(&path, &id), Err(StateError::NotLocked { .. })));
        try_now(&path).unwrap();
    }

    #[test]
    fn of_many_contenders_exactly_one_is_in_at_a_time() {
        let (_folder, path) = folder();
        let (inside, entered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut waits = 0;
                    let long = Duration::from_secs(60);
                    let held = acquire(&path, "apply", at(), long, &mut |_| waits += 1).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::sleep(Duration::from_millis(5));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    entered.fetch_add(1, Ordering::SeqCst);
                    drop(held);
                    assert!(waits <= 1);
                });
            }
        });
        assert_eq!(entered.into_inner(), 8);
    }

    #[test]
    fn two_at_once_one_wins_and_the_other_names_it() {
        for _ in 0..20 {
            let (_folder, path) = folder();
            let results: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| try_now(&path))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
            let error = results.into_iter().find_map(Result::err).unwrap();
            assert!(matches!(error, StateError::Locked { holder: Some(_), alive: true, .. }), "{error}");
        }
    }

    #[test]
    fn a_dead_holder_of_this_machine_is_taken_over() {
        let (_folder, path) = folder();
        let dead = write_holder(&path, |holder| holder.process.as_mut().unwrap().start_ticks += 1);
        assert_eq!(peek(&path).unwrap(), None);
        assert_eq!(try_now(&path).unwrap().taken_over, Some(dead));
        let other_boot = write_holder(&path, |holder| holder.process.as_mut().unwrap().boot_id = "before".into());
        assert_eq!(try_now(&path).unwrap().taken_over, Some(other_boot));
    }

    #[test]
    fn a_holder_that_is_only_written_down_counts_while_it_may_live() {
        let (_folder, path) = folder();
        let elsewhere = write_holder(&path, |holder| holder.host = "another".into());
        let error = try_now(&path).unwrap_err();
        assert!(error.hint().unwrap().contains(&format!("orch unlock {}", elsewhere.id)), "{:?}", error.hint());
        assert_eq!(peek(&path).unwrap(), Some(elsewhere.clone()));
        assert!(matches!(unlock(&path, "0000"), Err(StateError::OtherLock { .. })));
        assert_eq!(unlock(&path, &elsewhere.id).unwrap(), elsewhere);
        try_now(&path).unwrap();

        // Alive on this machine, on a file system that does not keep advisory locks.
        let alive = write_holder(&path, |_| {});
        assert!(matches!(try_now(&path), Err(StateError::Locked { alive: true, .. })));
        assert!(matches!(unlock(&path, &alive.id), Err(StateError::HolderAlive { .. })));
    }

    #[test]
    fn without_an_identity_the_advisory_lock_decides() {
        let (_folder, path) = folder();
        let unknown = write_holder(&path, |holder| holder.process = None);
        assert_eq!(peek(&path).unwrap().as_ref(), Some(&unknown));
        let busy = open(&path, false).unwrap();
        assert!(flock(&path, &busy).unwrap());
        assert!(matches!(unlock(&path, &unknown.id), Err(StateError::HolderAlive { .. })));
        assert!(matches!(try_now(&path), Err(StateError::Locked { holder: Some(holder), .. }) if *holder == unknown));
        rustix::fs::flock(&busy, FlockOperation::Unlock).unwrap();
        assert_eq!(try_now(&path).unwrap().taken_over, Some(unknown));
    }

    #[test]
    fn a_torn_text_is_nobody() {
        let (_folder, path) = folder();
        overwrite(&open(&path, true).unwrap(), b"{\"id\":\"12").unwrap();
        assert_eq!(try_now(&path).unwrap().taken_over, None);
    }

    #[test]
    fn waiting_is_told_once_and_bounded() {
        let (_folder, path) = folder();
        let _held = try_now(&path).unwrap();
        let mut told = Vec::new();
        let timeout = Duration::from_millis(300);
        let started = Instant::now();
        let error = acquire(&path, "plan", at(), timeout, &mut |holder| told.push(holder.map(|h| h.doing.clone())))
            .unwrap_err();
        assert!(matches!(error, StateError::Locked { holder: Some(_), .. }));
        assert_eq!(told, [Some("apply".to_owned())]);
        assert!(started.elapsed() >= timeout && started.elapsed() < Duration::from_secs(5));
    }
}
