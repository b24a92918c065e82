//! Makes a package of a folder: the same bytes for the same content, on every machine.
//!
//! Entries are sorted, behind the manifest; times, owners and umask are left out, and permissions are
//! one of two. The manifest gets a checksum for each file and is otherwise packed as it is written.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::archive::{Archive, MANIFEST};
use super::check;
use super::entry::{Entry, EntryKind};
use super::limits::Limits;
use super::manifest::{self, Manifest};
use super::names::Tree;
use super::problem::{Fault, PackageError, Problems};
use super::source;
use crate::model::Digest;
use crate::sys;

/// How hard to compress: a slow link gains from every byte, and a package is built once.
const LEVEL: u32 = 6;

/// The operating system in the gzip header: unknown, so that it does not tell where a package was made.
const ANY_SYSTEM: u8 = 255;

/// A package that was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Built {
    /// Where it is.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its size in bytes.
    pub packed_bytes: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// Packs a folder into `output`, or into `NAME-VERSION.tar.gz` in the folder `beside`. What was there is
/// replaced at once, when the whole package is written and was read back and checked.
///
/// # Errors
/// When the folder cannot be packed, for which every reason is given, or a file cannot be read or
/// written. What was at the output is then still there.
pub fn build(folder: &Path, output: Option<&Path>, beside: &Path, limits: &Limits) -> Result<Built, PackageError> {
    let mut problems = Problems::default();
    let tree = source::read(folder, limits, &mut problems)?;
    let text = match tree.get(MANIFEST) {
        None => {
            problems.push(None, Fault::NoManifest);
            Vec::new()
        }
        Some(entry) if entry.kind != EntryKind::File => {
            problems.push(Some(MANIFEST), Fault::NotFile);
            Vec::new()
        }
        Some(entry) if entry.size > limits.manifest => {
            problems.push(Some(MANIFEST), Fault::LargeManifest(limits.manifest));
            Vec::new()
        }
        Some(_) => {
            let path = folder.join(MANIFEST);
            let mut text = Vec::new();
            source::open(&path)?.read_to_end(&mut text).map_err(PackageError::io("read", &path))?;
            text
        }
    };
    check::shape(&tree, &mut problems);
    let manifest =
        if text.is_empty() && !problems.is_empty() { None } else { check::read_manifest(&text, &mut problems) };
    let packed = manifest.as_ref().and_then(|manifest| {
        check::programs(&tree, manifest, &mut problems);
        add_checksums(&text, manifest, &tree, &mut problems)
    });
    let (Some(manifest), Some(packed), true) = (manifest, packed, problems.is_empty()) else {
        return Err(PackageError::Unpackable { path: folder.to_owned(), problems });
    };
    let output = output.map_or_else(|| beside.join(manifest.file_name()), Path::to_owned);
    refuse_inside(folder, &output)?;
    let temporary = sys::beside(&output, &format!("{}.tmp", std::process::id()));
    let built = write(folder, &tree, &packed, &temporary).and_then(|()| Archive::open(&temporary, limits)).and_then(
        |contents| {
            std::fs::rename(&temporary, &output).map_err(PackageError::io("write", &output))?;
            Ok(Built {
                path: output.clone(),
                name: manifest.name,
                version: manifest.version,
                packed_bytes: contents.packed_bytes,
                sha256: contents.sha256,
            })
        },
    );
    if built.is_err() {
        // What was at the output stands; the temporary file is of no use to anyone.
        let _ = std::fs::remove_file(&temporary);
    }
    match built {
        Err(PackageError::Refused { problems, .. }) => {
            Err(PackageError::Unpackable { path: folder.to_owned(), problems })
        }
        built => built,
    }
}

/// A package in its own folder would be a part of the next one.
fn refuse_inside(folder: &Path, output: &Path) -> Result<(), PackageError> {
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = parent.canonicalize().map_err(PackageError::io("write to", parent))?;
    let folder = folder.canonicalize().map_err(PackageError::io("read", folder))?;
    if parent.starts_with(&folder) {
        return Err(PackageError::OutputInside { output: output.to_owned(), folder });
    }
    Ok(())
}

/// The manifest as it is packed: its own text, and the checksums of all files behind it.
fn add_checksums(text: &[u8], manifest: &Manifest, tree: &Tree, problems: &mut Problems) -> Option<Vec<u8>> {
    if !manifest.checksums.is_empty() {
        problems.push(Some(MANIFEST), Fault::HasChecksums);
        return None;
    }
    let files: Vec<_> = tree.values().filter_map(|entry| Some((entry.path.as_str(), entry.sha256?))).collect();
    if files.is_empty() {
        return Some(text.to_vec());
    }
    let mut packed = String::from_utf8_lossy(text).into_owned();
    if !packed.ends_with('\n') {
        packed.push('\n');
    }
    packed.push_str("checksums:\n");
    for (path, sha256) in &files {
        let _ = writeln!(packed, "  {}: sha256:{sha256}", quoted(path));
    }
    // Text behind a document's end, or in a manifest in braces, would mean something else.
    let expected = Manifest {
        checksums: files.into_iter().map(|(path, sha256)| (path.to_owned(), sha256)).collect(),
        ..manifest.clone()
    };
    if manifest::read(packed.as_bytes()).ok() != Some(expected) {
        problems.push(Some(MANIFEST), Fault::CannotAdd);
        return None;
    }
    Some(packed.into_bytes())
}

/// A path as a YAML text in quotes.
fn quoted(path: &str) -> String {
    let mut text = String::from('"');
    for c in path.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_ascii() || c.is_alphanumeric() => text.push(c),
            c => {
                let _ = write!(text, "\\U{:08X}", u32::from(c));
            }
        }
    }
    text.push('"');
    text
}

fn write(folder: &Path, tree: &Tree, manifest: &[u8], temporary: &Path) -> Result<(), PackageError> {
    let failed = |error| PackageError::io("write", temporary)(error);
    let file = BufWriter::with_capacity(1 << 18, File::create(temporary).map_err(failed)?);
    let gzip = GzBuilder::new().mtime(0).operating_system(ANY_SYSTEM).write(file, Compression::new(LEVEL));
    let mut archive = tar::Builder::new(gzip);
    let mode = tree.get(MANIFEST).map_or(0o644, |entry| entry.mode);
    let mut header = header(EntryType::Regular, mode, manifest.len() as u64);
    archive.append_data(&mut header, MANIFEST, manifest).map_err(failed)?;
    let mut entries: Vec<&Entry> = tree.values().filter(|entry| entry.path != MANIFEST).collect();
    // A folder with what is in it, one after the other, as `tar` itself would list them.
    entries.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    for entry in entries {
        match &entry.kind {
            EntryKind::Folder => {
                let mut header = header_of(entry, EntryType::Directory);
                archive.append_data(&mut header, format!("{}/", entry.path), io::empty()).map_err(failed)?;
            }
            EntryKind::Symlink { target } => {
                let mut header = header_of(entry, EntryType::Symlink);
                archive.append_link(&mut header, &entry.path, target).map_err(failed)?;
            }
            EntryKind::File | EntryKind::HardLink { .. } => {
                let path = folder.join(&entry.path);
                let mut content = Exactly::new(source::open(&path)?, entry.size);
                let mut header = header_of(entry, EntryType::Regular);
                archive.append_data(&mut header, &entry.path, &mut content).map_err(failed)?;
                if !content.is(entry.sha256).map_err(PackageError::io("read", &path))? {
                    let mut problems = Problems::default();
                    problems.push(Some(&entry.path), Fault::Changed);
                    return Err(PackageError::Unpackable { path: folder.to_owned(), problems });
                }
            }
        }
    }
    let file = archive.into_inner().and_then(flate2::write::GzEncoder::finish).map_err(failed)?;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)
}

fn header_of(entry: &Entry, kind: EntryType) -> Header {
    header(kind, entry.mode, entry.size)
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Reads just as many bytes as a header promised, whatever became of the file, and knows whether they
/// were the right ones.
struct Exactly {
    file: File,
    left: u64,
    hash: Sha256,
    short: bool,
}

impl Exactly {
    fn new(file: File, size: u64) -> Self {
        Self { file, left: size, hash: Sha256::new(), short: false }
    }

    /// Whether the file was what it was before, to its end.
    fn is(mut self, expected: Option<Digest>) -> io::Result<bool> {
        let more = self.file.read(&mut [0])? > 0;
        Ok(!self.short && !more && Some(Digest::new(self.hash.finalize().into())) == expected)
    }
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let mut read = self.file.read(&mut buffer[..most])?;
        if read == 0 {
            // A file that became shorter is filled up, and refused behind it.
            self.short = true;
            buffer[..most].fill(0);
            read = most;
        }
        self.hash.update(&buffer[..read]);
        self.left -= read as u64;
        Ok(read)
    }
}
