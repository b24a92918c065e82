//! What the containers of a project amount to: its state, its health, and how it differs from what it was made
//! as. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::look::{Container, Doing};
use super::stamp;
use crate::model::{ComposeSpec, DigestKey, Drift, DriftKind, Exit, FieldValue, Health, ObjectState, Repair};

/// What a project is to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// The digest of each service; empty where nothing is recorded.
    pub(super) digests: BTreeMap<String, String>,
    /// How many containers a service has, where it is not one.
    pub(super) replicas: BTreeMap<String, usize>,
    /// The services that must be well; all where it is empty.
    pub(super) gate: BTreeSet<String>,
    /// How long a container without a health check must run to count as well.
    pub(super) settle: Duration,
    /// Whether what else there is in the project is to go.
    pub(super) remove_orphans: bool,
}

/// What the containers of a project amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) state: ObjectState,
    pub(super) health: Health,
    pub(super) drift: Vec<Drift>,
    pub(super) repair: Option<Repair>,
    pub(super) since: Option<Timestamp>,
    pub(super) restarts: u32,
    pub(super) last_exit: Option<Exit>,
    pub(super) incarnation: Option<String>,
    /// The services that are not as they should be.
    pub(super) troubled: BTreeSet<String>,
    /// Every service that there is, and in which way it is not as it should be.
    pub(super) parts: BTreeMap<String, Option<String>>,
}

impl Expected {
    /// What a definition asks for.
    pub(super) fn of(spec: &ComposeSpec, key: &DigestKey) -> Self {
        let wanted = spec.wanted();
        let replicas = |(name, service): (&&str, &&crate::model::ComposeService)| {
            let count = ["deploy.replicas", "scale"].iter().find_map(|path| service.beside.get(*path))?;
            Some(((*name).to_owned(), count.reveal().parse().ok()?))
        };
        Self {
            digests: wanted.iter().map(|(name, service)| ((*name).to_owned(), service.digest(key))).collect(),
            replicas: wanted.iter().filter_map(replicas).collect(),
            gate: spec.gate.iter().cloned().collect(),
            settle: spec.settle,
            remove_orphans: spec.remove_orphans,
        }
    }

    /// What is recorded.
    pub(super) fn recorded(fields: &BTreeMap<String, FieldValue>) -> Self {
        let plain = |path: &str| match fields.get(path) {
            Some(FieldValue::Plain(text)) => Some(text.as_str()),
            _ => None,
        };
        let digest = |(path, value): (&String, &FieldValue)| {
            let FieldValue::Plain(digest) = value else { return None };
            Some((path.strip_prefix("digests.")?.to_owned(), digest.clone()))
        };
        let digests: BTreeMap<String, String> = fields.iter().filter_map(digest).collect();
        let replicas = |name: &String| {
            let path = |path: &str| format!("services.{name}.{path}");
            let count = plain(&path("deploy.replicas")).or_else(|| plain(&path("scale")))?;
            Some((name.clone(), count.parse().ok()?))
        };
        let gate = plain("gate").and_then(|list| serde_json::from_str::<Vec<String>>(list).ok()).unwrap_or_default();
        Self {
            replicas: digests.keys().filter_map(replicas).collect(),
            gate: gate.into_iter().collect(),
            // What is recorded was seen to run long enough.
            settle: Duration::ZERO,
            remove_orphans: plain("remove_orphans") == Some("true"),
            digests,
        }
    }

    fn replicas(&self, service: &str) -> usize {
        self.replicas.get(service).copied().unwrap_or(1)
    }

    fn counts(&self, service: &str) -> bool {
        self.gate.is_empty() || self.gate.contains(service)
    }
}

/// What one container is to the state of its project.
enum Part {
    Well,
    Done,
    Starting,
    Restarting,
    CrashLoop(Exit),
    Down(Option<Exit>),
}

/// Sums the containers of a project up. `hashes` are what Compose makes of the recorded definition, for containers
/// without a digest; `None` where that is not known.
pub(super) fn sum_up(expected: &Expected, containers: &[Container], hashes: Option<&BTreeMap<String, String>>) -> Seen {
    let is_orphan =
        |container: &&Container| !expected.digests.is_empty() && !expected.digests.contains_key(&container.service);
    let one_shots: BTreeSet<&str> =
        containers.iter().flat_map(|container| container.waits_for.iter().map(String::as_str)).collect();
    let (mut drift, mut told) = (Vec::new(), Vec::new());
    let (mut troubled, mut parts) = (BTreeSet::new(), Vec::new());
    let mut by_service: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut exit = None;
    for container in containers.iter().filter(|container| !is_orphan(container)) {
        let (part, detail) = part(container, one_shots.contains(container.service.as_str()), expected.settle);
        let definition = definition(expected, container, hashes);
        let trouble =
            detail.clone().or_else(|| definition.is_some().then(|| "made from another definition".to_owned()));
        let part_of = by_service.entry(container.service.clone()).or_default();
        *part_of = part_of.take().or(trouble);
        if let Some(detail) = detail {
            troubled.insert(container.service.clone());
            if expected.counts(&container.service) {
                told.push(format!("{} {detail}", shown(container, expected)));
            }
        }
        if let Part::Down(Some(ended)) | Part::CrashLoop(ended) = &part {
            exit = exit.or_else(|| Some(ended.clone()));
        }
        if expected.counts(&container.service) {
            parts.push(part);
        }
        drift.extend(definition);
    }
    let mut missing = false;
    for service in expected.digests.keys() {
        let (has, wants) =
            (containers.iter().filter(|found| found.service == *service).count(), expected.replicas(service));
        if has == wants {
            continue;
        }
        let detail = match (has, wants) {
            (0, _) => format!("{service} has no container"),
            (has, wants) => format!("{service} has {has} of {wants} containers"),
        };
        drift.push(Drift { kind: DriftKind::Missing, detail: detail.clone() });
        if let Some(trouble) = by_service.get_mut(service) {
            *trouble = Some(format!("{has} of {wants} containers"));
        }
        if has < wants && expected.counts(service) {
            missing = true;
            troubled.insert(service.clone());
            told.push(detail);
        }
    }
    by_service.extend(containers.iter().filter(is_orphan).map(|orphan| (orphan.service.clone(), None)));
    for orphan in containers.iter().filter(is_orphan).filter(|_| expected.remove_orphans) {
        let detail = format!("the container {} is of `{}`, which the file has not", orphan.name, orphan.service);
        drift.push(Drift { kind: DriftKind::Unmanaged, detail });
    }
    let state = state(&parts);
    let is_up = matches!(state, ObjectState::Running | ObjectState::Starting | ObjectState::Restarting);
    let well = told.is_empty() && !missing && state == ObjectState::Running;
    let health = Health { healthy: well, detail: format!("compose: {}", summary(&told, &state, parts.len())) };
    let repair = (is_up && !drift.is_empty()).then_some(Repair::Update);
    if matches!(state, ObjectState::Exited(_) | ObjectState::CrashLoop(_)) {
        // What a plan calls it by: which of them it is, beside how it ended.
        drift.extend(told.first().map(|detail| Drift { kind: DriftKind::Missing, detail: detail.clone() }));
    }
    let running = containers.iter().filter(|container| container.is_up());
    let run = |container: &Container| {
        let started = container.started.map(|at| at.to_string()).unwrap_or_default();
        format!("{} {started}", container.id.get(..12).unwrap_or(&container.id))
    };
    let runs: Vec<String> = running.clone().map(run).collect();
    Seen {
        state,
        health,
        drift,
        repair,
        since: running.filter_map(|container| container.started).max(),
        restarts: containers.iter().map(|container| container.restarts).fold(0, u32::saturating_add),
        last_exit: exit,
        incarnation: (!runs.is_empty()).then(|| runs.join(", ")),
        troubled,
        parts: by_service,
    }
}

/// What a container is to its project, and what there is to say of it.
fn part(container: &Container, one_shot: bool, settle: Duration) -> (Part, Option<String>) {
    match &container.doing {
        Doing::Well if !one_shot && container.unchecked_for.is_some_and(|since| since < settle) => {
            (Part::Starting, Some("was only just started".to_owned()))
        }
        Doing::Well => (Part::Well, None),
        Doing::Succeeded { stopped } if one_shot || !stopped => (Part::Done, None),
        Doing::Starting => (Part::Starting, Some("is starting, its health check has not passed yet".to_owned())),
        // It goes on running, and may get well again.
        Doing::Unhealthy(said) if said.is_empty() => (Part::Well, Some("is unhealthy".to_owned())),
        Doing::Unhealthy(said) => (Part::Well, Some(format!("is unhealthy: {said}"))),
        Doing::Restarting => (Part::Restarting, Some("is between two restarts".to_owned())),
        Doing::CrashLoop(exit) => (Part::CrashLoop(exit.clone()), Some(format!("goes down again and again ({exit})"))),
        Doing::Succeeded { .. } => {
            let exit = Exit { code: Some(0), signal: None, out_of_memory: false };
            (Part::Down(Some(exit)), Some("was stopped".to_owned()))
        }
        Doing::Failed(exit) => (Part::Down(Some(exit.clone())), Some(format!("exited ({exit})"))),
        Doing::Unstarted => (Part::Down(None), Some("was made and never started".to_owned())),
    }
}

fn shown<'c>(container: &'c Container, expected: &Expected) -> &'c str {
    if expected.replicas(&container.service) > 1 { &container.name } else { &container.service }
}

/// How a container differs from the definition that is recorded.
fn definition(expected: &Expected, container: &Container, hashes: Option<&BTreeMap<String, String>>) -> Option<Drift> {
    let service = &container.service;
    let wanted = expected.digests.get(service)?;
    let differs = match stamp::digest(&container.labels) {
        Some(digest) => digest != wanted,
        None => hashes?.get(service).is_some_and(|hash| container.hash() != Some(hash)),
    };
    let detail = format!("{service} was made from another definition");
    differs.then_some(Drift { kind: DriftKind::Config, detail })
}

fn state(parts: &[Part]) -> ObjectState {
    let crash = parts.iter().find_map(|part| if let Part::CrashLoop(exit) = part { Some(exit) } else { None });
    if let Some(exit) = crash {
        return ObjectState::CrashLoop(exit.clone());
    }
    let down: Vec<&Option<Exit>> =
        parts.iter().filter_map(|part| if let Part::Down(exit) = part { Some(exit) } else { None }).collect();
    let goes_on = parts.iter().any(|part| matches!(part, Part::Well | Part::Starting | Part::Restarting));
    let asked = |exit: &&Option<Exit>| exit.as_ref().is_none_or(|exit| exit.is_success() || is_stop(exit));
    if !down.is_empty() {
        // Where nothing runs and nothing failed, somebody stopped all of it.
        if !goes_on && down.iter().all(asked) {
            return ObjectState::Stopped;
        }
        let worst = down.iter().find(|exit| !asked(exit)).or(down.first());
        let unknown = Exit { code: None, signal: None, out_of_memory: false };
        return ObjectState::Exited(worst.and_then(|exit| (*exit).clone()).unwrap_or(unknown));
    }
    if parts.iter().any(|part| matches!(part, Part::Restarting)) {
        ObjectState::Restarting
    } else if parts.iter().any(|part| matches!(part, Part::Starting)) {
        ObjectState::Starting
    } else {
        ObjectState::Running
    }
}

/// Whether something ended as what is stopped does: SIGINT, SIGKILL, SIGTERM.
fn is_stop(exit: &Exit) -> bool {
    !exit.out_of_memory && matches!(exit.signal, Some(2 | 9 | 15))
}

fn summary(told: &[String], state: &ObjectState, count: usize) -> String {
    match (told, state, count) {
        ([], ObjectState::Running, 1) => "its one container is well".to_owned(),
        ([], ObjectState::Running, count) => format!("all {count} containers are well"),
        ([], state, _) => state.to_string(),
        (told, ..) => told.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn container(service: &str, doing: Doing) -> Container {
        Container {
            id: format!("{service}-id"),
            name: format!("p-{service}-1"),
            service: service.to_owned(),
            number: 1,
            labels: HashMap::from([("orch.compose.digest".to_owned(), service.to_owned())]),
            image: String::new(),
            image_name: String::new(),
            doing,
            unchecked_for: None,
            started: None,
            restarts: 0,
            waits_for: Vec::new(),
        }
    }

    fn expected(services: &[&str]) -> Expected {
        let digests = services.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect();
        Expected { digests, remove_orphans: true, ..Expected::default() }
    }

    fn exit(code: i32) -> Exit {
        Exit { code: Some(code), signal: None, out_of_memory: false }
    }

    fn signal(signal: i32) -> Exit {
        Exit { code: None, signal: Some(signal), out_of_memory: false }
    }

    #[test]
    fn a_project_runs_only_when_all_of_it_is_well() {
        let wanted = expected(&["db", "web"]);
        let sum = |db, web| sum_up(&wanted, &[container("db", db), container("web", web)], None);
        let seen = sum(Doing::Well, Doing::Well);
        assert_eq!((seen.state, seen.health.healthy, seen.drift.len()), (ObjectState::Running, true, 0));
        let seen = sum(Doing::Starting, Doing::Well);
        assert_eq!((seen.state, seen.health.healthy), (ObjectState::Starting, false));
        assert!(seen.health.detail.contains("db is starting"), "{}", seen.health.detail);
        let seen = sum(Doing::Unhealthy("no answer".to_owned()), Doing::Well);
        assert_eq!((seen.state, seen.health.healthy), (ObjectState::Running, false));
        assert_eq!(seen.health.detail, "compose: db is unhealthy: no answer");
        let seen = sum(Doing::Well, Doing::Failed(exit(3)));
        assert_eq!(seen.state, ObjectState::Exited(exit(3)));
        assert!(seen.health.detail.contains("web exited (exit code 3)"), "{}", seen.health.detail);
        assert_eq!(seen.troubled, BTreeSet::from(["web".to_owned()]));
        assert_eq!(sum(Doing::CrashLoop(exit(1)), Doing::Well).state, ObjectState::CrashLoop(exit(1)));
    }

    #[test]
    fn what_ran_to_its_end_is_a_success_and_what_was_stopped_is_not() {
        let wanted = expected(&["init", "web"]);
        let sum = |init, web| sum_up(&wanted, &[container("init", init), container("web", web)], None).state;
        assert_eq!(sum(Doing::Succeeded { stopped: false }, Doing::Well), ObjectState::Running);
        assert_eq!(sum(Doing::Well, Doing::Succeeded { stopped: true }), ObjectState::Exited(exit(0)));
        assert_eq!(sum(Doing::Succeeded { stopped: false }, Doing::Failed(signal(15))), ObjectState::Stopped);
        assert_eq!(sum(Doing::Failed(signal(9)), Doing::Succeeded { stopped: true }), ObjectState::Stopped);
        assert_eq!(sum(Doing::Failed(signal(15)), Doing::Failed(exit(1))), ObjectState::Exited(exit(1)));
        // Others say that they wait for its end.
        let mut web = container("web", Doing::Well);
        web.waits_for = vec!["init".to_owned()];
        let seen = sum_up(&wanted, &[container("init", Doing::Succeeded { stopped: true }), web], None);
        assert_eq!(seen.state, ObjectState::Running);
    }

    #[test]
    fn what_was_only_just_started_may_still_fail() {
        let wanted = Expected { settle: Duration::from_millis(300), ..expected(&["web"]) };
        let mut web = container("web", Doing::Well);
        web.unchecked_for = Some(Duration::from_millis(100));
        let seen = sum_up(&wanted, &[web.clone()], None);
        assert_eq!((seen.state, seen.health.healthy), (ObjectState::Starting, false));
        web.unchecked_for = Some(Duration::from_millis(300));
        assert_eq!(sum_up(&wanted, &[web], None).state, ObjectState::Running);
    }

    #[test]
    fn a_gate_names_what_counts() {
        let wanted = Expected { gate: BTreeSet::from(["web".to_owned()]), ..expected(&["db", "web"]) };
        let sum = |db, web| sum_up(&wanted, &[container("db", db), container("web", web)], None);
        assert!(sum(Doing::Starting, Doing::Well).health.healthy);
        assert!(sum(Doing::Failed(exit(1)), Doing::Well).health.healthy);
        assert!(!sum(Doing::Well, Doing::Starting).health.healthy);
    }

    #[test]
    fn what_somebody_changed_by_hand_is_drift() {
        let wanted = expected(&["db", "web"]);
        let details = |containers: &[Container]| -> Vec<String> {
            let seen = sum_up(&wanted, containers, None);
            assert_eq!(seen.repair, Some(Repair::Update), "{:?}", seen.drift);
            seen.drift.into_iter().map(|drift| drift.detail).collect()
        };
        assert_eq!(details(&[container("db", Doing::Well)]), ["web has no container"]);
        let mut other = container("web", Doing::Well);
        other.labels.insert("orch.compose.digest".to_owned(), "other".to_owned());
        assert_eq!(details(&[container("db", Doing::Well), other]), ["web was made from another definition"]);
        let all = [container("db", Doing::Well), container("web", Doing::Well), container("old", Doing::Well)];
        assert_eq!(details(&all), ["the container p-old-1 is of `old`, which the file has not"]);
        let mut bare = container("web", Doing::Well);
        bare.labels.clear();
        let hashes = BTreeMap::from([("web".to_owned(), "abc".to_owned())]);
        let seen = sum_up(&wanted, &[container("db", Doing::Well), bare.clone()], Some(&hashes));
        assert_eq!(seen.drift.len(), 1);
        bare.labels.insert("com.docker.compose.config-hash".to_owned(), "abc".to_owned());
        assert_eq!(sum_up(&wanted, &[container("db", Doing::Well), bare], Some(&hashes)).drift, []);
    }

    #[test]
    fn what_is_recorded_reads_back() {
        let plain = |text: &str| FieldValue::Plain(text.to_owned());
        let fields = BTreeMap::from([
            ("digests.a.b".to_owned(), plain("1")),
            ("services.a.b.deploy.replicas".to_owned(), plain("2")),
            ("gate".to_owned(), plain("[\"a.b\"]")),
            ("remove_orphans".to_owned(), plain("false")),
        ]);
        let read = Expected::recorded(&fields);
        assert_eq!(read.digests, BTreeMap::from([("a.b".to_owned(), "1".to_owned())]));
        assert_eq!(read.replicas("a.b"), 2);
        assert_eq!(read.gate, BTreeSet::from(["a.b".to_owned()]));
        assert!(!read.remove_orphans);
    }
}
