//! The state file: its format, its checksum, and how it takes the place of the one before.
//!
//! After a crash at any instant `state.json` holds the old or the new state, whole; and once a state
//! was replaced, `state.json.backup` holds the one before or the same one. Neither is ever absent
//! again: the backup is a link made before the rename.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::ser::{CompactFormatter, Formatter};
use sha2::{Digest as _, Sha256};

use super::{AppliedPlan, Pending, Record, State, StateError};
use crate::model::{Address, ProjectName};
use crate::sys::{Durability, beside, read_if_exists, sync_dir, write_atomic};

/// The version of the state format that this orch writes and reads.
pub const STATE_FORMAT: u32 = 1;

/// The state file as it is written: JSON with one line for each record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StateFile<'a> {
    /// The version of this format.
    pub format: u32,
    /// The version of orch that wrote it.
    pub orch: Cow<'a, str>,
    /// Why it was written, for a person: `run 20261121T053210Z-3f9a1c`.
    pub reason: Cow<'a, str>,
    /// The SHA-256 of `state` as JSON without white space and with its keys in the order of this
    /// schema. A file that was edited on purpose has none, and can be pushed but not left in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Cow<'a, str>>,
    /// What is recorded.
    pub state: StateBody<'a>,
}

/// What the checksum of a state file covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StateBody<'a> {
    /// The project that it belongs to.
    pub project: Option<ProjectName>,
    /// A random identity given at the first write.
    pub lineage: Cow<'a, str>,
    /// Counts the runs that changed something.
    pub serial: u64,
    /// The number of the last journal entry that is folded in.
    pub journal: u64,
    /// The saved plans that were applied last, newest last.
    pub applied: Cow<'a, [AppliedPlan]>,
    /// Attempts whose end was never written.
    pub pending: Cow<'a, BTreeMap<Address, Pending>>,
    /// One record for each instance.
    pub records: Cow<'a, BTreeMap<Address, Record>>,
}

/// A state and how much of the journal is folded into it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) state: State,
    /// The number of the last journal entry that is folded in; 0 for none.
    pub(super) journal: u64,
}

/// What becomes of the file that a write replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// It becomes the backup.
    AsBackup,
    /// It cannot be read: it is set aside, and the backup stays the last good one.
    AsDamaged,
}

/// Where the state before the one in `path` is kept.
pub(super) fn backup_path(path: &Path) -> PathBuf {
    beside(path, "backup")
}

impl<'a> StateBody<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let State { project, lineage, serial, records, pending, applied } = &snapshot.state;
        Self {
            project: project.clone(),
            lineage: Cow::Borrowed(lineage),
            serial: *serial,
            journal: snapshot.journal,
            applied: Cow::Borrowed(applied),
            pending: Cow::Borrowed(pending),
            records: Cow::Borrowed(records),
        }
    }

    /// Streams the canonical JSON into the digest, so that no copy of the text is made.
    fn checksum(&self) -> serde_json::Result<String> {
        let mut sum = Checksum(Sha256::new());
        serde_json::to_writer(&mut sum, self)?;
        Ok(sum.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn into_snapshot(self) -> Snapshot {
        let state = State {
            project: self.project,
            lineage: self.lineage.into_owned(),
            serial: self.serial,
            records: self.records.into_owned(),
            pending: self.pending.into_owned(),
            applied: self.applied.into_owned(),
        };
        Snapshot { state, journal: self.journal }
    }
}

struct Checksum(Sha256);

impl Write for Checksum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts each key of the outer three levels on a line of its own: a difference between two states
/// then shows the records that differ.
#[derive(Default)]
struct Lines {
    depth: usize,
}

impl Formatter for Lines {
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        CompactFormatter.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        CompactFormatter.end_object(writer)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        CompactFormatter.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        CompactFormatter.end_array(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        CompactFormatter.begin_object_key(writer, first)?;
        if self.depth <= 3 { writer.write_all(b"\n") } else { Ok(()) }
    }
}

/// Reads the state file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Snapshot>, StateError> {
    let Some(bytes) = read_if_exists(path).map_err(StateError::io("read", path))? else { return Ok(None) };
    let (snapshot, checked) = parse(path, &bytes)?;
    if !checked {
        return Err(damaged(path, "its checksum was taken out"));
    }
    Ok(Some(snapshot))
}

/// Reads the content of a state file; also says whether it had a checksum, which then was right.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<(Snapshot, bool), StateError> {
    /// All that can be asked of a format that is not known.
    #[derive(Deserialize)]
    struct Head {
        format: u32,
        #[serde(default)]
        orch: String,
    }
    let newer = |format, orch| StateError::Newer { path: path.to_owned(), format, orch };
    let file: StateFile<'static> = match serde_json::from_slice(bytes) {
        Ok(file) => file,
        Err(error) => {
            return Err(match serde_json::from_slice::<Head>(bytes) {
                Ok(head) if head.format > STATE_FORMAT => newer(head.format, head.orch),
                _ if bytes.is_empty() => damaged(path, "it is empty"),
                _ => damaged(path, &error.to_string()),
            });
        }
    };
    if file.format > STATE_FORMAT {
        return Err(newer(file.format, file.orch.into_owned()));
    }
    if let Some(expected) = &file.checksum {
        let found = file.state.checksum().map_err(|error| damaged(path, &error.to_string()))?;
        if found != *expected {
            return Err(damaged(path, "its content does not match its checksum"));
        }
    }
    Ok((file.state.into_snapshot(), file.checksum.is_some()))
}

/// The error for a file that does not hold what orch wrote; it names the previous state if that is
/// one that can be put back.
fn damaged(path: &Path, why: &str) -> StateError {
    StateError::Damaged { path: path.to_owned(), why: why.to_owned(), previous: previous(path) }
}

/// The kept previous state of a state file, if there is one.
pub(super) fn previous(path: &Path) -> Option<PathBuf> {
    Some(backup_path(path)).filter(|backup| backup.is_file())
}

/// Streams a state in the format of the file.
pub(super) fn serialize(snapshot: &Snapshot, reason: &str, writer: impl Write) -> io::Result<()> {
    let state = StateBody::of(snapshot);
    let checksum = Some(Cow::Owned(state.checksum()?));
    let orch = Cow::Borrowed(env!("CARGO_PKG_VERSION"));
    let file = StateFile { format: STATE_FORMAT, orch, reason: Cow::Borrowed(reason), checksum, state };
    let mut writer = BufWriter::with_capacity(1 << 16, writer);
    file.serialize(&mut serde_json::Serializer::with_formatter(&mut writer, Lines::default()))?;
    writer.write_all(b"\n")?;
    writer.flush()
}

/// Replaces the state file durably. Only the holder of the lock may call it.
pub(super) fn write(path: &Path, snapshot: &Snapshot, reason: &str, keep: Keep) -> Result<(), StateError> {
    let temporary = beside(path, "tmp");
    let replaced =
        write_temporary(&temporary, snapshot, reason).map_err(StateError::io("write", &temporary)).and_then(|()| {
            crate::crash_point!("state.temporary_written");
            keep_current(path, keep)?;
            crate::crash_point!("state.previous_kept");
            std::fs::rename(&temporary, path).map_err(StateError::io("replace", path))
        });
    if let Err(error) = replaced {
        // The old state stands; on a full disk the space is needed.
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    crate::crash_point!("state.renamed");
    let folder = path.parent().unwrap_or(Path::new("."));
    sync_dir(folder).map_err(StateError::io("sync", folder))?;
    crate::crash_point!("state.synced");
    Ok(())
}

fn write_temporary(path: &Path, snapshot: &Snapshot, reason: &str) -> io::Result<()> {
    let file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    serialize(snapshot, reason, &file)?;
    file.sync_all()
}

/// Gives the current file a second name before its own name goes to the new one.
fn keep_current(path: &Path, keep: Keep) -> Result<(), StateError> {
    let kept = match keep {
        Keep::AsBackup => backup_path(path),
        Keep::AsDamaged => beside(path, "damaged"),
    };
    let failed = |error| StateError::io("keep the previous state as", &kept)(error);
    let link = beside(&kept, "tmp");
    remove_if_exists(&link).map_err(failed)?;
    match std::fs::hard_link(path, &link) {
        Ok(()) => {
            std::fs::rename(&link, &kept).map_err(failed)?;
            // A rename between two names of one file does nothing: after a crash that came between
            // this link and the replacement, both names stand.
            remove_if_exists(&link).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A file system without links: a copy, whole or not at all.
        Err(_) => {
            let current = std::fs::read(path).map_err(failed)?;
            write_atomic(&kept, &current, Durability::Durable).map_err(failed)
        }
    }
}

/// Removes a file; one that is not there is fine.
pub(super) fn remove_if_exists(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
