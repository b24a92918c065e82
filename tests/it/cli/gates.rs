//! Health gates: what passes, what is missed, and what is left behind.

use std::net::TcpListener;

use serde_json::Value;

use super::helpers::{greeter, needs, services, shell, sleeper};
use crate::support::{Project, free_port, get};

fn external(name: &str, check: &str, more: &str) -> String {
    format!("  {name}:\n    backend: {{type: external}}\n    health_check: {check}\n{more}")
}

#[test]
fn each_kind_of_check_opens_the_gate() {
    let (http, tcp) = (free_port(), free_port());
    let _listener = TcpListener::bind(("127.0.0.1", tcp)).unwrap();
    let project = Project::empty();
    project.script("check.sh", "#!/bin/sh\ntest -e made\n");
    project.yaml(&services(&[
        greeter("web", http, "hello there", ""),
        external(
            "body",
            &format!("{{type: http, url: \"http://127.0.0.1:{http}/\", expected_status: 200, body: hello there}}"),
            &needs(&["web"]),
        ),
        external("tcp", &format!("{{type: tcp, host: 127.0.0.1, port: {tcp}}}"), ""),
        external("command", "{type: command, command: sh, args: [-c, exit 7], expected_exit_code: 7}", ""),
        shell("script", "touch made; exec sleep 600", "    health_check: {type: script, path: ./check.sh}\n"),
        external(
            "both",
            &format!("[{{type: tcp, port: {tcp}, host: 127.0.0.1}}, {{type: command, command: \"true\"}}]"),
            "",
        ),
    ]));
    project.apply().says(&["6 done"]);
    for name in ["web", "body", "tcp", "command", "script", "both"] {
        assert_eq!(project.row(name)["healthy"], true, "{name}");
    }
}

#[test]
fn each_kind_of_check_keeps_the_gate_shut_and_says_why() {
    let (http, dead) = (free_port(), free_port());
    let project = Project::empty();
    project.script("check.sh", "#!/bin/sh\necho not yet >&2\nexit 4\n");
    let more = "deadline: 1s";
    project.yaml(&services(&[
        greeter("web", http, "hello there", ""),
        external(
            "status",
            &format!("{{type: http, url: \"http://127.0.0.1:{http}/\", expected_status: 404, {more}}}"),
            &needs(&["web"]),
        ),
        external(
            "body",
            &format!("{{type: http, url: \"http://127.0.0.1:{http}/\", body: bye, {more}}}"),
            &needs(&["web"]),
        ),
        external("tcp", &format!("{{type: tcp, host: 127.0.0.1, port: {dead}, {more}}}"), ""),
        external("command", &format!("{{type: command, command: sh, args: [-c, exit 7], {more}}}"), ""),
        external("script", &format!("{{type: script, path: ./check.sh, {more}}}"), ""),
        external(
            "both",
            &format!("[{{type: command, command: \"true\"}}, {{type: command, command: \"false\", {more}}}]"),
            "",
        ),
    ]));
    let ran = project.orch(&["apply", "--auto-approve"]).exits(5).says(&["6 failed", "1 done"]);
    for reason in
        [": 200", &format!("127.0.0.1:{dead}"), "lacks \"bye\"", "want 404", "sh exited 7", "exited 4: not yet"]
    {
        assert!(ran.out.contains(reason), "{reason} is missing in {ran}");
    }
}

#[test]
fn a_gate_waits_until_the_service_is_ready() {
    let script = "sleep 0.5; touch ready; exec sleep 600";
    let check = "    health_check: {type: command, command: test, args: [-e, ready], deadline: 30s}\n";
    let seen = "    kind: job\n    dependencies: [slow]\n";
    let project = Project::new(&services(&[shell("slow", script, check), shell("after", "test -e ready", seen)]));
    let events = project.orch(&["apply", "--auto-approve", "--json"]).ok().lines();
    let probes: Vec<bool> =
        events.iter().filter(|e| e["event"] == "probed").map(|e| e["healthy"].as_bool().unwrap()).collect();
    assert!(
        probes.len() > 1 && probes.iter().rev().skip(1).all(|healthy| !healthy) && *probes.last().unwrap(),
        "{probes:?}"
    );
}

#[test]
fn a_new_service_that_misses_its_gate_is_left_marked_failed_with_its_evidence_kept() {
    let check = "    health_check: {type: command, command: \"false\", deadline: 1s}\n";
    let project = Project::new(&services(&[
        shell("bad", "echo the last words; exec sleep 600", check),
        sleeper("after", &needs(&["bad"])),
    ]));
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&[
        "bad: create failed after",
        "the last words",
        "evidence/bad",
        "What failed is left as it is.",
        "1 skipped (after)",
    ]);
    let evidence = project.last_run().join("evidence/bad");
    let read = |name: &str| std::fs::read_to_string(evidence.join(name)).unwrap();
    assert!(read("log.txt").contains("the last words"), "{}", read("log.txt"));
    assert!(read("error.txt").contains("false exited 1"), "{}", read("error.txt"));
    project.orch(&["state", "list"]).ok().says(&["bad", "failed"]);
    project.pid("bad");
    project.orch(&["plan"]).ok().says(&["replace bad", "the last step on it failed", "create after"]);
}

#[test]
fn a_service_that_exits_at_once_fails_with_its_exit_and_its_log() {
    let project =
        Project::new(&services(&[shell("bad", "echo no such table >&2; exit 9", "")
            .replace("type: process", "type: process, restart: never")]));
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&["exited with code 9", "no such table"]);
    let error = std::fs::read_to_string(project.last_run().join("evidence/bad/error.txt")).unwrap();
    assert!(error.contains("exited with code 9"), "{error}");
}

#[test]
fn a_missed_gate_brings_the_old_version_back_to_serve() {
    let port = free_port();
    let project =
        Project::new(&services(&[greeter("web", port, "version one", ""), sleeper("after", &needs(&["web"]))]));
    project.apply();
    let broken = greeter("web", port, "version two", "")
        .replace("/health", "/nowhere")
        .replace("args: [serve", "args: [sorve")
        .replace("20s", "2s");
    project.yaml(&services(&[broken, sleeper("after", &needs(&["web"])).replace("600", "601")]));
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&[
        "going back to the last healthy version",
        "the last healthy version runs again",
        "1 skipped (after)",
    ]);
    assert!(get(port, "/").unwrap().contains("version one"), "the old version does not serve");
    assert_eq!(project.row("web")["state"], "running");
    project.orch(&["state", "list"]).ok().says(&["healthy"]);
    assert_eq!(project.processes().len(), 4, "{:?}", project.processes());
    // Nothing was lost: the right version converges from here.
    project.yaml(&services(&[greeter("web", port, "version three", ""), sleeper("after", &needs(&["web"]))]));
    project.apply();
    assert!(get(port, "/").unwrap().contains("version three"));
}

#[test]
fn on_failure_halt_leaves_what_failed_and_starts_nothing_more() {
    let port = free_port();
    for policy in ["halt", "rollback"] {
        let project = Project::new(&services(&[greeter("web", port, "one", "")]));
        project.apply();
        project.yaml(&services(&[greeter("web", port, "two", "")
            .replace("args: [serve", "args: [sorve")
            .replace("20s", "2s")]));
        project.orch(&["apply", "--auto-approve", "--on-failure", policy]).exits(5);
        assert_eq!(get(port, "/").is_ok(), policy == "rollback", "{policy}");
        project.orch(&["destroy", "--auto-approve"]).ok();
    }
    // `a` fails while nothing else runs; under `halt` the independent `b`, next in order, never starts.
    for (policy, started) in [("halt", false), ("continue", true), ("rollback", true)] {
        let project = Project::new(&format!(
            "settings: {{max_parallel: 1, on_failure: {policy}}}\n{}",
            services(&[super::helpers::job("a", "exit 1", ""), sleeper("b", "")])
        ));
        project.orch(&["apply", "--auto-approve"]).exits(5);
        assert_eq!(project.row("b")["pid"].is_u64(), started, "{policy}");
    }
}

#[test]
fn a_gate_passes_only_for_what_was_just_applied() {
    // The old one still answers on its port; the new one never does on its own.
    let ports = [free_port(), free_port()];
    let project =
        Project::new(&services(&[greeter("web", ports[0], "one", "    lifecycle: {create_before_destroy: true}\n")]));
    project.apply();
    let old = project.pid("web");
    let moved = greeter("web", ports[1], "two", "    lifecycle: {create_before_destroy: true}\n");
    project.yaml(&services(&[moved.replace("args: [serve", "args: [sorve").replace("20s", "1s")]));
    project.orch(&["plan"]).ok().says(&["+/- replace web (process), create before destroy"]);
    project.orch(&["apply", "--auto-approve"]).exits(5);
    assert_eq!(project.pid("web"), old, "the old one was touched");
    project.yaml(&services(&[moved]));
    project.apply();
    assert!(get(ports[1], "/").unwrap().contains("two"));
    assert!(get(ports[0], "/").is_err());
    assert_eq!(project.processes().len(), 2);
}

#[test]
fn status_shows_the_answer_of_the_last_probe() {
    let port = free_port();
    let project = Project::new(&services(&[greeter("web", port, "one", "")]));
    project.apply();
    let row = project.row("web");
    assert_eq!(row["last_probe"], Value::from(format!("GET http://127.0.0.1:{port}/health: 200")));
    project.orch(&["status"]).ok().says(&["LAST PROBE", "/health: 200", "healthy"]);
}
