//! What good definitions load to.

use std::time::Duration;

use super::{Project, good, process, service, spec};
use crate::model::{BodyMatch, Condition, InputKind, Kind, OnFailure, Probe, RestartMode, StatusMatch, StopSignal};

const SHOP: &str = r#"
version: "1.0"
settings: {state_dir: .state, max_parallel: 8, default_timeout: 5m, on_failure: halt}
networks:
  production: {type: lan, subnet: 192.168.1.0/24}
x-anything: {goes: [here]}
services:
  postgres:
    backend: {type: external}
    health_check: {type: tcp, port: 5432, timeout_secs: 10}
    network: production
  migrate:
    kind: job
    backend: {type: process, binary: ./bin/migrate}
    dependencies: [postgres]
    triggers: ["migrations/*.sql"]
  api:
    description: the API
    backend:
      type: process
      binary: ./bin/api
      args: [--port, 8080, yes]
      env: {PORT: 8080, DATABASE_URL: "postgresql://app:hunter2@localhost/api", API_KEY: k, EMPTY: ""}
      working_dir: sub
      stop_signal: int
      stop_timeout: 1m30s
      log: {max_size: 1MB, keep: 3}
      restart: {policy: always, delay: 200ms, max_restarts: 9}
    dependencies: {postgres: , migrate: {condition: completed, restart: true}}
    health_check:
      - {type: http, url: "http://localhost:8080/health", expected_status: [200, 204], body: ok, headers: {Authorization: x}}
      - {type: http, url: "http://localhost:8080/", expected_status: 200, body: {equals: up}, interval: 500ms, deadline: 60}
      - {type: command, command: no-such-check, args: [-q], expected_exit_code: 2}
      - {type: script, path: check.sh, x-note: free}
      - {type: backend}
    lifecycle: {prevent_destroy: true, replace_triggered_by: [postgres], ignore_changes: [env.PORT]}
    renamed_from: old-api
    timeout: 10
  cron:
    backend: {type: process, binary: sleep, args: [1], restart: never}
    profiles: [debug]
"#;

#[test]
fn everything_is_read() {
    let project = Project::new(SHOP);
    project.write("migrations/2.sql", "two");
    project.write("migrations/1.sql", "one");
    let loaded = project.good();
    let dir = project.dir();
    let desired = &loaded.desired;
    assert_eq!(desired.project.as_str(), "shop");
    assert_eq!(desired.settings.state_dir, dir.join(".state"));
    assert_eq!(desired.settings.max_parallel, 8);
    assert!(loaded.max_parallel_given);
    assert_eq!(desired.settings.default_timeout, Duration::from_secs(300));
    assert_eq!(desired.settings.on_failure, OnFailure::Halt);
    assert_eq!(desired.inactive.iter().map(ToString::to_string).collect::<Vec<_>>(), ["cron"]);

    let migrate = service(&loaded, "migrate");
    assert_eq!(migrate.kind, Kind::Job);
    assert_eq!(
        migrate.triggers.iter().map(|t| t.path.as_str()).collect::<Vec<_>>(),
        ["migrations/1.sql", "migrations/2.sql"]
    );
    assert_eq!(migrate.dependencies[0].condition, Condition::Healthy);
    assert_eq!(spec(&loaded, "migrate").restart.mode, RestartMode::Never);
    assert_eq!(spec(&loaded, "migrate").binary.reveal(), dir.join("bin/migrate").display().to_string());
    assert_eq!(spec(&loaded, "migrate").working_dir, dir);

    let api = service(&loaded, "api");
    assert_eq!(
        api.dependencies.iter().map(|d| (d.service.as_str(), d.condition, d.restart)).collect::<Vec<_>>(),
        [("migrate", Condition::Completed, true), ("postgres", Condition::Healthy, false),]
    );
    assert_eq!(api.timeout, Duration::from_secs(10));
    assert_eq!(api.settle, Duration::from_millis(300));
    assert!(api.lifecycle.prevent_destroy);
    assert_eq!(api.lifecycle.replace_triggered_by[0].as_str(), "postgres");
    let process = spec(&loaded, "api");
    assert_eq!(process.args.iter().map(|a| a.reveal()).collect::<Vec<_>>(), ["--port", "8080", "yes"]);
    let sensitive = |name: &str| process.env[name].is_sensitive();
    assert!(sensitive("API_KEY") && sensitive("DATABASE_URL") && !sensitive("PORT"));
    assert_eq!(process.env["EMPTY"].reveal(), "");
    assert_eq!(process.working_dir, dir.join("sub"));
    assert_eq!(process.stop_signal, StopSignal::SigInt);
    assert_eq!(process.stop_timeout, Duration::from_secs(90));
    assert_eq!((process.log.max_size, process.log.keep), (1_000_000, 3));
    assert_eq!(process.restart.mode, RestartMode::Always);
    assert_eq!(process.restart.delay, Duration::from_millis(200));
    assert_eq!(process.ports, [8080]);
    match &api.checks[0].probe {
        Probe::Http { url, expected_status, body, headers } => {
            assert_eq!(url.reveal(), "http://localhost:8080/health");
            assert_eq!(*expected_status, StatusMatch::OneOf(vec![200, 204]));
            assert_eq!(*body, Some(BodyMatch::Contains("ok".into())));
            assert!(headers[0].1.is_sensitive());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(api.checks[1].policy.interval, Duration::from_millis(500));
    assert_eq!(api.checks[1].policy.deadline, Some(Duration::from_secs(60)));
    assert!(matches!(&api.checks[2].probe, Probe::Command { expected_exit_code: 2, .. }));
    assert!(matches!(&api.checks[3].probe, Probe::Script { path } if *path == dir.join("check.sh")));
    assert_eq!(api.checks[4].probe, Probe::Backend);
    let postgres = service(&loaded, "postgres");
    assert_eq!(postgres.checks[0].policy.timeout, Duration::from_secs(10));
    assert!(matches!(&postgres.checks[0].probe, Probe::Tcp { host, port: 5432 } if host == "localhost"));

    let warnings = loaded.warnings.to_string();
    for missing in ["`./bin/migrate`", "`./bin/api`", "the folder `sub`", "`no-such-check`", "`check.sh`"] {
        let missing = missing.replace("./bin", &format!("{}/bin", dir.display()));
        let short = super::super::diagnostic::shorten(missing.trim_matches('`'));
        assert!(warnings.contains(&short) || warnings.contains(&missing), "{missing} in {warnings}");
    }
}

#[test]
fn values_are_put_in() {
    let text = r#"
variables:
  PORT: {default: 8080, pattern: "[0-9]+"}
  NAME: {description: who}
  SECRET: {sensitive: true, default: hunter2}
services:
  web:
    backend:
      type: process
      binary: /bin/true
      args: ["${var:NAME}", "--x=${env:X:-none}", "$${literal}", "pw=${var:SECRET}", "${file:key.txt}"]
      env: {FROM: "${env:GITHUB_TOKEN}", BLOCK: "a${var:PORT}b"}
      ports: ["${var:PORT}"]
    timeout: ${env:WAIT}
"#;
    let project =
        Project::new(text).env("WAIT", "2m").env("GITHUB_TOKEN", "t").env("ORCH_VAR_NAME", "env").var("PORT", "9090");
    project.write("key.txt", "line\n");
    let loaded = project.good();
    let process = spec(&loaded, "web");
    let args: Vec<_> = process.args.iter().map(|a| (a.reveal(), a.is_sensitive())).collect();
    assert_eq!(
        args,
        [("env", false), ("--x=none", false), ("${literal}", false), ("pw=hunter2", true), ("line", true),]
    );
    assert!(process.env["FROM"].is_sensitive());
    assert_eq!(process.env["BLOCK"].reveal(), "a9090b");
    assert_eq!(process.ports, [9090]);
    assert_eq!(service(&loaded, "web").timeout, Duration::from_secs(120));
    assert_eq!(loaded.sensitive_vars.iter().collect::<Vec<_>>(), ["SECRET"]);

    let sources: Vec<_> =
        loaded.desired.sources.iter().map(|s| (s.kind, s.name.as_str(), s.content.is_some())).collect();
    assert_eq!(
        sources,
        [
            (InputKind::Config, "orch.yaml", true),
            (InputKind::Variable, "NAME", true),
            (InputKind::Variable, "PORT", true),
            (InputKind::Variable, "SECRET", true),
            (InputKind::Environment, "GITHUB_TOKEN", true),
            (InputKind::Environment, "WAIT", true),
            (InputKind::Environment, "X", false),
            (InputKind::File, "key.txt", true),
            (InputKind::Profiles, "profiles", true),
        ]
    );
}

#[test]
fn the_last_value_of_a_variable_wins() {
    let text =
        format!("variables: {{A: {{default: 1}}}}\n{}    description: x\n", process("      args: [\"${var:A}\"]\n"));
    let value = |project: &Project| spec(&project.good(), "web").args[0].reveal().to_owned();
    let mut project = Project::new(&text);
    project.write("vars.yaml", "A: 3\n");
    project.write("vars.toml", "A = 4\n");
    assert_eq!(value(&project), "1");
    project = project.env("ORCH_VAR_A", "2");
    assert_eq!(value(&project), "2");
    project.options.var_files = vec!["vars.yaml".into()];
    assert_eq!(value(&project), "3");
    project.options.var_files.push("vars.toml".into());
    assert_eq!(value(&project), "4");
    assert_eq!(value(&project.var("A", "5")), "5");
}

#[test]
fn several_files_are_one_and_paths_start_at_their_file() {
    let mut project = Project::empty();
    project.write("a.yaml", "project: p\nservices:\n  a: {backend: {type: external}}\n");
    project.write("conf/b.yml", "services:\n  b: {backend: {type: process, binary: bin/b}, dependencies: [a]}\n");
    project.options.files = vec!["a.yaml".into(), "conf".into()];
    let loaded = project.good();
    assert_eq!(spec(&loaded, "b").binary.reveal(), project.dir().join("conf/bin/b").display().to_string());
    assert_eq!(spec(&loaded, "b").working_dir, project.dir().join("conf"));
    assert_eq!(loaded.base_dir, project.dir());
    assert_eq!(loaded.desired.settings.state_dir, project.dir().join(".orch"));
    let names: Vec<_> = loaded.desired.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["a.yaml", "conf/b.yml", "profiles"]);
}

#[test]
fn profiles_choose_services() {
    let text = "services:\n  a: {backend: {type: external}}\n  b: {backend: {type: external}, profiles: [x, y]}\n";
    assert_eq!(Project::new(text).good().desired.services.len(), 1);
    assert_eq!(Project::new(text).profile("y").good().desired.services.len(), 2);
}

#[test]
fn yaml_conveniences_work() {
    let loaded = good(
        "x-base: &base\n  type: process\n  binary: /bin/true\n  env: &env {A: 1}\nservices:\n  web:\n    backend:\n      \
         <<: *base\n      args:\n        - |\n          one\n          two\n        - no\n  two:\n    backend: *base\n",
    );
    assert_eq!(spec(&loaded, "web").args[0].reveal(), "one\ntwo\n");
    assert_eq!(spec(&loaded, "web").args[1].reveal(), "no");
    assert_eq!(spec(&loaded, "two").env["A"].reveal(), "1");
}

#[test]
fn the_folder_names_the_project() {
    for (folder, name) in [("My Shop", "My-Shop"), ("..odd", "odd"), ("ü", "project")] {
        let mut project = Project::empty();
        project.write(&format!("{folder}/orch.yaml"), "services: {}\n");
        project.options.cwd = project.dir().join(folder);
        assert_eq!(project.good().desired.project.as_str(), name);
    }
}
