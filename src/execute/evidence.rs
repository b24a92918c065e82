//! What can be known of a failure, kept before anything is removed.

use std::path::Path;

use crate::event::{EventSink, What};
use crate::plan::Step;
use crate::sys::{self, Durability};

/// How many of the last log lines are kept.
pub(super) const LOG_LINES: usize = 200;

/// How many of them are shown.
const SHOWN_LINES: usize = 20;

/// Keeps log and error in `<run>/evidence/<address>/` and tells of them. A full disk must not keep
/// the rollback from happening, so a failed write is a warning.
pub(super) fn keep(run_folder: &Path, events: &EventSink, step: &Step, error: &str, log: Vec<String>) {
    let folder = run_folder.join("evidence").join(step.address.to_string());
    let lines = log.join("\n") + "\n";
    let kept = sys::create_private_dir(&folder)
        .and_then(|()| {
            sys::write_atomic(&folder.join("error.txt"), format!("{error}\n").as_bytes(), Durability::Atomic)
        })
        .and_then(|()| sys::write_atomic(&folder.join("log.txt"), lines.as_bytes(), Durability::Atomic));
    if let Err(error) = kept {
        let message = format!("cannot keep the evidence in {}: {error}", folder.display());
        events.emit(What::Warning { address: Some(step.address.clone()), message });
    }
    let first = log.len().saturating_sub(SHOWN_LINES);
    events.emit(What::Evidence {
        step: step.id,
        address: step.address.clone(),
        log: log.into_iter().skip(first).collect(),
        folder: folder.display().to_string(),
    });
}
