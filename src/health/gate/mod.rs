//! The gate as a pure state machine: no clock, no I/O.
//!
//! Times are durations since the gate began. Whoever drives it asks [`Gate::next`] what to do, does
//! it, and reports what was seen; the same reports at the same times give the same decisions.
//!
//! The rules, in the order in which they decide:
//!
//! 1. **The object must be up.** One that exited, is in a crash loop, was stopped, lost its keeper,
//!    is gone or carries another revision misses the gate at once. One that is starting or between
//!    two restarts is waited for, and what its checks said before counts no more.
//! 2. **A job** passes when it exits 0; its checks are not asked. **Without checks** a service
//!    passes when one incarnation of it runs for `settle`, and what orch does not run passes at once.
//! 3. **All checks must pass**, each `success_threshold` times in a row. Once each has, and the
//!    object was seen running, in the same incarnation, by a look that began after the last of those
//!    answers, the gate passes.
//! 4. **Quick probes.** The first probe comes at once, the next after 50 ms, and the wait doubles up
//!    to `interval`, but to no more than a second. A check that passes while others do not is probed every `interval`, and a
//!    failure then takes its pass away.
//! 5. **Retries count intervals.** A check that fails, and has not passed within
//!    `retries x interval` of its last pass (or, without one, of the end of `start_period`), misses
//!    the gate. The quick probes in between use up no retry, and failures inside `start_period` do
//!    not count. `retries: 0` means 1: nothing is well in the instant in which it starts.
//!    A check of type `backend` only reads what the backend found out by its own probes, at its own
//!    pace and with its own retries. It is read four times a second, and misses the gate only when
//!    the backend has had the time for all of them: `interval x (retries + 1) + timeout`.
//! 6. **The deadline** of a check (the service's timeout where it has none) misses the gate when
//!    the check does not pass by then, whatever its retries would still allow.

mod check;
mod watch;

use std::time::Duration;

use crate::health::probe::ProbeAnswer;
use crate::model::{CheckPolicy, Digest, HealthCheck, Instance, Kind, ObservedObject, Probe};
use check::Check;
use watch::{Watch, Watched};

/// What a gate asks for.
#[derive(Debug, Clone)]
pub struct GatePolicy {
    /// The checks, in the order of the service.
    pub checks: Vec<GateCheck>,
    /// Whether a permanent service or a job is waited for.
    pub kind: Kind,
    /// How long a service without a check must keep running.
    pub settle: Duration,
    /// How long the gate waits at most.
    pub timeout: Duration,
    /// The revision that the object must carry; `None` where orch runs nothing and looks at nothing.
    pub revision: Option<Digest>,
}

impl GatePolicy {
    /// What the gate of an instance asks for; `watched` tells whether it has an object to look at.
    #[must_use]
    pub fn of(instance: &Instance, watched: bool) -> Self {
        let service = &instance.service;
        Self {
            checks: service.checks.iter().map(GateCheck::of).collect(),
            kind: service.kind,
            settle: service.settle,
            timeout: service.timeout,
            revision: watched.then_some(instance.revision),
        }
    }
}

/// What a gate knows of a check.
#[derive(Debug, Clone, Copy)]
pub struct GateCheck {
    /// How often it is probed and when it counts.
    pub policy: CheckPolicy,
    /// Whether it reads what the backend found out by probes of its own.
    pub native: bool,
}

impl GateCheck {
    /// What a gate knows of a check of a service.
    #[must_use]
    pub fn of(check: &HealthCheck) -> Self {
        Self { policy: check.policy, native: check.probe == Probe::Backend }
    }

    /// How long its failures are borne without a pass.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let CheckPolicy { interval, timeout, retries, .. } = self.policy;
        let retries = retries.max(1);
        match self.native {
            true => interval.saturating_mul(retries.saturating_add(1)).saturating_add(timeout),
            false => interval.saturating_mul(retries),
        }
    }
}

/// What was seen of the object.
#[derive(Debug, Clone)]
pub enum Look {
    /// It is there.
    Object {
        /// As the backend reports it.
        object: Box<ObservedObject>,
        /// How long it has been in its state, where the backend knows.
        lasted: Option<Duration>,
    },
    /// It is not there.
    Gone,
    /// The backend could not be asked, which says nothing of the object.
    Unknown(String),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Begin a probe of each of these checks, and ask again.
    ProbeNow(Vec<usize>),
    /// Begin to look at the object, and ask again.
    LookNow,
    /// Ask again at this time, or when something was seen.
    WaitUntil(Duration),
    /// The gate is passed.
    Passed,
    /// The gate is missed, and why.
    Missed(String),
}

/// A gate that waits.
#[derive(Debug)]
pub struct Gate {
    kind: Kind,
    settle: Duration,
    timeout: Duration,
    checks: Vec<Check>,
    watch: Option<Watch>,
    missed: Option<String>,
}

impl Gate {
    /// Begins to wait, at time zero.
    #[must_use]
    pub fn new(policy: GatePolicy) -> Self {
        let watch = policy.revision.map(Watch::new);
        // A job is well when it has run to its end, whatever it serves meanwhile.
        let probed = if watch.is_some() && policy.kind == Kind::Job { Vec::new() } else { policy.checks };
        Self {
            kind: policy.kind,
            settle: policy.settle,
            timeout: policy.timeout,
            checks: probed.into_iter().map(|check| Check::new(check, policy.timeout)).collect(),
            watch,
            missed: None,
        }
    }

    /// Takes the answer of a check that [`Decision::ProbeNow`] asked for.
    pub fn probed(&mut self, check: usize, answer: &ProbeAnswer, at: Duration) {
        let counts = self.watch.as_ref().is_none_or(Watch::lets_count);
        if let Some(check) = self.checks.get_mut(check)
            && let Some(reason) = check.probed(answer, counts, at)
        {
            self.missed.get_or_insert(reason);
        }
    }

    /// Takes what was seen of the object, as [`Decision::LookNow`] asked for.
    pub fn looked(&mut self, look: Look, at: Duration) {
        let Some(watch) = &mut self.watch else { return };
        match watch.looked(look, self.kind, at) {
            Watched::Same => {}
            Watched::Another => self.checks.iter_mut().for_each(|check| check.forget(at)),
            Watched::Missed(reason) => {
                self.missed.get_or_insert(reason);
            }
        }
    }

    /// What to do at a time.
    pub fn next(&mut self, now: Duration) -> Decision {
        if let Some(reason) = &self.missed {
            return Decision::Missed(reason.clone());
        }
        if self.is_passed(now) {
            return Decision::Passed;
        }
        if let Some(reason) = self.overdue(now) {
            return Decision::Missed(self.missed.insert(reason).clone());
        }
        let due: Vec<usize> =
            self.checks.iter_mut().enumerate().filter_map(|(n, c)| c.begin(now).then_some(n)).collect();
        if !due.is_empty() {
            return Decision::ProbeNow(due);
        }
        let confirm = self.well_since(now);
        if let Some(watch) = &mut self.watch
            && watch.begin(now, confirm)
        {
            return Decision::LookNow;
        }
        Decision::WaitUntil(self.wake(now))
    }

    fn is_passed(&self, now: Duration) -> bool {
        match &self.watch {
            None => self.checks.iter().all(Check::has_passed),
            Some(watch) if self.kind == Kind::Job => watch.has_succeeded(),
            Some(watch) => self.well_since(now).is_some_and(|since| watch.is_confirmed_since(since)),
        }
    }

    /// Since when all is well, if the object is up: since it has settled, or since the last of the
    /// checks passed.
    fn well_since(&self, now: Duration) -> Option<Duration> {
        let watch = self.watch.as_ref().filter(|_| self.kind != Kind::Job)?;
        if self.checks.is_empty() {
            return watch.settles_at(self.settle).filter(|at| now >= *at);
        }
        let passes: Option<Vec<Duration>> = self.checks.iter().map(Check::passed_at).collect();
        passes?.into_iter().max()
    }

    fn overdue(&self, now: Duration) -> Option<String> {
        let late = || match self.kind {
            Kind::Job => format!("not done within {:?}", self.timeout),
            Kind::Permanent | Kind::Periodic => format!("not up within {:?}", self.timeout),
        };
        let check = self.checks.iter().find_map(|check| check.overdue(now));
        let reason = check.or_else(|| (now >= self.timeout).then(late))?;
        Some(reason + &self.watch.as_ref().map_or(String::new(), Watch::describe))
    }

    /// When there is something to do, if nothing is seen before.
    fn wake(&self, now: Duration) -> Duration {
        let checks = self.checks.iter().flat_map(Check::wakes);
        let watch = self.watch.iter().flat_map(|watch| {
            let settled = self.checks.is_empty().then(|| watch.settles_at(self.settle)).flatten();
            watch.wakes().into_iter().chain(settled.filter(|at| *at > now))
        });
        checks.chain(watch).chain([self.timeout]).min().unwrap_or(self.timeout)
    }
}

#[cfg(test)]
mod tests;
