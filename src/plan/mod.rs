//! Actions, diff, planner, checker and plan file: a pure function and plain data.

mod action;
mod adopt;
mod check;
mod decide;
mod diff;
mod drift;
mod error;
mod file;
mod input;
mod order;
mod parts;
mod planner;
mod roll;
mod step;
mod verbs;

#[cfg(test)]
mod tests;

pub use action::{Action, Reason, ReplaceOrder};
pub use adopt::{Adoptable, Adoption, Disputed, Found, add_adoptions, plan_adoption};
pub use check::check;
pub use diff::changes;
pub use error::PlanError;
pub use file::{PlanFile, PlanFileError};
pub use input::{PlanInput, Request};
pub use parts::{Part, PartAction};
pub use planner::{fingerprint, found_at, plan};
pub use step::{
    Change, Disruption, DriftNote, GateBy, Milestone, Mode, Need, ObjectRef, Operation, PLAN_FORMAT, Plan, PlanSource,
    Roll, Step, StepId, Summary, TakenOver, Warning,
};
pub use verbs::{Verb, plan_verb};
