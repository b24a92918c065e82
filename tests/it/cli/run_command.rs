//! `orch run`: a command with services that live as long as it.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use rustix::process::Signal;

use super::helpers::{greeter, services, sleeper};
use crate::support::{Project, Running, free_port, wait_until};

/// A project with a demo service that has an endpoint, and one that only sleeps.
fn shop() -> (Project, u16) {
    let port = free_port();
    let api = greeter("api", port, "hello", &format!("    endpoints: {{http: {{port: {port}, path: /v1}}}}\n"));
    (Project::new(&services(&[api, sleeper("other", "")])), port)
}

/// Runs a shell script as the command.
fn run(project: &Project, args: &[&str], script: &str) -> Running {
    project.start(&[&["run"], args, &["--", "/bin/sh", "-c", script]].concat())
}

/// The folders of runs that are there.
fn folders(project: &Project) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(project.path(".orch/managed"));
    entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[track_caller]
fn nothing_is_left(project: &Project) {
    wait_until("everything is gone", || project.processes().is_empty());
    assert_eq!(folders(project), Vec::<PathBuf>::new());
}

#[test]
fn a_command_has_the_endpoints_and_stdout_to_itself() {
    let (project, port) = shop();
    let ran = run(&project, &[], "echo $ORCH_API_HTTP_URL $ORCH_API_HTTP_HOST $ORCH_API_HTTP_PORT").end().ok();
    assert_eq!(ran.out, format!("http://localhost:{port}/v1 localhost {port}\n"));
    assert!(ran.err.contains("api: created in") && ran.err.contains("api: deleted in"), "{ran}");
    nothing_is_left(&project);
    project.orch(&["status"]).ok().says(&["not applied"]);
}

#[test]
fn the_logs_are_kept_when_the_command_fails_and_its_exit_code_is_passed_on() {
    let (project, _) = shop();
    let ran = run(&project, &[], "exit 3").end().exits(3);
    wait_until("everything is gone", || project.processes().is_empty());
    let [folder] = &folders(&project)[..] else { panic!("{ran}") };
    let evidence = folder.join("evidence");
    assert!(ran.err.contains(&evidence.display().to_string()), "{ran}");
    let read = |name: &str| std::fs::read_to_string(evidence.join(name)).unwrap();
    assert!(read("api.log").contains("listening"), "{}", read("api.log"));
    let status: serde_json::Value = serde_json::from_str(&read("status.json")).unwrap();
    assert_eq!((&status[0]["service"], &status[0]["healthy"]), (&"api".into(), &true.into()));
    run(&project, &[], "true").end().ok();
    assert_eq!(folders(&project).len(), 1, "what is kept stays");
}

#[test]
fn the_exit_codes_are_those_of_a_shell() {
    let (project, _) = shop();
    project.orch(&["run", "--", "no-such-command"]).exits(127).says(&["cannot run no-such-command"]);
    let plain = project.write("plain", "text").display().to_string();
    project.orch(&["run", "--", &plain]).exits(126).says(&["cannot run"]);
    nothing_is_left(&project);
    run(&project, &[], "kill -TERM $$").end().exits(143);
    project.orch(&["run"]).exits(64);
    project.yaml(&services(&["  a:\n    backend: {type: process, binary: /bin/false}\n    settle: 2s\n".to_owned()]));
    let ran = run(&project, &[], "touch ran").end().exits(5);
    assert!(!project.path("ran").exists() && ran.err.contains("Logs and states"), "{ran}");
}

#[test]
fn the_first_signal_is_the_commands_and_the_second_ends_it() {
    for (signal, name) in [(Signal::INT, "INT"), (Signal::TERM, "TERM")] {
        let (project, _) = shop();
        let script = format!("trap 'echo caught; exit 9' {name}; echo ready; while :; do sleep 0.02; done");
        let mut running = run(&project, &[], &script);
        running.until("ready");
        running.signal(signal);
        let ran = running.end().exits(9);
        assert_eq!(ran.out, "ready\ncaught\n");
        assert!(ran.err.contains("api: deleted in"), "{ran}");
        wait_until("everything is gone", || project.processes().is_empty());
    }
    let (project, _) = shop();
    let script = "trap 'echo not yet' TERM; echo ready; while :; do sleep 0.02; done";
    let mut running = run(&project, &[], script);
    running.until("ready");
    running.signal(Signal::TERM);
    running.until("not yet");
    running.signal(Signal::TERM);
    running.end().exits(137).says(&["api: deleted in"]);
    wait_until("everything is gone", || project.processes().is_empty());
}

#[test]
fn a_signal_while_services_come_up_takes_them_down() {
    let wait = "touch begun; while [ ! -e go ]; do sleep 0.02; done";
    let slow = super::helpers::job("slow", wait, "");
    let project = Project::new(&services(&[slow, sleeper("other", "")]));
    let mut running = run(&project, &[], "touch ran");
    running.until("slow: creating");
    wait_until("the job has begun", || project.path("begun").exists());
    running.signal(Signal::TERM);
    running.until("nothing new is started");
    project.write("go", "");
    running.end().exits(6);
    assert!(!project.path("ran").exists());
    wait_until("everything is gone", || project.processes().is_empty());
}

/// A run on a terminal of its own, and what types on it.
fn on_terminal(project: &Project, script: &str) -> (Running, File) {
    let path = project.path("../runs/typed");
    #[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    // Held for both ways, so that opening it waits for nobody and reading it never ends.
    let typed = File::options().read(true).write(true).open(&path).unwrap();
    project.script("command", &format!("#!/bin/sh\n{script}\n"));
    (project.on_terminal_from("run -- ./command", File::open(&path).unwrap()), typed)
}

#[test]
fn on_a_terminal_the_command_reads_it_and_ctrl_c_is_the_commands_alone() {
    let (project, _) = shop();
    let script = "trap 'echo caught; exit 5' INT; echo ready; read line; echo got $line; while :; do sleep 0.02; done";
    let (mut running, mut typed) = on_terminal(&project, script);
    running.until("ready");
    typed.write_all(b"fruit\n").unwrap();
    running.until("got fruit");
    typed.write_all(b"\x03").unwrap();
    let ran = running.end().exits(5);
    assert_eq!(ran.out.matches("caught").count(), 1, "{ran}");
    assert!(ran.out.contains("api: deleted in") && !ran.out.contains("SIGINT"), "{ran}");
    wait_until("everything is gone", || project.processes().is_empty());
}

#[test]
fn ctrl_z_without_a_shell_does_not_leave_the_command_stopped() {
    let (project, _) = shop();
    let (mut running, mut typed) = on_terminal(&project, "echo ready; read line; echo got $line");
    running.until("ready");
    typed.write_all(b"\x1a").unwrap();
    typed.write_all(b"fruit\n").unwrap();
    running.end().ok().says(&["got fruit", "api: deleted in"]);
}

#[test]
fn several_runs_share_a_machine() {
    let port = [free_port(), free_port()];
    let demo = super::helpers::DEMO;
    let project = Project::new(&format!(
        "variables: {{port: {{}}}}\nservices:\n  api:\n    backend: {{type: process, binary: {demo}, args: [serve, --port, \
         \"${{var:port}}\"]}}\n    endpoints: {{http: \"${{var:port}}\"}}\n    health_check: {{type: http, url: \
         \"${{service:api.url}}/health\", deadline: 20s}}\n"
    ));
    let both = |n: usize| {
        let script =
            format!("touch up{n}; while [ ! -e up0 ] || [ ! -e up1 ]; do sleep 0.02; done; echo $ORCH_RUN_PROJECT");
        run(&project, &["--var", &format!("port={}", port[n])], &script)
    };
    let (first, second) = (both(0), both(1));
    let (first, second) = (first.end().ok().out, second.end().ok().out);
    assert!(first.starts_with("shop-") && second.starts_with("shop-") && first != second, "{first}{second}");
    nothing_is_left(&project);
}

#[test]
fn what_is_kept_goes_with_destroy_and_not_with_the_next_run() {
    let (project, _) = shop();
    let ran = run(&project, &["--keep"], "true").end().ok();
    let [folder] = &folders(&project)[..] else { panic!("{ran}") };
    let folder = folder.display().to_string();
    assert!(ran.err.contains(&format!("orch destroy --state-dir {folder}")), "{ran}");
    project.orch(&["status", "--state-dir", &folder]).ok().says(&["running"]);
    let other = Project::new("services: {}\n");
    other.orch(&["run", "--", "true"]).ok();
    project.yaml(&services(&[sleeper("other", "")]));
    project.orch(&["run", "--", "true"]).ok();
    assert!(!project.processes().is_empty(), "what is kept was taken down");
    project.orch(&["destroy", "--auto-approve", "--state-dir", &folder]).ok();
    wait_until("everything is gone", || project.processes().is_empty());
    project.orch(&["run", "--", "true"]).ok();
    nothing_is_left(&project);
}

#[test]
fn what_is_healthy_is_reused_and_left_up() {
    let (project, port) = shop();
    let whole = project.read("orch.yaml");
    project.yaml(&services(&[greeter(
        "api",
        port,
        "hello",
        &format!("    endpoints: {{http: {{port: {port}, path: /v1}}}}\n"),
    )]));
    project.apply();
    let pid = project.pid("api");
    // Another definition, too, leaves it alone.
    project.yaml(&whole.replace("GREETING: \"hello\"", "GREETING: \"bye\""));
    let ran = run(&project, &["--reuse"], "echo $ORCH_API_HTTP_PORT").end().ok().says(&[
        "Used as they are: api",
        "other: created in",
        "other: deleted in",
    ]);
    assert_eq!(ran.out, format!("{port}\n"));
    assert_eq!(project.pid("api"), pid);
    assert_eq!(project.row("other")["state"], "not_applied");
    assert_eq!(folders(&project), Vec::<PathBuf>::new());
}

#[test]
fn two_endpoints_of_one_variable_are_refused_before_anything_starts() {
    let endpoint = |port: u16| format!("    endpoints: {{http: {port}}}\n");
    let project = Project::new(&services(&[sleeper("a-b", &endpoint(1)), sleeper("a_b", &endpoint(2))]));
    project.orch(&["run", "--", "true"]).exits(1).says(&["a-b.http and a_b.http would both be ORCH_A_B_HTTP_URL"]);
    nothing_is_left(&project);
}

#[cfg(feature = "failpoints")]
#[test]
fn what_a_killed_run_left_is_taken_down_by_the_next() {
    for point in [
        "managed.made",
        "journal.run_begin.synced",
        "journal.begin.synced",
        "process.create.spawned",
        "process.create.acked",
        "step.end.before",
        "state.renamed",
        "managed.applied",
        "managed.ended",
        "process.remove.stopped",
        "managed.destroyed",
        "managed.renamed",
    ] {
        let (project, _) = shop();
        let mut command = project.command(&["run", "--", "/bin/true"]);
        command.env("FAILPOINTS", format!("{point}=return"));
        let killed = project.spawn(command, &["run", point]).end();
        assert_eq!(killed.code, None, "{point}: {killed}");
        let next = run(&project, &[], "echo $ORCH_RUN_PROJECT").end().ok();
        assert!(next.out.starts_with("shop-"), "{point}: {next}");
        nothing_is_left(&project);
    }
}

#[cfg(feature = "failpoints")]
#[test]
fn a_killed_run_is_taken_down_by_destroy_too() {
    let (project, _) = shop();
    let mut running = run(&project, &[], "echo ready; exec sleep 600");
    running.until("ready");
    running.signal(Signal::KILL);
    running.end();
    let [folder] = &folders(&project)[..] else { panic!("no folder") };
    let folder = folder.display().to_string();
    project.orch(&["destroy", "--auto-approve", "--state-dir", &folder]).ok().says(&["api: deleted in"]);
    project.orch(&["plan", "--destroy", "--state-dir", &folder]).ok().says(&["No changes"]);
}
