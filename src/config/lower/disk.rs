//! What is on the disk: whether programs are there, and what triggers hold.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::config::diagnostic::shorten;
use crate::config::source::reason;
use crate::model::{ContentDigest, Digest};

/// The most files that one trigger pattern may match, and the most folders that it is looked for in.
const MAX_MATCHES: usize = 10_000;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Missing,
    /// A folder.
    Folder,
    /// A file that may be run.
    Program,
    /// Another file.
    File,
}

/// Looks at the disk and remembers what it saw: ten thousand services run the same few programs.
pub(crate) struct Disk<'a> {
    path_variable: Option<&'a str>,
    found: RefCell<HashMap<PathBuf, Found>>,
    programs: RefCell<HashMap<(String, Option<String>), bool>>,
    /// The files that were read, triggers and what is uploaded, with the digest of their content.
    read: RefCell<BTreeMap<PathBuf, Option<Digest>>>,
}

impl<'a> Disk<'a> {
    pub(crate) fn new(path_variable: Option<&'a str>) -> Self {
        Self { path_variable, found: RefCell::default(), programs: RefCell::default(), read: RefCell::default() }
    }

    /// What stands at a path.
    pub(crate) fn look(&self, path: &Path) -> Found {
        if let Some(found) = self.found.borrow().get(path) {
            return *found;
        }
        let found = match std::fs::metadata(path) {
            Err(_) => Found::Missing,
            Ok(metadata) if metadata.is_dir() => Found::Folder,
            Ok(metadata) if metadata.permissions().mode() & 0o111 != 0 => Found::Program,
            Ok(_) => Found::File,
        };
        self.found.borrow_mut().insert(path.to_owned(), found);
        found
    }

    /// Whether a bare name is a program in `PATH`: the service's own, or else the one of orch.
    pub(crate) fn has_program(&self, name: &str, own_path: Option<&str>) -> bool {
        let key = (name.to_owned(), own_path.map(str::to_owned));
        if let Some(known) = self.programs.borrow().get(&key) {
            return *known;
        }
        let folders = own_path.or(self.path_variable).unwrap_or("/usr/local/bin:/usr/bin:/bin");
        let has = folders.split(':').any(|folder| self.look(&Path::new(folder).join(name)) == Found::Program);
        self.programs.borrow_mut().insert(key, has);
        has
    }

    /// The SHA-256 of a file's content; `None` when it does not exist. It is read once, piece by piece.
    ///
    /// # Errors
    /// When it is something that cannot be read as a file, as a reason for the user.
    pub(crate) fn sha256(&self, path: &Path) -> Result<Option<Digest>, String> {
        if let Some(digest) = self.read.borrow().get(path) {
            return Ok(*digest);
        }
        let digest = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Some(hash(path).map_err(|error| reason(&error))?),
            Ok(metadata) if metadata.is_dir() => return Err("it is a folder".into()),
            Ok(_) => return Err("it is not a file".into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(reason(&error)),
        };
        self.read.borrow_mut().insert(path.to_owned(), digest);
        Ok(digest)
    }

    /// The files that were read, with their content.
    pub(crate) fn into_read(self) -> impl Iterator<Item = (PathBuf, Option<ContentDigest>)> {
        self.read.into_inner().into_iter().map(|(path, digest)| (path, digest.map(ContentDigest::from)))
    }
}

fn hash(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Digest::new(hasher.finalize().into())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a path is a pattern.
pub(crate) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?'])
}

/// The files that a pattern matches, sorted, each as the pattern would name it.
///
/// # Errors
/// When there are too many, as a reason for the user.
pub(crate) fn expand(folder: &Path, pattern: &str) -> Result<Vec<String>, String> {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let start = if pattern.starts_with('/') { "/".to_owned() } else { String::new() };
    let mut walk = Walk { folder, matches: Vec::new(), left: MAX_MATCHES };
    walk.below(&start, &parts, 0)
        .ok_or_else(|| format!("the pattern `{}` looks at more than {MAX_MATCHES} files", shorten(pattern)))?;
    walk.matches.sort();
    walk.matches.dedup();
    Ok(walk.matches)
}

struct Walk<'f> {
    folder: &'f Path,
    matches: Vec<String>,
    left: usize,
}

impl Walk<'_> {
    /// Matches the parts of a pattern below a path; `None` when there is too much to look at.
    fn below(&mut self, at: &str, parts: &[&str], depth: usize) -> Option<()> {
        let Some((part, rest)) = parts.split_first() else {
            if self.folder.join(at).is_file() {
                self.matches.push(at.to_owned());
            }
            return Some(());
        };
        if !is_pattern(part) {
            return self.below(&join(at, part), rest, depth);
        }
        if *part == "**" {
            self.below(at, rest, depth)?;
        }
        // A folder that is not there or may not be read holds no match.
        let Ok(entries) = std::fs::read_dir(self.folder.join(at)) else { return Some(()) };
        for entry in entries.flatten() {
            self.left = self.left.checked_sub(1)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let hidden = name.starts_with('.') && !part.starts_with('.');
            if hidden {
                continue;
            }
            // Links to folders are not followed by `**`: they may lead in a circle.
            if *part == "**" {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && depth < 64 {
                    self.below(&join(at, name), parts, depth + 1)?;
                } else if rest.is_empty() {
                    self.below(&join(at, name), rest, depth)?;
                }
            } else if matches(part.as_bytes(), name.as_bytes()) {
                self.below(&join(at, name), rest, depth)?;
            }
        }
        Some(())
    }
}

fn join(at: &str, part: &str) -> String {
    if at.is_empty() || at.ends_with('/') { format!("{at}{part}") } else { format!("{at}/{part}") }
}

/// Whether a name matches a pattern of `*` and `?`, in linear space and without recursion.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, n) = (at + 1, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        for (pattern, name) in [("*.sql", "001.sql"), ("*", "x"), ("a?c", "abc"), ("*a*b*", "xxaxxbxx"), ("x", "x")] {
            assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in [("*.sql", "sql"), ("a?c", "ac"), ("*a*b", "ba"), ("", "x")] {
            assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_find_files_below_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a.sql", "b.sql", "c.txt", "sub/d.sql", "sub/deep/e.sql", ".hidden.sql"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::File::create(path).unwrap();
        }
        let found = |pattern: &str| expand(folder.path(), pattern).unwrap().join(" ");
        assert_eq!(found("*.sql"), "a.sql b.sql");
        assert_eq!(found("./**/*.sql"), "a.sql b.sql sub/d.sql sub/deep/e.sql");
        assert_eq!(found("sub/**"), "sub/d.sql sub/deep/e.sql");
        assert_eq!(found("nowhere/*"), "");
    }
}
