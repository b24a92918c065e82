//! The folder that a package is made of: what is in it, in the order in which it is packed.

use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::archive::MANIFEST;
use super::entry::{Entry, EntryKind};
use super::hashing;
use super::limits::Limits;
use super::names::{self, Tree};
use super::problem::{Fault, PackageError, Problems};

/// What is left out at the top of the folder: it is about the source, and differs from clone to clone.
const LEFT_OUT: &str = ".git";

/// Permissions in a package: those of the owner, given to all; nobody but the owner writes.
pub(super) const EXECUTABLE: u32 = 0o755;
const PLAIN: u32 = 0o644;

/// Reads a folder with everything below it, and the digest of every file but the manifest.
pub(super) fn read(folder: &Path, limits: &Limits, problems: &mut Problems) -> Result<Tree, PackageError> {
    let mut tree = Tree::new();
    let mut todo = vec![String::new()];
    while let Some(below) = todo.pop() {
        let here = if below.is_empty() { folder.to_owned() } else { folder.join(&below) };
        for item in std::fs::read_dir(&here).map_err(PackageError::io("read", &here))? {
            let item = item.map_err(PackageError::io("read", &here))?;
            let name = item.file_name();
            if below.is_empty() && name == LEFT_OUT {
                continue;
            }
            let joined = Path::new(&below).join(&name);
            let path = match names::clean(joined.as_os_str().as_encoded_bytes(), false, limits.path) {
                Ok(Some(path)) => path,
                Ok(None) => continue,
                Err(fault) => {
                    problems.push(Some(&joined.to_string_lossy()), fault);
                    continue;
                }
            };
            if tree.len() >= limits.entries {
                problems.push(None, Fault::TooMany(limits.entries));
                return Ok(tree);
            }
            let found = std::fs::symlink_metadata(item.path()).map_err(PackageError::io("read", item.path()))?;
            match entry(folder, &path, &found, limits)? {
                Ok(entry) => {
                    if entry.kind == EntryKind::Folder {
                        todo.push(path.clone());
                    }
                    tree.insert(path, entry);
                }
                Err(fault) => problems.push(Some(&path), fault),
            }
        }
    }
    Ok(tree)
}

fn entry(folder: &Path, path: &str, found: &Metadata, limits: &Limits) -> Result<Result<Entry, Fault>, PackageError> {
    let kind = found.file_type();
    let made = |kind, mode, size, sha256| Ok(Ok(Entry { path: path.to_owned(), kind, mode, size, sha256 }));
    let special = |what| Ok(Err(Fault::Special(what)));
    if kind.is_dir() {
        return made(EntryKind::Folder, EXECUTABLE, 0, None);
    }
    if kind.is_symlink() {
        let whole = folder.join(path);
        let target = std::fs::read_link(&whole).map_err(PackageError::io("read", &whole))?;
        return match names::target(target.as_os_str().as_encoded_bytes(), limits.path) {
            Ok(target) => made(EntryKind::Symlink { target }, 0o777, 0, None),
            Err(fault) => Ok(Err(fault)),
        };
    }
    if kind.is_file() {
        if found.mode() & 0o7000 != 0 {
            return Ok(Err(Fault::SetId(found.mode() & 0o7777)));
        }
        let mode = if found.mode() & 0o100 != 0 { EXECUTABLE } else { PLAIN };
        let sha256 = if path == MANIFEST {
            None
        } else {
            {
                let whole = folder.join(path);
                Some(hashing::digest(open(&whole)?).map_err(PackageError::io("read", &whole))?)
            }
        };
        return made(EntryKind::File, mode, found.size(), sha256);
    }
    match kind {
        _ if kind.is_fifo() => special("a named pipe"),
        _ if kind.is_socket() => special("a socket"),
        _ if kind.is_block_device() => special("a block device"),
        _ => special("a character device"),
    }
}

/// Opens a file of the folder, and nothing that took its place since it was looked at.
pub(super) fn open(path: &Path) -> Result<File, PackageError> {
    // A pipe would wait for a writer.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(PackageError::io("read", path))
}
