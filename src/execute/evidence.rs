//! What can be known of a failure, kept before anything is removed.

use std::path::Path;

use crate::event::{EventSink, What};
use crate::model::ObservedObject;
use crate::plan::Step;
use crate::sys::{self, Durability};

/// How many of the last log lines are kept.
pub(super) const LOG_LINES: usize = 200;

/// How many of them are shown.
const SHOWN_LINES: usize = 20;

/// What is known of a failure.
#[derive(Debug, Default)]
pub(super) struct Evidence<'a> {
    /// What went wrong.
    pub(super) error: &'a str,
    /// What the object was doing, or how it ended.
    pub(super) state: Option<String>,
    /// The last answers of its checks.
    pub(super) probes: Vec<String>,
    /// Its last log lines.
    pub(super) log: Vec<String>,
}

/// What an object is doing, and how it ended the last time where it runs again.
pub(super) fn state(object: &ObservedObject) -> String {
    match &object.last_exit {
        Some(exit) if object.is_up() => format!("{}, last {exit}, {} restarts", object.state, object.restarts),
        _ => object.state.to_string(),
    }
}

impl Evidence<'_> {
    /// Keeps it in `<run>/evidence/<address>/` and tells of it. A full disk must not keep the rollback
    /// from happening, so a failed write is a warning.
    pub(super) fn keep(self, run_folder: &Path, events: &EventSink, step: &Step) {
        let Self { error, state, probes, log } = self;
        let folder = run_folder.join("evidence").join(step.address.to_string());
        let mut lines = vec![error.to_owned()];
        lines.extend(state.iter().map(|state| format!("state: {state}")));
        lines.extend(probes.iter().map(|probe| format!("probe: {probe}")));
        let write = |name: &str, lines: &[String]| {
            sys::write_atomic(&folder.join(name), (lines.join("\n") + "\n").as_bytes(), Durability::Atomic)
        };
        let kept = sys::create_private_dir(&folder)
            .and_then(|()| write("error.txt", &lines))
            .and_then(|()| write("log.txt", &log));
        if let Err(error) = kept {
            let message = format!("cannot keep the evidence in {}: {error}", folder.display());
            events.emit(What::Warning { address: Some(step.address.clone()), message });
        }
        let first = log.len().saturating_sub(SHOWN_LINES);
        events.emit(What::Evidence {
            step: step.id,
            address: step.address.clone(),
            state,
            probes,
            log: log.into_iter().skip(first).collect(),
            folder: folder.display().to_string(),
        });
    }
}
