//! What never happens, whatever the input: a panic, an overflow of the stack, a slow failure.

use proptest::prelude::*;

use super::{Project, process};

const VALID: &str = r#"
version: "1.0"
variables: {A: {default: 1, pattern: "[0-9]"}}
networks: {n: {type: lan, subnet: 10.0.0.0/8}, w: {type: wireguard, config: wg0.conf}}
hosts:
  h1: {address: 10.0.0.1, user: u, port: 22, jump: [h2, "a@b:1"], labels: {r: w}, facts: {f: 1}, key_file: k}
  h2: "u@10.0.0.2:22"
  g: [h1, h2]
x-base: &base {type: process, binary: /bin/true, args: ["${var:A}", 'b', "ü\n"]}
services:
  api:
    backend: {<<: *base, env: {K: v}, restart: {delay: 1s}}
    dependencies: {db: {condition: healthy}}
    health_check: [{type: http, url: "http://localhost:8080/h", expected_status: 200}]
  db:
    backend: *base
    health_check: {type: tcp, port: 5432}
    description: |
      x
  web:
    replicas: 2
    backend:
      {type: docker, image: "h:1/a:b", command: "a 'b'", env: [A=1, "B=${var:A}"], env_file: x.env, labels: {a: },
       ports: ["8090-8091:80", "[::1]::1/udp"], volumes: ["a1:/x:ro", "./b:/y", {type: bind, source: /, target: /z}],
       tmpfs: "/run:size=1m", networks: {n: {aliases: [b]}}, ulimits: {core: {soft: 1, hard: 2}}, memory: 64MiB, cpus: 1.5,
       gpus: [a], extra_hosts: ["a:::1"], restart: on-failure:3, stop_signal: RTMIN+3, pull_policy: every 24h}
    health_check: {type: backend, test: [CMD, a], interval: 1s}
  remote:
    backend: {type: ssh, hosts: [g, "r=w"], binary: "/opt/${host:name}", args: ["$${host:name}"], upload: x.env}
    strategy: {max_parallel: [1, 20%], canary: 1, max_failures: 10%, pause: ask, confirm: 30s}
    health_check: {type: http, url: "http://${host:address}:1/", headers: {A: "${host:name}"}}
    network: n
  unit:
    backend: {type: systemd, host: "me@h:1", unit: u@, instances: [a], exec: ["/bin/x", "${host:name}"], schedule: daily,
      drop_ins: {a.conf: "[Unit]"}, files: {/etc/x: {source: x.env, mode: 0600, owner: "a:b"}}, options: {A: [1, 2]}, after: x}
  package:
    backend: {type: package, host: h1, package: x.env, install_path: /opt/p, pre_install: ["a"], keep: 2}
    network: w
"#;

/// Loads and draws; only the absence of a panic counts.
fn survive(bytes: &[u8]) {
    let project = Project::empty();
    project.write("orch.yaml", bytes);
    project.write("x.env", "A='1'\nexport B=\"x\"\n");
    if let Err(problems) = project.load() {
        let _ = problems.render(false, 80);
        let _ = problems.to_data();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        survive(&bytes);
    }

    #[test]
    fn yaml_like_text_never_panics(text in "([a-z]{1,3}: |- |\\[|\\]|\\{|\\}|\"|'|&a |\\*a|<<: |\n *|\\$\\{|\\}|!!str |ü|# |\\||>|,|\\?|---\n|\t){0,60}") {
        survive(text.as_bytes());
    }

    #[test]
    fn mutated_definitions_never_panic(
        edits in proptest::collection::vec((0..VALID.len(), 0usize..4, any::<u8>()), 1..8)
    ) {
        let mut bytes = VALID.as_bytes().to_vec();
        for (at, remove, insert) in edits {
            let at = at.min(bytes.len());
            let end = (at + remove).min(bytes.len());
            bytes.splice(at..end, [insert]);
        }
        survive(&bytes);
    }

    #[test]
    fn truncated_definitions_never_panic(at in 0..VALID.len()) {
        survive(&VALID.as_bytes()[..at]);
    }
}

#[test]
fn what_is_mutated_is_valid() {
    let project = Project::new(VALID);
    project.write("x.env", "");
    project.good();
}

#[test]
fn a_long_chain_of_dependencies_loads_and_a_long_cycle_is_cut() {
    let count = 20_000;
    let chain = |last: &str| {
        let mut text = "services:\n".to_owned();
        for n in 0..count {
            let next = if n + 1 < count { format!("s{}", n + 1) } else { last.to_owned() };
            text.push_str(&format!("  s{n}: {{backend: {{type: external}}, dependencies: [{next}]}}\n"));
        }
        text.push_str("  end: {backend: {type: external}}\n");
        text
    };
    assert_eq!(Project::new(&chain("end")).good().desired.services.len(), count + 1);
    let found = Project::new(&chain("s0")).bad();
    assert!(found.contains("s0 -> s1 -> ") && found.contains("more") && found.len() < 500, "{found}");
}

#[test]
fn a_line_of_megabytes_is_cut() {
    let long = "x".repeat(1 << 20);
    let text = process(&format!("      args: [{long}]\n      ports: [{long}]\n"));
    let problems = Project::new(&text).load().unwrap_err();
    let drawn = problems.render(false, 100);
    assert!(drawn.len() < 4000, "{} bytes", drawn.len());
}

/// Prints how long large definitions take; `cargo test --release -- --ignored --nocapture load_speed`.
#[test]
#[ignore = "a measurement, not a check"]
fn load_speed() {
    for count in [10_000, 100_000] {
        let mut text = "services:\n".to_owned();
        for n in 0..count {
            let layer = n / 100;
            text.push_str(&format!("  svc-{n:06}:\n    backend: {{type: external}}\n"));
            if layer > 0 {
                let below = (layer - 1) * 100;
                let (one, two) = (below + n % 100, below + (n + 1) % 100);
                text.push_str(&format!("    dependencies: [svc-{one:06}, svc-{two:06}]\n"));
            }
        }
        let project = Project::new(&text);
        for _ in 0..3 {
            let start = std::time::Instant::now();
            let loaded = project.good();
            println!("{count} services, {} KB: {:?}", text.len() / 1000, start.elapsed());
            assert_eq!(loaded.desired.services.len(), count);
        }
        let peak = std::fs::read_to_string("/proc/self/status").unwrap();
        println!("{}", peak.lines().find(|line| line.starts_with("VmHWM")).unwrap());
    }
}
