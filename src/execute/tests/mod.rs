//! Runs of whole plans against the fake backend: failures, rollbacks, signals, a full disk.

mod rolls;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::dispatcher::{Dispatcher, Happening, Job, Reaction};
use super::{Ask, GoOn, RunReport, Signal, Work, run};
use crate::backend::fake::{Fake, Fault};
use crate::backend::{Observer, Operators};
use crate::event::{EventSink, RunOutcome, StepOutcome, What};
use crate::health::ProbeEnv;
use crate::model::{
    Address, BackendKind, Condition, Dependency, Digest, DigestKey, Instance, Observation, OnFailure, Pins,
    ProcessSpec, ProjectName, RunId, Service, ServiceName, Spec, Text,
};
use crate::plan::{Action, GateBy, Mode, Operation, Plan, PlanInput, PlanSource, Reason, Request, Step, StepId, plan};
use crate::state::{MemoryIntents, Record, RecordStatus, State};

/// A step that does nothing, for tests of the queue.
pub(super) fn step(id: u32, address: &str) -> Step {
    Step {
        id: StepId(id),
        address: address.parse().unwrap(),
        renamed_from: None,
        backend: BackendKind::External,
        action: Action::Create,
        reason: Reason::New,
        stops_first: None,
        changes: Vec::new(),
        parts: Vec::new(),
        needs: Vec::new(),
        wave: 1,
        operations: vec![Operation::Gate { object: None, by: GateBy::Checks }],
        rollback: Vec::new(),
        undo: Vec::new(),
        after: Vec::new(),
        min_healthy_ms: 0,
        confirm_ms: None,
        revision: Some(Digest::of(b"")),
        adopts: None,
        takes_over: None,
        fingerprint: None,
        timeout_ms: 1000,
        expected_ms: None,
    }
}

fn process(name: &str, arg: &str, needs: &[(&str, Condition)]) -> Service {
    let needs = needs.iter().map(|(name, condition)| Dependency {
        service: ServiceName::new(name).unwrap(),
        condition: *condition,
        restart: false,
    });
    let spec =
        ProcessSpec { args: vec![Text::plain(arg)], ..ProcessSpec::new(Text::plain("/bin/service"), "/".into()) };
    Service {
        dependencies: needs.collect(),
        timeout: Duration::from_secs(5),
        settle: Duration::from_millis(10),
        ..Service::new(ServiceName::new(name).unwrap(), Spec::Process(Box::new(spec)))
    }
}

/// A project whose runs go to the fake backend.
struct Bench {
    fake: Fake,
    ask: Arc<dyn Ask>,
    records: BTreeMap<Address, Record>,
    on_failure: OnFailure,
    runs: u32,
}

/// What a run left.
struct Ran {
    report: RunReport,
    events: Vec<What>,
}

impl Ran {
    fn outcome(&self, address: &str) -> Option<&StepOutcome> {
        self.events.iter().find_map(|event| match event {
            What::StepFinished { address: at, outcome, .. } if at.to_string() == address => Some(outcome),
            _ => None,
        })
    }

    fn skipped(&self) -> Vec<String> {
        let skipped = self.events.iter().filter_map(|event| match event {
            What::StepSkipped { address, because, .. } => Some(format!("{address}: {because}")),
            _ => None,
        });
        skipped.collect()
    }
}

fn instances(services: &[Service]) -> BTreeMap<Address, Instance> {
    let key = DigestKey::new([3; 32]);
    let copies = |service: &Service| -> Vec<(Address, Service)> {
        let name = &service.name;
        match &service.hosts {
            Some(hosts) => hosts.iter().map(|host| (Address::on(name.clone(), &host.name), service.on(host))).collect(),
            None => vec![(Address::only(name.clone()), service.clone())],
        }
    };
    let instance = |(address, service): (Address, Service)| {
        (address.clone(), Instance::new(address, Arc::new(service), None, &key))
    };
    services.iter().flat_map(copies).map(instance).collect()
}

impl Bench {
    fn new(on_failure: OnFailure) -> Self {
        Self { fake: Fake::default(), records: BTreeMap::new(), ask: Arc::new(GoOn), on_failure, runs: 0 }
    }

    async fn plan(&self, services: &[Service]) -> Plan {
        let state = State {
            project: None,
            lineage: "test".into(),
            serial: 1,
            records: self.records.clone(),
            pending: BTreeMap::new(),
            applied: Vec::new(),
        };
        let mut observed: BTreeMap<Address, Observation> = BTreeMap::new();
        for object in self.fake.list().await.unwrap().objects {
            observed.entry(object.address.clone()).or_default().objects.push(object);
        }
        let input = PlanInput {
            project: &ProjectName::new("test").unwrap(),
            desired: &instances(services),
            inactive: &BTreeSet::new(),
            recorded: &state,
            observed: &observed,
            looked: true,
            now: Timestamp::UNIX_EPOCH,
            request: &Request { mode: Mode::Apply, ..Request::default() },
            pins: &Pins::new(),
            max_parallel: 4,
            max_parallel_given: false,
            on_failure: self.on_failure,
            source: PlanSource::default(),
            inputs: Vec::new(),
        };
        plan(input).unwrap()
    }

    async fn apply(&mut self, services: &[Service]) -> Ran {
        let (_signals, receiver) = mpsc::unbounded_channel();
        self.apply_with(services, receiver, usize::MAX).await
    }

    async fn apply_with(&mut self, services: &[Service], signals: mpsc::UnboundedReceiver<Signal>, room: usize) -> Ran {
        self.runs += 1;
        let (events, mut received) = EventSink::channel();
        let base = State { records: self.records.clone(), ..State::default() };
        let intents = Arc::new(MemoryIntents::new(base).with_room(room));
        let folder = tempfile::tempdir().unwrap();
        let fake = Arc::new(self.fake.clone());
        let operators = Operators::default().with(BackendKind::Process, fake.clone()).with(BackendKind::Ssh, fake);
        let work = Work {
            run: RunId::new(format!("r{}", self.runs)),
            plan: self.plan(services).await,
            instances: instances(services),
            records: self.records.clone(),
            operators,
            probe_env: ProbeEnv::new(BTreeMap::new()),
            intents: intents.clone(),
            ask: self.ask.clone(),
            made: Mutex::default(),
            events,
            clock: || Timestamp::UNIX_EPOCH,
            evidence: folder.path().to_owned(),
        };
        let report = run(work, signals).await;
        self.records = intents.state().records;
        let mut events = Vec::new();
        while let Ok(event) = received.try_recv() {
            events.push(event);
        }
        Ran { report, events }
    }

    fn status(&self, address: &str) -> Option<RecordStatus> {
        self.records.get(&address.parse().unwrap()).map(|record| record.status)
    }
}

fn chain() -> Vec<Service> {
    let healthy = |name| [(name, Condition::Healthy)];
    vec![
        process("a", "1", &[]),
        process("b", "1", &healthy("a")),
        process("c", "1", &healthy("b")),
        process("lone", "1", &[]),
    ]
}

fn break_it(bench: &Bench, services: &[Service], address: &str, fault: Fault) {
    bench.fake.break_it(&instances(services)[&address.parse().unwrap()], fault);
}

#[tokio::test]
async fn a_step_that_only_writes_its_end_takes_no_room_and_unlocks_nothing() {
    let services = [process("a", "1", &[]), process("b", "1", &[]), process("c", "1", &[("a", Condition::Healthy)])];
    let plan = Plan { max_parallel: 1, ..Bench::new(OnFailure::Rollback).plan(&services).await };
    let mut dispatcher = Dispatcher::new(&plan);
    let mut events = Vec::new();
    let mut handle = |dispatcher: &mut Dispatcher, happening| {
        assert_eq!(dispatcher.handle(happening, &mut events), Reaction::Go);
    };
    assert_eq!((dispatcher.next(), dispatcher.next()), (Some(Job::Do(StepId(1))), None));
    handle(&mut dispatcher, Happening::Ending(StepId(1)));
    assert_eq!((dispatcher.next(), dispatcher.next()), (Some(Job::Do(StepId(2))), None));
    handle(&mut dispatcher, Happening::Ending(StepId(2)));
    assert_eq!(dispatcher.next(), None, "c waits until the end of a is durable");
    handle(&mut dispatcher, Happening::Ended(StepId(1), StepOutcome::Done));
    assert_eq!((dispatcher.next(), dispatcher.next()), (Some(Job::Do(StepId(3))), None));
}

#[tokio::test(start_paused = true)]
async fn everything_comes_up_and_the_next_plan_is_empty() {
    let mut bench = Bench::new(OnFailure::Rollback);
    let ran = bench.apply(&chain()).await;
    assert_eq!((ran.report.outcome, ran.report.done), (RunOutcome::Succeeded, 4));
    assert!(bench.plan(&chain()).await.is_empty());
    assert!(matches!(ran.events.first(), Some(What::RunStarted { .. })));
    assert!(matches!(ran.events.last(), Some(What::RunFinished { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_failure_stops_what_depends_on_it_and_nothing_else() {
    for fault in [Fault::Refuses, Fault::Crashes, Fault::Lies, Fault::Hangs] {
        let mut bench = Bench::new(OnFailure::Rollback);
        break_it(&bench, &chain(), "b", fault);
        let ran = bench.apply(&chain()).await;
        assert_eq!(ran.skipped(), ["c: b failed"], "{fault:?}");
        assert_eq!((ran.report.outcome, ran.report.done, ran.report.failed), (RunOutcome::Failed, 2, 1));
        assert_eq!(bench.status("b"), Some(RecordStatus::Failed), "{fault:?}");
        assert_eq!((bench.status("lone"), bench.status("c")), (Some(RecordStatus::Healthy), None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_replace_goes_back_to_what_was_healthy() {
    for create_first in [false, true] {
        let mut bench = Bench::new(OnFailure::Rollback);
        let mut old = process("a", "1", &[]);
        old.lifecycle.create_before_destroy = Some(create_first);
        bench.apply(std::slice::from_ref(&old)).await;
        let before = bench.fake.up();
        let mut new = process("a", "2", &[]);
        new.lifecycle.create_before_destroy = Some(create_first);
        break_it(&bench, std::slice::from_ref(&new), "a", Fault::Crashes);
        let ran = bench.apply(std::slice::from_ref(&new)).await;
        assert!(matches!(ran.outcome("a"), Some(StepOutcome::RolledBack { .. })), "{:?}", ran.outcome("a"));
        assert!(ran.events.iter().any(|event| matches!(event, What::Evidence { log, .. } if !log.is_empty())));
        assert_eq!(bench.fake.up(), before);
        assert_eq!(bench.status("a"), Some(RecordStatus::Healthy));
        assert!(!bench.plan(&[new]).await.is_empty(), "the next plan says what is left");
        assert!(bench.plan(&[old]).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_other_policies_leave_it_as_it_is() {
    for (policy, lone_runs) in [(OnFailure::Continue, true), (OnFailure::Halt, false)] {
        let mut bench = Bench::new(policy);
        let mut services = chain();
        services[3].dependencies = vec![];
        bench.apply(&services[..1]).await;
        services[0] = process("a", "2", &[]);
        services[3] = process("z", "1", &[("y", Condition::Healthy)]);
        services.push(process("y", "1", &[]));
        break_it(&bench, &services, "a", Fault::Crashes);
        let ran = bench.apply(&services).await;
        assert!(matches!(ran.outcome("a"), Some(StepOutcome::Failed { .. })));
        assert_eq!(bench.status("z").is_some(), lone_runs, "{policy:?}: {:?}", ran.skipped());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dependent_may_begin_at_the_start_of_what_it_needs() {
    let mut bench = Bench::new(OnFailure::Rollback);
    let services = [process("a", "1", &[]), process("b", "1", &[("a", Condition::Started)])];
    let ran = bench.apply(&services).await;
    let order: Vec<_> = ran
        .events
        .iter()
        .filter_map(|event| match event {
            What::StepStarted { address, .. } => Some(format!("+{address}")),
            What::StepFinished { address, .. } => Some(format!("-{address}")),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["+a", "+b", "-a", "-b"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_finishes_what_runs_and_the_second_cancels_it() {
    let mut bench = Bench::new(OnFailure::Rollback);
    let (signals, receiver) = mpsc::unbounded_channel();
    signals.send(Signal::Interrupt).unwrap();
    let ran = bench.apply_with(&chain(), receiver, usize::MAX).await;
    assert_eq!((ran.report.outcome, ran.report.done), (RunOutcome::Interrupted, 2), "a and lone ran");
    assert_eq!(ran.skipped(), ["b: interrupted by SIGINT", "c: interrupted by SIGINT"]);

    let mut bench = Bench::new(OnFailure::Rollback);
    break_it(&bench, &chain(), "a", Fault::Hangs);
    let (signals, receiver) = mpsc::unbounded_channel();
    signals.send(Signal::Interrupt).unwrap();
    signals.send(Signal::Terminate).unwrap();
    let ran = bench.apply_with(&chain(), receiver, usize::MAX).await;
    assert_eq!(ran.report.outcome, RunOutcome::Interrupted);
    assert_eq!(ran.outcome("a"), Some(&StepOutcome::Cancelled));
    assert_eq!(bench.status("a"), None, "no end is written for what was cancelled");
}

#[tokio::test(start_paused = true)]
async fn nothing_begins_when_nothing_can_be_recorded() {
    let mut bench = Bench::new(OnFailure::Rollback);
    let (_signals, receiver) = mpsc::unbounded_channel();
    let ran = bench.apply_with(&chain(), receiver, 0).await;
    assert_eq!(ran.report.outcome, RunOutcome::Failed);
    assert_eq!(bench.fake.calls(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_fails_leaves_the_old_one_serving() {
    let mut bench = Bench::new(OnFailure::Rollback);
    let old = process("a", "1", &[]);
    break_it(&bench, std::slice::from_ref(&old), "a", Fault::CannotStop);
    bench.apply(&[old]).await;
    let before = bench.fake.up();
    let ran = bench.apply(&[process("a", "2", &[])]).await;
    assert!(matches!(ran.outcome("a"), Some(StepOutcome::RolledBack { .. })), "{:?}", ran.outcome("a"));
    assert_eq!(bench.fake.up(), before);
}
