//! What passes the reader, what does not, and what the builder makes.

mod build;
mod forms;
mod hostile;
mod manifest;
mod properties;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};
use tempfile::TempDir;

use super::{Archive, Contents, Limits, PackageError};

const MANIFEST: &str = "name: hello\nversion: 1.0.0\n";

/// An archive made block by block, so that it may hold what no library would write.
#[derive(Clone, Default)]
struct Tar(Vec<u8>);

impl Tar {
    /// An archive that has a manifest.
    fn new() -> Self {
        Self::default().file("manifest.yaml", MANIFEST)
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.entry(name, content.as_bytes(), |_| {})
    }

    fn folder(self, name: &str) -> Self {
        self.entry(name, b"", |header| {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o755);
        })
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.link(name, target, EntryType::Symlink)
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.link(name, target, EntryType::Link)
    }

    fn link(self, name: &str, target: &str, kind: EntryType) -> Self {
        self.entry(name, b"", |header| {
            header.set_entry_type(kind);
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        })
    }

    fn kind(self, name: &str, kind: u8) -> Self {
        self.entry(name, b"", |header| header.as_old_mut().linkflag = [kind])
    }

    fn mode(self, name: &str, mode: u32) -> Self {
        self.entry(name, b"#!/bin/sh\n", |header| header.set_mode(mode))
    }

    /// A pax header for the entry that follows, or a global one (`g`), or one of GNU's (`L`, `K`).
    fn extended(self, flag: u8, data: &[u8]) -> Self {
        self.entry("././@Extended", data, |header| header.as_old_mut().linkflag = [flag])
    }

    fn pax(self, records: &[(&str, &str)]) -> Self {
        let data: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.extended(b'x', data.as_bytes())
    }

    /// An entry whose header is finished by the caller; its checksum is right whatever that does.
    fn entry(self, name: &str, content: &[u8], finish: impl FnOnce(&mut Header)) -> Self {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_mtime(0);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        finish(&mut header);
        header.set_cksum();
        self.raw(header.as_bytes()).raw(content).raw(&vec![0; content.len().next_multiple_of(512) - content.len()])
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The gzip file, with the mark of its end.
    fn gzip(&self) -> Vec<u8> {
        gzip(&self.clone().raw(&[0; 1024]).0)
    }

    fn open(&self) -> Result<Contents, PackageError> {
        open(&self.gzip())
    }

    /// What is wrong with it, one problem on a line.
    #[track_caller]
    fn problems(&self) -> String {
        problems(self.open())
    }
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != length.to_string().len() + rest.len() {
        length = length.to_string().len() + rest.len();
    }
    format!("{length}{rest}")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn open(bytes: &[u8]) -> Result<Contents, PackageError> {
    open_within(bytes, &Limits::default())
}

fn open_within(bytes: &[u8], limits: &Limits) -> Result<Contents, PackageError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Archive::open(file.path(), limits)
}

#[track_caller]
fn problems<T: std::fmt::Debug>(result: Result<T, PackageError>) -> String {
    let error = result.unwrap_err();
    assert!(!error.problems().is_empty(), "{error}");
    let lines: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A folder to be packed: content by path; a path that begins with `bin/` or `scripts/` is executable.
struct Source {
    /// Holds `source/`, and what is built beside it.
    home: TempDir,
}

impl Source {
    fn new(files: &[(&str, &str)]) -> Self {
        let source = Self { home: tempfile::tempdir().unwrap() };
        std::fs::create_dir(source.folder()).unwrap();
        source.write("manifest.yaml", MANIFEST);
        files.iter().for_each(|(path, content)| source.write(path, content));
        source
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("source")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.path(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        crate::sys::write_atomic(&file, content.as_ref(), crate::sys::Durability::Atomic).unwrap();
        let mode = if path.starts_with("bin/") || path.starts_with("scripts/") { 0o700 } else { 0o600 };
        self.mode(path, mode);
    }

    fn mode(&self, path: &str, mode: u32) {
        std::fs::set_permissions(self.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn build(&self) -> Result<super::Built, PackageError> {
        super::build(&self.folder(), None, self.home.path(), &Limits::default())
    }

    /// The bytes of the package.
    #[track_caller]
    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.build().unwrap().path).unwrap()
    }
}

/// Every entry of a package in a word or two, by path.
fn listed(contents: &Contents) -> BTreeMap<&str, String> {
    let entries = contents.entries.iter();
    entries.map(|entry| (entry.path.as_str(), format!("{} {:o} {}", entry.kind, entry.mode, entry.size))).collect()
}

/// What a program unpacks from an archive into an empty folder, and whether it was content.
#[expect(clippy::disallowed_methods, reason = "the program that a host unpacks with is what is tested against")]
fn unpack(program: &[&str], archive: &Path) -> (TempDir, bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(program[0]);
    let output = command.args(&program[1..]).arg(archive).arg("-C").arg(folder.path()).output().unwrap();
    (folder, output.status.success())
}
