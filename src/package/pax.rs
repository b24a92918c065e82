//! Headers that say more about the entry behind them: pax records, and GNU's long names.

use std::collections::BTreeSet;

use super::problem::Fault;

/// What extended headers said about the entry that follows.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pax: bool,
    gnu: bool,
}

/// Keys that change nothing about where an entry lands or what it is.
const HARMLESS: [&str; 12] = [
    "atime",
    "comment",
    "ctime",
    "gid",
    "gname",
    "LIBARCHIVE.creationtime",
    "mtime",
    "SCHILY.dev",
    "SCHILY.ino",
    "SCHILY.nlink",
    "uid",
    "uname",
];

impl Extended {
    pub(super) fn is_empty(&self) -> bool {
        !self.pax && !self.gnu
    }

    /// Takes a GNU header that holds a long name (`L`) or the long target of a link (`K`).
    pub(super) fn gnu(&mut self, flag: u8, data: &[u8]) -> Result<(), Fault> {
        self.gnu = true;
        let place = if flag == b'L' { &mut self.path } else { &mut self.link };
        let text = data.strip_suffix(b"\0").unwrap_or(data).to_vec();
        // Which of two wins differs from program to program.
        if self.pax || place.replace(text).is_some() {
            return Err(Fault::Tar("names an entry twice over"));
        }
        Ok(())
    }

    /// Takes a pax header for the entry that follows.
    pub(super) fn pax(&mut self, data: &[u8]) -> Result<(), Fault> {
        if !self.is_empty() {
            return Err(Fault::Tar("names an entry twice over"));
        }
        self.pax = true;
        let mut seen = BTreeSet::new();
        for record in Records(data) {
            let (key, value) = record?;
            if !seen.insert(key) {
                return Err(Fault::Tar("names an entry twice over"));
            }
            match key {
                "path" => self.path = Some(value.to_vec()),
                "linkpath" => self.link = Some(value.to_vec()),
                _ if HARMLESS.contains(&key) => {}
                _ if key.starts_with("GNU.sparse.") => return Err(Fault::Tar("has a sparse file")),
                "size" => return Err(Fault::Tar("gives a size in an extended header")),
                _ => return Err(Fault::Tar("has an extended header with attributes that a package may not have")),
            }
        }
        Ok(())
    }
}

/// Checks a pax header for all entries that follow, which may hold nothing but a comment.
pub(super) fn global(data: &[u8]) -> Result<(), Fault> {
    for record in Records(data) {
        if record?.0 != "comment" {
            return Err(Fault::Tar("has an extended header for all its entries"));
        }
    }
    Ok(())
}

/// The records of a pax header: `LENGTH KEY=VALUE\n`, where the length counts all of it.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a str, &'a [u8]), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        match split(self.0) {
            Some((key, value, rest)) => {
                self.0 = rest;
                Some(Ok((key, value)))
            }
            None => {
                self.0 = &[];
                Some(Err(Fault::Tar("is damaged: an extended header cannot be read")))
            }
        }
    }
}

fn split(data: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let space = data.iter().position(|byte| *byte == b' ')?;
    let digits = std::str::from_utf8(&data[..space]).ok()?;
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let length: usize = digits.parse().ok()?;
    let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let key = std::str::from_utf8(&record[..equals]).ok()?;
    Some((key, &record[equals + 1..], &data[length..]))
}
