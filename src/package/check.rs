//! What holds between the entries of a package, and between them and its manifest.

use super::archive::MANIFEST;
use super::entry::{Entry, EntryKind, Script};
use super::manifest::{self, Manifest};
use super::names::{Links, Tree, folder_of};
use super::problem::{Fault, Problems, shown};

/// Checks all entries together; gives them sorted by path, with the manifest, where that can be read.
pub(super) fn contents(
    tree: Tree,
    manifest: Option<Vec<u8>>,
    problems: &mut Problems,
) -> Option<(Manifest, Vec<Entry>)> {
    shape(&tree, problems);
    let manifest = match manifest {
        Some(text) => read_manifest(&text, problems),
        None if !tree.contains_key(MANIFEST) => {
            problems.push(None, Fault::NoManifest);
            None
        }
        // A manifest that is too large was named when it was read.
        None => {
            if tree.get(MANIFEST).is_some_and(|entry| entry.kind != EntryKind::File) {
                problems.push(Some(MANIFEST), Fault::NotFile);
            }
            None
        }
    };
    if let Some(manifest) = &manifest {
        programs(&tree, manifest, problems);
        checksums(&tree, manifest, problems);
    }
    Some((manifest?, tree.into_values().collect()))
}

/// Links lead inside also for a program that does not know the extended headers of long targets.
pub(super) fn short_targets(tree: &Tree, short: Vec<(String, String)>, problems: &mut Problems) {
    if short.is_empty() || !problems.is_empty() {
        return;
    }
    let mut other = tree.clone();
    for (path, target) in short {
        if let Some(entry) = other.get_mut(&path) {
            entry.kind = EntryKind::Symlink { target };
        }
    }
    shape(&other, problems);
}

/// Reads a manifest, and names what is wrong with it.
pub(super) fn read_manifest(text: &[u8], problems: &mut Problems) -> Option<Manifest> {
    match manifest::read(text) {
        Ok(manifest) => Some(manifest),
        Err(faults) => {
            faults.into_iter().for_each(|fault| problems.push(Some(MANIFEST), fault));
            None
        }
    }
}

/// Nothing stands below a link or a file, and every link leads inside.
pub(super) fn shape(tree: &Tree, problems: &mut Problems) {
    let mut links = Links::new(tree);
    for (path, entry) in tree {
        let mut folder = folder_of(path);
        while !folder.is_empty() {
            if tree.get(folder).is_some_and(|above| above.kind != EntryKind::Folder) {
                problems.push(Some(path), Fault::Below(shown(folder)));
                break;
            }
            folder = folder_of(folder);
        }
        if let EntryKind::Symlink { target } = &entry.kind
            && let Err(fault) = links.follow(folder_of(path), target)
        {
            problems.push(Some(path), fault);
        }
    }
}

/// The entry point and the scripts are there once, and can be run.
pub(super) fn programs(tree: &Tree, manifest: &Manifest, problems: &mut Problems) {
    let mut links = Links::new(tree);
    let mut runnable = |path: &str, missing: Option<Fault>, problems: &mut Problems| {
        if !tree.contains_key(path) && missing.is_none() {
            return;
        }
        // A link that leads nowhere was named with the others.
        let Ok(end) = links.follow("", path) else { return };
        let fault = match tree.get(&end).map(|entry| (&entry.kind, entry)) {
            None => Some(missing.unwrap_or(Fault::NotProgram)),
            Some((EntryKind::File | EntryKind::HardLink { .. }, entry)) => {
                let mode = match &entry.kind {
                    EntryKind::HardLink { target } => tree.get(target).map_or(entry.mode, |file| file.mode),
                    _ => entry.mode,
                };
                (mode & 0o100 == 0).then_some(Fault::NotExecutable(mode))
            }
            Some(_) => Some(Fault::NotProgram),
        };
        if let Some(fault) = fault {
            problems.push(Some(path), fault);
        }
    };
    if let Some(entry_point) = &manifest.entry_point {
        runnable(entry_point, Some(Fault::NoEntryPoint), problems);
    }
    for script in Script::ALL {
        let [with, without] = script.paths();
        runnable(with, None, problems);
        runnable(without, None, problems);
        if tree.contains_key(with) && tree.contains_key(without) {
            problems.push(Some(with), Fault::TwoScripts(without));
        }
    }
}

/// Every file is what the manifest says, and neither has one more than the other.
fn checksums(tree: &Tree, manifest: &Manifest, problems: &mut Problems) {
    if manifest.checksums.is_empty() {
        return;
    }
    let digest = |entry: &Entry| match &entry.kind {
        EntryKind::HardLink { target } => tree.get(target).and_then(|file| file.sha256),
        _ => entry.sha256,
    };
    for (path, entry) in tree.iter().filter(|(path, _)| *path != MANIFEST) {
        match (digest(entry), manifest.checksums.get(path)) {
            (Some(found), Some(expected)) if found != *expected => {
                problems.push(Some(path), Fault::Checksum { expected: *expected, found });
            }
            (Some(_), None) => problems.push(Some(path), Fault::Unlisted),
            _ => {}
        }
    }
    for path in manifest.checksums.keys() {
        if path == MANIFEST || tree.get(path).and_then(digest).is_none() {
            problems.push(Some(path), Fault::Missing);
        }
    }
}
