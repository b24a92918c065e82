//! A definition becomes a container, and the container becomes the same definition again: no field
//! looks changed that is not, and none that is goes unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use orch::backend::docker::{DockerBackend, DockerSettings};
use orch::backend::{Candidate, Observer, OpContext, Operator, ProgressSink};
use orch::model::{
    Address, DigestKey, DockerSpec, EngineCheck, FieldValue, HostPort, Instance, Mount, MountSource, NetworkSpec,
    NetworkUse, OpId, PortMapping, ProjectName, Protocol, RestartRule, Service, ServiceName, Spec, Text, Ulimit,
};
use orch::plan::changes;

use crate::support::{Engine, free_port, web_root};

/// What an image can set by itself, all of it.
const RICH: [&str; 8] = [
    "ENTRYPOINT [\"web\"]",
    "CMD [\"wait\"]",
    "ENV PATH=/bin LEVEL=info",
    "LABEL maker=us stage=test",
    "USER web",
    "WORKDIR /www",
    "VOLUME /cache",
    "HEALTHCHECK --interval=5s --retries=2 CMD true",
];

/// A project and an image that no other test has, and two state folders that know it.
struct Bench {
    project: String,
    image: String,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let project = format!("orch-adopt-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let image = format!("{project}/rich:1");
        Engine::get().import(web_root("1").path(), &image, &RICH);
        Self { project, image, folder: tempfile::tempdir().unwrap() }
    }

    fn backend(&self, scope: &str) -> DockerBackend {
        let env = [("DOCKER_HOST".to_owned(), Engine::get().host().to_owned())];
        DockerBackend::new(DockerSettings {
            project: ProjectName::new(&self.project).unwrap(),
            scope: scope.to_owned(),
            env: env.into_iter().collect(),
            hosts: BTreeSet::from([None]),
            known: BTreeMap::new(),
            pending: BTreeMap::new(),
        })
    }

    async fn make(&self, instance: &Instance, attempt: &str) {
        let op_id = OpId::new(format!("run-{attempt}.1"));
        let op =
            OpContext { address: instance.address.clone(), op_id, progress: ProgressSink::default(), confirm: None };
        self.backend("lost").create(&op, instance).await.unwrap();
    }

    /// What a state folder that lost its records finds of an instance.
    async fn find(&self, wanted: &Instance) -> Candidate {
        let found = self.backend("new").candidates(&[wanted], &BTreeMap::new()).await.unwrap();
        assert_eq!(found.unclear, []);
        found.found.into_iter().next().unwrap_or_else(|| panic!("nothing could be {}", wanted.address))
    }

    /// Checks in which fields what runs differs from what is wanted.
    async fn differs(&self, wanted: &Instance, expected: &[&str]) {
        let Candidate { spec, pin, matched_by, beyond, .. } = self.find(wanted).await;
        assert_eq!(matched_by, format!("label orch.address={}", wanted.address));
        assert_eq!(beyond, Vec::<String>::new());
        let service = Service { spec, ..(*wanted.service).clone() };
        let observed = Instance::new(wanted.address.clone(), Arc::new(service), pin, &key());
        let fields: BTreeMap<String, FieldValue> =
            observed.fields.iter().map(|field| (field.path.to_string(), field.value.clone())).collect();
        let changes = changes(wanted.service.spec.backend(), &fields, &wanted.fields);
        assert_eq!(changes.is_empty(), observed.revision == wanted.revision && observed.fields == wanted.fields);
        let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, expected, "{}: {changes:#?}", wanted.address);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let engine = Engine::get();
        engine.remove_all_with(&format!("orch.project={}", self.project));
        // Whatever was not made need not be removed.
        let _ = engine.try_docker(&["volume", "rm", &format!("{}-outside", self.project)]);
        let _ = engine.try_docker(&["rmi", &self.image]);
    }
}

fn key() -> DigestKey {
    DigestKey::new([7; 32])
}

fn instance(name: &str, spec: DockerSpec, pin: &str) -> Instance {
    let service = Service::new(ServiceName::new(name).unwrap(), Spec::Docker(Box::new(spec)));
    Instance::new(Address::only(service.name.clone()), Arc::new(service), Some(pin.to_owned()), &key())
}

fn texts(list: &[&str]) -> Vec<Text> {
    list.iter().copied().map(Text::plain).collect()
}

fn port(address: Option<&str>, host: HostPort, container: u16, protocol: Protocol) -> PortMapping {
    PortMapping { address: address.map(|text| text.parse().unwrap()), host, container, protocol }
}

/// A definition with every field set.
fn full(bench: &Bench) -> DockerSpec {
    let mount = |source, target: &str, read_only| Mount { source, target: target.to_owned(), read_only };
    let volume = |name: String, external| MountSource::Volume { name, external };
    let bind = |name: &str| {
        let path = bench.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    // Not as the engine writes it.
    let crooked = bind("a").join("..").join("a");
    DockerSpec {
        container_name: Some(format!("{}-fixed", bench.project)),
        command: Some(texts(&["web", "wait"])),
        entrypoint: Some(texts(&["sh", "-c", "exec \"$@\"", "--"])),
        env: BTreeMap::from([
            ("LEVEL".to_owned(), Text::plain("info")),
            ("EMPTY".to_owned(), Text::plain("")),
            ("TOKEN".to_owned(), Text::sensitive("a=b c")),
        ]),
        labels: BTreeMap::from([
            ("stage".to_owned(), Text::plain("test")),
            ("com.example.key".to_owned(), Text::sensitive("hidden")),
        ]),
        ports: vec![
            port(Some("127.0.0.1"), HostPort::One(free_port()), 90, Protocol::Udp),
            port(Some("127.0.0.1"), HostPort::One(free_port()), 80, Protocol::Tcp),
            port(Some("127.0.0.1"), HostPort::One(free_port()), 80, Protocol::Tcp),
            port(None, HostPort::Any, 81, Protocol::Tcp),
            port(Some("127.0.0.1"), HostPort::Range(42_000, 42_900), 82, Protocol::Tcp),
        ],
        mounts: vec![
            mount(volume("data".to_owned(), false), "/var/data", false),
            mount(MountSource::Bind(crooked), "/srv/a/", true),
            mount(volume(format!("{}-outside", bench.project), true), "/outside", true),
            mount(MountSource::Bind(bind("b")), "/b", false),
            mount(MountSource::Anonymous, "/scratch", false),
            mount(MountSource::Anonymous, "/cache", false),
        ],
        tmpfs: BTreeMap::from([
            ("/run".to_owned(), "size=1m,mode=1777".to_owned()),
            ("/tmp".to_owned(), String::new()),
        ]),
        networks: vec![
            NetworkUse {
                name: "front".to_owned(),
                engine_name: None,
                subnet: None,
                aliases: vec!["www".to_owned(), "a".to_owned()],
            },
            NetworkUse { name: "back".to_owned(), engine_name: None, subnet: Some(subnet()), aliases: Vec::new() },
        ],
        user: Some("1000:1000".to_owned()),
        working_dir: Some("/tmp/".to_owned()),
        hostname: Some("web.example.com".to_owned()),
        init: true,
        read_only: true,
        cap_add: vec!["SYS_PTRACE".to_owned(), "CAP_NET_ADMIN".to_owned()],
        cap_drop: vec!["mknod".to_owned(), "CHOWN".to_owned()],
        ulimits: vec![
            Ulimit { name: "nofile".to_owned(), soft: 1000, hard: 2000 },
            Ulimit { name: "core".to_owned(), soft: 0, hard: 0 },
        ],
        memory: Some(64 << 20),
        nano_cpus: Some(1_500_000_000),
        shm_size: Some(32 << 20),
        extra_hosts: vec!["db:10.0.0.1".to_owned(), "six:fe80::1".to_owned()],
        restart: RestartRule::OnFailure(3),
        stop_signal: Some("sigint".to_owned()),
        stop_timeout: Duration::from_millis(1500),
        check: Some(EngineCheck {
            test: texts(&["CMD-SHELL", "test -e /www"]),
            interval: Duration::from_secs(7),
            timeout: Duration::from_millis(1500),
            retries: 4,
            start_period: Duration::from_secs(1),
        }),
        remove_volumes: true,
        ..DockerSpec::new(&bench.image)
    }
}

/// A subnet of this process alone, of a range that engines do not give out by themselves.
fn subnet() -> String {
    let pid = std::process::id();
    format!("10.{}.{}.0/24", 128 + pid / 256 % 100, pid % 256)
}

async fn with_surroundings(bench: &Bench) -> (DockerSpec, String) {
    let engine = Engine::get();
    engine.docker(&["volume", "create", &format!("{}-outside", bench.project)]);
    for (name, subnet) in [("front", None), ("back", Some(subnet()))] {
        let spec = Spec::Network(NetworkSpec { name: name.to_owned(), engine_name: None, host: None, subnet });
        let service = Service::new(ServiceName::new(&format!("networks.{name}")).unwrap(), spec);
        let network = Instance::new(Address::only(service.name.clone()), Arc::new(service), None, &key());
        bench.make(&network, name).await;
    }
    (full(bench), engine.inspect(&bench.image)["Id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_field_reads_back_as_it_was_written_and_tells_when_it_is_another() {
    let bench = Bench::new();
    let (spec, pin) = with_surroundings(&bench).await;
    let wanted = instance("web", spec.clone(), &pin);
    bench.make(&wanted, "full").await;
    bench.differs(&wanted, &[]).await;

    type Edit = fn(&mut DockerSpec);
    let edits: [(&[&str], Edit); 36] = [
        (&["container_name"], |s| s.container_name = Some("other".to_owned())),
        (&["command"], |s| s.command = None),
        (&["command"], |s| s.command = Some(texts(&["web", "serve"]))),
        (&["entrypoint"], |s| s.entrypoint = Some(texts(&["sh"]))),
        (&["env.LEVEL"], |s| s.env.insert("LEVEL".to_owned(), Text::plain("debug")).map_or((), drop)),
        (&["env.TOKEN"], |s| s.env.insert("TOKEN".to_owned(), Text::sensitive("c")).map_or((), drop)),
        (&["env.TOKEN"], |s| s.env.remove("TOKEN").map_or((), drop)),
        (&["env.NEW"], |s| s.env.insert("NEW".to_owned(), Text::plain("")).map_or((), drop)),
        (&["labels.com.example.key"], |s| s.labels.remove("com.example.key").map_or((), drop)),
        (&["labels.stage"], |s| s.labels.insert("stage".to_owned(), Text::plain("live")).map_or((), drop)),
        (&["ports"], |s| s.ports[0].protocol = Protocol::Tcp),
        (&["ports"], |s| s.ports[1].address = None),
        (&["ports"], |s| s.ports[3].host = HostPort::One(1)),
        (&["volumes"], |s| s.mounts[0].read_only = true),
        (&["volumes"], |s| s.mounts[0].source = MountSource::Anonymous),
        (&["volumes"], |s| s.mounts[1].source = MountSource::Bind(PathBuf::from("/srv"))),
        (&["volumes"], |s| s.mounts.truncate(4)),
        (&["tmpfs"], |s| s.tmpfs.remove("/run").map_or((), drop)),
        (&["networks.front"], |s| s.networks[0].aliases.truncate(1)),
        (&["networks.back"], |s| s.networks[1].subnet = Some("10.1.2.0/24".to_owned())),
        (&["networks.back"], |s| s.networks.truncate(1)),
        (&["user"], |s| s.user = None),
        (&["working_dir"], |s| s.working_dir = Some("/".to_owned())),
        (&["hostname"], |s| s.hostname = None),
        (&["init"], |s| s.init = false),
        (&["read_only"], |s| s.read_only = false),
        (&["cap_add"], |s| s.cap_add.truncate(1)),
        (&["cap_drop"], |s| s.cap_drop.clear()),
        (&["ulimits"], |s| s.ulimits[0].hard = 3000),
        (&["cpus", "memory"], |s| (s.memory, s.nano_cpus) = (None, Some(1))),
        (&["shm_size"], |s| s.shm_size = None),
        (&["extra_hosts"], |s| s.extra_hosts.truncate(1)),
        (&["restart"], |s| s.restart = RestartRule::OnFailure(4)),
        (&["stop_signal", "stop_timeout"], |s| (s.stop_signal, s.stop_timeout) = (None, Duration::from_secs(3))),
        (&["healthcheck.pace"], |s| s.check.iter_mut().for_each(|check| check.retries = 5)),
        (&["healthcheck.pace", "healthcheck.test"], |s| s.check = None),
    ];
    for (expected, edit) in edits {
        let mut other = spec.clone();
        edit(&mut other);
        bench.differs(&instance("web", other, &pin), expected).await;
    }
    let mut turned = spec.clone();
    turned.ports.reverse();
    turned.mounts.reverse();
    // Their order is the file's.
    bench.differs(&instance("web", turned, &pin), &[]).await;
    let moved = format!("sha256:{}", "0".repeat(64));
    bench.differs(&instance("web", spec, &moved), &["image.digest"]).await;
}

#[tokio::test]
async fn what_an_image_sets_is_not_a_difference() {
    let bench = Bench::new();
    let pin = Engine::get().inspect(&bench.image)["Id"].as_str().unwrap().to_owned();
    let base = || DockerSpec { restart: RestartRule::No, ..DockerSpec::new(&bench.image) };
    let check = |test: &[&str]| EngineCheck {
        test: texts(test),
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(30),
        retries: 3,
        start_period: Duration::ZERO,
    };
    let all = [
        ("nothing", base()),
        ("command", DockerSpec { command: Some(texts(&["serve"])), ..base() }),
        ("own", DockerSpec { command: Some(texts(&["wait"])), entrypoint: Some(texts(&["web"])), ..base() }),
        ("entry", DockerSpec { entrypoint: Some(texts(&["web", "wait"])), ..base() }),
        ("none", DockerSpec { entrypoint: Some(Vec::new()), command: Some(texts(&["web", "wait"])), ..base() }),
        ("empty", DockerSpec { command: Some(Vec::new()), ..base() }),
        ("secret", DockerSpec { command: Some(vec![Text::plain("wait"), Text::sensitive("key")]), ..base() }),
        ("user", DockerSpec { user: Some("root".to_owned()), working_dir: Some("/".to_owned()), ..base() }),
        ("same", DockerSpec { user: Some("web".to_owned()), working_dir: Some("/www/".to_owned()), ..base() }),
        ("check", DockerSpec { check: Some(check(&["CMD", "true"])), ..base() }),
        ("off", DockerSpec { check: Some(check(&["NONE"])), ..base() }),
        ("always", DockerSpec { restart: RestartRule::Always, ..base() }),
        ("unless", DockerSpec { restart: RestartRule::UnlessStopped, ..base() }),
        ("failure", DockerSpec { restart: RestartRule::OnFailure(0), ..base() }),
        ("id", DockerSpec { image: pin.clone(), ..base() }),
    ];
    for (name, spec) in all {
        let wanted = instance(name, spec, &pin);
        bench.make(&wanted, name).await;
        bench.differs(&wanted, &[]).await;
    }
}
