//! What the backend does to a container, step by step and twice over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use orch::backend::docker::{DockerBackend, DockerSettings, Known};
use orch::backend::{Observer, OpContext, Operator, ProgressSink};
use orch::model::{
    Address, DigestKey, DockerSpec, HostPort, Instance, NetworkSpec, NetworkUse, ObjectId, ObjectState, ObservedObject,
    OpId, PortMapping, ProjectName, Protocol, Repair, RestartRule, Service, ServiceName, Spec, Text,
};

use crate::support::{Engine, free_port};

/// A backend whose project no other test has; all of it is gone when it is dropped.
struct Bench {
    settings: DockerSettings,
    project: String,
}

impl Bench {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let project = format!("orch-life-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let env = [("DOCKER_HOST".to_owned(), Engine::get().host().to_owned())];
        let settings = DockerSettings {
            project: ProjectName::new(&project).unwrap(),
            scope: project.clone(),
            env: env.into_iter().collect(),
            hosts: BTreeSet::from([None]),
            known: BTreeMap::new(),
            pending: BTreeMap::new(),
        };
        Self { settings, project }
    }

    fn backend(&self) -> DockerBackend {
        DockerBackend::new(self.settings.clone())
    }

    /// A backend that an object is recorded in, with the definition that it was made with.
    fn recording(&self, id: &ObjectId, instance: &Instance, op: &str) -> DockerBackend {
        let mut settings = self.settings.clone();
        let known = Known {
            address: instance.address.clone(),
            op_id: OpId::new(op),
            revision: instance.revision,
            fields: instance.fields.iter().map(|field| (field.path.to_string(), field.value.clone())).collect(),
        };
        settings.known.insert(id.clone(), known);
        DockerBackend::new(settings)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        Engine::get().remove_all_with(&format!("orch.project={}", self.project));
    }
}

fn op(address: &str, op: &str) -> OpContext {
    OpContext {
        address: address.parse().unwrap(),
        op_id: OpId::new(op),
        progress: ProgressSink::default(),
        confirm: None,
    }
}

fn waiting() -> DockerSpec {
    let command = ["web", "wait"].map(Text::plain).to_vec();
    DockerSpec { command: Some(command), ..DockerSpec::new("orch-test/web:1") }
}

fn instance(name: &str, spec: Spec) -> Instance {
    let service = Service::new(ServiceName::new(name).unwrap(), spec);
    Instance::new(Address::only(service.name.clone()), Arc::new(service), None, &DigestKey::new([7; 32]))
}

fn container(spec: &DockerSpec) -> Instance {
    instance("web", Spec::Docker(Box::new(spec.clone())))
}

async fn look(backend: &DockerBackend, id: &ObjectId) -> ObservedObject {
    backend.inspect(id).await.unwrap().unwrap()
}

fn engine_id(id: &ObjectId) -> &str {
    id.as_str().rsplit('/').next().unwrap()
}

#[tokio::test]
async fn a_container_lives_through_create_stop_start_restart_and_remove() {
    let bench = Bench::new();
    let backend = bench.backend();
    let web = container(&waiting());
    let id = backend.create(&op("web", "run-abc.1"), &web).await.unwrap();
    let found = look(&backend, &id).await;
    assert_eq!((&found.state, &found.address, found.revision), (&ObjectState::Running, &web.address, web.revision));
    assert_eq!(found.op_id.as_str(), "run-abc.1");
    assert_eq!(Engine::get().inspect(engine_id(&id))["Name"], format!("/{}-web-abc.1", bench.project));
    assert_eq!(backend.list().await.unwrap().objects, std::slice::from_ref(&found));
    let again = backend.create(&op("web", "run-abc.1"), &web).await.unwrap();
    assert_eq!(again, id, "the same attempt makes nothing twice");
    for _ in 0..2 {
        backend.stop(&op("web", "run-abc.2"), &id).await.unwrap();
        assert!(matches!(look(&backend, &id).await.state, ObjectState::Exited(_)));
    }
    for _ in 0..2 {
        backend.start(&op("web", "run-abc.3"), &id).await.unwrap();
        assert_eq!(look(&backend, &id).await.state, ObjectState::Running);
    }
    let before = look(&backend, &id).await.incarnation;
    backend.restart(&op("web", "run-abc.4"), &id, &web).await.unwrap();
    let after = look(&backend, &id).await;
    assert!(after.incarnation.is_some() && after.incarnation != before);
    for _ in 0..2 {
        backend.remove(&op("web", "run-abc.5"), &id, false).await.unwrap();
        assert_eq!(backend.inspect(&id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_was_changed_by_hand_is_seen_and_brought_back() {
    let bench = Bench::new();
    let lan = NetworkSpec { name: "lan".into(), engine_name: None, host: None, subnet: None };
    let network = instance("networks.lan", Spec::Network(lan));
    let backend = bench.backend();
    let network_id = backend.create(&op("networks.lan", "run-net.1"), &network).await.unwrap();
    let spec = DockerSpec {
        networks: vec![NetworkUse { name: "lan".into(), engine_name: None, subnet: None, aliases: vec!["www".into()] }],
        memory: Some(64 << 20),
        nano_cpus: Some(500_000_000),
        restart: RestartRule::OnFailure(3),
        ..waiting()
    };
    let web = container(&spec);
    let id = backend.create(&op("web", "run-abc.1"), &web).await.unwrap();
    let backend = bench.recording(&id, &web, "run-abc.1");
    let found = look(&backend, &id).await;
    assert_eq!((found.drift, found.repair), (Vec::new(), None), "as it was made");
    let (engine, name) = (Engine::get(), engine_id(&id));
    let by_hand: [(&[&str], &str); 6] = [
        (&["update", "--memory", "96m", "--memory-swap", "192m", name], "memory is 100663296 bytes"),
        (&["update", "--cpus", "1", name], "cpus is 1"),
        (&["update", "--restart", "no", name], "restart is no"),
        (&["network", "disconnect", &format!("{}_lan", bench.project), name], "taken out of the network lan"),
        (&["rename", name, &format!("{}-by-hand", bench.project)], "it was renamed to"),
        (&["pause", name], "it is paused"),
    ];
    for (args, expected) in by_hand {
        engine.docker(args);
        let found = look(&backend, &id).await;
        assert!(found.drift.iter().any(|drift| drift.detail.contains(expected)), "{args:?}: {:?}", found.drift);
        assert_eq!(found.repair, Some(Repair::Update));
        let run = found.incarnation;
        backend.update(&op("web", "run-abc.2"), &id, &web).await.unwrap();
        let found = look(&backend, &id).await;
        assert_eq!((found.drift, found.repair), (Vec::new(), None), "after {args:?}");
        assert_eq!(found.incarnation, run, "it ran on");
    }
    let aliases =
        engine.inspect(name)["NetworkSettings"]["Networks"][format!("{}_lan", bench.project)]["Aliases"].clone();
    assert!(aliases.to_string().contains("\"web\"") && aliases.to_string().contains("\"www\""), "{aliases}");
    backend.remove(&op("networks.lan", "run-net.2"), &network_id, false).await.unwrap();
    assert_eq!(backend.inspect(&network_id).await.unwrap(), None);
    assert_eq!(look(&backend, &id).await.state, ObjectState::Running, "only the network went");
}

#[tokio::test]
async fn a_taken_port_leaves_nothing_behind() {
    let bench = Bench::new();
    let backend = bench.backend();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = Some("127.0.0.1".parse().unwrap());
    let ports = vec![PortMapping { address, host: HostPort::One(port), container: 80, protocol: Protocol::Tcp }];
    let web = container(&DockerSpec { ports, ..waiting() });
    let conflicts = backend.conflicts(&[&web]).await.unwrap();
    assert!(conflicts[&web.address][0].holder.contains("pid"), "{conflicts:?}");
    let error = backend.create(&op("web", "run-abc.1"), &web).await.unwrap_err();
    assert!(error.message.contains(&port.to_string()) && error.hint.is_some(), "{error:?}");
    assert_eq!(backend.list().await.unwrap().objects, []);
    drop(listener);
    backend.create(&op("web", "run-abc.2"), &web).await.unwrap();
}

#[tokio::test]
async fn a_fixed_name_is_handed_over_and_given_back_but_never_taken() {
    let bench = Bench::new();
    let backend = bench.backend();
    let name = format!("orch-life-fixed-{}", free_port());
    let spec = DockerSpec { container_name: Some(name.clone()), ..waiting() };
    let old = backend.create(&op("web", "run-abc.1"), &container(&spec)).await.unwrap();
    backend.stop(&op("web", "run-abc.2"), &old).await.unwrap();
    let newer = container(&DockerSpec { hostname: Some("new".into()), ..spec.clone() });
    let new = backend.create(&op("web", "run-abc.2"), &newer).await.unwrap();
    let engine = Engine::get();
    assert_eq!(engine.inspect(&name)["Id"], engine_id(&new));
    backend.remove(&op("web", "run-abc.2"), &new, false).await.unwrap();
    backend.start(&op("web", "run-abc.2"), &old).await.unwrap();
    assert_eq!(engine.inspect(&name)["Id"], engine_id(&old), "the name went back with it");
    backend.remove(&op("web", "run-abc.3"), &old, false).await.unwrap();
    let label = format!("orch.project={}", bench.project);
    let foreign = engine.docker(&["run", "-d", "--name", &name, "--label", &label, "orch-test/web:1", "web", "wait"]);
    let conflicts = backend.conflicts(&[&newer]).await.unwrap();
    assert!(conflicts[&newer.address][0].holder.contains(&name));
    let error = backend.create(&op("web", "run-abc.4"), &newer).await.unwrap_err();
    assert!(error.message.contains(&name) && error.hint.unwrap().contains("orch adopt"));
    assert!(engine.runs(&foreign), "it is not orch's");
}

#[tokio::test]
async fn a_crash_loop_is_told_in_seconds_and_how_a_container_ended_is_known() {
    let bench = Bench::new();
    let backend = bench.backend();
    let failing = |restart| {
        let command = ["web", "fail", "7"].map(Text::plain).to_vec();
        container(&DockerSpec { command: Some(command), restart, ..waiting() })
    };
    let id = backend.create(&op("web", "run-abc.1"), &failing(RestartRule::UnlessStopped)).await.unwrap();
    let began = std::time::Instant::now();
    let exit = loop {
        match look(&backend, &id).await.state {
            ObjectState::CrashLoop(exit) => break exit,
            state => assert!(began.elapsed().as_secs() < 60, "it is {state}"),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(exit.code, Some(7));
    let id = backend.create(&op("web", "run-abc.2"), &failing(RestartRule::No)).await.unwrap();
    let ended = loop {
        let found = look(&backend, &id).await;
        if !found.is_up() {
            break found;
        }
    };
    assert_eq!(ended.state, ObjectState::Exited(exit));
    assert_eq!(backend.tail(&id, 5).await.unwrap(), ["no configuration found"]);
}

#[tokio::test]
async fn another_state_folder_with_the_same_project_sees_nothing_of_it() {
    let bench = Bench::new();
    let id = bench.backend().create(&op("web", "run-abc.1"), &container(&waiting())).await.unwrap();
    let mut settings = bench.settings.clone();
    settings.scope = "another".into();
    let other = DockerBackend::new(settings);
    assert_eq!(other.list().await.unwrap().objects, []);
    assert_eq!(other.inspect(&id).await.unwrap(), None);
}
