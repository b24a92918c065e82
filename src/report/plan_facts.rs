//! What every view of a plan says, in words without layout.

use std::collections::BTreeMap;

use super::text::{count, escape, names};
use super::time::estimate;
use crate::model::{DriftKind, Pause, RollFailure};
use crate::plan::{Action, Disruption, DriftNote, Mode, Operation, Plan, ReplaceOrder, Roll, Step};

/// How many services a disruption names before it counts the rest.
const NAMED: usize = 12;

/// The action words in the order in which a summary has them.
pub(super) const WORDS: [&str; 9] =
    ["create", "update", "replace", "restart", "delete", "adopt", "forget", "stop", "start"];

/// The plan in one sentence: `Plan: 2 to create, 1 to replace, 3 unchanged.`
#[must_use]
pub fn plan_sentence(plan: &Plan) -> String {
    if plan.is_empty() {
        let verb = if plan.unchanged == 1 { "is" } else { "are" };
        return match plan.mode {
            Mode::Destroy => "No changes. Nothing is left to take down.".to_owned(),
            Mode::RefreshOnly => "No changes. The records are as observed.".to_owned(),
            _ if plan.unchanged == 0 => "No changes. There is nothing to do.".to_owned(),
            Mode::Verb => {
                format!("No changes. {} {verb} as asked for already.", count(plan.unchanged, "service"))
            }
            Mode::Apply => format!("No changes. {} {verb} as the file says.", count(plan.unchanged, "service")),
        };
    }
    let mut parts = action_counts(plan);
    if plan.unchanged > 0 {
        parts.push(format!("{} unchanged", plan.unchanged));
    }
    format!("Plan: {}.", parts.join(", "))
}

/// How the copies of a service are changed: `web: 5 copies in 3 batches (1 as a canary, then 2, 2); ...`
pub(super) fn roll_sentence(roll: &Roll) -> String {
    let sizes: Vec<usize> = roll.batches.iter().map(Vec::len).collect();
    let told = |run: &[usize]| match run {
        [size, _, _, ..] => format!("{} of {size}", run.len()),
        few => few.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    };
    let (canary, rest) = sizes.split_at(usize::from(roll.canary));
    let canary = canary.iter().map(|size| format!("{size} as a canary"));
    let parts: Vec<String> = canary.chain(rest.chunk_by(|a, b| a == b).map(told)).collect();
    let copies: usize = sizes.iter().sum();
    let batches = if sizes.len() == 1 { "one batch".to_owned() } else { format!("{} batches", sizes.len()) };
    let pause = match roll.pause {
        None => String::new(),
        Some(Pause::Ask) => "; asks before each next one".to_owned(),
        Some(Pause::Millis(millis)) => format!("; waits {} before each next one", super::time::duration(millis)),
    };
    let then = match roll.on_failure {
        RollFailure::Rollback => "what was changed is put back",
        RollFailure::Halt => "what was changed stays",
    };
    let most = match roll.max_failures {
        0 => "one fails".to_owned(),
        n => format!("more than {n} fail"),
    };
    format!(
        "{}: {copies} copies in {batches} ({}){pause}; when {most}, it stops and {then}",
        escape(roll.service.as_str()),
        parts.join(", ")
    )
}

/// `2 to create`, `1 to replace` ...
pub(super) fn action_counts(plan: &Plan) -> Vec<String> {
    let summary = plan.summary();
    let some = |word: &&str| summary.counts.get(word).map(|n| format!("{n} to {word}"));
    WORDS.iter().filter_map(some).collect()
}

/// The steps by wave, in plan order within each.
pub(super) fn waves(plan: &Plan) -> BTreeMap<u32, Vec<&Step>> {
    let mut waves: BTreeMap<u32, Vec<&Step>> = BTreeMap::new();
    for step in &plan.steps {
        waves.entry(step.wave).or_default().push(step);
    }
    waves
}

/// How long a plan should take, from how long its steps took before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    /// In milliseconds; a lower bound while some steps never ran before.
    pub(super) ms: u64,
    /// How many steps never ran before.
    pub(super) unknown: usize,
}

impl Expected {
    /// The time along the critical path, or what the work takes with so many workers, if that is longer;
    /// `None` when no step ran before.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let (mut work, mut longest, mut unknown) = (0_u64, 0_u64, 0);
        let mut finish = BTreeMap::new();
        for step in &plan.steps {
            let begin = step.needs.iter().filter_map(|need| finish.get(&need.step)).max().copied().unwrap_or(0_u64);
            let takes = step.expected_ms.unwrap_or(0);
            unknown += usize::from(step.expected_ms.is_none());
            work = work.saturating_add(takes);
            let end = begin.saturating_add(takes);
            longest = longest.max(end);
            finish.insert(step.id, end);
        }
        let workers = u64::try_from(plan.max_parallel.max(1)).unwrap_or(u64::MAX);
        (unknown < plan.steps.len()).then_some(Self { ms: longest.max(work / workers), unknown })
    }

    /// `It should take about 12 s, from earlier runs.`
    pub(super) fn sentence(self) -> String {
        let time = estimate(self.ms);
        match self.unknown {
            0 => format!("It should take about {time}, from earlier runs."),
            n => {
                let verb = if n == 1 { "has" } else { "have" };
                format!(
                    "It should take at least {time}, from earlier runs; {} {verb} not been timed yet.",
                    count(n, "step")
                )
            }
        }
    }
}

/// `web was changed outside of orch: killed by signal 9`, escaped.
pub(super) fn drift_sentence(note: &DriftNote) -> String {
    let found = match note.drift.kind {
        DriftKind::Missing | DriftKind::Config => "was changed outside of orch",
        DriftKind::Image => "runs from another image",
        DriftKind::Identity => "was replaced outside of orch",
        DriftKind::Health => "does not pass its checks",
        DriftKind::Unmanaged => "finds something in its place that orch does not own",
    };
    format!("{} {found}: {}", escape(&note.address.to_string()), escape(&note.drift.detail))
}

/// `postgres is replaced (stop first): api, web lose it meanwhile.`
pub(super) fn disruption_sentence(disruption: &Disruption) -> String {
    let what = match disruption.action {
        Action::Replace { order } => format!("is replaced ({})", order_words(order)),
        Action::Delete => "is taken down".to_owned(),
        action => format!("is {}", past(action)),
    };
    let service = escape(disruption.service.as_str());
    if disruption.affects.is_empty() {
        return format!("{service} {what}; nothing that stays up depends on it.");
    }
    let verb = if disruption.affects.len() == 1 { "loses" } else { "lose" };
    let until = if matches!(disruption.action, Action::Delete | Action::Stop) { "" } else { " meanwhile" };
    format!("{service} {what}: {} {verb} it{until}.", names(&disruption.affects, NAMED))
}

/// Which object of a replace goes first.
pub(super) fn order_words(order: ReplaceOrder) -> &'static str {
    match order {
        ReplaceOrder::CreateBeforeDestroy => "create before destroy",
        ReplaceOrder::DestroyBeforeCreate => "stop first",
        ReplaceOrder::InPlace => "in place",
    }
}

/// How a step goes about it, where that is to be known: which object of a replace goes first and why,
/// and whether data goes with what is removed. Escaped.
pub(super) fn manner(step: &Step) -> Option<String> {
    let volumes = step.operations.iter().any(|operation| matches!(operation, Operation::Remove { volumes: true, .. }));
    match (step.action, &step.stops_first) {
        (Action::Replace { order }, None) => Some(order_words(order).to_owned()),
        (Action::Replace { order }, Some(why)) => Some(format!("{}: {}", order_words(order), escape(why))),
        _ if volumes => Some("with its volumes and what is in them".to_owned()),
        _ => None,
    }
}

/// What a field that asks for more than an update forces.
pub(super) fn forces(action: Action) -> &'static str {
    match action {
        Action::Restart => "forces a restart",
        _ => "forces replacement",
    }
}

/// `created`, `replaced` ...
pub(super) fn past(action: Action) -> &'static str {
    match action {
        Action::Create => "created",
        Action::Update => "updated",
        Action::Replace { .. } => "replaced",
        Action::Restart => "restarted",
        Action::Delete => "deleted",
        Action::Adopt => "adopted",
        Action::Forget => "forgotten",
        Action::Stop => "stopped",
        Action::Start => "started",
    }
}

/// `creating`, `replacing` ...
pub(super) fn doing(action: Action) -> &'static str {
    match action {
        Action::Create => "creating",
        Action::Update => "updating",
        Action::Replace { .. } => "replacing",
        Action::Restart => "restarting",
        Action::Delete => "deleting",
        Action::Adopt => "adopting",
        Action::Forget => "forgetting",
        Action::Stop => "stopping",
        Action::Start => "starting",
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{empty_plan, step};
    use super::*;
    use crate::plan::{Milestone, Need, StepId};

    #[test]
    fn an_empty_plan_says_why_it_is_empty() {
        let say = |mode, unchanged| plan_sentence(&Plan { mode, unchanged, ..empty_plan() });
        assert_eq!(say(Mode::Apply, 3), "No changes. 3 services are as the file says.");
        assert_eq!(say(Mode::Apply, 1), "No changes. 1 service is as the file says.");
        assert_eq!(say(Mode::Apply, 0), "No changes. There is nothing to do.");
        assert_eq!(say(Mode::Destroy, 0), "No changes. Nothing is left to take down.");
    }

    #[test]
    fn the_expected_time_follows_the_critical_path() {
        let timed = |id, needs: &[u32], ms| {
            let needs = needs.iter().map(|&n| Need { step: StepId(n), milestone: Milestone::Done }).collect();
            Step { needs, expected_ms: ms, ..step(id, "web", Action::Create) }
        };
        let steps = vec![timed(1, &[], Some(2000)), timed(2, &[], Some(9000)), timed(3, &[1, 2], Some(3000))];
        let mut plan = Plan { steps, ..empty_plan() };
        let say = |plan: &Plan| Expected::of(plan).map(Expected::sentence);
        assert_eq!(say(&plan).as_deref(), Some("It should take about 12 s, from earlier runs."));
        plan.max_parallel = 1;
        assert_eq!(say(&plan).as_deref(), Some("It should take about 14 s, from earlier runs."));
        plan.steps[1].expected_ms = None;
        assert_eq!(
            say(&plan).as_deref(),
            Some("It should take at least 5 s, from earlier runs; 1 step has not been timed yet.")
        );
        plan.steps.iter_mut().for_each(|step| step.expected_ms = None);
        assert_eq!(say(&plan), None);
    }
}
