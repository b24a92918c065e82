//! What good definitions of containers load to.

use std::time::Duration;

use super::{Project, container, docker, good, service};
use crate::model::{
    Condition, EngineCheck, Gpus, HostPort, InputKind, Mount, MountSource, NetworkUse, Probe, PullPolicy, RestartRule,
    Service, Spec, Text, Ulimit,
};

/// The complete example of the design; it loads unchanged.
const SEED: &str = r#"
version: "1.0"
project: shop                        # default: the folder's name
settings:
  state_dir: .orch                   # default, beside the file
  max_parallel: 4
  default_timeout: 300               # a bare number is seconds; "5m" works everywhere a duration does
  on_failure: rollback               # rollback (default) | halt | continue
networks:
  production: {type: lan, subnet: 192.168.1.0/24}
services:
  postgres:
    backend: {type: docker, image: "postgres:15", ports: ["5432:5432"], env: {POSTGRES_PASSWORD: secret}}
    health_check: {type: command, command: pg_isready}
  migrate:
    kind: job                        # permanent (default) | job | periodic
    backend: {type: process, binary: ./bin/migrate}
    dependencies: [postgres]
  api:
    backend: {type: process, binary: ./bin/api-server, args: [--port, "8080"], env: {DATABASE_URL: "postgresql://localhost:5432/api"}, working_dir: .}
    dependencies: {postgres: {condition: healthy}, migrate: {condition: completed}}
    health_check: {type: http, url: "http://localhost:8080/health", expected_status: 200, interval_secs: 10, timeout_secs: 5, retries: 3}
"#;

const FULL: &str = r#"
networks:
  front: {type: lan, subnet: 10.20.0.0/16}
  back: {type: lan}
  unused: {type: lan}
services:
  db: {backend: {type: docker, image: "postgres:15"}, network: back}
  web:
    replicas: 3
    network: back
    backend:
      type: docker
      host: unix:///run/docker.sock
      image: registry.example.com:5000/shop/web:1.2
      pull_policy: every 12h
      command: serve --name "a b" 'c d'
      entrypoint: [/bin/entry, --url, "http://u:hunter2@h/"]
      env: {PORT: 80, API_TOKEN: hunter2, EMPTY: "", HOME_OF: }
      env_file: [one.env, two.env]
      labels: [tier=front, secret_key.token=hunter2, bare]
      ports: ["8080-8082:80", "127.0.0.1::9000/udp", 81]
      volumes:
        - "data:/var/lib/data"
        - "./conf:/etc/app:ro"
        - "~/cache:/cache"
        - /scratch
        - {type: volume, source: shared, target: /shared, external: true, read_only: true}
        - {type: bind, source: logs, target: /logs}
      tmpfs: ["/run", "/tmp:size=64m,mode=1777"]
      networks: {front: {aliases: [www, shop]}}
      user: 1000:1000
      working_dir: /srv
      hostname: web-1
      init: true
      read_only: true
      cap_add: [cap_net_admin, CHOWN]
      cap_drop: [all]
      ulimits: {nofile: {soft: 1024, hard: 4096}, core: -1}
      memory: 512m
      cpus: 1.5
      gpus: [GPU-1, GPU-2]
      shm_size: 64MiB
      extra_hosts: ["gateway:host-gateway", "six=[::1]"]
      restart: on-failure:3
      stop_signal: quit
      stop_timeout: 1m
      remove_volumes: true
    health_check:
      - {type: backend, test: [wget, -q, "http://localhost/"], interval: 5, timeout: 2, retries: 4, start_period: 1s}
      - {type: command, command: ./bin/check, args: [-q]}
"#;

fn text(list: &[Text]) -> Vec<&str> {
    list.iter().map(Text::reveal).collect()
}

/// A definition with containers below a folder, and what it needs.
fn full() -> Project {
    let text = FULL
        .replace("unix:///run/docker.sock", "unix:///run/docker.sock # one engine")
        .replace("image: \"postgres:15\"}", "image: \"postgres:15\", host: \"unix:///run/docker.sock\"}");
    let project = Project::new(&text).env("HOME", "/home/me").env("HOME_OF", "mine");
    project.write("one.env", "# first\nexport PORT=1\nONE='x'\nBOTH=1\n");
    project.write("two.env", "BOTH=2\nDB_PASSWORD=hunter2 # secret\n");
    project
}

#[test]
fn the_example_of_the_design_loads_unchanged() {
    let loaded = good(SEED);
    let spec = docker(&loaded, "postgres");
    assert_eq!(spec.image, "postgres:15");
    assert!(spec.env["POSTGRES_PASSWORD"].is_sensitive());
    assert_eq!((spec.restart, spec.pull_policy), (RestartRule::UnlessStopped, PullPolicy::Missing));
    let postgres = service(&loaded, "postgres");
    assert_eq!(postgres.spec.ports(), [5432]);
    assert!(matches!(&postgres.checks[0].probe, Probe::Command { command, .. } if command.reveal() == "pg_isready"));
    assert_eq!(service(&loaded, "migrate").dependencies[0].condition, Condition::Healthy);
    // The program of the check is the container's, and not looked for here.
    assert!(!loaded.warnings.to_string().contains("pg_isready"), "{}", loaded.warnings);
    assert_eq!(loaded.desired.services.len(), 3, "a network without containers is not made");
}

#[test]
fn every_key_is_read() {
    let project = full();
    let loaded = project.good();
    let dir = project.dir();
    let spec = docker(&loaded, "web");
    assert_eq!(spec.host.as_deref(), Some("unix:///run/docker.sock"));
    assert_eq!(spec.image, "registry.example.com:5000/shop/web:1.2");
    assert_eq!(spec.pull_policy, PullPolicy::Every(Duration::from_secs(12 * 3600)));
    assert_eq!(text(spec.command.as_deref().unwrap()), ["serve", "--name", "a b", "c d"]);
    let entrypoint = spec.entrypoint.as_deref().unwrap();
    assert_eq!(text(entrypoint), ["/bin/entry", "--url", "http://u:hunter2@h/"]);
    assert!(entrypoint[2].is_sensitive() && !entrypoint[1].is_sensitive());
    let env: Vec<_> = spec.env.iter().map(|(name, value)| (name.as_str(), value.shown())).collect();
    assert_eq!(
        env,
        [
            ("API_TOKEN", "(sensitive)"),
            ("BOTH", "2"),
            ("DB_PASSWORD", "(sensitive)"),
            ("EMPTY", ""),
            ("HOME_OF", "mine"),
            ("ONE", "x"),
            ("PORT", "80"),
        ]
    );
    assert_eq!(spec.env["DB_PASSWORD"].reveal(), "hunter2");
    let labels: Vec<_> = spec.labels.iter().map(|(name, value)| (name.as_str(), value.shown())).collect();
    assert_eq!(labels, [("bare", ""), ("secret_key.token", "(sensitive)"), ("tier", "front")]);
    let ports: Vec<String> = spec.ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["81", "8080-8082:80", "127.0.0.1::9000/udp"]);
    let bind = |path: std::path::PathBuf| MountSource::Bind(path);
    let volume = |name: &str, external| MountSource::Volume { name: name.into(), external };
    let mount = |source, target: &str, read_only| Mount { source, target: target.into(), read_only };
    assert_eq!(
        spec.mounts,
        [
            mount(bind("/home/me/cache".into()), "/cache", false),
            mount(bind(dir.join("conf")), "/etc/app", true),
            mount(bind(dir.join("logs")), "/logs", false),
            mount(MountSource::Anonymous, "/scratch", false),
            mount(volume("shared", true), "/shared", true),
            mount(volume("data", false), "/var/lib/data", false),
        ]
    );
    let tmpfs = [("/run".into(), String::new()), ("/tmp".into(), "size=64m,mode=1777".into())];
    assert_eq!(spec.tmpfs, tmpfs.into());
    assert_eq!((spec.user.as_deref(), spec.working_dir.as_deref()), (Some("1000:1000"), Some("/srv")));
    assert_eq!(spec.hostname.as_deref(), Some("web-1"));
    assert!(spec.init && spec.read_only && spec.remove_volumes);
    assert_eq!((spec.cap_add.join(" "), spec.cap_drop.join(" ")), ("CHOWN NET_ADMIN".into(), "ALL".into()));
    let limit = |name: &str, soft, hard| Ulimit { name: name.into(), soft, hard };
    assert_eq!(spec.ulimits, [limit("core", -1, -1), limit("nofile", 1024, 4096)]);
    assert_eq!((spec.memory, spec.shm_size), (Some(512 << 20), Some(64 << 20)));
    assert_eq!(spec.nano_cpus, Some(1_500_000_000));
    assert_eq!(spec.gpus, Some(Gpus::Ids(vec!["GPU-1".into(), "GPU-2".into()])));
    assert_eq!(spec.extra_hosts, ["gateway:host-gateway", "six:::1"]);
    assert_eq!(spec.restart, RestartRule::OnFailure(3));
    assert_eq!(spec.stop_signal.as_deref(), Some("SIGQUIT"));
    assert_eq!(spec.stop_timeout, Duration::from_secs(60));
    let EngineCheck { test, interval, timeout, retries, start_period } = spec.check.as_ref().unwrap();
    assert_eq!(text(test), ["CMD", "wget", "-q", "http://localhost/"]);
    assert_eq!((interval.as_secs(), timeout.as_secs(), *retries, start_period.as_secs()), (5, 2, 4, 1));

    let web = service(&loaded, "web");
    assert_eq!(web.replicas, Some(3));
    assert_eq!(web.lifecycle.create_before_destroy, None);
    assert_eq!(web.checks[0].probe, Probe::Backend);
    assert!(matches!(&web.checks[1].probe, Probe::Command { command, .. } if command.reveal() == "./bin/check"));
    assert_eq!(service(&loaded, "db").replicas, None);

    let warnings = loaded.warnings.to_string();
    assert!(!warnings.contains("bin/check"), "{warnings}");
    // An engine that the file names may be another machine's.
    assert!(!warnings.contains("missing_file") && !warnings.contains("does not exist"), "{warnings}");
}

#[test]
fn networks_become_services_that_containers_need() {
    let loaded = full().good();
    let names: Vec<&str> = loaded.desired.services.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["db", "networks.back", "networks.front", "web"]);
    let front = service(&loaded, "networks.front");
    let Spec::Network(spec) = &front.spec else { panic!("{:?}", front.spec) };
    assert_eq!((spec.name.as_str(), spec.subnet.as_deref()), ("front", Some("10.20.0.0/16")));
    assert_eq!(spec.host.as_deref(), Some("unix:///run/docker.sock"));
    assert_eq!((front.settle, front.checks.len()), (Duration::ZERO, 0));
    let ties = |service: &Service| -> Vec<(String, Condition)> {
        service.dependencies.iter().map(|tie| (tie.service.to_string(), tie.condition)).collect()
    };
    let web = service(&loaded, "web");
    let started = |name: &str| (name.to_owned(), Condition::Started);
    assert_eq!(ties(web), [started("networks.back"), started("networks.front")]);
    assert_eq!(ties(service(&loaded, "db")), [started("networks.back")]);
    let triggers: Vec<&str> = web.lifecycle.replace_triggered_by.iter().map(|name| name.as_str()).collect();
    assert_eq!(triggers, ["networks.back", "networks.front"]);
    let part = |name: &str, subnet: Option<&str>, aliases: &[&str]| NetworkUse {
        name: name.into(),
        engine_name: None,
        subnet: subnet.map(Into::into),
        aliases: aliases.iter().map(|&alias| alias.into()).collect(),
    };
    assert_eq!(
        docker(&loaded, "web").networks,
        [part("back", None, &[]), part("front", Some("10.20.0.0/16"), &["shop", "www"])]
    );
}

#[test]
fn a_network_of_inactive_containers_is_not_made() {
    let text = "networks: {n: {type: lan}}\nservices:\n  web: {backend: {type: docker, image: a, networks: [n]}, profiles: [p]}\n";
    assert!(Project::new(text).good().desired.services.is_empty());
    assert_eq!(Project::new(text).profile("p").good().desired.services.len(), 2);
}

#[test]
fn what_is_read_from_outside_is_an_input() {
    let text = container("      env: [PLAIN=1, FROM_HERE]\n      env_file: one.env\n      volumes: [\"~/x:/x\"]\n");
    let project = Project::new(&text).env("FROM_HERE", "here").env("HOME", "/home/me").env("ALSO", "also");
    project.write("one.env", "ALSO\n");
    let loaded = project.good();
    assert_eq!(docker(&loaded, "web").env["FROM_HERE"].reveal(), "here");
    assert_eq!(docker(&loaded, "web").env["ALSO"].reveal(), "also");
    let inputs: Vec<_> = loaded.desired.sources.iter().map(|input| (input.kind, input.name.as_str())).collect();
    assert_eq!(
        inputs,
        [
            (InputKind::Config, "orch.yaml"),
            (InputKind::Environment, "ALSO"),
            (InputKind::Environment, "FROM_HERE"),
            (InputKind::Environment, "HOME"),
            (InputKind::File, "one.env"),
            (InputKind::Profiles, "profiles"),
        ]
    );
    // What is left out needs nothing from outside.
    let inactive = container("      env: [NOWHERE]\n      env_file: nowhere.env\n    profiles: [p]\n");
    Project::new(&inactive).good();
}

#[test]
fn other_spellings_say_the_same() {
    let spec = |keys: &str| docker(&good(&container(keys)), "web").clone();
    for (one, two) in [
        ("      command: a b\n", "      command: [a, b]\n"),
        ("      env: {A: 1, B: \"\"}\n", "      env: [A=1, B=]\n"),
        ("      labels: {a: 1, b: }\n", "      labels: [a=1, b]\n"),
        ("      ports: [\"80-81:80-81\"]\n", "      ports: [\"81:81\", \"80:80\", \"80:80\"]\n"),
        (
            "      volumes: [\"a1:/x:ro\"]\n",
            "      volumes: [{type: volume, source: a1, target: /x, read_only: true}]\n",
        ),
        ("      volumes: [\"/etc:/x\"]\n", "      volumes: [{type: bind, source: /etc, target: /x}]\n"),
        ("      volumes: [/x]\n", "      volumes: [{type: volume, target: /x}]\n"),
        ("      tmpfs: /run\n", "      tmpfs: [/run]\n"),
        ("      ulimits: {nofile: 5}\n", "      ulimits: {nofile: {soft: 5, hard: 5}}\n"),
        ("      extra_hosts: {a: 10.0.0.1}\n", "      extra_hosts: [\"a:10.0.0.1\"]\n"),
        ("      restart: never\n", "      restart: no\n"),
        ("      pull_policy: daily\n", "      pull_policy: every_24h\n"),
        ("      stop_signal: SIGTERM\n", "      stop_signal: term\n"),
        ("      memory: 1g\n", "      memory: 1073741824\n"),
        ("      gpus: all\n", "      gpus: \"all\"\n"),
        (
            "    health_check: {type: backend, test: \"true\"}\n",
            "    health_check: {type: backend, test: [CMD-SHELL, \"true\"]}\n",
        ),
        ("    health_check: {type: backend, test: [a]}\n", "    health_check: [{type: backend, test: [CMD, a]}]\n"),
    ] {
        assert_eq!(spec(one), spec(two), "{one}{two}");
        assert_ne!(spec(one), spec(""), "{one}");
    }
}

#[test]
fn a_check_of_the_engine_is_one_of_orch_too() {
    let with = |check: &str| good(&container(&format!("    health_check: {check}\n")));
    let loaded = with("{type: backend}");
    assert_eq!(docker(&loaded, "web").check, None, "the image has its own");
    assert_eq!(service(&loaded, "web").checks[0].probe, Probe::Backend);
    let loaded = with("{type: backend, test: \"curl http://u:hunter2@h\"}");
    let test = &docker(&loaded, "web").check.as_ref().unwrap().test;
    assert_eq!(text(test), ["CMD-SHELL", "curl http://u:hunter2@h"]);
    assert!(test[1].is_sensitive());
    for off in ["NONE", "[NONE]"] {
        let loaded = with(&format!("{{type: backend, test: {off}}}"));
        assert_eq!(text(&docker(&loaded, "web").check.as_ref().unwrap().test), ["NONE"]);
        assert!(service(&loaded, "web").checks.is_empty(), "nothing is left to be probed");
    }
}

#[test]
fn a_job_is_not_started_again() {
    assert_eq!(docker(&good(&container("    kind: job\n")), "web").restart, RestartRule::No);
    let again = container("      restart: on-failure\n    kind: job\n");
    assert_eq!(docker(&good(&again), "web").restart, RestartRule::OnFailure(0));
}

#[test]
fn ports_of_different_addresses_protocols_and_machines_do_not_conflict() {
    let web = |name: &str, backend: &str| format!("  {name}: {{backend: {{type: docker, image: a, {backend}}}}}\n");
    for (one, two) in [
        ("ports: [\"127.0.0.1:80:80\"]", "ports: [\"127.0.0.2:80:80\"]"),
        ("ports: [\"0.0.0.0:80:80\"]", "ports: [\"[::1]:80:80\"]"),
        ("ports: [\"80:80\"]", "ports: [\"80:80/udp\"]"),
        ("ports: [\"80:80\"]", "ports: [\"80:80\"], host: \"ssh://other\""),
        ("ports: [\"80-82:80\"]", "ports: [\"83:80\"]"),
        ("ports: [80]", "ports: [80]"),
    ] {
        Project::new(&format!("services:\n{}{}", web("a", one), web("b", two))).good();
    }
    // What a check probes is published by another service, or by this one, and claimed by neither check.
    let probes =
        "services:\n  a: {backend: {type: docker, image: a}, health_check: {type: tcp, port: 80}}\n".to_owned();
    let loaded = Project::new(&(probes + &web("b", "ports: [\"80:80\"]"))).good();
    assert!(service(&loaded, "a").spec.ports().is_empty());
}

#[test]
fn a_range_has_a_port_for_each_replica() {
    let loaded = good(&container("      ports: [\"8080-8083:80\", \"90\"]\n    replicas: 3\n"));
    let hosts = |index| -> Vec<HostPort> {
        match &service(&loaded, "web").replica(index).spec {
            Spec::Docker(spec) => spec.ports.iter().map(|port| port.host).collect(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(hosts(0), [HostPort::Any, HostPort::One(8080)]);
    assert_eq!(hosts(2), [HostPort::Any, HostPort::One(8082)]);
}
