//! Each key of a container has a field, with the effect that its removal has too.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::model::{
    Address, BackendKind, DigestKey, Effect, Field, HealthCheck, HostPort, Instance, Probe, Protocol, Service,
    ServiceName, Spec, effect_of,
};

/// A container with every key given, each with another value than the default.
fn full() -> DockerSpec {
    let text = |text: &str| Text::plain(text);
    DockerSpec {
        host: Some("unix:///run/docker.sock".into()),
        image: "shop/web:1".into(),
        pull_policy: PullPolicy::Always,
        container_name: Some("web".into()),
        command: Some(vec![text("serve")]),
        entrypoint: Some(vec![text("/entry")]),
        env: BTreeMap::from([("A".into(), text("1")), ("TOKEN".into(), Text::sensitive("hunter2"))]),
        labels: BTreeMap::from([("tier".into(), text("front"))]),
        ports: vec![port(HostPort::Range(8080, 8082), 80)],
        mounts: vec![volume("data", false)],
        tmpfs: BTreeMap::from([("/run".into(), "size=1m".into())]),
        networks: vec![NetworkUse {
            engine_name: None,
            name: "back".into(),
            subnet: Some("10.0.0.0/8".into()),
            aliases: vec!["w".into()],
        }],
        user: Some("app".into()),
        working_dir: Some("/srv".into()),
        hostname: Some("web".into()),
        init: true,
        read_only: true,
        cap_add: vec!["CHOWN".into()],
        cap_drop: vec!["ALL".into()],
        ulimits: vec![Ulimit { name: "nofile".into(), soft: 1, hard: 2 }],
        memory: Some(64 << 20),
        nano_cpus: Some(500_000_000),
        gpus: Some(Gpus::All),
        shm_size: Some(1 << 20),
        extra_hosts: vec!["a:10.0.0.1".into()],
        restart: RestartRule::Always,
        stop_signal: Some("SIGINT".into()),
        stop_timeout: Duration::from_secs(3),
        check: Some(EngineCheck {
            test: vec![text("CMD"), text("true")],
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            retries: 3,
            start_period: Duration::from_secs(4),
        }),
        remove_volumes: true,
    }
}

fn port(host: HostPort, container: u16) -> PortMapping {
    PortMapping { address: None, host, container, protocol: Protocol::Tcp }
}

fn volume(name: &str, external: bool) -> Mount {
    Mount { source: MountSource::Volume { name: name.into(), external }, target: "/data".into(), read_only: false }
}

fn service(spec: DockerSpec) -> Service {
    Service::new(ServiceName::new("web").expect("a name"), Spec::Docker(Box::new(spec)))
}

fn fields(spec: DockerSpec) -> Vec<Field> {
    let service = Arc::new(service(spec));
    Instance::new(Address::only(service.name.clone()), service, None, &DigestKey::new([7; 32])).fields
}

#[test]
fn a_field_that_went_asks_for_what_it_asked_for() {
    let pin = Some(format!("sha256:{}", "0".repeat(64)));
    let service = Arc::new(service(full()));
    let instance = Instance::new(Address::only(service.name.clone()), service, pin, &DigestKey::new([7; 32]));
    for field in &instance.fields {
        assert_eq!(effect_of(BackendKind::Docker, &field.path), field.effect, "{}", field.path);
    }
}

#[test]
fn every_change_of_a_field_is_seen() {
    type Change = fn(&mut DockerSpec);
    let changes: [(&str, Effect, Change); 48] = [
        ("host", Effect::Replace, |spec| spec.host = None),
        ("image", Effect::Record, |spec| spec.image = "shop/web:2".into()),
        ("pull_policy", Effect::Record, |spec| spec.pull_policy = PullPolicy::Every(Duration::from_secs(60))),
        ("container_name", Effect::Replace, |spec| spec.container_name = None),
        ("command", Effect::Replace, |spec| spec.command = None),
        ("command", Effect::Replace, |spec| spec.command = Some(Vec::new())),
        ("entrypoint", Effect::Replace, |spec| spec.entrypoint = Some(vec![Text::plain("/other")])),
        ("env.A", Effect::Replace, |spec| drop(spec.env.remove("A"))),
        ("env.TOKEN", Effect::Replace, |spec| drop(spec.env.insert("TOKEN".into(), Text::sensitive("other")))),
        ("labels.tier", Effect::Replace, |spec| drop(spec.labels.insert("tier".into(), Text::plain("back")))),
        ("ports", Effect::Replace, |spec| spec.ports[0].container = 81),
        ("ports", Effect::Replace, |spec| spec.ports[0].host = HostPort::Any),
        ("ports", Effect::Replace, |spec| spec.ports[0].protocol = Protocol::Udp),
        ("ports", Effect::Replace, |spec| spec.ports[0].address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST))),
        ("volumes", Effect::Replace, |spec| spec.mounts[0].read_only = true),
        ("volumes", Effect::Replace, |spec| spec.mounts[0].target = "/other".into()),
        ("volumes", Effect::Replace, |spec| spec.mounts[0] = volume("data", true)),
        ("volumes", Effect::Replace, |spec| spec.mounts[0].source = MountSource::Bind("/data".into())),
        ("volumes", Effect::Replace, |spec| spec.mounts[0].source = MountSource::Anonymous),
        ("tmpfs", Effect::Replace, |spec| drop(spec.tmpfs.insert("/run".into(), String::new()))),
        ("networks.back", Effect::Replace, |spec| spec.networks.clear()),
        ("networks.back", Effect::Replace, |spec| spec.networks[0].subnet = None),
        ("networks.back", Effect::Replace, |spec| spec.networks[0].aliases.clear()),
        ("user", Effect::Replace, |spec| spec.user = None),
        ("working_dir", Effect::Replace, |spec| spec.working_dir = None),
        ("hostname", Effect::Replace, |spec| spec.hostname = None),
        ("init", Effect::Replace, |spec| spec.init = false),
        ("read_only", Effect::Replace, |spec| spec.read_only = false),
        ("cap_add", Effect::Replace, |spec| spec.cap_add.clear()),
        ("cap_drop", Effect::Replace, |spec| spec.cap_drop.push("CHOWN".into())),
        ("ulimits", Effect::Replace, |spec| spec.ulimits[0].soft = 2),
        ("ulimits", Effect::Replace, |spec| spec.ulimits[0].hard = 3),
        ("memory", Effect::Update, |spec| spec.memory = None),
        ("cpus", Effect::Update, |spec| spec.nano_cpus = Some(1)),
        ("gpus", Effect::Replace, |spec| spec.gpus = Some(Gpus::Count(1))),
        ("shm_size", Effect::Replace, |spec| spec.shm_size = None),
        ("extra_hosts", Effect::Replace, |spec| spec.extra_hosts.clear()),
        ("restart", Effect::Update, |spec| spec.restart = RestartRule::OnFailure(1)),
        ("stop_signal", Effect::Replace, |spec| spec.stop_signal = None),
        ("stop_timeout", Effect::Replace, |spec| spec.stop_timeout = Duration::from_secs(4)),
        ("healthcheck.test", Effect::Replace, |spec| engine(spec).test[1] = Text::plain("false")),
        ("healthcheck.pace", Effect::Replace, |spec| engine(spec).interval = Duration::ZERO),
        ("healthcheck.pace", Effect::Replace, |spec| engine(spec).timeout = Duration::ZERO),
        ("healthcheck.pace", Effect::Replace, |spec| engine(spec).retries = 4),
        ("healthcheck.pace", Effect::Replace, |spec| engine(spec).start_period = Duration::ZERO),
        ("healthcheck.test", Effect::Replace, |spec| engine(spec).test = vec![Text::plain("NONE")]),
        ("remove_volumes", Effect::Record, |spec| spec.remove_volumes = false),
        ("env.B", Effect::Replace, |spec| drop(spec.env.insert("B".into(), Text::plain("")))),
    ];
    let before = fields(full());
    for (path, effect, change) in changes {
        let mut spec = full();
        change(&mut spec);
        let after = fields(spec);
        let differs: Vec<&Field> =
            before.iter().filter(|f| !after.contains(f)).chain(after.iter().filter(|f| !before.contains(f))).collect();
        assert!(!differs.is_empty(), "a change of `{path}` is not seen");
        assert!(differs.iter().all(|field| field.path == path && field.effect == effect), "{path}: {differs:?}");
    }
    // Every field was changed above, so that a new one is not forgotten.
    for field in before.iter().filter(|field| !matches!(field.path.as_ref(), "backend" | "kind")) {
        assert!(changes.iter().any(|(path, ..)| field.path == *path), "`{}` is not changed", field.path);
    }
}

fn engine(spec: &mut DockerSpec) -> &mut EngineCheck {
    spec.check.as_mut().expect("the full container has a check")
}

#[test]
fn no_secret_is_in_a_field() {
    let shown = format!("{:?} {:?}", fields(full()), full());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_replica_has_ports_and_probes_of_its_own() {
    let mut spec = full();
    spec.ports = vec![port(HostPort::Range(8080, 8082), 80), port(HostPort::Any, 81), port(HostPort::One(9000), 82)];
    let mut service = service(spec);
    let check = |probe| HealthCheck { probe, policy: crate::model::CheckPolicy::default() };
    let http = |url: &str| Probe::Http {
        url: Text::plain(url),
        expected_status: crate::model::StatusMatch::Success,
        body: None,
        headers: Vec::new(),
    };
    let tcp = |port| Probe::Tcp { host: "localhost".into(), port };
    service.checks =
        vec![check(http("http://localhost:8080/8080")), check(tcp(8080)), check(tcp(9000)), check(http("http://h:1/"))];
    for (index, own) in [(0, 8080), (1, 8081), (2, 8082)] {
        let replica = service.replica(index);
        let Spec::Docker(spec) = &replica.spec else { panic!("{:?}", replica.spec) };
        let hosts: Vec<HostPort> = spec.ports.iter().map(|port| port.host).collect();
        assert_eq!(hosts, [HostPort::One(own), HostPort::Any, HostPort::One(9000)]);
        assert_eq!(replica.spec.ports(), [own, 9000]);
        let probes: Vec<&Probe> = replica.checks.iter().map(|check| &check.probe).collect();
        let own_url = format!("http://localhost:{own}/8080");
        assert_eq!(probes, [&http(&own_url), &tcp(own), &tcp(9000), &http("http://h:1/")]);
    }
    let claims = |index| service.replica(index).spec.claims();
    assert!(claims(0).contains(&Claim::Port { port: 8080, protocol: Protocol::Tcp }));
    assert!(!claims(1).contains(&Claim::Port { port: 8080, protocol: Protocol::Tcp }));
}

#[test]
fn what_only_one_container_can_have_is_claimed() {
    let mut spec = full();
    spec.ports = vec![port(HostPort::One(80), 80), port(HostPort::Any, 81)];
    spec.mounts.push(Mount { source: MountSource::Bind("/srv".into()), target: "/srv".into(), read_only: true });
    spec.mounts.push(Mount { source: MountSource::Anonymous, target: "/x".into(), read_only: false });
    assert_eq!(
        spec.claims(),
        [Claim::Port { port: 80, protocol: Protocol::Tcp }, Claim::Volume("data".into()), Claim::Name("web".into())]
    );
}
