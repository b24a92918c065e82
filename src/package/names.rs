//! The names that a package may hold, and where its links lead.

use std::collections::{BTreeMap, VecDeque};

use super::entry::{Entry, EntryKind};
use super::problem::{Fault, shown};

/// The longest name of one file or folder on every common file system.
const MOST_PART: usize = 255;

/// How many links may lead to each other; the kernel's own limit.
const MOST_HOPS: usize = 40;

/// How many steps following all links of a package may take together.
const MOST_STEPS: usize = 1 << 20;

/// The path that an archive's name stands for; `None` for the top itself. A leading `./` is what
/// `tar -c .` writes, and means nothing.
pub(super) fn clean(name: &[u8], is_folder: bool, longest: usize) -> Result<Option<String>, Fault> {
    let name = std::str::from_utf8(name).map_err(|_| Fault::NotText)?;
    if name.contains(char::is_control) {
        return Err(Fault::Control);
    }
    if name.starts_with('/') {
        return Err(Fault::Absolute);
    }
    let name = if is_folder { name.strip_suffix('/').unwrap_or(name) } else { name };
    if is_folder && name == "." {
        return Ok(None);
    }
    let name = name.strip_prefix("./").unwrap_or(name);
    if name.split('/').any(|part| part == "..") {
        return Err(Fault::Parent);
    }
    if name.split('/').any(|part| part.is_empty() || part == ".") {
        return Err(Fault::OddPart);
    }
    if name.len() > longest || name.split('/').any(|part| part.len() > MOST_PART) {
        return Err(Fault::LongName(longest));
    }
    Ok(Some(name.to_owned()))
}

/// The name that a header holds where an extended one replaces it. A program that does not know the
/// extension uses it, so it must not lead out either; it may be cut off anywhere.
pub(super) fn check_replaced(name: &[u8]) -> Result<(), Fault> {
    if name.starts_with(b"/") {
        return Err(Fault::Absolute);
    }
    if name.split(|byte| *byte == b'/').any(|part| part == b"..") { Err(Fault::Parent) } else { Ok(()) }
}

/// The target of a symbolic link as text; where it leads is for [`Links`] to say.
pub(super) fn target(target: &[u8], longest: usize) -> Result<String, Fault> {
    let text = std::str::from_utf8(target).map_err(|_| Fault::NotText)?;
    match text {
        _ if text.contains(char::is_control) => Err(Fault::Control),
        _ if text.len() > longest => Err(Fault::LongName(longest)),
        _ if text.is_empty() || text.starts_with('/') => Err(Fault::Escapes(shown(text))),
        _ => Ok(text.to_owned()),
    }
}

/// The entries of a package by path.
pub(super) type Tree = BTreeMap<String, Entry>;

/// Follows the links of a package as a kernel does, without leaving the package.
pub(super) struct Links<'a> {
    tree: &'a Tree,
    steps: usize,
}

impl<'a> Links<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self { tree, steps: 0 }
    }

    /// Where a path leads that is relative to a folder of the package (`""` is the top).
    pub(super) fn follow(&mut self, folder: &str, path: &str) -> Result<String, Fault> {
        let tree = self.tree;
        let mut here: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
        let mut ahead: VecDeque<&str> = path.split('/').collect();
        let mut hops = 0;
        while let Some(part) = ahead.pop_front() {
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return Err(Fault::Circle(shown(path)));
            }
            match part {
                "" | "." => continue,
                ".." => {
                    here.pop().ok_or_else(|| Fault::Escapes(shown(path)))?;
                    continue;
                }
                _ => here.push(part),
            }
            let Some(Entry { kind: EntryKind::Symlink { target }, .. }) = tree.get(&here.join("/")) else { continue };
            hops += 1;
            if hops > MOST_HOPS {
                return Err(Fault::Circle(shown(path)));
            }
            here.pop();
            target.split('/').rev().for_each(|part| ahead.push_front(part));
        }
        Ok(here.join("/"))
    }
}

/// The folder that a path stands in; `""` at the top.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
