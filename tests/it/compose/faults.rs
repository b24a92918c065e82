//! What goes wrong around a project: what served before still serves, and orch says what happened in Compose's own
//! words.

use rustix::process::{Pid, Signal, kill_process};

use super::{Stack, three, two};
use crate::support::{Deployment, OwnEngine, free_port, wait_until};

#[test]
fn a_file_that_does_not_parse_is_told_in_composes_words() {
    let stack = Stack::new("services: {a: {imagee: x}}\n", "");
    stack.orch(&["plan"]).exits(1).says(&["stack: cannot read the Compose project", "imagee", "docker compose config"]);
    stack.orch(&["apply", "--auto-approve"]).exits(1).says(&["imagee"]);
    stack.file("services:\n\t- x\n");
    stack.orch(&["plan"]).exits(1).says(&["yaml"]);
    stack.file("services: {a: {image: x, profiles: [p]}}\n");
    stack.orch(&["plan"]).exits(1).says(&["profiles that are off"]);
    stack.file("services: {a: {image: x}}\n");
    stack.backend(", gate: [b]");
    stack.orch(&["plan"]).exits(1).says(&["`gate` names `b`", "it has a"]);
}

#[test]
fn a_missing_compose_and_a_wrong_version_are_told() {
    let stack = Stack::new(&two("[web, serve]"), "");
    let plan = |name: &str, value: &str| {
        let mut orch = stack.command(&["plan"]);
        orch.env(name, value);
        stack.spawn(orch, &["plan"]).end().exits(1)
    };
    plan("PATH", "/usr/bin:/bin").says(&["cannot find Compose", "install Docker Compose v2"]);
    plan("ORCH_COMPOSE", "/nonexistent").says(&["/nonexistent is no program"]);
    let old = stack.script(
        "old/docker-compose",
        "#!/bin/sh\ntest \"$1\" = version && { echo 1.29.2; exit 0; }\necho 'unknown flag: --format' >&2; exit 1\n",
    );
    let folder = old.parent().unwrap().display().to_string();
    plan("PATH", &format!("{folder}:/usr/bin:/bin")).says(&["Compose v1 (1.29.2)", "needs version 2"]);
    let odd = stack.script("odd/docker-compose", "#!/bin/sh\necho hello\n");
    plan("ORCH_COMPOSE", &odd.display().to_string()).says(&["does not say which version"]);
    // A plugin of the user's goes before what is in PATH.
    let plugin = stack.script("config/cli-plugins/docker-compose", "#!/bin/sh\necho 1.0.0\n");
    let config = plugin.parent().unwrap().parent().unwrap().display().to_string();
    plan("DOCKER_CONFIG", &config).says(&["cli-plugins/docker-compose is Compose v1"]);
}

#[test]
fn what_never_gets_healthy_misses_the_gate_by_name_and_goes_back() {
    let stack = Stack::new(&three("1"), "");
    stack.apply();
    let sick =
        three("2").replace("environment:", "healthcheck: {test: [CMD, 'false'], interval: 1h}\n    environment:");
    stack.file(&sick);
    stack.backend(", wait_timeout: 2");
    let missed = stack.orch(&["apply", "--auto-approve"]).exits(5);
    missed.says(&["not healthy within 2s", "web is starting", "the last healthy version runs again"]);
    assert_eq!(stack.variable("web", "VERSION"), "1");
    stack.file(&three("1"));
    stack.is_done();
}

#[test]
fn what_exits_is_told_by_name_with_its_last_lines() {
    let stack = Stack::new(&two("[web, fail, '4']"), "");
    // Long enough for it to have ended, so that it never passes for well.
    let file = stack.read("orch.yaml");
    stack.write("orch.yaml", file.replace("timeout: 60", "timeout: 60\n    settle: 30s"));
    let failed = stack.orch(&["apply", "--auto-approve"]).exits(5);
    failed.says(&["exited with code 4", "b exited (exit code 4)", "b | no configuration found"]);
    stack.write("orch.yaml", file);
    stack.file(&two("[web, serve]"));
    stack.apply();
    stack.is_done();

    // A change that Compose itself gives up on goes back too.
    stack.file(&two("[web, serve]").replace(
        "orch-test/web:1', command: [web, serve], stop_grace_period: 2s}",
        "orch-test/none:1', pull_policy: never}",
    ));
    let failed = stack.orch(&["apply", "--auto-approve"]).exits(5);
    failed.says(&["cannot bring up the Compose project", "orch-test/none:1"]);
    stack.file(&two("[web, serve]"));
    stack.apply();
    stack.is_done();
}

#[test]
fn a_port_that_somebody_has_is_told_before_and_after() {
    let port = free_port();
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let file = two("[web, serve]").replace("restart: unless-stopped", &format!("ports: ['127.0.0.1:{port}:80']"));
    let stack = Stack::new(&file, "");
    stack.orch(&["plan"]).exits(0).says(&[&format!("port {port} is taken by")]);
    stack.orch(&["apply", "--auto-approve"]).exits(5).says(&[&port.to_string()]);
    drop(listener);
    stack.apply();
    stack.is_done();
}

/// The pid of Compose below an orch.
fn child(parent: u32) -> Option<u32> {
    let all = orch::sys::processes();
    let below = orch::sys::descendants(&all, parent);
    let is_compose = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains("docker-compose") && line.contains(" up ")
    };
    below.into_iter().map(|process| process.pid).find(is_compose)
}

#[test]
fn a_compose_that_is_killed_fails_the_step_and_the_next_apply_completes_it() {
    // The database takes long enough for Compose to be met while it waits.
    let file = three("1").replace("interval: 200ms", "interval: 2s");
    let stack = Stack::new(&file, "");
    let running = stack.start(&["apply", "--auto-approve"]);
    let mut found = None;
    wait_until("Compose runs", || {
        found = child(running.pid()).filter(|_| !stack.found("db").is_empty());
        found.is_some()
    });
    kill_process(Pid::from_raw(i32::try_from(found.unwrap()).unwrap()).unwrap(), Signal::KILL).unwrap();
    running.end().exits(5).says(&["Compose was killed by signal 9"]);
    stack.apply();
    stack.is_done();
    assert_eq!(stack.found("").len(), 3);
}

#[test]
fn a_killed_orch_leaves_compose_to_its_end_and_the_next_one_waits_for_it() {
    let file = three("1").replace("interval: 200ms", "interval: 2s");
    let stack = Stack::new(&file, "");
    let running = stack.start(&["apply", "--auto-approve"]);
    wait_until("Compose runs", || child(running.pid()).is_some() && !stack.found("db").is_empty());
    running.signal(Signal::KILL);
    stack.apply();
    stack.is_done();
    assert_eq!(stack.found("").len(), 3);
}

#[test]
fn an_engine_that_goes_away_and_comes_back_is_told_and_gone_on_from() {
    let mut engine = OwnEngine::start(96);
    let file = "services: {a: {image: 'orch-test/web:1', command: [web, wait], network_mode: none, restart: always}}\n";
    let stack = Stack::on(Deployment::at(&engine.host(), "services: {}\n"), file, "");
    stack.apply();
    stack.is_done();
    engine.stop();
    stack.orch(&["plan"]).exits(1).says(&["cannot connect to the Docker engine"]);
    stack.file(&file.replace("always", "unless-stopped"));
    stack.orch(&["apply", "--auto-approve"]).exits(1);
    engine.again();
    stack.apply();
    stack.is_done();
    assert_eq!(stack.found("a")[0]["HostConfig"]["RestartPolicy"]["Name"], "unless-stopped");
}
