//! Source files: read within limits, with byte spans, lines and columns.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::diagnostic::{Diagnostic, shorten};
use super::secret::masked;

/// The largest file that is read as configuration.
const MAX_FILE: u64 = 32 << 20;

/// A range of bytes in one of the files that a configuration was read from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Which file, in the order of reading.
    pub file: u32,
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

/// A place as a person counts: lines and columns from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One file: its text and what is needed to find lines in it.
#[derive(Debug)]
pub struct SourceFile {
    name: String,
    path: PathBuf,
    text: String,
    lines: OnceLock<Vec<u32>>,
    shown: OnceLock<String>,
}

impl SourceFile {
    fn new(name: String, path: PathBuf, text: String) -> Self {
        Self { name, path, text, lines: OnceLock::new(), shown: OnceLock::new() }
    }

    /// The name as a person gave it or finds it: relative to the current folder where it is below it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that relative paths in this file start from.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// The text, without a byte order mark.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text as a diagnostic may show it: what looks secret is starred, every byte in its place.
    pub(crate) fn shown(&self) -> &str {
        self.shown.get_or_init(|| masked(&self.text))
    }

    /// The offsets at which lines start; made once, since only a file with a diagnostic needs them.
    pub(crate) fn lines(&self) -> &[u32] {
        self.lines.get_or_init(|| {
            let breaks = self.text.bytes().zip(1u32..).filter(|(byte, _)| *byte == b'\n').map(|(_, next)| next);
            std::iter::once(0).chain(breaks).collect()
        })
    }

    /// The number of the line, from 0, that holds a byte.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.lines().partition_point(|start| *start as usize <= offset).saturating_sub(1)
    }

    /// Line and column of a byte.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let offset = char_boundary(&self.text, offset);
        let line = self.line_of(offset);
        let start = self.lines()[line] as usize;
        Position { line: line + 1, column: self.text[start..offset].chars().count() + 1 }
    }
}

/// Every file that a configuration was read from; a [`Span`] points into one of them.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Reads a text file and gives it a number.
    ///
    /// The size is checked before anything is read, and only as much as is allowed is read from what
    /// has no size (a pipe, a device).
    pub(crate) fn read(&mut self, name: String, path: PathBuf) -> Result<u32, Diagnostic> {
        let bytes = read_limited(&path, MAX_FILE).map_err(|error| unreadable(&name, &error))?;
        self.add(name, path, bytes)
    }

    /// Adds content that was read already.
    pub(crate) fn add(&mut self, name: String, path: PathBuf, bytes: Vec<u8>) -> Result<u32, Diagnostic> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            not_text(&name, error.as_bytes(), offset)
        })?;
        // The parser takes a NUL for the end of the file; what follows it would be lost silently.
        let forbidden = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
        if let Some(offset) = text.find(forbidden) {
            return Err(not_text(&name, text.as_bytes(), offset));
        }
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        let id = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.push(SourceFile::new(name, path, text));
        Ok(id)
    }

    /// A file by its number.
    #[must_use]
    pub fn get(&self, file: u32) -> Option<&SourceFile> {
        self.files.get(file as usize)
    }

    /// Every file, in the order of reading.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The source text under a span.
    pub(crate) fn slice(&self, span: Span) -> &str {
        self.get(span.file).and_then(|file| file.text.get(span.start as usize..span.end as usize)).unwrap_or_default()
    }

    /// The folder that relative paths written at a span start from.
    pub(crate) fn folder(&self, span: Span) -> &Path {
        self.get(span.file).map_or(Path::new("/"), SourceFile::folder)
    }
}

/// The start of the character that a byte belongs to, or the end of the text.
pub(crate) fn char_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Reads at most `limit` bytes of a file.
///
/// # Errors
/// When it cannot be read, or holds more; then the kind is [`io::ErrorKind::FileTooLarge`].
pub(crate) fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} KiB", limit >> 10));
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return Diagnostic::error(
            "config::too_large",
            format!(
                "`{}` is larger than {} MiB, the most that a configuration file may have",
                shorten(name),
                MAX_FILE >> 20
            ),
        )
        .help("split it into several files, or check that the path is the right one");
    }
    let help = match error.kind() {
        io::ErrorKind::NotFound => "check the path, or make a file with `orch init`",
        io::ErrorKind::PermissionDenied => "let this user read it",
        io::ErrorKind::IsADirectory => "name a file in it",
        _ => "check the path",
    };
    Diagnostic::error("config::unreadable", format!("`{}` cannot be read: {}", shorten(name), reason(error))).help(help)
}

/// Why a file cannot be read, without the number that the operating system adds.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}

fn not_text(name: &str, bytes: &[u8], offset: usize) -> Diagnostic {
    let line = bytes[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = bytes[..offset].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&bytes[start..offset]).chars().count() + 1;
    Diagnostic::error(
        "config::not_text",
        format!(
            "`{}` is not a text file: byte 0x{:02x} at line {line}, column {column}",
            shorten(name),
            bytes.get(offset).copied().unwrap_or(0)
        ),
    )
    .help("a configuration file is UTF-8 text without control characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(bytes: &[u8]) -> Result<Sources, Diagnostic> {
        let mut sources = Sources::default();
        sources.add("a.yaml".into(), "/x/a.yaml".into(), bytes.to_vec()).map(|_| sources)
    }

    #[test]
    fn positions_count_characters_from_one() {
        let sources = add("a: ü\nß: b\n".as_bytes()).unwrap();
        let file = sources.get(0).unwrap();
        assert_eq!(file.position(0), Position { line: 1, column: 1 });
        assert_eq!(file.position(8), Position { line: 2, column: 2 });
        assert_eq!(file.position(10_000), Position { line: 3, column: 1 });
        assert_eq!(file.folder(), Path::new("/x"));
    }

    #[test]
    fn what_is_not_text_is_refused_at_its_place() {
        for (bytes, place) in [
            (&b"a: b\nc\xff"[..], "0xff at line 2, column 2"),
            (b"a: \0b", "0x00 at line 1, column 4"),
            (b"\x1b[2J", "0x1b"),
        ] {
            let message = add(bytes).unwrap_err().message;
            assert!(message.contains(place), "{message}");
        }
        assert_eq!(add("\u{feff}a: b".as_bytes()).unwrap().files()[0].text(), "a: b");
    }

    #[test]
    fn a_huge_file_is_refused_without_being_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge.yaml");
        File::create(&path).unwrap().set_len(100 << 30).unwrap();
        let error = Sources::default().read("huge.yaml".into(), path).unwrap_err();
        assert!(error.message.contains("32 MiB"), "{}", error.message);
        let error = Sources::default().read("zero".into(), "/dev/zero".into()).unwrap_err();
        assert!(error.message.contains("32 MiB"), "{}", error.message);
    }
}
