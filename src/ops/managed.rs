//! The folder of an `orch run`: a state of its own, under a project name of its own, and who it belongs to.
//!
//! Whoever holds the advisory lock of the folder runs it. A run that was killed holds nothing any more, and what it
//! left is taken down by the next one, or by `orch destroy --state-dir FOLDER`: the folder says which project it is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::{OpError, Options, Project};
use crate::model::{ProjectName, RunId};
use crate::state::Store;
use crate::sys::{self, Durability};

/// The folder of these folders, in the state folder of the project.
const FOLDER: &str = "managed";

/// What says which project a state folder is of, where it is not the file's.
const OWNER: &str = "managed.json";

/// What its owner holds the advisory lock of.
const LOCK: &str = "managed.lock";

/// Where logs are kept of a run whose command failed.
const EVIDENCE: &str = "evidence";

/// How the name of a folder ends that is being removed.
const GONE: &str = "gone";

/// How long the name of a project may be.
const LONGEST_NAME: usize = 63;

/// What is written of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Owner {
    /// The version of this format.
    format: u32,
    /// The name of the project.
    project: ProjectName,
    /// Whether what it started stays up when it ends.
    keep: bool,
    /// When it began.
    started_at: Timestamp,
}

/// The folder of a run, held by this process.
#[derive(Debug)]
pub struct Managed {
    folder: PathBuf,
    project: ProjectName,
    /// Held until the run has ended.
    _lock: File,
}

impl Managed {
    /// Makes the folder of a new run of a project.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(project: &Project, keep: bool) -> Result<Self, OpError> {
        let base = project.store.dir().join(FOLDER);
        sys::create_private_dir(&base).map_err(OpError::io("make", &base))?;
        loop {
            let run = RunId::generate(project.now())?;
            let suffix = run.as_str().rsplit('-').next().unwrap_or_default();
            let folder = base.join(suffix);
            match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made.map_err(OpError::io("make", &folder))?,
            }
            // One that is just cleaning up may take the empty folder for one that was left.
            let Some(lock) = try_lock(&folder)? else { continue };
            let own = project.loaded.desired.project.as_str();
            let own = &own[..own.len().min(LONGEST_NAME - suffix.len() - 1)];
            let name = ProjectName::new(&format!("{own}-{suffix}")).map_err(|error| {
                OpError::request(format!("no name can be made for the run: {error}"), "name the project")
            })?;
            let managed = Self { folder, project: name, _lock: lock };
            managed.write(keep, project.now())?;
            crate::crash_point!("managed.made");
            return Ok(managed);
        }
    }

    fn write(&self, keep: bool, now: Timestamp) -> Result<(), OpError> {
        let owner = Owner { format: 1, project: self.project.clone(), keep, started_at: now };
        let path = self.folder.join(OWNER);
        let text = serde_json::to_vec(&owner).map_err(io::Error::from);
        let written = text.and_then(|text| sys::write_atomic(&path, &text, Durability::Durable));
        written.map_err(OpError::io("write", path))
    }

    /// The runs of a project that ended without taking down what they started, and were not asked to keep it; and
    /// what is wrong with folders that cannot be read. Folders in which nothing is left are removed.
    ///
    /// # Errors
    /// When the folders cannot be listed.
    pub fn left_behind(project: &Project) -> Result<(Vec<Self>, Vec<OpError>), OpError> {
        let base = project.store.dir().join(FOLDER);
        let entries = match std::fs::read_dir(&base) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            entries => entries.map_err(OpError::io("read", &base))?,
        };
        let (mut left, mut problems) = (Vec::new(), Vec::new());
        let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        folders.sort();
        for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
            match Self::left_in(folder) {
                Ok(found) => left.extend(found),
                Err(problem) => problems.push(problem),
            }
        }
        Ok((left, problems))
    }

    fn left_in(folder: PathBuf) -> Result<Option<Self>, OpError> {
        if folder.extension().is_some_and(|ending| ending == GONE) {
            remove(&folder)?;
            return Ok(None);
        }
        let Some(lock) = try_lock(&folder)? else { return Ok(None) };
        let owner = read_owner(&folder)?;
        let nothing = is_empty(&folder)?;
        match owner {
            Some(owner) if !nothing && !owner.keep => Ok(Some(Self { folder, project: owner.project, _lock: lock })),
            _ if nothing && !folder.join(EVIDENCE).exists() => take_away(&folder).map(|()| None),
            _ => Ok(None),
        }
    }

    /// The name of its project.
    #[must_use]
    pub fn project(&self) -> &ProjectName {
        &self.project
    }

    /// Its folder, which is a state folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where evidence is kept.
    #[must_use]
    pub fn evidence(&self) -> PathBuf {
        self.folder.join(EVIDENCE)
    }

    /// What the project is opened with, so that this is its state.
    #[must_use]
    pub fn options(&self, options: &Options) -> Options {
        Options { state_dir: Some(self.folder.clone()), ..options.clone() }
    }

    /// Ends the run: where nothing is left in its folder, that goes too.
    ///
    /// # Errors
    /// When the folder cannot be read or removed.
    pub fn end(self) -> Result<(), OpError> {
        crate::crash_point!("managed.destroyed");
        if is_empty(&self.folder)? && !self.evidence().exists() {
            take_away(&self.folder)?;
        }
        Ok(())
    }
}

/// The name of the project that a state folder is of, where it is that of a run.
///
/// # Errors
/// When it cannot be read.
pub(super) fn project_of(folder: &Path) -> Result<Option<ProjectName>, OpError> {
    Ok(read_owner(folder)?.map(|owner| owner.project))
}

fn read_owner(folder: &Path) -> Result<Option<Owner>, OpError> {
    let path = folder.join(OWNER);
    let Some(bytes) = sys::read_if_exists(&path).map_err(OpError::io("read", &path))? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| OpError::io("read", &path)(error.into()))
}

/// Takes the lock of a folder; `None` when somebody has it, or removed the folder meanwhile.
fn try_lock(folder: &Path) -> Result<Option<File>, OpError> {
    let path = folder.join(LOCK);
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(OpError::io("open", &path))?,
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(OpError::io("lock", path)(error.into())),
    }
    let own = file.metadata().map_err(OpError::io("read", &path))?.ino();
    let there = std::fs::metadata(&path).is_ok_and(|there| there.ino() == own);
    Ok(there.then_some(file))
}

/// Whether a state has neither anything that runs nor anything that was begun.
fn is_empty(folder: &Path) -> Result<bool, OpError> {
    let state = Store::at(folder.to_owned()).read()?;
    Ok(state.records.is_empty() && state.pending.is_empty())
}

/// Removes a folder that is a whole state folder: by another name first, so that after a crash nobody takes what is
/// left of it for a damaged one.
fn take_away(folder: &Path) -> Result<(), OpError> {
    let gone = folder.with_extension(GONE);
    std::fs::rename(folder, &gone).map_err(OpError::io("rename", folder))?;
    crate::crash_point!("managed.renamed");
    remove(&gone)
}

fn remove(folder: &Path) -> Result<(), OpError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(OpError::io("remove", folder)),
    }
}
