//! Why there is no plan.

use thiserror::Error;

use super::{Action, Reason};
use crate::model::{Address, ServiceName};

/// Why a plan cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// The request names a service that neither the file nor the state has.
    #[error("there is no service `{name}`, neither in the file nor in the state")]
    UnknownService {
        /// The name that was given.
        name: ServiceName,
    },
    /// The step would take down what is protected.
    #[error("{address} would be {}d ({reason}), but `lifecycle.prevent_destroy` protects it", action.word())]
    Protected {
        /// The instance.
        address: Address,
        /// What would be done.
        action: Action,
        /// Why.
        reason: Reason,
    },
    /// The dependencies, or what replaces a service, go in a circle.
    #[error("the services depend on each other in a circle: {0}")]
    Cycle(String),
}

impl PlanError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnknownService { .. } => "`orch status` lists the services",
            Self::Protected { .. } => {
                "set `prevent_destroy: false` in the file and apply that first, or leave the service out with `--exclude`"
            }
            Self::Cycle(_) => "take one of these dependencies away",
        }
    }
}
