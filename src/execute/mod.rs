//! Obeys a plan: ready queue, workers and the one select loop.
//!
//! The executor makes no choice of its own. What to do, in which order and how to go back stands in
//! the plan; what may begin is decided by a pure queue, what happens on a failure or a signal by a
//! pure dispatcher, and [`run`] only moves messages between them and the workers.

mod ask;
mod dispatcher;
mod evidence;
mod queue;
mod rolls;
mod run;
mod settle;
mod work;
mod worker;

#[cfg(test)]
mod tests;

pub use ask::{Ask, GoOn};
pub use run::{RunReport, run, run_started};
pub use work::Work;

/// A signal that asks a run to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What a service manager or a CI job sends.
    Terminate,
}

impl Signal {
    /// Its name, as the shell writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}
