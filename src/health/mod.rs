//! The health gate and its probes.
//!
//! The gate is a pure state machine ([`Gate`]) that is told what was seen and says what to do next;
//! [`gate`] drives it with the clock, the probes and a backend's observer. Plans and `orch status`
//! probe each check once, with [`check_once`] and [`check_many`].

mod gate;
mod hold;
mod in_flight;
mod once;
mod probe;
mod wait;

pub use gate::{Decision, Gate, GateCheck, GatePolicy, Look};
pub use hold::hold;
pub use once::{check_many, check_once, check_settled};
pub use probe::{ProbeAnswer, ProbeEnv};
pub use wait::{GateMissed, GatePassed, ProbeReport, gate};

use crate::backend::Observer;
use crate::model::ObjectId;

/// What runs an instance, to look at; `None` where orch runs nothing, as for `external`.
pub type Target<'a> = Option<(&'a dyn Observer, &'a ObjectId)>;
