//! Events in words: what the plain log and the live progress both say.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Paint;
use super::plan_facts::{doing, past};
use super::pull::Pull;
use super::text::{count, escape, names};
use super::time::duration;
use crate::event::{Event, Progress, RunOutcome, StepOutcome, What};
use crate::model::{Address, Pause};
use crate::plan::{Action, Mode, StepId};

/// How many addresses the last sentence names before it counts the rest.
const NAMED: usize = 5;

/// How much is said of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Failures, warnings and how it ended.
    Quiet,
    /// Every step, and every probe that answers differently than the one before.
    #[default]
    Normal,
    /// Every probe.
    Verbose,
}

/// Something to say, escaped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// How it is coloured.
    pub(super) paint: Option<Paint>,
    /// The address it is about, and what is said of it.
    pub(super) text: String,
    /// Lines that belong to it.
    pub(super) below: Vec<String>,
    /// Whether it says what is going on, which a live view shows by itself.
    pub(super) passing: bool,
}

impl Said {
    fn new(text: String) -> Self {
        Self { paint: None, text, below: Vec::new(), passing: false }
    }

    fn of(address: &Address, text: impl AsRef<str>) -> Self {
        Self::new(format!("{}: {}", escape(&address.to_string()), escape(text.as_ref())))
    }

    fn paint(self, paint: Paint) -> Self {
        Self { paint: Some(paint), ..self }
    }

    fn passing(self) -> Self {
        Self { passing: true, ..self }
    }

    fn below(self, lines: impl IntoIterator<Item = String>) -> Self {
        Self { below: lines.into_iter().collect(), ..self }
    }
}

/// Puts events into words, remembering what the last sentence needs.
#[derive(Debug)]
pub(super) struct Narrator {
    verbosity: Verbosity,
    mode: Mode,
    probes: BTreeMap<(StepId, usize), (bool, String)>,
    pulls: BTreeMap<StepId, Pull>,
    failed: Vec<Address>,
    rolled_back: usize,
    skipped: Vec<Address>,
}

impl Narrator {
    pub(super) fn new(verbosity: Verbosity) -> Self {
        Self {
            verbosity,
            mode: Mode::Apply,
            probes: BTreeMap::new(),
            pulls: BTreeMap::new(),
            failed: Vec::new(),
            rolled_back: 0,
            skipped: Vec::new(),
        }
    }

    /// What to say of an event; nothing of what does not matter.
    pub(super) fn say(&mut self, event: &Event) -> Vec<Said> {
        let pulled = self.pulled(event);
        let ends = matches!(event.what, What::RunFinished { .. } | What::Interrupted { .. });
        let matters = |said: &Said| ends || matches!(said.paint, Some(Paint::Red | Paint::Yellow));
        let said = pulled.into_iter().chain(self.words(event));
        said.filter(|said| self.verbosity > Verbosity::Quiet || matters(said)).collect()
    }

    /// What is said of a pull that is over: the first other thing that is told of its step says so.
    fn pulled(&mut self, event: &Event) -> Option<Said> {
        let (What::Operation { step, address, .. }
        | What::Probed { step, address, .. }
        | What::RollbackStarted { step, address, .. }
        | What::StepFinished { step, address, .. }) = &event.what
        else {
            return None;
        };
        let ended = self.pulls.remove(step)?.ended(event.at)?;
        Some(Said::of(address, ended))
    }

    /// A pull says when it begins, and every now and then how far it is.
    fn progressed(&mut self, step: StepId, address: &Address, progress: &Progress, at: Timestamp) -> Option<Said> {
        let said = match self.pulls.get_mut(&step) {
            Some(pull) if pull.is_of(progress) => {
                pull.take(progress);
                pull.due(at)?
            }
            _ => {
                let pull = Pull::new(progress, at);
                let begun = pull.begun();
                self.pulls.insert(step, pull);
                begun
            }
        };
        Some(Said::of(address, said).passing())
    }

    fn words(&mut self, event: &Event) -> Option<Said> {
        Some(match &event.what {
            What::RunStarted { run, project, mode, steps, .. } => {
                self.mode = *mode;
                let text = format!("{} of {project}: {}, run {run}.", noun(*mode), count(*steps, "step"));
                Said::new(escape(&text).into_owned())
            }
            What::StepStarted { address, action, reason, .. } => {
                Said::of(address, format!("{} ({reason})", doing(*action))).passing()
            }
            What::Operation { address, detail, .. } => Said::of(address, detail).passing(),
            What::Progressed { step, address, progress } => {
                return self.progressed(*step, address, progress, event.at);
            }
            What::Probed { step, address, check, attempt, healthy, detail } => {
                return self.probe((*step, *check), address, *attempt, *healthy, detail);
            }
            What::StepFinished { step, address, action, outcome, took_ms } => {
                self.probes.retain(|(probed, _), _| probed != step);
                self.finished(address, *action, outcome, &duration(*took_ms))
            }
            What::StepSkipped { address, because, .. } => {
                self.skipped.push(address.clone());
                Said::of(address, format!("skipped: {because}")).paint(Paint::Yellow)
            }
            What::RollbackStarted { address, error, .. } => {
                Said::of(address, format!("going back to the last healthy version: {error}")).paint(Paint::Red)
            }
            What::RollBatch { service, batch, batches } => {
                let service = Address::only(service.clone());
                Said::of(&service, format!("rolling: batch {batch} of {batches}"))
            }
            What::RollPaused { service, batch, batches, pause } => {
                let service = Address::only(service.clone());
                let done = format!("rolling: batch {batch} of {batches} is well;");
                match pause {
                    Pause::Ask => Said::of(&service, format!("{done} go on with the next? Only `yes` is taken as yes"))
                        .paint(Paint::Yellow),
                    Pause::Millis(millis) => {
                        Said::of(&service, format!("{done} the next begins in {}", duration(*millis)))
                    }
                }
            }
            What::RollStopped { service, because, put_back } => {
                let service = Address::only(service.clone());
                let then = match put_back {
                    0 => "what was done stays".to_owned(),
                    1 => "the copy that was done is put back".to_owned(),
                    n => format!("the {n} copies that were done are put back"),
                };
                Said::of(&service, format!("the roll stops: {because}; {then}")).paint(Paint::Red)
            }
            What::UndoStarted { address, .. } => {
                Said::of(address, "going back, because its roll stopped").paint(Paint::Red)
            }
            What::Evidence { address, state, probes, log, folder, .. } => {
                let known = state.iter().map(|state| format!("it is {state}"));
                let known: Vec<String> = known.chain(probes.iter().cloned()).collect();
                let text = match log.len() {
                    0 => format!("it logged nothing; what is known is kept in {folder}"),
                    n => format!("its last {}; all of it is kept in {folder}", count(n, "log line")),
                };
                Said::of(address, text)
                    .paint(Paint::Red)
                    .below(known.iter().chain(log).map(|line| escape(line).into_owned()))
            }
            What::Interrupted { level, signal } => Said::new(match level {
                0 | 1 => format!(
                    "{}: nothing new is started, what runs is finished. A second one cancels it.",
                    escape(signal)
                ),
                _ => format!("{}: what runs is cancelled; the next plan says what is left.", escape(signal)),
            })
            .paint(Paint::Yellow),
            What::Warning { address: Some(address), message } => {
                Said::of(address, format!("warning: {message}")).paint(Paint::Yellow)
            }
            What::Warning { address: None, message } => {
                Said::new(format!("warning: {}", escape(message))).paint(Paint::Yellow)
            }
            What::RunFinished { outcome, done, failed, skipped, cancelled, took_ms, .. } => {
                self.ended(*outcome, [*done, *failed, *skipped, *cancelled], *took_ms)
            }
        })
    }

    fn probe(
        &mut self,
        key: (StepId, usize),
        address: &Address,
        attempt: u32,
        healthy: bool,
        detail: &str,
    ) -> Option<Said> {
        let answer = (healthy, detail.to_owned());
        let same = self.probes.get(&key) == Some(&answer);
        if same && self.verbosity < Verbosity::Verbose {
            return None;
        }
        self.probes.insert(key, answer);
        let how = if healthy { "passed" } else { "waiting" };
        Some(Said::of(address, format!("{how}: {detail} (probe {attempt})")).passing())
    }

    fn finished(&mut self, address: &Address, action: Action, outcome: &StepOutcome, took: &str) -> Said {
        let failed = match outcome {
            StepOutcome::Done => {
                return Said::of(address, format!("{} in {took}", past(action))).paint(Paint::Green);
            }
            StepOutcome::Cancelled => {
                let text = format!("cancelled after {took} while {}; the next plan finishes it", doing(action));
                return Said::of(address, text).paint(Paint::Yellow);
            }
            StepOutcome::Failed { error } => format!("{action} failed after {took}: {error}"),
            StepOutcome::RolledBack { error } => {
                self.rolled_back += 1;
                format!("{action} failed after {took}: {error}; the last healthy version runs again")
            }
            StepOutcome::RollbackFailed { error, rollback_error } => {
                format!("{action} failed after {took}: {error}; going back failed too: {rollback_error}")
            }
        };
        self.failed.push(address.clone());
        Said::of(address, failed).paint(Paint::Red)
    }

    fn ended(&self, outcome: RunOutcome, [done, failed, skipped, cancelled]: [usize; 4], took_ms: u64) -> Said {
        let noun = noun(self.mode);
        let took = duration(took_ms);
        let mut parts = Vec::new();
        if failed > 0 {
            parts.push(counted(failed, "failed", &self.failed));
        }
        if skipped > 0 {
            parts.push(counted(skipped, "skipped", &self.skipped));
        }
        if cancelled > 0 {
            parts.push(format!("{cancelled} cancelled"));
        }
        if done > 0 || parts.is_empty() {
            parts.push(format!("{done} done"));
        }
        let parts = parts.join(", ");
        let again = match self.mode {
            Mode::Destroy => "`orch destroy` goes on from here.",
            Mode::Verb => "`orch status` shows what runs now.",
            Mode::Apply | Mode::RefreshOnly => "`orch plan` shows what is left, `orch apply` goes on from here.",
        };
        match outcome {
            RunOutcome::Succeeded => Said::new(format!("{noun} finished: {parts} in {took}.")).paint(Paint::Green),
            RunOutcome::Interrupted => Said::new(format!("{noun} interrupted: {parts} in {took}."))
                .paint(Paint::Yellow)
                .below([format!("All that was done is recorded. {again}")]),
            RunOutcome::Failed => {
                let why = match self.failed.first() {
                    Some(address) => format!("`orch logs {}` shows more. ", escape(&address.to_string())),
                    None => String::new(),
                };
                Said::new(format!("{noun} failed: {parts} in {took}."))
                    .paint(Paint::Red)
                    .below([format!("{}{why}{again}", self.left_behind())])
            }
        }
    }

    fn left_behind(&self) -> &'static str {
        match (self.failed.len(), self.rolled_back) {
            (0, _) => "",
            (_, 0) => "What failed is left as it is. ",
            (failed, back) if failed == back => "What failed runs its last healthy version again. ",
            _ => "Some of what failed runs its last healthy version again. ",
        }
    }
}

/// What the run is called.
pub(super) fn noun(mode: Mode) -> &'static str {
    match mode {
        Mode::Apply => "Apply",
        Mode::Destroy => "Destroy",
        Mode::RefreshOnly => "Refresh",
        Mode::Verb => "Run",
    }
}

fn counted(n: usize, what: &str, who: &[Address]) -> String {
    if who.is_empty() { format!("{n} {what}") } else { format!("{n} {what} ({})", names(who, NAMED)) }
}
