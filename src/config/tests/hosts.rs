//! Machines, groups, and services on them.

use std::time::Duration;

use super::{Project, good, service};
use crate::model::{Amount, HostKeys, Pause, Place, Probe, RollFailure, Service, Spec, Strategy};

const HOSTS: &str = r#"
hosts:
  web1:
    address: 10.0.0.1
    user: deploy
    port: 2222
    key_file: keys/web
    known_hosts: accept-new
    known_hosts_file: ~/.ssh/fleet
    jump: [gate, me@other:2200]
    sudo: false
    labels: {role: web, zone: a}
    facts: {shards: 4, primary: true}
  web2: {address: web2.example.com, labels: {role: web, zone: b}, facts: {shards: 8}}
  db: deploy@10.0.0.9:22
  gate: {address: gate.example.com, user: jump}
  plain:
  web: [web2, web1]
  all: [db, web, web1]
"#;

fn loaded(services: &str) -> super::Loaded {
    let project = Project::new(&format!("{HOSTS}services:\n{services}")).env("HOME", "/home/me");
    project.good()
}

fn names(service: &Service) -> Vec<&str> {
    service.hosts.iter().flatten().map(|machine| machine.name.as_str()).collect()
}

#[test]
fn machines_are_what_the_file_says() {
    let project = Project::new(&format!("{HOSTS}services: {{}}\n")).env("HOME", "/home/me");
    let loaded = project.good();
    let machines = &loaded.desired.machines;
    assert_eq!(machines.keys().map(String::as_str).collect::<Vec<_>>(), ["db", "gate", "plain", "web1", "web2"]);
    let web1 = &machines["web1"];
    assert_eq!(web1.to_string(), "web1 (deploy@10.0.0.1:2222)");
    assert_eq!(web1.key_file, Some(project.dir().join("keys/web")));
    assert_eq!(web1.known_hosts_file.as_deref(), Some("/home/me/.ssh/fleet".as_ref()));
    assert_eq!(web1.known_hosts, HostKeys::AcceptNew);
    assert_eq!(web1.jump, ["jump@gate.example.com", "me@other:2200"]);
    assert!(!web1.sudo && machines["web2"].sudo);
    assert_eq!((web1.fact("facts.shards"), web1.fact("facts.primary")), (Some("4"), Some("true")));
    assert_eq!(machines["db"].to_string(), "db (deploy@10.0.0.9:22)");
    assert_eq!(machines["plain"].address, "plain");
}

#[test]
fn a_jump_goes_through_what_its_host_is_reached_through() {
    let loaded = good("hosts: {a: {jump: b}, b: {jump: [c, 'x@[fd00::1]:22'], port: 23}, c: fd00::2}\nservices: {}\n");
    assert_eq!(loaded.desired.machines["a"].jump, ["[fd00::2]", "x@[fd00::1]:22", "b:23"]);
}

#[test]
fn hosts_are_chosen_in_the_order_of_the_file_and_once() {
    for (hosts, chosen) in [
        ("web", &["web2", "web1"][..]),
        ("db", &["db"]),
        ("[db, web, web1]", &["db", "web2", "web1"]),
        ("all", &["db", "web2", "web1"]),
        ("role=web", &["web1", "web2"]),
        ("\"role=web, zone=b\"", &["web2"]),
        ("[zone=b, db]", &["web2", "db"]),
        ("\"${env:GROUP:-web}\"", &["web2", "web1"]),
    ] {
        for backend in
            ["type: ssh, binary: x", "type: systemd, exec: /bin/x", "type: package, package: x, install_path: /opt/x"]
        {
            let loaded = loaded(&format!("  a: {{backend: {{{backend}, hosts: {hosts}}}}}\n"));
            let service = service(&loaded, "a");
            assert_eq!(names(service), chosen, "{hosts}");
            assert_eq!(service.spec.place(), Some(&Place::Here));
        }
    }
}

#[test]
fn one_host_is_a_name_an_address_or_a_login() {
    for (host, shown) in [
        ("web1", "web1 (deploy@10.0.0.1:2222)"),
        ("10.0.0.7", "10.0.0.7"),
        ("me@[fd00::1]:2200", "me@fd00::1:2200"),
        ("me@somewhere", "me@somewhere"),
    ] {
        let loaded = loaded(&format!("  a: {{backend: {{type: systemd, exec: /bin/x, host: \"{host}\"}}}}\n"));
        let service = service(&loaded, "a");
        assert_eq!((service.hosts.as_ref(), service.spec.place().unwrap().to_string()), (None, shown.to_owned()));
    }
    let local = loaded("  a: {backend: {type: systemd, exec: /bin/x}}\n");
    assert_eq!(service(&local, "a").spec.place(), Some(&Place::Here));
}

#[test]
fn what_differs_from_host_to_host_stays_until_the_host_is_known() {
    let loaded = loaded(
        "  a:\n    backend:\n      type: ssh\n      hosts: web\n      binary: /opt/${host:name}/x\n      \
         args: [\"--shards=${host:facts.shards}\", \"$${host:name}\"]\n      env: {ZONE: \"${host:labels.zone}\"}\n    \
         health_check:\n      - {type: http, url: \"http://${host:address}:80/${host:name}\", headers: {Host: \"${host:name}\"}}\n      \
         - {type: tcp, host: \"${host:address}\", port: 1}\n      - {type: command, command: /bin/x, args: [\"${host:name}\"]}\n",
    );
    let template = service(&loaded, "a");
    let service = template.on(&template.hosts.as_ref().unwrap()[0]);
    let Spec::Ssh(spec) = &service.spec else { panic!("{:?}", service.spec) };
    assert_eq!(spec.binary.reveal(), "/opt/web2/x");
    assert_eq!([spec.args[0].reveal(), spec.args[1].reveal()], ["--shards=8", "${host:name}"]);
    assert_eq!(spec.env["ZONE"].reveal(), "b");
    let Probe::Http { url, headers, .. } = &service.checks[0].probe else { panic!("{:?}", service.checks) };
    assert_eq!((url.reveal(), headers[0].1.reveal()), ("http://web2.example.com:80/web2", "web2"));
    let Probe::Tcp { host, .. } = &service.checks[1].probe else { panic!("{:?}", service.checks) };
    assert_eq!(host, "web2.example.com");
}

#[test]
fn one_host_is_filled_in_at_once() {
    let loaded = loaded("  a: {backend: {type: ssh, host: web1, binary: x, env: {U: \"${host:user}\"}}}\n");
    let Spec::Ssh(spec) = &service(&loaded, "a").spec else { panic!("no program") };
    assert_eq!(spec.env["U"].reveal(), "deploy");
}

#[test]
fn what_a_secret_holds_is_never_taken_for_a_reference() {
    let project = Project::new(&format!(
        "{HOSTS}services:\n  a: {{backend: {{type: ssh, host: web1, binary: x, env: {{A: \"${{file:s}}\", B: \"${{env:B}}\"}}}}}}\n"
    ));
    project.write("s", "${host:name}\n");
    let loaded = project.env("HOME", "/").env("B", "${host:name}").good();
    let Spec::Ssh(spec) = &service(&loaded, "a").spec else { panic!("no program") };
    assert_eq!([spec.env["A"].reveal(), spec.env["B"].reveal()], ["${host:name}", "${host:name}"]);
}

#[test]
fn checks_and_ports_are_those_of_the_host() {
    let service_on = |name: &str, host: &str| {
        format!(
            "  {name}: {{backend: {{type: ssh, {host}, binary: srv}}, health_check: [{{type: tcp, port: 80}}, \
             {{type: command, command: no-such-program}}, {{type: backend}}]}}\n"
        )
    };
    let loaded = loaded(
        &(service_on("a", "hosts: web")
            + &service_on("b", "host: db")
            + &service_on("c", "host: 10.0.0.7")
            + "  d: {backend: {type: process, binary: /bin/true}, health_check: {type: tcp, port: 80}}\n"),
    );
    let Spec::Ssh(spec) = &service(&loaded, "a").spec else { panic!("no program") };
    assert_eq!(spec.ports, [80]);
    assert!(service(&loaded, "a").spec.ports().is_empty());
    assert_eq!(loaded.warnings.to_string(), "");
}

#[test]
fn a_strategy_has_a_short_and_a_full_form() {
    let strategy = |text: &str| {
        let loaded = loaded(&format!("  a: {{backend: {{type: ssh, hosts: web, binary: x}}, strategy: {text}}}\n"));
        service(&loaded, "a").strategy.clone().unwrap()
    };
    assert_eq!(strategy("2").max_parallel, [Amount::Count(2)]);
    assert_eq!(strategy("25%").max_parallel, [Amount::Percent(25)]);
    assert_eq!(strategy("[1, 20%]").max_parallel, [Amount::Count(1), Amount::Percent(20)]);
    assert_eq!(strategy("{}"), Strategy::default());
    let full = "{max_parallel: [1, 5], canary: 1, min_healthy_time: 10s, max_failures: 10%, pause: ask, on_failure: halt, confirm: 30}";
    assert_eq!(
        strategy(full),
        Strategy {
            max_parallel: vec![Amount::Count(1), Amount::Count(5)],
            canary: 1,
            min_healthy_time: Duration::from_secs(10),
            max_failures: Amount::Percent(10),
            pause: Some(Pause::Ask),
            on_failure: Some(RollFailure::Halt),
            confirm: Some(Duration::from_secs(30)),
        }
    );
    assert_eq!(strategy("{pause: 30s}").pause, Some(Pause::Millis(30_000)));
    let replicas = good("services: {a: {replicas: 4, strategy: 2, backend: {type: docker, image: x}}}\n");
    assert_eq!(service(&replicas, "a").strategy.as_ref().unwrap().max_parallel, [Amount::Count(2)]);
    let one = good("services: {a: {strategy: {min_healthy_time: 1}, backend: {type: process, binary: /bin/true}}}\n");
    assert!(service(&one, "a").strategy.is_some());
    let one = loaded("  a: {strategy: {confirm: 1m}, backend: {type: systemd, exec: /bin/x, host: web1}}\n");
    assert_eq!(service(&one, "a").strategy.as_ref().unwrap().confirm, Some(Duration::from_secs(60)));
    assert_eq!(service(&loaded("  a: {backend: {type: ssh, hosts: web, binary: x}}\n"), "a").strategy, None);
}

#[test]
fn a_job_runs_on_a_host_too() {
    let loaded = loaded("  a: {kind: job, backend: {type: ssh, hosts: web, binary: x, restart: on-failure}}\n");
    assert_eq!(service(&loaded, "a").kind, crate::model::Kind::Job);
}

#[test]
fn an_uploaded_file_and_a_package_are_inputs() {
    let text = "  a: {backend: {type: ssh, host: web1, binary: /opt/x, upload: bin/x, run_as: app, working_dir: /srv}}\n  \
                b: {backend: {type: package, package: p.tar.gz, install_path: /opt/b/, run_as: app, keep: 2, run: true, \
                sha256: \"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}}\n  \
                c: {backend: {type: package, package: \"https://u:p@h/p\", install_path: /opt/c, \
                sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad}}\n";
    let project = Project::new(&format!("{HOSTS}services:\n{text}")).env("HOME", "/");
    project.write("bin/x", vec![0xff; 1 << 20]);
    project.write("p.tar.gz", "abc");
    let loaded = project.good();
    let Spec::Ssh(spec) = &service(&loaded, "a").spec else { panic!("no program") };
    let upload = spec.upload.as_ref().unwrap();
    assert_eq!((&upload.path, upload.content), (&project.dir().join("bin/x"), Some(digest(&vec![0xff; 1 << 20]))));
    assert_eq!((spec.user.as_deref(), spec.working_dir.as_deref()), (Some("app"), Some("/srv")));
    let Spec::Package(spec) = &service(&loaded, "b").spec else { panic!("no package") };
    assert_eq!((spec.sha256, spec.install_path.as_str()), (Some(digest(b"abc")), "/opt/b"));
    assert_eq!((spec.user.as_deref(), spec.keep, spec.run), (Some("app"), 2, Some(true)));
    let Spec::Package(spec) = &service(&loaded, "c").spec else { panic!("no package") };
    assert!(matches!(&spec.source, crate::model::PackageSource::Url(url) if url.is_sensitive()));
    let files = loaded.desired.sources.iter().filter(|source| source.kind == crate::model::InputKind::File);
    let files: Vec<_> = files.map(|source| (source.name.as_str(), source.content.is_some())).collect();
    assert_eq!(files, [("bin/x", true), ("p.tar.gz", true)]);
}

fn digest(bytes: &[u8]) -> crate::model::Digest {
    crate::model::Digest::of(bytes)
}

#[test]
fn a_tunnel_comes_before_what_is_in_it() {
    let text = "networks: {vpn: {type: wireguard, config: wg/home.conf}, lan: {type: lan, subnet: 10.0.0.0/24}}\n";
    let services = "  a: {backend: {type: ssh, hosts: [web1, db], binary: x}, network: vpn}\n  \
                    b: {backend: {type: process, binary: /bin/true}, network: vpn}\n  \
                    c: {backend: {type: ssh, hosts: [web1, web2, db], binary: x}, network: lan}\n  \
                    d: {backend: {type: ssh, host: web1, binary: x}, network: vpn, profiles: [p]}\n";
    let project = Project::new(&format!("{HOSTS}{text}services:\n{services}")).env("HOME", "/");
    project.write("wg/home.conf", "[Interface]\nPrivateKey = x\n");
    let loaded = project.good();
    for name in ["a", "b"] {
        assert_eq!(service(&loaded, name).dependencies[0].service.as_str(), "networks.vpn");
    }
    assert!(service(&loaded, "c").dependencies.is_empty());
    let Spec::Wireguard(spec) = &service(&loaded, "networks.vpn").spec else { panic!("no tunnel") };
    assert_eq!(spec.interface, "home");
    assert!(spec.content.as_ref().unwrap().is_sensitive());
    assert!(loaded.desired.sources.iter().any(|source| source.name == "wg/home.conf" && source.content.is_some()));
}

#[test]
fn groups_stand_in_groups_as_deep_as_a_file_is_long() {
    let deep: String = (0..50_000).map(|n| format!("  g{n}: [g{}]\n", n + 1)).collect();
    let loaded = good(&format!(
        "hosts:\n{deep}  g50000: [x]\n  x: h\nservices: {{a: {{backend: {{type: ssh, binary: x, hosts: g0}}}}}}\n"
    ));
    assert_eq!(names(service(&loaded, "a")), ["x"]);
}
