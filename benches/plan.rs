//! What the way from a file to a plan costs, and what a step costs in the journal.
//!
//! `cargo bench` measures the real sizes. `cargo test --benches` runs each of them once, on small
//! inputs, to show that they work.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use orch::config::{self, LoadOptions, Loaded};
use orch::graph::Graph;
use orch::model::{
    Address, BackendKind, Dependency, Desired, DigestKey, Instance, Kind, OnFailure, Pins, RunId, ServiceName,
};
use orch::plan::{self, Plan, PlanFile, PlanInput, PlanSource, Request};
use orch::report::{Look, plan_human};
use orch::state::{
    End, Intents, LockRequest, Pending, Record, RecordChange, RecordStatus, RunHeader, RunWriter, State, Store,
};
use orch::sys::{self, Durability};
use tempfile::TempDir;

/// How many services share a layer; each needs two of the layer before.
const LAYER: usize = 100;

/// The size for a measurement, or a small one when this only has to work.
fn size(measured: usize) -> usize {
    let measures = std::env::args().any(|arg| arg == "--bench");
    if measures { measured } else { measured / 100 }
}

/// A definition of `count` external services in layers.
fn layers(count: usize) -> String {
    let mut text = String::from("version: \"1.0\"\nproject: bench\nservices:\n");
    for index in 0..count {
        let mut service = format!("  s{index:06}:\n    backend: {{type: external}}\n");
        if let Some(above) = (index / LAYER).checked_sub(1) {
            let need = |offset: usize| above * LAYER + (index + offset) % LAYER;
            let _ = writeln!(service, "    dependencies: [s{:06}, s{:06}]", need(0), need(1));
        }
        text.push_str(&service);
    }
    text
}

/// A folder with a definition.
fn folder(count: usize) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("orch.yaml");
    sys::write_atomic(&path, layers(count).as_bytes(), Durability::Atomic).expect("written");
    folder
}

fn load(folder: &TempDir) -> Loaded {
    let options = LoadOptions { cwd: folder.path().to_owned(), ..LoadOptions::default() };
    config::load(&options).unwrap_or_else(|problems| panic!("{}", problems.render(false, 100)))
}

/// Everything that a plan is made from, as values.
struct World {
    desired: Desired,
    instances: BTreeMap<Address, Instance>,
    recorded: State,
    request: Request,
}

impl World {
    /// Nothing is recorded yet.
    fn new(count: usize) -> Self {
        let desired = load(&folder(count)).desired;
        let instances = desired.instances(&Pins::new(), &DigestKey::new([7; 32]));
        let instances = instances.into_iter().map(|instance| (instance.address.clone(), instance)).collect();
        Self { desired, instances, recorded: State::default(), request: Request::default() }
    }

    /// Everything is recorded as the file says.
    fn applied(count: usize) -> Self {
        let mut world = Self::new(count);
        let records = world.instances.iter().map(|(address, instance)| (address.clone(), record(instance)));
        world.recorded.records = records.collect();
        world
    }

    fn plan(&self) -> Plan {
        let input = PlanInput {
            project: &self.desired.project,
            desired: &self.instances,
            inactive: &BTreeSet::new(),
            recorded: &self.recorded,
            observed: &BTreeMap::new(),
            looked: true,
            now: sys::now(),
            request: &self.request,
            pins: &Pins::new(),
            max_parallel: 4,
            max_parallel_given: true,
            on_failure: OnFailure::Rollback,
            source: PlanSource::default(),
            inputs: Vec::new(),
        };
        plan::plan(input).unwrap_or_else(|errors| panic!("{errors:?}"))
    }
}

fn record(instance: &Instance) -> Record {
    let dependencies: Vec<Dependency> = instance.service.dependencies.clone();
    Record {
        kind: Kind::Permanent,
        backend: BackendKind::External,
        object: None,
        machine: None,
        op_id: RunId::new("20261121T053210Z-3f9a1c").op(1),
        revision: instance.revision,
        status: RecordStatus::Healthy,
        fields: instance.fields.iter().map(|field| (field.path.to_string(), field.value.clone())).collect(),
        dependencies,
        claims: Vec::new(),
        prevent_destroy: false,
        created_at: sys::now(),
        updated_at: sys::now(),
        took_ms: 1,
    }
}

fn elements(count: usize) -> Throughput {
    Throughput::Elements(u64::try_from(count).unwrap_or(u64::MAX))
}

/// From the text to the model, and on to digested instances.
fn config(c: &mut Criterion) {
    let mut group = c.benchmark_group("config");
    let count = size(10_000);
    let folder = folder(count);
    group.throughput(elements(count)).sample_size(20);
    group.bench_function(BenchmarkId::new("load", count), |b| b.iter(|| load(&folder)));
    let desired = load(&folder).desired;
    let key = DigestKey::new([7; 32]);
    group.bench_function(BenchmarkId::new("digest", count), |b| b.iter(|| desired.instances(&Pins::new(), &key)));
    group.finish();
}

/// The planner alone: a create of everything, and no change at all. The rate must not fall from the
/// smaller size to the larger.
fn planner(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan");
    for count in [size(10_000), size(100_000)] {
        group.throughput(elements(count)).sample_size(10);
        let world = World::new(count);
        assert_eq!(world.plan().steps.len(), count);
        group.bench_function(BenchmarkId::new("create", count), |b| b.iter(|| world.plan()));
        let world = World::applied(count);
        assert!(world.plan().is_empty(), "nothing changed, and yet there are steps");
        group.bench_function(BenchmarkId::new("no-op", count), |b| b.iter(|| world.plan()));
    }
    group.finish();
}

/// A plan as text, as a file, and read back with its digest checked.
fn shown(c: &mut Criterion) {
    let mut group = c.benchmark_group("show");
    let count = size(10_000);
    let plan = World::new(count).plan();
    let look = Look { color: false, unicode: false, width: None };
    group.throughput(elements(count)).sample_size(20);
    group.bench_function(BenchmarkId::new("human", count), |b| b.iter(|| plan_human(&plan, look)));
    let file = PlanFile::seal(plan);
    let bytes = file.to_bytes();
    group.bench_function(BenchmarkId::new("write", count), |b| b.iter(|| file.to_bytes()));
    let read = || PlanFile::from_bytes(&bytes).expect("a plan file");
    group.bench_function(BenchmarkId::new("read", count), |b| b.iter(read));
    group.finish();
}

/// The worst shape for an order: one chain.
fn order(c: &mut Criterion) {
    let mut group = c.benchmark_group("order");
    let count = size(100_000);
    let names: Vec<ServiceName> =
        (0..count).map(|index| ServiceName::new(&format!("s{index:06}")).expect("a name")).collect();
    let needs = |index: usize| index.checked_sub(1).map(|before| &names[before]);
    let chain = || Graph::build(names.iter().enumerate().map(|(index, name)| (name, needs(index)))).expect("no cycle");
    group.throughput(elements(count)).sample_size(10);
    group.bench_function(BenchmarkId::new("chain", count), |b| {
        b.iter(|| {
            let graph = chain();
            black_box(graph.order().map(|name| name.as_str().len()).sum::<usize>())
        });
    });
    group.finish();
}

/// A journal that a run is open on; the folder goes when it is dropped.
struct Journal {
    writer: RunWriter,
    _folder: TempDir,
}

impl Journal {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::at(folder.path().join("state"));
        let request = LockRequest { doing: "bench", at: sys::now(), timeout: Duration::from_secs(10) };
        let locked = store.lock(request, |_| {}).expect("the lock");
        let header = RunHeader {
            run: run(),
            who: "bench".into(),
            verb: "apply".into(),
            project: "bench".parse().expect("a name"),
            plan_digest: None,
            steps: u32::MAX,
            at: sys::now(),
            lineage: String::new(),
            serial: 0,
        };
        Self { writer: locked.begin_run(header).expect("a run"), _folder: folder }
    }

    /// One step: its intent, then its end, each durable when it returns.
    async fn step(&self, step: u32, instance: &Instance) {
        let address = &instance.address;
        let pending = Pending {
            run: run(),
            op_id: run().op(step),
            action: "create".into(),
            backend: BackendKind::External,
            begun_at: sys::now(),
        };
        self.writer.begin(step, address, pending).await.expect("kept");
        let record = RecordChange::Put(record(instance));
        let end = End {
            step,
            address: address.clone(),
            outcome: "done".into(),
            done: true,
            record,
            renamed_from: None,
            at: sys::now(),
        };
        self.writer.end(end).await.expect("kept");
    }
}

fn run() -> RunId {
    RunId::new("20261121T053210Z-3f9a1c")
}

/// Steps one after another, where each pays for two syncs, and several at once, which share them.
fn journal(c: &mut Criterion) {
    let mut group = c.benchmark_group("journal");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let instances: Vec<Instance> = World::new(LAYER).instances.into_values().collect();
    for at_once in [1, 4, 16] {
        let steps = size(1_600).next_multiple_of(at_once);
        group.throughput(elements(steps)).sample_size(10);
        group.bench_function(BenchmarkId::new("steps", format!("{at_once}-at-once")), |b| {
            b.iter_batched(
                Journal::new,
                |journal| {
                    let journal = std::rc::Rc::new(journal);
                    let tasks = tokio::task::LocalSet::new();
                    for task in 0..at_once {
                        let (journal, instances) = (journal.clone(), instances.clone());
                        tasks.spawn_local(async move {
                            for (step, instance) in (0..steps / at_once).zip(instances.iter().cycle()) {
                                let number = u32::try_from(step * at_once + task + 1).unwrap_or(u32::MAX);
                                journal.step(number, instance).await;
                            }
                        });
                    }
                    runtime.block_on(tasks);
                    journal
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, config, planner, shown, order, journal);
criterion_main!(benches);
