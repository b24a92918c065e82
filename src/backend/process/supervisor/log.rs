//! The log of one service: every line with the time at which it came, rotated by size.
//!
//! What arrives is written at once, also before its line is complete. A disk that is full costs log
//! lines, never the service: the log says how much is missing once there is room again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::model::LogPolicy;

/// How far beyond its size a file may grow before a line that does not end is cut.
const LONGEST_OVERRUN: u64 = 64 * 1024;

/// Writes the log of one service.
#[derive(Debug)]
pub(super) struct LogWriter {
    path: PathBuf,
    policy: LogPolicy,
    file: Option<File>,
    size: u64,
    at_line_start: bool,
    /// Bytes that could not be written.
    missing: u64,
    buffer: Vec<u8>,
}

impl LogWriter {
    /// Opens a log, or goes on with the one that is there.
    pub(super) fn open(path: PathBuf, policy: LogPolicy) -> io::Result<Self> {
        let (file, size) = open(&path)?;
        Ok(Self { path, policy, file: Some(file), size, at_line_start: true, missing: 0, buffer: Vec::new() })
    }

    /// Takes another rotation policy; it counts from the next line on.
    pub(super) fn set_policy(&mut self, policy: LogPolicy) {
        self.policy = policy;
    }

    /// Writes what the service said at `now`.
    pub(super) fn write(&mut self, now: Timestamp, mut output: &[u8]) {
        let prefix = format!("{now:.3} ");
        while !output.is_empty() {
            self.rotate_if_full();
            // At least one line at a time, even when the rotation failed.
            let room = self.room().max(1);
            self.buffer.clear();
            let note = self.announce_missing(&prefix);
            while !output.is_empty() {
                if self.at_line_start {
                    if self.buffer.len() as u64 >= room {
                        break;
                    }
                    self.buffer.extend_from_slice(prefix.as_bytes());
                }
                let end = output.iter().position(|byte| *byte == b'\n').map_or(output.len(), |at| at + 1);
                let (line, rest) = output.split_at(end);
                self.buffer.extend_from_slice(line);
                self.at_line_start = line.last() == Some(&b'\n');
                output = rest;
            }
            self.flush(note);
        }
    }

    /// Ends a line that was left open, as when the service ended in the middle of it.
    pub(super) fn end_line(&mut self) {
        if !self.at_line_start {
            self.buffer.clear();
            self.buffer.push(b'\n');
            self.at_line_start = true;
            self.flush(0);
        }
    }

    /// How much fits into the file; without a limit, anything.
    fn room(&self) -> u64 {
        if self.policy.max_size == 0 { u64::MAX } else { self.policy.max_size.saturating_sub(self.size) }
    }

    fn rotate_if_full(&mut self) {
        let over = self.size > self.policy.max_size.saturating_add(LONGEST_OVERRUN);
        if self.size == 0 || self.room() > 0 || !(self.at_line_start || over) {
            return;
        }
        self.end_line();
        if rotate(&self.path, self.policy.keep).is_ok() {
            self.file = None;
            self.size = 0;
        }
    }

    /// Says how much is missing, and how long that note is.
    fn announce_missing(&mut self, prefix: &str) -> usize {
        if self.missing > 0 {
            let start = if self.at_line_start { "" } else { "\n" };
            let note = format!("{start}{prefix}orch: {} bytes are missing here, the disk was full\n", self.missing);
            self.buffer.extend_from_slice(note.as_bytes());
            self.at_line_start = true;
        }
        self.buffer.len()
    }

    /// Writes the buffer, of which the first `note` bytes are no loss.
    fn flush(&mut self, note: usize) {
        if self.file.is_none()
            && let Ok((file, size)) = open(&self.path)
        {
            (self.file, self.size) = (Some(file), size);
        }
        let mut written = 0;
        while let (Some(file), true) = (self.file.as_mut(), written < self.buffer.len()) {
            match file.write(&self.buffer[written..]) {
                Ok(n) if n > 0 => written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        self.size += written as u64;
        if note > 0 && written >= note {
            self.missing = 0;
        }
        if written < self.buffer.len() {
            self.missing += (self.buffer.len() - written.max(note)) as u64;
            self.at_line_start = false;
        }
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// Moves `log.1` to `log.2` and so on and `log` to `log.1`; the oldest beyond `keep` goes. A crash in
/// the middle leaves a gap in the numbers and loses nothing.
fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbered = |n: u32| path.with_file_name(format!("{name}.{n}"));
    if keep == 0 {
        return std::fs::remove_file(path);
    }
    for n in (1..keep).rev() {
        match std::fs::rename(numbered(n), numbered(n + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(path, numbered(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(folder: &Path, max_size: u64, keep: u32) -> LogWriter {
        LogWriter::open(folder.join("log"), LogPolicy { max_size, keep }).unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-21T05:32:10.120Z".parse().unwrap()
    }

    #[test]
    fn each_line_has_its_time_and_a_partial_one_is_written_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = writer(folder.path(), 1_000_000, 2);
        let read = || std::fs::read_to_string(folder.path().join("log")).unwrap();
        log.write(now(), b"one\n\ntw");
        let first = "2026-11-21T05:32:10.120Z one\n2026-11-21T05:32:10.120Z \n2026-11-21T05:32:10.120Z tw";
        assert_eq!(read(), first);
        log.write(now(), b"o\n");
        assert_eq!(read(), format!("{first}o\n"));
        log.write(now(), b"end");
        log.end_line();
        log.end_line();
        assert_eq!(read(), format!("{first}o\n2026-11-21T05:32:10.120Z end\n"));
    }

    #[test]
    fn rotation_loses_no_line_that_it_keeps() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = writer(folder.path(), 100, 3);
        let output: String = (0..40).map(|n| format!("line {n}\n")).collect();
        for chunk in output.as_bytes().chunks(7) {
            log.write(now(), chunk);
        }
        let names = ["log.3", "log.2", "log.1", "log"];
        let files: Vec<String> =
            names.iter().map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap()).collect();
        assert!(files.iter().all(|file| file.len() <= 100 + 35), "{files:?}");
        let lines: Vec<&str> = files.iter().flat_map(|file| file.lines()).map(|line| &line[25..]).collect();
        let last: Vec<String> = (40 - lines.len()..40).map(|n| format!("line {n}")).collect();
        assert_eq!(lines, last);
        assert!(!folder.path().join("log.4").exists());
    }

    #[test]
    fn a_full_disk_costs_lines_and_says_how_much() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = writer(folder.path(), 1_000, 1);
        log.write(now(), b"before\nopen ");
        let file = log.file.replace(File::options().append(true).open("/dev/full").unwrap());
        log.write(now(), b"lost\nlost\n");
        log.write(now(), b"lost\n");
        log.file = file;
        log.write(now(), b"after\n");
        let text = std::fs::read_to_string(folder.path().join("log")).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| &line[25..]).collect();
        // Two whole lines with their times, and the rest of the open one.
        assert_eq!(lines, ["before", "open ", "orch: 65 bytes are missing here, the disk was full", "after"]);
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = writer(folder.path(), 1_000, 1);
        for _ in 0..100 {
            log.write(now(), &[b'x'; 10_000]);
        }
        let size = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
        assert!(size("log") + size("log.1") < 2 * (1_000 + LONGEST_OVERRUN + 20_000));
    }
}
