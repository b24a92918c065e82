//! Why an operation could not be done, and which exit code it stands for.

use std::path::PathBuf;

use thiserror::Error;

use crate::backend::BackendError;
use crate::config::Diagnostics;
use crate::package::PackageError;
use crate::plan::{PlanError, PlanFileError};
use crate::state::StateError;

/// Why an operation could not be done.
#[derive(Debug, Error)]
pub enum OpError {
    /// The file is wrong; every error in it is named.
    #[error("the file has errors")]
    Config(Box<Diagnostics>),
    /// State, journal or runs cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no plan.
    #[error("no plan can be made")]
    Plan(Vec<PlanError>),
    /// The plan file cannot be used.
    #[error("cannot use the plan {}: {source}", path.display())]
    PlanFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: PlanFileError,
    },
    /// The plan no longer fits: it is stale, altered or was applied.
    #[error("the plan is refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
        /// What the user can do about it.
        hint: String,
    },
    /// A backend cannot be asked.
    #[error("{doing}: {source}")]
    Backend {
        /// What orch was doing.
        doing: String,
        /// What went wrong.
        source: BackendError,
    },
    /// A package cannot be built or used; every problem of it is named.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A file cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What orch was doing: `read`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// What was asked for makes no sense here.
    #[error("{message}")]
    Request {
        /// Why, as a fragment.
        message: String,
        /// What the user can do about it.
        hint: String,
    },
}

impl OpError {
    pub(super) fn backend(doing: impl Into<String>, source: BackendError) -> Self {
        Self::Backend { doing: doing.into(), source }
    }

    pub(super) fn refused(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into(), hint: hint.into() }
    }

    pub(super) fn request(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Request { message: message.into(), hint: hint.into() }
    }

    /// Says what orch was doing to which file.
    pub fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(_) | Self::Plan(_) | Self::Io { .. } => None,
            Self::State(error) => error.hint(),
            Self::PlanFile { source, .. } => Some(source.hint().to_owned()),
            Self::Refused { hint, .. } | Self::Request { hint, .. } => Some(hint.clone()),
            Self::Package(error) => error.hint(),
            Self::Backend { source, .. } => source.hint.clone(),
        }
    }
}
