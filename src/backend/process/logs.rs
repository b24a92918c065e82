//! Reading the log of an object: the files, and their last lines.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::folder::{Folder, LOG};

/// How much is read at once, from the end backwards.
const BLOCK: u64 = 64 * 1024;

/// The log files that exist, oldest first; the last one is written to.
pub(super) fn files(folder: &Folder) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder.path()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(LOG)) else { continue };
        let number = if rest.is_empty() { Some(0) } else { rest.strip_prefix('.').and_then(|n| n.parse::<u32>().ok()) };
        if let Some(number) = number {
            files.push((number, folder.path().join(&name)));
        }
    }
    files.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// The last lines of a log, oldest first, without their time stamps.
pub(super) fn tail(folder: &Folder, lines: usize) -> io::Result<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    for file in files(folder)?.iter().rev() {
        if found.len() >= lines {
            break;
        }
        let mut older = last_lines(file, lines - found.len())?;
        older.append(&mut found);
        found = older;
    }
    Ok(found)
}

fn last_lines(path: &Path, lines: usize) -> io::Result<Vec<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        // It was rotated away since it was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut start = file.seek(SeekFrom::End(0))?;
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut ends = 0;
    // One line end more than lines: the one before the first of them.
    while start > 0 && ends <= lines {
        let length = start.min(BLOCK);
        start -= length;
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        file.by_ref().take(length).read_to_end(&mut block)?;
        ends += block.iter().filter(|byte| **byte == b'\n').count();
        blocks.push(block);
    }
    blocks.reverse();
    let text = blocks.concat();
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let mut found: Vec<String> = text.split(|byte| *byte == b'\n').rev().take(lines).map(without_time).collect();
    if text.is_empty() {
        found.clear();
    }
    found.reverse();
    Ok(found)
}

/// A line without the time and the space that the supervisor put before it.
fn without_time(line: &[u8]) -> String {
    const STAMP: usize = "2026-11-21T05:32:10.120Z ".len();
    let stamped = line.len() >= STAMP && line[STAMP - 2..STAMP] == *b"Z " && line[0].is_ascii_digit();
    String::from_utf8_lossy(if stamped { &line[STAMP..] } else { line }).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Durability, write_atomic};

    #[test]
    fn the_tail_goes_back_through_the_rotated_files() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::at(temporary.path().to_owned());
        assert_eq!(tail(&folder, 5).unwrap(), Vec::<String>::new());
        let write = |name: &str, text: &str| {
            write_atomic(&temporary.path().join(name), text.as_bytes(), Durability::Atomic).unwrap();
        };
        let line = |text: &str| format!("2026-11-21T05:32:10.120Z {text}\n");
        write("log.10", &line("one"));
        write("log.2", &[line("two"), line("three")].concat());
        write("log", &[line("four"), line(""), line("six").trim_end().to_owned()].concat());
        write("log.old", "not ours");
        let names: Vec<PathBuf> = files(&folder).unwrap();
        assert_eq!(names, ["log.10", "log.2", "log"].map(|name| temporary.path().join(name)));
        assert_eq!(tail(&folder, 4).unwrap(), ["three", "four", "", "six"]);
        assert_eq!(tail(&folder, 100).unwrap(), ["one", "two", "three", "four", "", "six"]);
        assert_eq!(tail(&folder, 0).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_long_file_is_read_from_its_end_only() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::at(temporary.path().to_owned());
        let text: String = (0..50_000).map(|n| format!("2026-11-21T05:32:10.120Z line {n}\n")).collect();
        write_atomic(&folder.log(), text.as_bytes(), Durability::Atomic).unwrap();
        let expected: Vec<String> = (46_000..50_000).map(|n| format!("line {n}")).collect();
        assert_eq!(tail(&folder, 4_000).unwrap(), expected);
    }
}
