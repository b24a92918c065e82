//! Recorded state: format and versions, store, lock and journal.
//!
//! A run appends to the journal before it touches anything, and folds the journal into the state
//! file when it ends. Whatever instant a run is killed at, state file and journal together say what
//! was recorded and which attempts have no end; the next one to take the lock folds that in.

mod error;
mod fold;
mod format;
mod intents;
mod journal;
mod key;
mod lock;
#[cfg(any(test, feature = "failpoints"))]
mod memory;
mod record;
mod run;
mod runs;
mod store;
mod transfer;
mod writer;

#[cfg(test)]
mod tests;

pub use error::StateError;
pub use format::{STATE_FORMAT, StateBody, StateFile};
pub use intents::Intents;
pub use journal::{End, Entry, RecordChange, RunHeader};
pub use lock::LockHolder;
#[cfg(any(test, feature = "failpoints"))]
pub use memory::MemoryIntents;
pub use record::{AppliedPlan, Pending, Record, RecordStatus, State};
pub use run::RunWriter;
pub use runs::{RUNS_KEPT, RunList, RunRecord, Runs};
pub use store::{LockRequest, Locked, Store};

/// Random bytes from the system.
fn random_bytes<const N: usize>() -> Result<[u8; N], StateError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| StateError::Random(error.to_string()))?;
    Ok(bytes)
}

/// `N` random bytes from the system as lower-case hexadecimal digits.
fn random_hex<const N: usize>() -> Result<String, StateError> {
    Ok(hex(&random_bytes::<N>()?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
