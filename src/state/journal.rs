//! The journal: one line for each intent and each end, appended before anyone relies on it.
//!
//! A line is `{"sum":"<12 digits>","seq":N,"entry":{...}}`, where the sum is the start of the SHA-256 of
//! all that follows it. Numbers go up by one and never start again, so a state file knows which
//! entries are folded into it. A crash tears the last line at most; whatever was acknowledged before
//! is in whole lines.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Pending, Record, StateError};
use crate::model::{Address, Digest, ProjectName, RunId};
use crate::sys::read_if_exists;

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The first entry of a journal whose entries before were folded into the state file.
    Folded {
        /// The lineage of that state.
        lineage: String,
        /// Its serial.
        serial: u64,
    },
    /// A run begins.
    RunBegin(RunHeader),
    /// A step is about to touch its instance.
    Begin {
        /// The number of the step in its plan.
        step: u32,
        /// The instance.
        address: Address,
        /// The attempt.
        pending: Pending,
    },
    /// A step ended, and what it left is known.
    End(Box<End>),
    /// A run ended by itself.
    RunEnd {
        /// The run.
        run: RunId,
        /// How: `succeeded`, `failed`, `interrupted`.
        outcome: String,
        /// When.
        at: Timestamp,
    },
}

/// What is known of a run when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunHeader {
    /// The run.
    pub run: RunId,
    /// Who started it: `alice@laptop`.
    pub who: String,
    /// The verb: `apply`, `destroy`, `restart`.
    pub verb: String,
    /// The project.
    pub project: ProjectName,
    /// The digest of the saved plan that it applies; `None` when the plan was not saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_digest: Option<Digest>,
    /// How many steps the plan has, those that an earlier run did included.
    pub steps: u32,
    /// When.
    pub at: Timestamp,
    /// The lineage of the state that it works on; the store fills it in.
    #[serde(default)]
    pub lineage: String,
    /// The serial of the state that it works on; the store fills it in.
    #[serde(default)]
    pub serial: u64,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct End {
    /// The number of the step in its plan.
    pub step: u32,
    /// The instance.
    pub address: Address,
    /// How it ended, in the words of the events: `done`, `failed`, `rolled_back`.
    pub outcome: String,
    /// Whether it ended as planned, so that a resumed plan need not do it again.
    pub done: bool,
    /// What becomes of the record.
    pub record: RecordChange,
    /// The address that the instance had until now; its record goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<Address>,
    /// When.
    pub at: Timestamp,
}

/// What becomes of the record of an instance when a step on it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordChange {
    /// It stays as it is; there may be none.
    Keep,
    /// This one takes its place.
    Put(Record),
    /// It goes; there is nothing left that it describes.
    Remove,
}

/// The start of every line; the sum follows it.
const HEAD: &[u8] = b"{\"sum\":\"";
const SUM: usize = 12;
const AFTER_SUM: &[u8] = b"\",";

/// What a journal holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// The whole entries with their numbers, oldest first.
    pub(super) entries: Vec<(u64, Entry)>,
    /// How many bytes they take; what follows is a torn line.
    pub(super) valid: u64,
    /// Whether a torn line follows.
    pub(super) torn: bool,
}

/// Appends one line to a buffer.
pub(super) fn encode(seq: u64, entry: &Entry, buffer: &mut Vec<u8>) -> serde_json::Result<()> {
    buffer.extend_from_slice(HEAD);
    let sum_at = buffer.len();
    buffer.extend_from_slice(&[b'0'; SUM]);
    buffer.extend_from_slice(AFTER_SUM);
    let summed_from = buffer.len();
    buffer.extend_from_slice(format!("\"seq\":{seq},\"entry\":").as_bytes());
    serde_json::to_writer(&mut *buffer, entry)?;
    buffer.push(b'}');
    let sum = Digest::of(&buffer[summed_from..]).short();
    buffer[sum_at..sum_at + SUM].copy_from_slice(sum.as_bytes());
    buffer.push(b'\n');
    Ok(())
}

/// Why a line is not an entry.
enum BadLine {
    /// It is not what was written: torn, if it is the last one.
    NotWhole(&'static str),
    /// It is whole, and its content is not known.
    Unknown(String),
}

fn decode(line: &[u8]) -> Result<(u64, Entry), BadLine> {
    #[derive(Deserialize)]
    struct Line {
        seq: u64,
        entry: Entry,
    }
    let shape = BadLine::NotWhole("it is not a journal line");
    let Some((sum, rest)) = line.strip_prefix(HEAD).and_then(|rest| rest.split_at_checked(SUM)) else {
        return Err(shape);
    };
    let Some(summed) = rest.strip_prefix(AFTER_SUM) else { return Err(shape) };
    if Digest::of(summed).short().as_bytes() != sum {
        return Err(BadLine::NotWhole("its content does not match its checksum"));
    }
    match serde_json::from_slice::<Line>(line) {
        Ok(Line { seq, entry }) => Ok((seq, entry)),
        Err(error) => Err(BadLine::Unknown(error.to_string())),
    }
}

/// Reads a journal; a missing one is empty.
pub(super) fn read(path: &Path) -> Result<Contents, StateError> {
    let bytes = read_if_exists(path).map_err(StateError::io("read", path))?;
    parse(path, &bytes.unwrap_or_default())
}

/// Reads the content of a journal: the whole entries, and whether a torn line follows them. Takes
/// any bytes. A line that is not whole is a tear only at the end; before that it is damage.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Contents, StateError> {
    let damaged = |line, why| StateError::JournalDamaged { path: path.to_owned(), line, why };
    let mut contents = Contents::default();
    let mut bad: Option<(usize, &'static str)> = None;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        if let Some((line, why)) = bad {
            return Err(damaged(line, why));
        }
        let Some(whole) = line.strip_suffix(b"\n") else {
            bad = Some((number, "it has no end"));
            continue;
        };
        match decode(whole) {
            Ok((seq, entry)) => {
                if contents.entries.last().is_some_and(|(last, _)| seq != last.wrapping_add(1)) {
                    return Err(damaged(number, "its number does not follow the one before"));
                }
                contents.entries.push((seq, entry));
                contents.valid += line.len() as u64;
            }
            Err(BadLine::NotWhole(why)) => bad = Some((number, why)),
            Err(BadLine::Unknown(why)) => {
                return Err(StateError::JournalNewer { path: path.to_owned(), line: number, why });
            }
        }
    }
    contents.torn = bad.is_some();
    Ok(contents)
}
