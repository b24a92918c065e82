//! One check of a gate: when it is probed, and what its answers amount to.

use std::time::Duration;

use super::GateCheck;
use crate::health::probe::ProbeAnswer;
use crate::model::CheckPolicy;

/// The wait after the first probe; it doubles up to the check's interval.
const QUICK: Duration = Duration::from_millis(50);
/// The longest wait between probes while a gate waits: a service with a long interval that is ready
/// early is found ready early.
const SLOWEST: Duration = Duration::from_secs(1);
/// The same where probing is reading what the backend knows, which costs next to nothing.
const SLOWEST_NATIVE: Duration = Duration::from_millis(200);
/// The shortest interval: without one, a check that answers in no time would be asked without pause.
const SHORTEST: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Check {
    policy: CheckPolicy,
    native: bool,
    /// When the check must have passed.
    deadline: Duration,
    /// When the next probe is due; `None` while one is under way.
    due: Option<Duration>,
    /// Whether the probe under way was begun when another incarnation ran.
    stale: bool,
    /// The wait after the next answer.
    pace: Duration,
    /// How many probes in a row passed.
    passes: u32,
    /// When the last probe that counts passed.
    last_pass: Option<Duration>,
    /// The last answer, for the reason.
    last: Option<String>,
}

impl Check {
    pub(super) fn new(check: GateCheck, timeout: Duration) -> Self {
        let GateCheck { policy, native } = check;
        let policy = CheckPolicy { interval: policy.interval.max(SHORTEST), ..policy };
        let deadline = policy.deadline.map_or(timeout, |deadline| deadline.min(timeout));
        let pace = QUICK.min(policy.interval);
        let due = Some(Duration::ZERO);
        Self { policy, native, deadline, due, stale: false, pace, passes: 0, last_pass: None, last: None }
    }

    /// Whether a probe is due; it is then taken to be under way.
    pub(super) fn begin(&mut self, now: Duration) -> bool {
        let due = self.due.is_some_and(|due| now >= due);
        if due {
            self.due = None;
        }
        due
    }

    /// Takes an answer; the reason when it misses the gate. A pass that does not count (the object
    /// was not up) is no failure either.
    pub(super) fn probed(&mut self, answer: &ProbeAnswer, counts: bool, at: Duration) -> Option<String> {
        let stale = std::mem::take(&mut self.stale);
        let passed = answer.healthy && counts && !stale;
        if passed != (self.passes > 0) {
            self.pace = QUICK.min(self.policy.interval);
        }
        let mut reason = None;
        self.last = Some(answer.detail.clone());
        if passed {
            self.passes = self.passes.saturating_add(1);
            self.last_pass = Some(at);
        } else if !answer.healthy {
            self.passes = 0;
            if at >= self.limit() {
                let failing = at.saturating_sub(self.last_pass.unwrap_or_default());
                reason = Some(format!("unhealthy for {:.1} s: {}", failing.as_secs_f64(), answer.detail));
            }
        }
        let wait = if self.has_passed() { self.policy.interval } else { self.pace };
        self.pace = self.pace.saturating_mul(2).min(self.policy.interval).min(self.slowest());
        let next = at.saturating_add(wait);
        // The last chance comes exactly when the retries are used up.
        self.due = Some(if at < self.limit() { next.min(self.limit()) } else { next });
        reason
    }

    /// What passed belongs to an object that no longer runs: the check starts over, quickly.
    pub(super) fn forget(&mut self, at: Duration) {
        self.passes = 0;
        self.pace = QUICK.min(self.policy.interval);
        self.stale = self.due.is_none();
        self.due = self.due.map(|due| due.min(at + self.pace));
    }

    pub(super) fn has_passed(&self) -> bool {
        self.passes >= self.policy.success_threshold.max(1)
    }

    /// When the last probe passed, once enough have in a row.
    pub(super) fn passed_at(&self) -> Option<Duration> {
        self.last_pass.filter(|_| self.has_passed())
    }

    /// The reason when the deadline has passed and the check has not.
    pub(super) fn overdue(&self, now: Duration) -> Option<String> {
        if now < self.deadline || self.has_passed() {
            return None;
        }
        let last = self.last.as_deref().unwrap_or("no answer yet");
        let short = match self.passes {
            0 => String::new(),
            passes => format!(" (passed {passes} of {} times in a row)", self.policy.success_threshold),
        };
        Some(format!("not healthy within {:?}: {last}{short}", self.deadline))
    }

    /// The times at which there is something to do.
    pub(super) fn wakes(&self) -> impl Iterator<Item = Duration> {
        let deadline = (!self.has_passed()).then_some(self.deadline);
        self.due.into_iter().chain(deadline)
    }

    /// From when on a failure misses the gate.
    fn limit(&self) -> Duration {
        let since = self.last_pass.unwrap_or_default().max(self.policy.start_period);
        since.saturating_add(GateCheck { policy: self.policy, native: self.native }.patience())
    }

    fn slowest(&self) -> Duration {
        if self.native { SLOWEST_NATIVE } else { SLOWEST }
    }
}
