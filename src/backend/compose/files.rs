//! Files of this machine that a Compose project reads: what is mounted into containers, and values.

use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::model::{ContentDigest, is_secret_name};

/// The largest file, and the most of a folder, that is looked at, in bytes: what is larger is data, no
/// configuration.
const MOST: u64 = 4 << 20;
/// The most files of a folder.
const MOST_FILES: usize = 1000;

/// The content of what is mounted from a path: of a file, or of a folder that the container may only read. The
/// outer `None` is for what is no configuration (a socket, a device, a folder of data), the inner one for what
/// is not there.
pub(super) fn content(path: &Path, read_only: bool) -> Option<Option<ContentDigest>> {
    let Ok(metadata) = std::fs::metadata(path) else { return Some(None) };
    if metadata.is_file() {
        return of_file(path, &metadata).map(|bytes| Some(ContentDigest::of(&bytes)));
    }
    if !metadata.is_dir() || !read_only {
        return None;
    }
    let mut all: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    let (mut todo, mut left) = (vec![path.to_owned()], MOST);
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let metadata = entry.metadata().ok()?;
            if metadata.is_dir() {
                todo.push(entry.path());
            } else if metadata.is_file() {
                left = left.checked_sub(metadata.len())?;
                all.push((entry.path(), of_file(&entry.path(), &metadata)?));
            }
            if all.len() + todo.len() > MOST_FILES {
                return None;
            }
        }
    }
    all.sort();
    let mut bytes = Vec::new();
    for (file, content) in all {
        let name = file.strip_prefix(path).unwrap_or(&file).as_os_str().as_encoded_bytes().to_vec();
        for part in [name, content] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
    }
    Some(Some(ContentDigest::of(&bytes)))
}

fn of_file(path: &Path, metadata: &Metadata) -> Option<Vec<u8>> {
    if metadata.len() > MOST {
        return None;
    }
    let mut bytes = Vec::new();
    // A file that may not be read is none that a change could be seen in.
    std::fs::File::open(path).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The values of a file of `NAME=value` whose name says that they are secret. Compose reads the file itself;
/// this is only to know them again.
pub(super) fn secret_lines(path: &Path) -> Vec<String> {
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    let value = |line: &str| {
        let line = line.trim_start().strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        is_secret_name(name.trim()).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    };
    text.lines().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        crate::sys::write_atomic(path, text.as_bytes(), crate::sys::Durability::Atomic).unwrap();
    }

    #[test]
    fn a_changed_file_is_seen_and_a_folder_of_data_is_not_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.conf");
        write(&file, "1");
        let (one, of_folder) = (content(&file, false), content(folder.path(), true));
        assert!(one.is_some() && of_folder.is_some());
        assert_eq!(content(folder.path(), false), None);
        write(&file, "2");
        assert_ne!(content(&file, false), one);
        assert_ne!(content(folder.path(), true), of_folder);
        assert_eq!(content(&folder.path().join("none"), true), Some(None));
        std::fs::File::create(&file).unwrap().set_len(MOST + 1).unwrap();
        assert_eq!(content(&file, true), None);
    }

    #[test]
    fn secrets_of_an_env_file_are_known_by_their_names() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), "A=plain\nexport DB_PASSWORD='hunter2'\n# TOKEN\nAPI_TOKEN=abc def\n");
        assert_eq!(secret_lines(file.path()), ["hunter2", "abc def"]);
    }
}
