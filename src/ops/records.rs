//! `orch state`: the records themselves, under the lock where they change.

use std::path::Path;

use super::apply::{LockOptions, take_lock};
use super::status::unknown;
use super::{OpError, Project};
use crate::model::Address;
use crate::state::{LockHolder, LockRequest, State};

/// What is recorded.
///
/// # Errors
/// When it cannot be read.
pub fn read_state(project: &Project) -> Result<State, OpError> {
    Ok(project.store.read()?)
}

/// Gives a record another address. What runs keeps the stamp of the old one until the next apply,
/// which sees that and mends it.
///
/// # Errors
/// When there is no such record, the new address is taken, or the state cannot be written.
pub fn move_record(
    project: &Project,
    from: &Address,
    to: &Address,
    lock: &LockOptions,
    on_wait: impl FnMut(Option<&LockHolder>),
) -> Result<(), OpError> {
    change(project, lock, on_wait, &format!("state mv {from} {to}"), |state| {
        if state.records.contains_key(to) {
            return Err(OpError::request(
                format!("there is a record of {to} already"),
                format!("`orch state rm {to}` drops it"),
            ));
        }
        let record = state.records.remove(from).ok_or_else(|| missing(from, state))?;
        state.records.insert(to.clone(), record);
        Ok(())
    })
}

/// Drops records; what runs goes on running.
///
/// # Errors
/// When one of them is not there (none is dropped then), or the state cannot be written.
pub fn remove_records(
    project: &Project,
    addresses: &[Address],
    lock: &LockOptions,
    on_wait: impl FnMut(Option<&LockHolder>),
) -> Result<(), OpError> {
    change(project, lock, on_wait, "state rm", |state| {
        for address in addresses {
            let pending = state.pending.remove(address).is_some();
            if state.records.remove(address).is_none() && !pending {
                return Err(missing(address, state));
            }
        }
        Ok(())
    })
}

fn missing(address: &Address, state: &State) -> OpError {
    unknown(&address.to_string(), &state.records.keys().cloned().collect())
}

fn change(
    project: &Project,
    lock: &LockOptions,
    on_wait: impl FnMut(Option<&LockHolder>),
    reason: &str,
    edit: impl FnOnce(&mut State) -> Result<(), OpError>,
) -> Result<(), OpError> {
    let mut locked = take_lock(project, lock, on_wait)?;
    let mut state = locked.state().clone();
    edit(&mut state)?;
    locked.replace_state(state, reason)?;
    Ok(())
}

/// The recorded state, in the format of the state file.
///
/// # Errors
/// When it cannot be read, or there is none yet.
pub fn pull_state(project: &Project) -> Result<Vec<u8>, OpError> {
    let bytes = project.store.pull()?;
    bytes.ok_or_else(|| OpError::request("nothing is recorded yet", "`orch apply` makes the first record"))
}

/// Puts a state file in the place of the recorded state.
///
/// # Errors
/// When the file cannot be read, is not a state, or is older or of another lineage and `force` is
/// not given; the recorded state then stands.
pub fn push_state(
    project: &Project,
    path: &Path,
    force: bool,
    lock: &LockOptions,
    on_wait: impl FnMut(Option<&LockHolder>),
) -> Result<(), OpError> {
    let bytes = std::fs::read(path).map_err(OpError::io("read", path))?;
    let request = LockRequest { doing: &lock.doing, at: project.now(), timeout: lock.timeout };
    project.store.push(path, &bytes, force, request, on_wait)?;
    Ok(())
}
