//! Reads a package as a stream: every entry, every byte, once, within limits.

use std::collections::btree_map as map;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};

use super::check;
use super::entry::{Contents, Entry, EntryKind};
use super::hashing::{self, Hashing};
use super::header::{BLOCK, Header};
use super::limits::Limits;
use super::names::{self, Tree};
use super::pax::{self, Extended};
use super::problem::{Fault, PackageError, Problems};
use crate::model::Digest;

/// Where the manifest stands.
pub(super) const MANIFEST: &str = "manifest.yaml";

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// The most bytes of an extended header; the longest names need a tenth of it.
const MOST_EXTENDED: u64 = 64 * 1024;

/// A package in the file system.
#[derive(Debug)]
pub struct Archive;

impl Archive {
    /// Reads all of an archive and checks it: its form, every name, kind and mode, where links lead, the
    /// manifest, the entry point, and every checksum. Nothing is written, and what is held in memory is
    /// bounded by the limits on entries, names and the manifest, not by the size of the archive.
    ///
    /// # Errors
    /// When the file cannot be read, or anything is wrong with the package; all that was found is in it.
    pub fn open(path: &Path, limits: &Limits) -> Result<Contents, PackageError> {
        let read = |error| PackageError::io("read", path)(error);
        let file = File::open(path).map_err(read)?;
        let packed = file.metadata().map_err(read)?.len();
        let mut reader = Reader::new(file, packed, limits);
        match reader.entries().and_then(|()| reader.finish()) {
            Ok(digest) => {
                check::short_targets(&reader.tree, reader.short_targets, &mut reader.problems);
                let contents = check::contents(reader.tree, reader.manifest, &mut reader.problems);
                match contents {
                    Some((manifest, entries)) if reader.problems.is_empty() => Ok(Contents {
                        manifest,
                        unpacked_bytes: entries.iter().map(|entry| entry.size).sum(),
                        entries,
                        packed_bytes: packed,
                        sha256: digest,
                    }),
                    _ => Err(PackageError::Refused { path: path.to_owned(), problems: reader.problems }),
                }
            }
            Err(Stop::Io(error)) => Err(read(error)),
            Err(Stop::Fault(fault)) => {
                reader.problems.push(None, fault);
                Err(PackageError::Refused { path: path.to_owned(), problems: reader.problems })
            }
        }
    }

    /// The digest of an archive, which is not checked in any other way.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sha256(path: &Path) -> Result<Digest, PackageError> {
        File::open(path).and_then(hashing::digest).map_err(PackageError::io("read", path))
    }
}

/// Why reading cannot go on.
enum Stop {
    Io(io::Error),
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

struct Reader<'a> {
    stream: GzDecoder<BufReader<Hashing<File>>>,
    limits: &'a Limits,
    packed: u64,
    /// How many bytes were unpacked, and may be.
    unpacked: u64,
    most: u64,
    buffer: Box<[u8]>,
    count: usize,
    tree: Tree,
    /// The targets of links for whoever does not know the extended headers that say them in full.
    short_targets: Vec<(String, String)>,
    manifest: Option<Vec<u8>>,
    problems: Problems,
}

impl<'a> Reader<'a> {
    fn new(file: File, packed: u64, limits: &'a Limits) -> Self {
        let source = BufReader::with_capacity(CHUNK, Hashing::new(file));
        Self {
            stream: GzDecoder::new(source),
            limits,
            packed,
            unpacked: 0,
            most: limits.unpacked_from(packed),
            buffer: vec![0; CHUNK].into(),
            count: 0,
            tree: Tree::new(),
            short_targets: Vec::new(),
            manifest: None,
            problems: Problems::default(),
        }
    }

    /// Fills the buffer with the next bytes, as many as are wanted or as there are left.
    fn fill(&mut self, wanted: usize) -> Result<usize, Stop> {
        let mut filled = 0;
        while filled < wanted {
            match self.stream.read(&mut self.buffer[filled..wanted]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(gzip(error)),
            }
        }
        self.unpacked += filled as u64;
        if self.unpacked > self.most {
            return Err(Fault::Bomb { most: self.most, packed: self.packed }.into());
        }
        Ok(filled)
    }

    /// The next block; `None` at the end.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Stop> {
        match self.fill(BLOCK)? {
            0 => Ok(None),
            BLOCK => {
                let mut block = [0; BLOCK];
                block.copy_from_slice(&self.buffer[..BLOCK]);
                Ok(Some(block))
            }
            _ => Err(Fault::Tar("is cut off").into()),
        }
    }

    /// Gives the content of an entry, a piece at a time, and passes over what fills its last block.
    fn content(&mut self, size: u64, mut take: impl FnMut(&[u8])) -> Result<(), Stop> {
        // Said at once, so that a false size costs no reading.
        if size > self.most - self.unpacked {
            return Err(Fault::Bomb { most: self.most, packed: self.packed }.into());
        }
        let (mut left, mut padded) = (size, size.next_multiple_of(BLOCK as u64));
        while padded > 0 {
            let wanted = usize::try_from(padded).unwrap_or(CHUNK).min(CHUNK);
            if self.fill(wanted)? != wanted {
                return Err(Fault::Tar("is cut off").into());
            }
            let content = usize::try_from(left).unwrap_or(CHUNK).min(wanted);
            take(&self.buffer[..content]);
            left -= content as u64;
            padded -= wanted as u64;
        }
        Ok(())
    }

    /// All entries, up to the mark at the end.
    fn entries(&mut self) -> Result<(), Stop> {
        let mut extended = Extended::default();
        loop {
            let block = self.block()?.ok_or(Fault::Tar("is cut off"))?;
            if block == [0; BLOCK] {
                break;
            }
            let header = Header::read(&block)?;
            if !matches!(header.flag, b'x' | b'g' | b'L' | b'K') {
                self.entry(header, std::mem::take(&mut extended))?;
                continue;
            }
            if header.size > MOST_EXTENDED {
                return Err(Fault::Tar("has an extended header that is too long").into());
            }
            let mut data = Vec::new();
            self.content(header.size, |piece| data.extend_from_slice(piece))?;
            match header.flag {
                b'x' => extended.pax(&data)?,
                b'g' => pax::global(&data)?,
                flag => extended.gnu(flag, &data)?,
            }
        }
        if extended.is_empty() { Ok(()) } else { Err(Fault::Tar("ends with an extended header").into()) }
    }

    fn entry(&mut self, header: Header, extended: Extended) -> Result<(), Stop> {
        self.count += 1;
        if self.count > self.limits.entries {
            return Err(Fault::TooMany(self.limits.entries).into());
        }
        let raw = extended.path.as_ref().unwrap_or(&header.name);
        let label = String::from_utf8_lossy(raw).into_owned();
        let path = names::clean(raw, header.flag == b'5', self.limits.path);
        let path = match path.and_then(|path| names::check_replaced(&header.name).map(|()| path)) {
            Ok(path) => path,
            Err(fault) => {
                self.problems.push(Some(&label), fault);
                return self.content(header.size, |_| {});
            }
        };
        let label = path.as_deref().unwrap_or(".");
        match header.mode {
            mode if mode & 0o7000 != 0 => self.problems.push(Some(label), Fault::SetId(mode)),
            // The permissions of a symbolic link mean nothing, and are all given.
            mode if mode & 0o002 != 0 && header.flag != b'2' => {
                self.problems.push(Some(label), Fault::WorldWritable(mode));
            }
            _ => {}
        }
        let kind = self.kind(&header, extended.link.as_deref());
        let (kind, fault) = match kind {
            Ok(kind) if header.size > 0 && kind != EntryKind::File => (None, Some(Fault::Content(content_of(&kind)))),
            Ok(kind) => (Some(kind), None),
            Err(fault) => (None, Some(fault)),
        };
        if let Some(fault) = fault {
            self.problems.push(Some(label), fault);
        }
        let sha256 = match (&kind, path.as_deref()) {
            (Some(EntryKind::File), Some(path)) => Some(self.file(path, header.size)?),
            _ => {
                self.content(header.size, |_| {})?;
                None
            }
        };
        if let (Some(path), Some(kind)) = (path, kind) {
            if extended.link.is_some() && !header.link.is_empty() && matches!(kind, EntryKind::Symlink { .. }) {
                match names::target(&header.link, self.limits.path) {
                    Ok(short) => self.short_targets.push((path.clone(), short)),
                    Err(fault) => self.problems.push(Some(&path), fault),
                }
            }
            let entry = Entry { path: path.clone(), kind, mode: header.mode, size: header.size, sha256 };
            match self.tree.entry(path) {
                map::Entry::Occupied(there) => self.problems.push(Some(there.key()), Fault::Twice),
                map::Entry::Vacant(place) => drop(place.insert(entry)),
            }
        }
        Ok(())
    }

    /// What an entry is, as far as its own header says.
    fn kind(&self, header: &Header, long_link: Option<&[u8]>) -> Result<EntryKind, Fault> {
        let link = long_link.unwrap_or(&header.link);
        let longest = self.limits.path;
        match header.flag {
            b'0' | 0 => Ok(EntryKind::File),
            b'5' => Ok(EntryKind::Folder),
            b'2' => Ok(EntryKind::Symlink { target: names::target(link, longest)? }),
            b'1' => {
                if long_link.is_some() {
                    names::check_replaced(&header.link)?;
                }
                let target = names::clean(link, false, longest)?;
                let text = target.clone().unwrap_or_default();
                match target.and_then(|target| self.tree.get(&target)) {
                    Some(Entry { kind: EntryKind::File, .. }) => Ok(EntryKind::HardLink { target: text }),
                    _ => Err(Fault::NoTarget(super::problem::shown(&text))),
                }
            }
            b'3' => Err(Fault::Special("a character device")),
            b'4' => Err(Fault::Special("a block device")),
            b'6' => Err(Fault::Special("a named pipe")),
            b'S' => Err(Fault::Special("a sparse file")),
            _ => Err(Fault::Special("of an unknown kind")),
        }
    }

    fn file(&mut self, path: &str, size: u64) -> Result<Digest, Stop> {
        let mut hash = Sha256::new();
        if path != MANIFEST {
            self.content(size, |piece| hash.update(piece))?;
        } else if size > self.limits.manifest {
            self.problems.push(Some(path), Fault::LargeManifest(self.limits.manifest));
            self.content(size, |_| {})?;
        } else {
            let mut text = Vec::new();
            self.content(size, |piece| text.extend_from_slice(piece))?;
            hash.update(&text);
            self.manifest.get_or_insert(text);
        }
        Ok(Digest::new(hash.finalize().into()))
    }

    /// What comes behind the first block of zeros: zeros, at least another block of them, then the end of
    /// the gzip stream and of the file. Where programs stop to read differs, so nothing else may be there.
    fn finish(&mut self) -> Result<Digest, Stop> {
        let mut zeros = 0;
        loop {
            let filled = self.fill(CHUNK)?;
            if filled == 0 {
                break;
            }
            if self.buffer[..filled].iter().any(|byte| *byte != 0) {
                return Err(Fault::Trailing.into());
            }
            zeros += filled;
        }
        if zeros < BLOCK {
            return Err(Fault::Tar("is cut off").into());
        }
        let source = self.stream.get_mut();
        if !source.fill_buf().map_err(Stop::Io)?.is_empty() {
            return Err(Fault::Trailing.into());
        }
        Ok(source.get_ref().digest())
    }
}

/// What the decoder could not read: damage, unless the file itself could not be read.
fn gzip(error: io::Error) -> Stop {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Fault::Gzip(error.to_string()).into()
        }
        _ => Stop::Io(error),
    }
}

fn content_of(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::Folder => "a folder",
        _ => "a link",
    }
}
