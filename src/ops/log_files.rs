//! A log that is in files, from its rotated files on, and what is added while it is followed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::OpError;
use crate::backend::{LogLine, LogQuery};

/// The files of a log, open for reading.
pub(super) struct LogFiles {
    query: LogQuery,
    files: Vec<PathBuf>,
    /// How far the newest file was read, and which file that was: a rotation gives another one.
    current: Option<(PathBuf, u64, u64)>,
    /// A line whose end was not written yet.
    partial: String,
}

impl LogFiles {
    /// Oldest file first; the last one is written to.
    pub(super) fn new(files: Vec<PathBuf>, query: LogQuery) -> Self {
        Self { query, files, current: None, partial: String::new() }
    }

    /// What is there now, within the options.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn read(&mut self) -> Result<Vec<LogLine>, OpError> {
        let mut lines = std::collections::VecDeque::new();
        let most = self.query.lines.unwrap_or(usize::MAX);
        let since = self.query.since;
        let mut keep = |line: LogLine| {
            if since.is_none_or(|since| line.at.is_some_and(|at| at >= since)) {
                if lines.len() == most {
                    lines.pop_front();
                }
                if most > 0 {
                    lines.push_back(line);
                }
            }
        };
        let files = self.files.clone();
        let Some((newest, older)) = files.split_last() else { return Ok(Vec::new()) };
        for path in older {
            // A file that was rotated away since it was listed is gone, which is what rotation is for.
            let Ok(file) = File::open(path) else { continue };
            for line in BufReader::new(file).split(b'\n') {
                keep(parse(&line.map_err(OpError::io("read", path))?));
            }
        }
        self.read_on(newest, &mut keep)?;
        Ok(lines.into())
    }

    /// What was added since the last call.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn added(&mut self) -> Result<Vec<LogLine>, OpError> {
        let Some(newest) = self.files.last().cloned() else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        if let Some((_, inode, read)) = self.current.clone()
            && let Some(rotated) = self.rotated(&newest, inode)
        {
            let mut rest = File::open(&rotated).map_err(OpError::io("open", &rotated))?;
            rest.seek(SeekFrom::Start(read)).map_err(OpError::io("read", &rotated))?;
            self.take(&mut rest, &rotated, &mut |line| lines.push(line))?;
            self.current = None;
        }
        self.read_on(&newest, &mut |line| lines.push(line))?;
        Ok(lines)
    }

    /// The file that was the newest until it was rotated, when it was.
    fn rotated(&self, newest: &Path, inode: u64) -> Option<PathBuf> {
        let inode_of = |path: &Path| std::fs::metadata(path).ok().map(|metadata| metadata.ino());
        if inode_of(newest) == Some(inode) {
            return None;
        }
        let first = newest.with_added_extension("1");
        (inode_of(&first) == Some(inode)).then_some(first)
    }

    fn read_on(&mut self, path: &Path, keep: &mut impl FnMut(LogLine)) -> Result<(), OpError> {
        let Ok(mut file) = File::open(path) else { return Ok(()) };
        let inode = file.metadata().map_err(OpError::io("read", path))?.ino();
        let start = match &self.current {
            Some((_, known, read)) if *known == inode => *read,
            _ => 0,
        };
        file.seek(SeekFrom::Start(start)).map_err(OpError::io("read", path))?;
        let read = self.take(&mut file, path, keep)?;
        self.current = Some((path.to_owned(), inode, start + read));
        Ok(())
    }

    /// Reads to the end; the start of a line whose end is not there yet waits for it.
    fn take(&mut self, file: &mut File, path: &Path, keep: &mut impl FnMut(LogLine)) -> Result<u64, OpError> {
        let mut bytes = Vec::new();
        let read = file.read_to_end(&mut bytes).map_err(OpError::io("read", path))?;
        self.partial.push_str(&String::from_utf8_lossy(&bytes));
        let text = std::mem::take(&mut self.partial);
        let mut lines = text.split('\n');
        let last = lines.next_back().unwrap_or_default();
        lines.for_each(|line| keep(parse(line.as_bytes())));
        last.clone_into(&mut self.partial);
        Ok(read as u64)
    }
}

/// Takes the time off a line: `2026-11-21T05:32:10.123Z text`.
fn parse(line: &[u8]) -> LogLine {
    let line = String::from_utf8_lossy(line);
    let stamped = line.split_once(' ').and_then(|(at, text)| Some((at.parse().ok()?, text)));
    match stamped {
        Some((at, text)) => LogLine { at: Some(at), text: text.to_owned() },
        None => LogLine { at: None, text: line.into_owned() },
    }
}
