//! A script file that exits 0.

use std::collections::BTreeMap;
use std::path::Path;

use super::ProbeAnswer;
use super::command::{self, Call};
use crate::model::Service;

/// Runs a script as it is, by its `#!` line; no shell is guessed.
pub(super) async fn probe(label: &str, path: &Path, service: &Service, base: &BTreeMap<String, String>) -> ProbeAnswer {
    command::probe(&Call { label, program: path.as_os_str(), args: &[] }, 0, service, base).await
}
