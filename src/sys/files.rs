//! Files that are there whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Whether a write must survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// File and folder are synced before the call returns.
    Durable,
    /// A reader sees the old or the new content; a power cut may lose the new one.
    Atomic,
}

/// Makes a folder, and those above it, that only its owner may enter. One that is there is fine.
///
/// # Errors
/// When a folder cannot be made, or something that is not a folder stands there.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file, mode 0600, by a temporary name and a rename: after a crash at any instant the old
/// or the new content is there, whole.
///
/// # Errors
/// When the file cannot be written; the old content is then still there.
pub fn write_atomic(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let temporary = beside(path, &format!("{}.tmp", std::process::id()));
    let written = write_new(&temporary, content, durability).and_then(|()| std::fs::rename(&temporary, path));
    if let Err(error) = written {
        // The old content stands; the temporary file is of no use to anyone.
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    match (durability, path.parent()) {
        (Durability::Durable, Some(folder)) => sync_dir(folder),
        _ => Ok(()),
    }
}

fn write_new(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    if durability == Durability::Durable { file.sync_all() } else { Ok(()) }
}

/// The path of a file that stands beside another one and has its name and a suffix: `state.json.backup`.
#[must_use]
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// When the folder cannot be opened or synced.
pub fn sync_dir(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// Reads a file; `None` when it does not exist.
///
/// # Errors
/// When it exists and cannot be read.
pub fn read_if_exists(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_failed_write_keeps_the_old_content_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        write_atomic(&path, b"one", Durability::Durable).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let blocked = folder.path().join("folder");
        std::fs::create_dir(&blocked).unwrap();
        assert!(write_atomic(&blocked, b"two", Durability::Atomic).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
