//! The recorded state as plain types.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{
    Address, BackendKind, Claim, Dependency, Digest, FieldValue, Kind, Machine, ObjectId, OpId, ProjectName, RunId,
};

/// What orch knows of a project: one record for each instance, and what a run left unfinished.
///
/// This is the state file with the journal folded in; it holds no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The project that it belongs to; `None` before the first apply.
    pub project: Option<ProjectName>,
    /// A random identity given at the first write; plans of another lineage are refused.
    pub lineage: String,
    /// Counts the runs that changed something; plans of another serial are stale.
    pub serial: u64,
    /// One record for each instance.
    pub records: BTreeMap<Address, Record>,
    /// Attempts whose end was never written: their run was killed. Observe before acting on them.
    pub pending: BTreeMap<Address, Pending>,
    /// The saved plans that were applied last, newest last, so that none is applied twice.
    pub applied: Vec<AppliedPlan>,
}

/// What orch recorded of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Record {
    /// How long it is meant to run.
    pub kind: Kind,
    /// What runs it.
    pub backend: BackendKind,
    /// The object that is it; `None` where there is nothing to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// The machine that it is on, where that is another one: so that it can be reached when the file no
    /// longer names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Arc<Machine>>,
    /// The attempt that made the object, or last restarted it.
    pub op_id: OpId,
    /// The revision that was applied.
    pub revision: Digest,
    /// How the last step on it ended.
    pub status: RecordStatus,
    /// Its definition, field by field; secrets as keyed digests.
    pub fields: BTreeMap<String, FieldValue>,
    /// What it needs; the order of a destroy comes from here when the file no longer knows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// What only one object can have at a time, and this one has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
    /// No plan may delete or replace it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prevent_destroy: bool,
    /// When it was first created.
    pub created_at: Timestamp,
    /// When the last step on it ended.
    pub updated_at: Timestamp,
    /// How long the last successful step on it took, gate included, in milliseconds.
    pub took_ms: u64,
}

/// How the last step on an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecordStatus {
    /// Its gate passed, or it needs none.
    Healthy,
    /// A job that exited 0.
    Completed,
    /// Its gate was missed, or the backend refused; what was made is left to be looked at.
    Failed,
    /// Stopped by `orch stop`.
    Stopped,
}

/// An attempt at a step that was begun and whose end was never written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Pending {
    /// The run that began it.
    pub run: RunId,
    /// The attempt; an object that carries this stamp was made by it.
    pub op_id: OpId,
    /// What was being done, for a person: `replace`.
    pub action: String,
    /// The backend that was asked.
    pub backend: BackendKind,
    /// When it was begun.
    pub begun_at: Timestamp,
}

/// A saved plan that was applied, whole or in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AppliedPlan {
    /// The plan's digest.
    pub digest: Digest,
    /// The run that applied it (the last one, where it was resumed).
    pub run: RunId,
    /// The state's serial after that run; a resume is refused once it moved on.
    pub serial: u64,
    /// Whether every step was done.
    pub complete: bool,
    /// The steps that were done; empty once complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<u32>,
}
