//! The file that a process is started from: finding it, and telling whether it changed since.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

use super::wire::{BinaryStamp, FileVersion};
use crate::model::{Digest, Drift, DriftKind};

/// The file that a program's name means: a path is taken as it is (a relative one from the working
/// directory), a bare name is looked up in `PATH`. `None` when no folder of `PATH` has it.
pub(super) fn resolve(name: &str, path: Option<&str>, working_dir: &Path) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(working_dir.join(name));
    }
    let is_program = |file: &PathBuf| {
        std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    path?.split(':').map(|folder| working_dir.join(folder).join(name)).find(is_program)
}

/// What `stat` says about a file.
pub(super) fn version(path: &Path) -> io::Result<FileVersion> {
    let meta = std::fs::metadata(path)?;
    Ok(FileVersion {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        modified: (meta.mtime(), meta.mtime_nsec()),
    })
}

/// Digests of files, each read once for as long as it does not change.
#[derive(Debug, Default)]
pub(super) struct Digests(Mutex<BTreeMap<FileVersion, Digest>>);

impl Digests {
    /// Which file a process that is started now is started from.
    pub(super) fn stamp(&self, path: &Path) -> io::Result<BinaryStamp> {
        let version = version(path)?;
        // Held while reading, so that many starts of one file at once read it once.
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sha256 = match known.get(&version) {
            Some(digest) => *digest,
            None => digest(path)?,
        };
        known.insert(version.clone(), sha256);
        Ok(BinaryStamp { path: path.to_owned(), version, sha256 })
    }

    /// How the file on disk differs from the one that a process was started from.
    pub(super) fn drift(&self, started: &BinaryStamp) -> Option<Drift> {
        let path = started.path.display();
        let detail = match version(&started.path) {
            Ok(version) if version == started.version => return None,
            Ok(_) => match self.stamp(&started.path) {
                Ok(now) if now.sha256 == started.sha256 => return None,
                Ok(_) => format!("binary {path} changed on disk since it was started"),
                Err(error) => {
                    format!("binary {path} changed on disk since it was started, and cannot be read: {error}")
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => format!("binary {path} is gone from disk"),
            Err(error) => format!("binary {path} cannot be looked at: {error}"),
        };
        Some(Drift { kind: DriftKind::Config, detail })
    }
}

/// SHA-256 of a file, read in pieces so that a big one costs no memory.
fn digest(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    let text: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    text.parse().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Durability, write_atomic};

    #[test]
    fn a_changed_file_is_drift_and_a_touched_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server");
        let digests = Digests::default();
        write_atomic(&path, b"one", Durability::Atomic).unwrap();
        let started = digests.stamp(&path).unwrap();
        assert_eq!(started.sha256, Digest::of(b"one"));
        assert_eq!(digests.drift(&started), None);
        write_atomic(&path, b"one", Durability::Atomic).unwrap();
        assert_eq!(digests.drift(&started), None);
        write_atomic(&path, b"two", Durability::Atomic).unwrap();
        assert!(digests.drift(&started).unwrap().detail.contains("changed on disk"));
        std::fs::remove_file(&path).unwrap();
        assert!(digests.drift(&started).unwrap().detail.contains("gone from disk"));
    }

    #[test]
    fn a_bare_name_is_looked_up_and_a_path_is_not() {
        let work = Path::new("/work");
        assert_eq!(resolve("./x", None, work), Some(PathBuf::from("/work/./x")));
        assert_eq!(resolve("/bin/none", Some("/bin"), work), Some(PathBuf::from("/bin/none")));
        assert_eq!(resolve("sh", Some("/nowhere:/bin"), work), Some(PathBuf::from("/bin/sh")));
        assert_eq!(resolve("no-such-program", Some("/bin"), work), None);
    }
}
