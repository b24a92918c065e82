//! The plan file: one JSON document that knows whether it was altered.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{PLAN_FORMAT, Plan};
use crate::model::Digest;

/// A plan as it is saved: the digest over its canonical form, and the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlanFile {
    /// The SHA-256 digest over the compact JSON of `plan`.
    pub digest: Digest,
    /// The plan.
    pub plan: Plan,
}

/// Why a plan file cannot be used.
#[derive(Debug, Error)]
pub enum PlanFileError {
    /// It is not JSON, or not a plan.
    #[error("it is not a plan file: {0}")]
    Malformed(serde_json::Error),
    /// Another version of orch wrote it.
    #[error("it has format {found}, this orch reads format {PLAN_FORMAT}")]
    Format {
        /// The format that it has.
        found: u64,
    },
    /// Its content is not what its digest says.
    #[error("it was altered: its content does not match its digest")]
    Altered,
}

impl PlanFileError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "make one with `orch plan --out FILE`",
            Self::Format { .. } => "make the plan again with this orch",
            Self::Altered => "make the plan again with `orch plan --out FILE`, and have it reviewed",
        }
    }
}

impl PlanFile {
    /// Seals a plan with its digest.
    #[must_use]
    pub fn seal(plan: Plan) -> Self {
        Self { digest: digest(&plan), plan }
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = json(self);
        bytes.push(b'\n');
        bytes
    }

    /// Reads the bytes of a file and checks format and digest.
    ///
    /// # Errors
    /// When it is not a plan, has another format, or was altered.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanFileError> {
        // The format first: a newer one may not have the shape that this orch knows.
        #[derive(Deserialize)]
        struct Head {
            plan: Format,
        }
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(PlanFileError::Malformed)?;
        if head.plan.format != u64::from(PLAN_FORMAT) {
            return Err(PlanFileError::Format { found: head.plan.format });
        }
        let file: Self = serde_json::from_slice(bytes).map_err(PlanFileError::Malformed)?;
        // A field that this orch does not know is dropped by reading it, so that adding one shows.
        let same = digest(&file.plan) == file.digest && bytes.trim_ascii_end() == json(&file);
        if same { Ok(file) } else { Err(PlanFileError::Altered) }
    }
}

fn digest(plan: &Plan) -> Digest {
    Digest::of(&json(plan))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| unreachable!("a plan has string keys only and no failing serializer"))
}
