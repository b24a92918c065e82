//! What a run works with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::Ask;
use crate::backend::Operators;
use crate::event::EventSink;
use crate::health::ProbeEnv;
use crate::model::{Address, Instance, ObjectId, RunId};
use crate::plan::{Plan, StepId};
use crate::state::{Intents, Record};

/// Everything that a run works with.
pub struct Work {
    /// The run.
    pub run: RunId,
    /// What to do.
    pub plan: Plan,
    /// What the file wants, by address; a step whose revision is not here is refused.
    pub instances: BTreeMap<Address, Instance>,
    /// What was recorded before.
    pub records: BTreeMap<Address, Record>,
    /// The backends.
    pub operators: Operators,
    /// What probes run with.
    pub probe_env: ProbeEnv,
    /// Where intents and ends are written.
    pub intents: Arc<dyn Intents>,
    /// Who is asked whether a roll goes on.
    pub ask: Arc<dyn Ask>,
    /// The objects that steps made, for what comes after them in their roll.
    pub made: Mutex<BTreeMap<StepId, ObjectId>>,
    /// Where events go.
    pub events: EventSink,
    /// The clock.
    pub clock: fn() -> Timestamp,
    /// The folder of this run, for evidence.
    pub evidence: PathBuf,
}
