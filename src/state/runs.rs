//! The records of the runs: one folder each, with what is kept of it.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{StateError, random_hex};
use crate::model::{Digest, RunId};
use crate::sys::{Durability, create_private_dir, read_if_exists, write_atomic};

/// How many runs are kept.
pub const RUNS_KEPT: usize = 100;

/// What is recorded of one run, in `run.json` of its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunRecord {
    /// The run.
    pub run: RunId,
    /// The verb: `apply`, `destroy`, `restart`.
    pub verb: String,
    /// Who started it: `alice@laptop`.
    pub who: String,
    /// The command line, where it holds no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The digest of the saved plan that it applied, if it was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_digest: Option<Digest>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs and when it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it ended: `succeeded`, `failed`, `interrupted`; `None` while it runs and when it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// How many steps were done.
    #[serde(default)]
    pub done: usize,
    /// How many failed, rolled back or not.
    #[serde(default)]
    pub failed: usize,
    /// How many were not begun.
    #[serde(default)]
    pub skipped: usize,
    /// How many were cancelled while they ran.
    #[serde(default)]
    pub cancelled: usize,
}

impl RunRecord {
    /// The record of a run that begins.
    #[must_use]
    pub fn started(run: RunId, verb: impl Into<String>, who: impl Into<String>, at: Timestamp) -> Self {
        Self {
            run,
            verb: verb.into(),
            who: who.into(),
            command: None,
            plan_digest: None,
            started_at: at,
            ended_at: None,
            outcome: None,
            done: 0,
            failed: 0,
            skipped: 0,
            cancelled: 0,
        }
    }
}

/// The recorded runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunList {
    /// The readable ones, newest first.
    pub runs: Vec<RunRecord>,
    /// The folders without a readable `run.json`.
    pub damaged: Vec<PathBuf>,
}

/// The folder of the runs.
#[derive(Debug, Clone)]
pub struct Runs {
    dir: PathBuf,
}

impl RunId {
    /// A new identity for a run that begins now.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate(now: Timestamp) -> Result<Self, StateError> {
        Ok(Self::new(format!("{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), random_hex::<3>()?)))
    }
}

/// Whether a text has the form of a run's identity, so that it is safe as the name of a folder.
fn is_run_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 23
        && bytes[8] == b'T'
        && &bytes[15..17] == b"Z-"
        && bytes[..8].iter().chain(&bytes[9..15]).all(u8::is_ascii_digit)
        && bytes[17..].iter().all(u8::is_ascii_hexdigit)
}

impl Runs {
    pub(super) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The folder of one run, for its events, plan and evidence; it may not be there.
    ///
    /// # Errors
    /// [`StateError::UnknownRun`] when the text is not the identity of a run.
    pub fn folder(&self, run: &str) -> Result<PathBuf, StateError> {
        if is_run_id(run) { Ok(self.dir.join(run)) } else { Err(self.unknown(run)) }
    }

    /// Makes the folder of a run that begins, and its record, durably.
    ///
    /// # Errors
    /// When they cannot be written, or the identity is not one.
    pub fn start(&self, record: &RunRecord) -> Result<PathBuf, StateError> {
        let folder = self.folder(record.run.as_str())?;
        create_private_dir(&folder).map_err(StateError::io("make the folder", &folder))?;
        write(&folder, record)?;
        crate::crash_point!("run.started.written");
        Ok(folder)
    }

    /// Records, durably, how a run ended, and removes the oldest runs beyond [`RUNS_KEPT`].
    ///
    /// # Errors
    /// When the record cannot be written. An old run that cannot be removed is left.
    pub fn end(&self, record: &RunRecord) -> Result<(), StateError> {
        write(&self.folder(record.run.as_str())?, record)?;
        crate::crash_point!("run.ended.written");
        self.prune(RUNS_KEPT)
    }

    /// Every run, newest first.
    ///
    /// # Errors
    /// When the folder cannot be read. A run that cannot be read is listed as damaged.
    pub fn list(&self) -> Result<RunList, StateError> {
        let mut list = RunList::default();
        for id in self.ids()? {
            match self.read(&id) {
                Ok(record) => list.runs.push(record),
                Err(_) => list.damaged.push(self.dir.join(&id)),
            }
        }
        newest_first(&mut list.runs);
        Ok(list)
    }

    /// The newest runs, at most `count` of them; damaged ones are left out.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn latest(&self, count: usize) -> Result<Vec<RunRecord>, StateError> {
        let second = |run: &RunRecord| run.run.as_str().get(..16).map(str::to_owned);
        let mut runs: Vec<RunRecord> = Vec::new();
        for run in self.ids()?.iter().filter_map(|id| self.read(id).ok()) {
            // The runs of one second are in no order before they are read.
            if runs.len() >= count && runs.last().is_none_or(|last| second(last) != second(&run)) {
                break;
            }
            runs.push(run);
        }
        newest_first(&mut runs);
        runs.truncate(count);
        Ok(runs)
    }

    /// One run.
    ///
    /// # Errors
    /// When there is none of this identity, or its record is damaged.
    pub fn read(&self, run: &str) -> Result<RunRecord, StateError> {
        let path = self.folder(run)?.join("run.json");
        let bytes = read_if_exists(&path).map_err(StateError::io("read", &path))?.ok_or_else(|| self.unknown(run))?;
        serde_json::from_slice(&bytes).map_err(|error| StateError::Damaged {
            path,
            why: error.to_string(),
            previous: None,
        })
    }

    /// Removes all but the newest `keep` runs.
    fn prune(&self, keep: usize) -> Result<(), StateError> {
        for id in self.ids()?.into_iter().skip(keep) {
            // History that cannot be removed is no reason to fail a run.
            let _ = fs::remove_dir_all(self.dir.join(id));
        }
        Ok(())
    }

    /// The names of the folders that are runs, newest first; an identity starts with its time.
    fn ids(&self) -> Result<Vec<String>, StateError> {
        let failed = |error| StateError::io("read the folder", &self.dir)(error);
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            ids.extend(name.into_string().ok().filter(|name| is_run_id(name)));
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    fn unknown(&self, run: &str) -> StateError {
        StateError::UnknownRun { id: run.to_owned(), folder: self.dir.clone() }
    }
}

/// Orders runs by when they began; their names tell that to the second only.
fn newest_first(runs: &mut [RunRecord]) {
    runs.sort_by_key(|run| std::cmp::Reverse(run.started_at));
}

fn write(folder: &Path, record: &RunRecord) -> Result<(), StateError> {
    let path = folder.join("run.json");
    let written = serde_json::to_vec_pretty(record)
        .map_err(std::io::Error::from)
        .and_then(|text| write_atomic(&path, &text, Durability::Durable));
    written.map_err(StateError::io("write", &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(run: &str) -> RunRecord {
        RunRecord::started(RunId::new(run), "apply", "alice@laptop", "2026-11-21T05:32:10Z".parse().unwrap())
    }

    #[test]
    fn an_identity_starts_with_its_time_and_is_safe_as_a_name() {
        let now = "2026-11-21T05:32:10.123Z".parse().unwrap();
        let id = RunId::generate(now).unwrap();
        assert!(id.as_str().starts_with("20261121T053210Z-") && is_run_id(id.as_str()), "{id}");
        for text in ["", "..", "../../etc/passwd", "20261121T053210Z-../../", "20261121T053210Z-3f9a1ü"] {
            assert!(!is_run_id(text), "{text:?} was taken");
        }
    }

    #[test]
    fn runs_are_listed_newest_first_past_damaged_ones() {
        let folder = tempfile::tempdir().unwrap();
        let runs = Runs::at(folder.path().join("runs"));
        assert_eq!(runs.list().unwrap(), RunList::default());
        let ids = ["20261121T053210Z-000001", "20261121T053211Z-000002", "20261121T053212Z-000003"];
        for id in ids {
            runs.start(&record(id)).unwrap();
        }
        fs::create_dir(folder.path().join("runs/notes")).unwrap();
        fs::File::options()
            .write(true)
            .open(runs.folder(ids[1]).unwrap().join("run.json"))
            .unwrap()
            .set_len(9)
            .unwrap();
        let list = runs.list().unwrap();
        assert_eq!(list.runs, [record(ids[2]), record(ids[0])]);
        assert_eq!(list.damaged, [runs.folder(ids[1]).unwrap()]);
        assert_eq!(runs.latest(1).unwrap(), [record(ids[2])]);
        assert!(matches!(runs.read("20261121T053210Z-ffffff"), Err(StateError::UnknownRun { .. })));
        assert!(matches!(runs.read("../secret"), Err(StateError::UnknownRun { .. })));
    }

    #[test]
    fn only_the_newest_runs_are_kept_and_nothing_else_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let runs = Runs::at(folder.path().to_owned());
        fs::create_dir(folder.path().join("notes")).unwrap();
        for n in 0..RUNS_KEPT + 3 {
            create_private_dir(&folder.path().join(format!("20261121T053210Z-{n:06x}"))).unwrap();
        }
        let mut last = record("20261121T053211Z-000000");
        runs.start(&last).unwrap();
        last.outcome = Some("succeeded".into());
        runs.end(&last).unwrap();
        let ids = runs.ids().unwrap();
        assert_eq!((ids.len(), ids[0].as_str()), (RUNS_KEPT, last.run.as_str()));
        assert_eq!(runs.latest(1).unwrap(), [last]);
        assert!(folder.path().join("notes").exists());
    }
}
