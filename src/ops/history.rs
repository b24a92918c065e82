//! `orch history`: the runs there were.

use super::{OpError, Project};
use crate::state::RunRecord;

/// The newest runs, newest first.
///
/// # Errors
/// When the folder of the runs cannot be read.
pub fn history(project: &Project, most: usize) -> Result<Vec<RunRecord>, OpError> {
    Ok(project.store.runs().latest(most)?)
}
