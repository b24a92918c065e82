//! What a package holds.

use std::fmt;

use serde::{Serialize, Serializer};

use super::manifest::Manifest;
use crate::model::Digest;

/// What stands in a package, once all of it was read and found to be safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// What the package says about itself.
    pub manifest: Manifest,
    /// Everything in it, sorted by path; the manifest is among it.
    pub entries: Vec<Entry>,
    /// What all files in it have together, in bytes.
    pub unpacked_bytes: u64,
    /// The size of the archive, in bytes.
    pub packed_bytes: u64,
    /// The digest of the archive, over the very bytes that were checked.
    pub sha256: Digest,
}

impl Contents {
    /// The entry of a path; `None` also for a folder that is there only because something is in it.
    #[must_use]
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        let index = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        self.entries.get(index)
    }

    /// The path of a script where the package has it: `scripts/pre-start.sh` or `scripts/pre-start`.
    #[must_use]
    pub fn script(&self, script: Script) -> Option<&str> {
        script.paths().iter().find_map(|path| self.entry(path)).map(|entry| entry.path.as_str())
    }
}

/// A file, folder or link of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Where it stands: relative to the top, without `.` and `..`, and without a `/` at its end.
    pub path: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: EntryKind,
    /// The permissions, at most `0o777`; they mean nothing for a link.
    #[serde(serialize_with = "octal")]
    pub mode: u32,
    /// The size in bytes of a file; 0 for everything else.
    pub size: u64,
    /// The digest of a file's content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// Permissions as everybody writes them.
fn octal<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{mode:04o}"))
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, which leads to a place inside the package.
    Symlink {
        /// Where it points, relative to the folder that it stands in.
        target: String,
    },
    /// Another name for a file that stands before it in the archive.
    HardLink {
        /// That file's path.
        target: String,
    },
}

/// A script that a package may bring, run around the start of its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Runs before the service starts.
    PreStart,
    /// Runs after the service started.
    PostStart,
    /// Says by its exit code whether the service is well.
    HealthCheck,
}

impl Script {
    /// Every script that has a meaning.
    pub const ALL: [Self; 3] = [Self::PreStart, Self::PostStart, Self::HealthCheck];

    /// The paths under which it may stand; a package has at most one of them.
    #[must_use]
    pub fn paths(self) -> [&'static str; 2] {
        match self {
            Self::PreStart => ["scripts/pre-start.sh", "scripts/pre-start"],
            Self::PostStart => ["scripts/post-start.sh", "scripts/post-start"],
            Self::HealthCheck => ["scripts/health-check.sh", "scripts/health-check"],
        }
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::Symlink { .. } => "symbolic link",
            Self::HardLink { .. } => "hard link",
        })
    }
}
