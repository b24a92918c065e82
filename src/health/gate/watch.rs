//! The object behind a gate: whether it is up, and whether it is still the same.

use std::time::Duration;

use super::Look;
use crate::model::{Digest, Exit, Kind, ObjectState, ObservedObject, ObservedPart};

/// The wait after the first look; it doubles up to [`SLOWEST`].
const QUICK: Duration = Duration::from_millis(50);
/// The longest wait between two looks: an exit is seen within it.
const SLOWEST: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Watch {
    revision: Digest,
    /// When the next look is due; `None` while one is under way.
    due: Option<Duration>,
    pace: Duration,
    /// When the look that is under way began.
    began: Duration,
    /// When the last look that saw it running began.
    confirmed: Option<Duration>,
    last: Last,
}

/// What the last look saw.
#[derive(Debug)]
enum Last {
    /// There was none yet.
    Nothing,
    /// It runs.
    Running(Incarnation),
    /// It is there and does not run yet, or not now; in words.
    NotYet(String),
    /// The backend could not be asked. What ran before counts no more, as it may have ended.
    Unknown(String),
    /// A job ran to its end and exited 0.
    Succeeded,
}

/// One run of the object, and when it began: at `seen`, having run for `lasted` by then.
#[derive(Debug, Clone)]
struct Incarnation {
    name: Option<String>,
    restarts: u32,
    seen: Duration,
    lasted: Duration,
}

/// What a look amounts to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// It runs as it did before.
    Same,
    /// It does not run, or another incarnation does: what its checks said counts no more.
    Another,
    /// It will not get well by itself, and why.
    Missed(String),
}

impl Watch {
    pub(super) fn new(revision: Digest) -> Self {
        let due = Some(Duration::ZERO);
        Self { revision, due, pace: QUICK, began: Duration::ZERO, confirmed: None, last: Last::Nothing }
    }

    /// Whether to look now; the look is then taken to be under way. `confirm` is the time from which
    /// on all is well if a look says so: that look is then not waited for.
    pub(super) fn begin(&mut self, now: Duration, confirm: Option<Duration>) -> bool {
        let wanted = confirm.is_some_and(|since| self.runs() && !self.is_confirmed_since(since));
        let begin = self.due.is_some_and(|due| now >= due || wanted);
        if begin {
            self.due = None;
            self.began = now;
        }
        begin
    }

    pub(super) fn looked(&mut self, look: Look, kind: Kind, at: Duration) -> Watched {
        self.due = Some(at + self.pace);
        self.pace = (self.pace * 2).min(SLOWEST);
        let (object, lasted) = match look {
            Look::Object { object, lasted } => (object, lasted),
            Look::Gone => return Watched::Missed("it is gone: someone removed it".to_owned()),
            Look::Unknown(error) => return self.not_running(Last::Unknown(error)),
        };
        if object.revision != self.revision {
            let (found, wanted) = (object.revision.short(), self.revision.short());
            return Watched::Missed(format!("revision {found} runs, not {wanted} as it should"));
        }
        if let Some(why) = &object.failure {
            return Watched::Missed(why.clone());
        }
        match &object.state {
            ObjectState::Running => self.running(&object, lasted.unwrap_or_default(), at),
            ObjectState::Starting | ObjectState::Restarting => {
                let exit = object.last_exit.as_ref().map(|exit| format!(" after {exit}")).unwrap_or_default();
                let how_far = object.reported.iter().map(|health| format!(": {}", health.detail));
                let how_far = how_far.filter(|_| object.backend.reports_progress()).collect::<String>();
                self.not_running(Last::NotYet(format!("{}{exit}{how_far}", object.state)))
            }
            ObjectState::Exited(exit) if kind == Kind::Job && exit.is_success() => {
                self.last = Last::Succeeded;
                Watched::Same
            }
            ObjectState::Exited(exit) => {
                Watched::Missed(format!("{} after {:.1} s{}", ended(exit), at.as_secs_f64(), troubled(&object)))
            }
            ObjectState::CrashLoop(exit) => {
                let restarts = object.restarts;
                let parts = troubled(&object);
                Watched::Missed(format!("given up after {restarts} restarts: {} the last time{parts}", ended(exit)))
            }
            ObjectState::Stopped => Watched::Missed("it was stopped while its gate waited".to_owned()),
            ObjectState::Lost => Watched::Missed("it was lost: what kept it running is gone".to_owned()),
        }
    }

    fn running(&mut self, object: &ObservedObject, lasted: Duration, at: Duration) -> Watched {
        self.confirmed = Some(self.began);
        let same = |run: &Incarnation| run.name == object.incarnation && run.restarts == object.restarts;
        let watched = match &self.last {
            Last::Running(run) if same(run) => return Watched::Same,
            // The first look says what runs; checks that answered before it were probing just that.
            Last::Nothing => Watched::Same,
            _ => Watched::Another,
        };
        let (name, restarts) = (object.incarnation.clone(), object.restarts);
        self.last = Last::Running(Incarnation { name, restarts, seen: at, lasted });
        watched
    }

    /// Only the change is news: as long as it does not run, what its checks say does not count.
    fn not_running(&mut self, last: Last) -> Watched {
        let was = std::mem::replace(&mut self.last, last);
        if matches!(was, Last::NotYet(_) | Last::Unknown(_)) { Watched::Same } else { Watched::Another }
    }

    /// Whether a probe that passes now counts.
    pub(super) fn lets_count(&self) -> bool {
        matches!(self.last, Last::Nothing | Last::Running(_))
    }

    pub(super) fn has_succeeded(&self) -> bool {
        matches!(self.last, Last::Succeeded)
    }

    /// Whether a look that began at or after a time saw it running, and none since saw otherwise.
    pub(super) fn is_confirmed_since(&self, time: Duration) -> bool {
        self.runs() && self.confirmed.is_some_and(|confirmed| confirmed >= time)
    }

    /// When the incarnation that runs will have run long enough.
    pub(super) fn settles_at(&self, settle: Duration) -> Option<Duration> {
        let Last::Running(run) = &self.last else { return None };
        Some(run.seen.saturating_add(settle).saturating_sub(run.lasted))
    }

    pub(super) fn wakes(&self) -> Option<Duration> {
        self.due
    }

    /// What keeps it from running, to end a reason with.
    pub(super) fn describe(&self) -> String {
        match &self.last {
            Last::Nothing | Last::Running(_) | Last::Succeeded => String::new(),
            Last::NotYet(state) => format!(", and it is {state}"),
            Last::Unknown(error) => format!(", and it cannot be looked at: {error}"),
        }
    }

    fn runs(&self) -> bool {
        matches!(self.last, Last::Running(_))
    }
}

/// Which parts of an object are not as they should be, where it has several.
fn troubled(object: &ObservedObject) -> String {
    let told = |part: &ObservedPart| Some(format!("{} {}", part.name, part.trouble.as_deref()?));
    let told: Vec<String> = object.parts.iter().filter_map(told).collect();
    if told.is_empty() { String::new() } else { format!(": {}", told.join("; ")) }
}

/// How something ended, as the end of a sentence about it.
fn ended(exit: &Exit) -> String {
    let how = match (exit.code, exit.signal) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended, nobody knows how,".to_owned(),
    };
    if exit.out_of_memory { format!("{how} (out of memory)") } else { how }
}
