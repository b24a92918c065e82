//! The folder of one object: what is in it, and how to tell whether its supervisor lives.
//!
//! A folder appears under its name with `object.json` in it and its lock held, and disappears by a
//! rename, so a crash never leaves one that cannot be told what it is. Names with a leading dot are
//! folders on their way in or out; nothing runs in them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{Place, Stamp, Status};
use crate::sys::{Durability, create_private_dir, read_if_exists, sync_dir, write_atomic};

/// The name of the socket in a folder.
pub(super) const SOCKET: &str = "control.sock";

/// The name of the log in a folder; rotated ones have `.1`, `.2`, ... added, the highest is the oldest.
pub(super) const LOG: &str = "log";

const STAMP: &str = "object.json";
const STATUS: &str = "status.json";
const LOCK: &str = "supervisor.lock";

/// How long an observer may be in the way of someone who wants the lock for good.
const OBSERVER_PATIENCE: Duration = Duration::from_millis(50);

/// Counts the folders that this process made.
static MADE: AtomicU64 = AtomicU64::new(0);

/// The folder of one object.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
}

/// The lock of a folder, held: nobody supervises the object as long as this is not handed on. The
/// supervisor inherits it as its standard error, so there is no instant at which it lives unseen,
/// and the kernel lets go of it however the supervisor ends.
#[derive(Debug)]
pub(super) struct Held(pub(super) File);

/// What came of asking for the lock.
#[derive(Debug)]
pub(super) enum Lock {
    /// It was free: nobody supervises the object.
    Free(Held),
    /// A supervisor holds it.
    Supervised,
    /// There is no such folder.
    Absent,
}

impl Folder {
    /// The folder with a path, which need not exist.
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes the folder of a new object, with its lock held; `None` when it is there already.
    pub(super) fn make(root: &Path, id: &str, stamp: &Stamp) -> io::Result<Option<(Self, Held)>> {
        // A name of its own, so that of two who make the same object at once one gets it, whole.
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let temporary = Self::at(root.join(format!(".{id}.{}-{number}.new", std::process::id())));
        remove_tree(&temporary.path)?;
        if let Err(error) = DirBuilder::new().mode(0o700).create(&temporary.path) {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            create_private_dir(&temporary.path)?;
        }
        temporary.write_stamp(stamp)?;
        let lock = Held(open_lock(&temporary.path, true)?);
        rustix::fs::flock(&lock.0, FlockOperation::NonBlockingLockExclusive)?;
        let folder = Self::at(root.join(id));
        match std::fs::rename(&temporary.path, &folder.path) {
            Ok(()) => Ok(Some((folder, lock))),
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
                remove_tree(&temporary.path)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the folder away, whole and at once. The caller holds the lock, or nothing was started.
    pub(super) fn remove(&self) -> io::Result<()> {
        let Some(name) = self.path.file_name() else { return Ok(()) };
        let gone = self.path.with_file_name(format!(".{}.gone", name.to_string_lossy()));
        remove_tree(&gone)?;
        match std::fs::rename(&self.path, &gone) {
            Ok(()) => remove_tree(&gone),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks for the lock.
    pub(super) fn lock(&self) -> io::Result<Lock> {
        let file = match open_lock(&self.path, true) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lock::Absent),
            Err(error) => return Err(error),
        };
        let start = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) if start.elapsed() < OBSERVER_PATIENCE => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Lock::Supervised),
                Err(error) => return Err(error.into()),
            }
        }
        // The folder may have been taken away between the opening and the locking.
        if self.path.join(LOCK).exists() { Ok(Lock::Free(Held(file))) } else { Ok(Lock::Absent) }
    }

    /// Whether a supervisor lives, without being in anyone's way for long.
    pub(super) fn is_supervised(&self) -> io::Result<bool> {
        let file = match open_lock(&self.path, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// What is stamped into the object; `None` when there is no such folder.
    pub(super) fn stamp(&self) -> io::Result<Option<Stamp>> {
        read(&self.path.join(STAMP))
    }

    /// Stamps the object.
    pub(super) fn write_stamp(&self, stamp: &Stamp) -> io::Result<()> {
        self.write(STAMP, stamp, Durability::Atomic)
    }

    /// What the supervisor last knew; `None` before it knew anything.
    pub(super) fn status(&self) -> io::Result<Option<Status>> {
        read(&self.path.join(STATUS))
    }

    /// Writes what the supervisor knows.
    pub(super) fn write_status(&self, status: &Status, durability: Durability) -> io::Result<()> {
        self.write(STATUS, status, durability)?;
        // A name in a folder that is not itself on disk would be lost with it.
        if durability == Durability::Durable { sync_dir(&self.path.join("..")) } else { Ok(()) }
    }

    /// Forgets what a dead supervisor knew, before another one takes over.
    pub(super) fn clear(&self) -> io::Result<()> {
        remove_file(&self.path.join(STATUS))?;
        remove_file(&self.path.join(SOCKET))
    }

    /// Which folder this is.
    pub(super) fn place(&self) -> io::Result<Place> {
        let meta = std::fs::metadata(&self.path)?;
        Ok(Place(format!("{:x}-{:x}", meta.dev(), meta.ino())))
    }

    /// The last line that the supervisor itself said, a panic say.
    pub(super) fn last_words(&self) -> io::Result<String> {
        let text = read_if_exists(&self.path.join(LOCK))?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&text).trim_end().lines().next_back().unwrap_or_default().to_owned())
    }

    /// The log that is written to.
    pub(super) fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// The folder's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn write<T: Serialize>(&self, name: &str, value: &T, durability: Durability) -> io::Result<()> {
        write_atomic(&self.path.join(name), &serde_json::to_vec(value)?, durability)
    }
}

/// A folder held open, and a path to it that is short however deep it lies (a socket's address has
/// room for 107 bytes) and stays right when a folder above it is renamed.
#[derive(Debug)]
pub(super) struct Anchor {
    fd: OwnedFd,
}

impl Anchor {
    /// Opens a folder.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// The short path, good as long as this is open, in this process only.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()))
    }
}

/// The names of the folders of all objects; those on their way in or out are left out.
pub(super) fn ids(root: &Path) -> io::Result<Vec<String>> {
    let mut ids = names(root)?;
    ids.retain(|name| !name.starts_with('.'));
    Ok(ids)
}

/// Removes the folders that were on their way in or out when a run was killed.
pub(super) fn sweep(root: &Path) -> io::Result<()> {
    for name in names(root)?.into_iter().filter(|name| name.starts_with('.')) {
        let folder = Folder::at(root.join(name));
        // A lock that is held says that its maker is at work.
        if !folder.is_supervised()? {
            remove_tree(&folder.path)?;
        }
    }
    Ok(())
}

fn names(root: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

fn open_lock(folder: &Path, write: bool) -> io::Result<File> {
    // What a supervisor says on its standard error, a panic say, lands in this file.
    OpenOptions::new().read(!write).append(write).create(write).mode(0o600).open(folder.join(LOCK))
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match read_if_exists(path)? {
        Some(content) => Ok(Some(serde_json::from_slice(&content)?)),
        None => Ok(None),
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
