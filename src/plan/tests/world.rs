//! A world to plan in: what is recorded, what runs, and an executor that obeys plans on both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{
    Address, BackendKind, CheckPolicy, Condition, Dependency, Desired, Digest, DigestKey, DockerSpec, Exit,
    ExternalSpec, Health, HealthCheck, Instance, Kind, Machine, NetworkSpec, NetworkUse, ObjectId, ObjectState,
    Observation, ObservedObject, OnFailure, OpId, Pins, Place, Probe, ProcessSpec, ProjectName, RemoteSpec, RunId,
    Service, ServiceName, Settings, Spec, Strategy, Text,
};
use crate::plan::{Action, ObjectRef, Operation, Plan, PlanError, PlanInput, PlanSource, Request, Step, check, plan};
use crate::state::{Pending, Record, RecordStatus, State};

pub(super) fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

pub(super) fn at(text: &str) -> Address {
    text.parse().unwrap()
}

/// A process service with one argument, which is what tests change.
pub(super) fn process(service: &str, arg: &str, needs: &[&str]) -> Service {
    let spec =
        ProcessSpec { args: vec![Text::plain(arg)], ..ProcessSpec::new(Text::plain("/bin/service"), "/".into()) };
    Service {
        dependencies: needs
            .iter()
            .map(|need| Dependency { service: name(need), condition: Condition::Healthy, restart: false })
            .collect(),
        checks: vec![HealthCheck { probe: Probe::Backend, policy: CheckPolicy::default() }],
        ..Service::new(name(service), Spec::Process(Box::new(spec)))
    }
}

pub(super) fn job(service: &str, arg: &str, needs: &[&str]) -> Service {
    Service { kind: Kind::Job, checks: Vec::new(), ..process(service, arg, needs) }
}

pub(super) fn external(service: &str, needs: &[&str]) -> Service {
    Service { spec: Spec::External(ExternalSpec {}), checks: Vec::new(), ..process(service, "", needs) }
}

/// A container with one variable, which is what tests change, from an image that `image` names.
pub(super) fn container(service: &str, image: &str, needs: &[&str]) -> Service {
    let spec = DockerSpec::new(image);
    Service { spec: Spec::Docker(Box::new(spec)), ..process(service, "", needs) }
}

pub(super) fn docker(service: &mut Service) -> &mut DockerSpec {
    let Spec::Docker(spec) = &mut service.spec else { panic!("{} is no container", service.name) };
    spec
}

/// A program on hosts with one argument, which is what tests change.
pub(super) fn fleet(service: &str, arg: &str, hosts: &[&str], strategy: Option<Strategy>) -> Service {
    let spec = RemoteSpec { args: vec![Text::plain(arg)], ..RemoteSpec::new(Place::Here, Text::plain("/bin/service")) };
    let machine = |host: &&str| Arc::new(Machine { name: (*host).to_owned(), ..Machine::at("10.0.0.1") });
    let hosts = Some(hosts.iter().map(machine).collect());
    Service { spec: Spec::Ssh(Box::new(spec)), hosts, strategy, ..process(service, arg, &[]) }
}

/// A network, and the containers of a file that are in it.
pub(super) fn network(file: &mut File, subnet: &str, members: &[&str]) {
    let subnet = Some(subnet.to_owned());
    let spec = NetworkSpec { name: "lan".into(), engine_name: None, host: None, subnet: subnet.clone() };
    let base = Service { checks: Vec::new(), settle: Duration::ZERO, ..process("networks.lan", "", &[]) };
    file.0.push(Service { spec: Spec::Network(spec), ..base });
    let on = Dependency { service: name("networks.lan"), condition: Condition::Started, restart: false };
    for service in file.0.iter_mut().filter(|service| members.contains(&service.name.as_str())) {
        service.dependencies.push(on.clone());
        service.lifecycle.replace_triggered_by.push(name("networks.lan"));
        docker(service).networks =
            vec![NetworkUse { name: "lan".into(), engine_name: None, subnet: subnet.clone(), aliases: Vec::new() }];
    }
}

/// Every image name stands for its own digest.
fn pins(file: &File) -> Pins {
    let pin = |service: &Service| match &service.spec {
        Spec::Docker(spec) => Some((service.name.clone(), format!("sha256:{}", spec.image))),
        _ => None,
    };
    file.0.iter().filter_map(pin).collect()
}

/// What the file wants.
#[derive(Debug, Clone, Default)]
pub(super) struct File(pub(super) Vec<Service>);

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) state: State,
    pub(super) observed: BTreeMap<Address, Observation>,
    /// What each slot had before it was switched.
    previous: BTreeMap<ObjectId, (OpId, Digest)>,
    runs: u32,
}

impl World {
    pub(super) fn new() -> Self {
        let state = State {
            project: None,
            lineage: "test".into(),
            serial: 0,
            records: BTreeMap::new(),
            pending: BTreeMap::new(),
            applied: Vec::new(),
        };
        Self { state, observed: BTreeMap::new(), previous: BTreeMap::new(), runs: 0 }
    }

    pub(super) fn instances(&self, file: &File) -> BTreeMap<Address, Instance> {
        let key = DigestKey::new([7; 32]);
        let desired = Desired {
            machines: BTreeMap::new(),
            lan_hosts: Vec::new(),
            project: ProjectName::new("test").unwrap(),
            settings: Settings {
                state_dir: "/".into(),
                max_parallel: 4,
                default_timeout: Duration::from_secs(1),
                on_failure: OnFailure::Rollback,
            },
            services: file.0.iter().map(|service| (service.name.clone(), Arc::new(service.clone()))).collect(),
            inactive: Vec::new(),
            sources: Vec::new(),
        };
        let settled = |instance: Instance| {
            let instance = match self.state.records.get(&instance.address) {
                Some(record) => instance.ignoring(&record.fields, &key),
                None => instance,
            };
            (instance.address.clone(), instance)
        };
        desired.instances(&pins(file), &key).into_iter().map(settled).collect()
    }

    /// What a look finds: what an engine cannot stamp anew is taken from the records.
    fn seen(&self) -> BTreeMap<Address, Observation> {
        let mut seen: BTreeMap<Address, Observation> = BTreeMap::new();
        for (address, found) in &self.observed {
            seen.entry(address.clone()).or_default().health.clone_from(&found.health);
            seen.entry(address.clone()).or_default().conflicts.clone_from(&found.conflicts);
            for object in &found.objects {
                let mut object = object.clone();
                let recorded = |(_, record): &(&Address, &Record)| record.object.as_ref() == Some(&object.id);
                if let (false, Some((at, record))) =
                    (object.backend.restamps(), self.state.records.iter().find(recorded))
                {
                    object.address = at.clone();
                    object.op_id = record.op_id.clone();
                    object.revision = record.revision;
                }
                seen.entry(object.address.clone()).or_default().objects.push(object);
            }
        }
        seen
    }

    pub(super) fn try_plan(&self, file: &File, request: &Request) -> Result<Plan, Vec<PlanError>> {
        let desired = self.instances(file);
        let plan = plan(PlanInput {
            project: &ProjectName::new("test").unwrap(),
            desired: &desired,
            inactive: &BTreeSet::new(),
            recorded: &self.state,
            observed: &self.seen(),
            looked: true,
            now: Timestamp::UNIX_EPOCH,
            request,
            pins: &pins(file),
            max_parallel: 4,
            max_parallel_given: false,
            on_failure: OnFailure::Rollback,
            source: PlanSource::default(),
            inputs: Vec::new(),
        })?;
        assert_eq!(check(&plan), Vec::<String>::new(), "{plan:#?}");
        Ok(plan)
    }

    pub(super) fn plan(&self, file: &File) -> Plan {
        self.try_plan(file, &Request::default()).unwrap()
    }

    /// Obeys a plan; the plan after it must be empty.
    pub(super) fn apply(&mut self, file: &File) -> Plan {
        let plan = self.plan(file);
        self.obey(&plan, file, usize::MAX);
        let again = self.plan(file);
        assert!(again.is_empty(), "after {:#?}\ncomes {:#?}", plan.steps, again.steps);
        plan
    }

    /// Obeys the first `operations` operations of a plan and then dies.
    pub(super) fn obey(&mut self, plan: &Plan, file: &File, operations: usize) {
        let instances = self.instances(file);
        self.runs += 1;
        let run = RunId::new(format!("r{}", self.runs));
        let mut left = operations;
        for step in &plan.steps {
            let pending = Pending {
                run: run.clone(),
                op_id: run.op(step.id.0),
                action: step.action.to_string(),
                backend: step.backend,
                begun_at: Timestamp::UNIX_EPOCH,
            };
            self.state.pending.insert(step.address.clone(), pending);
            for operation in &step.operations {
                if left == 0 {
                    return;
                }
                left -= 1;
                self.operate(operation, step, &instances, &run.op(step.id.0));
            }
            if left == 0 {
                return;
            }
            left -= 1;
            self.record(step, &instances, &run.op(step.id.0));
        }
        // Each roll ended well, so that what it kept goes.
        for (step, operation) in plan.steps.iter().flat_map(|step| step.after.iter().map(move |after| (step, after))) {
            if left == 0 {
                return;
            }
            left -= 1;
            self.operate(operation, step, &instances, &run.op(step.id.0));
        }
    }

    fn operate(&mut self, operation: &Operation, step: &Step, instances: &BTreeMap<Address, Instance>, op_id: &OpId) {
        if *operation == Operation::Create {
            let instance = &instances[&step.address];
            let job = instance.service.kind == Kind::Job;
            let state = if job { ObjectState::Exited(exit(0)) } else { ObjectState::Running };
            let backend = instance.service.spec.backend();
            // A slot is the same object whichever attempt makes it.
            let id = if backend.is_slot() { step.address.to_string() } else { op_id.to_string() };
            let object = ObservedObject {
                incarnation: Some(op_id.to_string()),
                ..ObservedObject::new(
                    backend,
                    ObjectId::new(id),
                    op_id.clone(),
                    step.address.clone(),
                    instance.revision,
                    state,
                )
            };
            self.observed.entry(step.address.clone()).or_default().objects.push(object);
            return;
        }
        let Some(reference) = operation.object() else { return };
        let id = match reference {
            ObjectRef::New if step.backend.is_slot() => ObjectId::new(step.address.to_string()),
            ObjectRef::New => ObjectId::new(op_id.as_str()),
            ObjectRef::Existing { id, .. } => id.clone(),
        };
        let home = self.observed.iter().find(|(_, o)| o.objects.iter().any(|object| object.id == id));
        let home = home.map(|(address, _)| address.clone()).expect("the object is there");
        let objects = &mut self.observed.get_mut(&home).unwrap().objects;
        let place = objects.iter().position(|object| object.id == id).unwrap();
        match operation {
            Operation::Remove { .. } => drop(objects.remove(place)),
            Operation::Stop { .. } => objects[place].state = ObjectState::Stopped,
            Operation::Start { .. } => objects[place].state = ObjectState::Running,
            Operation::Restart { .. } => {
                objects[place].state = ObjectState::Running;
                if objects[place].backend.restamps() {
                    objects[place].op_id = op_id.clone();
                    objects[place].revision = step.revision.unwrap();
                }
                objects[place].drift.clear();
                objects[place].repair = None;
                self.observed.get_mut(&home).unwrap().health = None;
            }
            Operation::Switch { .. } => {
                let object = &mut objects[place];
                self.previous.insert(object.id.clone(), (object.op_id.clone(), object.revision));
                object.state = ObjectState::Running;
                (object.op_id, object.revision) = (op_id.clone(), step.revision.unwrap());
                object.drift.clear();
                object.repair = None;
                self.observed.get_mut(&home).unwrap().health = None;
            }
            Operation::Revert { .. } => {
                let object = &mut objects[place];
                (object.op_id, object.revision) = self.previous[&object.id].clone();
            }
            Operation::Confirm { .. } => {}
            Operation::Update { .. } => {
                let mut object = objects.remove(place);
                object.drift.clear();
                object.repair = None;
                object.address = step.address.clone();
                self.observed.entry(step.address.clone()).or_default().objects.push(object);
            }
            Operation::Gate { .. } => {
                let passes = |state: &ObjectState| match state {
                    ObjectState::Running => true,
                    ObjectState::Exited(exit) => exit.is_success(),
                    _ => false,
                };
                assert!(passes(&objects[place].state), "{step:#?} gates {:#?}", objects[place]);
            }
            Operation::Prepare | Operation::Create => unreachable!(),
        }
    }

    fn record(&mut self, step: &Step, instances: &BTreeMap<Address, Instance>, op_id: &OpId) {
        self.state.pending.remove(&step.address);
        let old = match &step.renamed_from {
            Some(old) => {
                self.state.pending.remove(old);
                self.state.records.remove(old)
            }
            None => self.state.records.remove(&step.address),
        };
        if matches!(step.action, Action::Delete | Action::Forget) {
            return;
        }
        let instance = &instances[&step.address];
        let stamps = |operation: &Operation| {
            matches!(operation, Operation::Create | Operation::Switch { .. } | Operation::Restart { .. })
        };
        let own = self.observed.get(&step.address).and_then(|found| found.objects.last());
        let stamped = step.operations.iter().any(stamps);
        let op_id = if stamped { Some(op_id.clone()) } else { step.adopts.clone().or(old.map(|old| old.op_id)) };
        let record = Record {
            kind: instance.service.kind,
            backend: step.backend,
            object: own.map(|object| object.id.clone()),
            machine: None,
            op_id: op_id.unwrap_or_else(|| OpId::new("none")),
            revision: instance.revision,
            status: match instance.service.kind {
                Kind::Job => RecordStatus::Completed,
                Kind::Permanent | Kind::Periodic => RecordStatus::Healthy,
            },
            fields: instance.fields.iter().map(|f| (f.path.to_string(), f.value.clone())).collect(),
            dependencies: instance.service.dependencies.clone(),
            claims: instance.service.spec.claims(),
            prevent_destroy: instance.service.lifecycle.prevent_destroy,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            took_ms: 10,
        };
        self.state.records.insert(step.address.clone(), record);
    }

    pub(super) fn object(&mut self, address: &str) -> &mut ObservedObject {
        &mut self.observed.get_mut(&at(address)).unwrap().objects[0]
    }

    pub(super) fn sicken(&mut self, address: &str) {
        let health = Health { healthy: false, detail: "503".into() };
        self.observed.get_mut(&at(address)).unwrap().health = Some(health);
    }

    /// Every object must be the recorded one of what the file wants: none twice, none left over.
    pub(super) fn assert_exactly(&self, file: &File) {
        let instances = self.instances(file);
        for (address, found) in &self.seen() {
            let wanted = instances.get(address).filter(|i| i.service.spec.backend() != BackendKind::External);
            let up: Vec<_> = found.objects.iter().map(|object| (object.revision, object.is_up())).collect();
            match wanted {
                Some(instance) if instance.service.kind == Kind::Job => {
                    assert!(up.len() <= 1, "{address}: {up:?}");
                    assert!(up.iter().all(|(revision, _)| *revision == instance.revision));
                }
                Some(instance) => assert_eq!(up, [(instance.revision, true)], "{address}"),
                None => assert_eq!(up, [], "{address}"),
            }
        }
    }
}

pub(super) fn exit(code: i32) -> Exit {
    Exit { code: Some(code), signal: None, out_of_memory: false }
}

/// Action words by address, in plan order.
pub(super) fn actions(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| format!("{} {}", step.action, step.address)).collect()
}
