//! `orch apply`

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::helpers::{greeter, job, needs, services, sleeper};
use crate::support::{Project, free_port, get, wait_until};

#[test]
fn without_a_terminal_it_needs_an_approval() {
    let project = Project::new(&services(&[sleeper("web", "")]));
    project.orch(&["apply"]).exits(1).says(&["there is no terminal to ask on", "--auto-approve", "orch plan --out"]);
    project.orch(&["apply", "--json"]).exits(1).says(&["--json shows no plan that could be approved"]);
    assert_eq!(project.processes(), []);
    assert!(!project.path(".orch").exists());
    project.orch(&["plan", "--out", "change.plan"]).ok();
    project.orch(&["apply", "change.plan"]).ok();
    project.pid("web");
}

#[test]
fn each_step_waits_for_what_it_needs_and_a_second_apply_touches_nothing() {
    let ports = [free_port(), free_port()];
    let project = Project::new(&services(&[
        greeter("api", ports[0], "api here", ""),
        greeter("web", ports[1], "web here", &needs(&["api"])),
        sleeper("tail", &needs(&["web"])),
    ]));
    let ran = project.apply().says(&["Apply of shop: 3 steps", "Apply finished: 3 done"]);
    let at = |text: &str| ran.out.find(text).unwrap_or_else(|| panic!("{text} is missing: {ran}"));
    let order =
        ["api: creating", "api: created in", "web: creating", "web: created in", "tail: creating", "tail: created in"];
    assert!(order.map(at).is_sorted(), "{ran}");
    // Plain lines in a pipe, each with its time, and no control sequence.
    assert!(ran.out.lines().any(|l| l.starts_with("20") && l.contains("Z api: creating (new in the file)")), "{ran}");
    assert!(!ran.out.contains('\x1b') && !ran.out.contains('\r'), "{ran}");
    assert!(get(ports[1], "/").unwrap().contains("web here"));
    let look = || ["api", "web", "tail"].map(|name| project.row(name));
    let (before, bytes) = (look(), project.bytes());
    project.apply().says(&["No changes. 3 services are as the file says."]);
    let facts = |row: &Value| (row["pid"].clone(), row["since"].clone(), row["restarts"].clone());
    assert_eq!(look().each_ref().map(facts), before.each_ref().map(facts));
    assert_eq!(project.bytes(), bytes, "an apply without changes wrote something");
}

#[test]
fn json_is_one_event_a_line_as_the_schema_says() {
    let project = Project::new(&services(&[
        sleeper("good", ""),
        job("bad", "echo about to fail; exit 3", ""),
        sleeper("after", &needs(&["bad"])),
    ]));
    let events = project.orch(&["apply", "--auto-approve", "--json"]).exits(5).lines();
    let schema = orch::ops::schema(orch::ops::SchemaOf::Event);
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    for event in &events {
        assert!(validator.is_valid(event), "{event}");
    }
    assert_eq!((&events[0]["event"], &events[0]["format"]), (&"run_started".into(), &1.into()));
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["outcome"]), (&"run_finished".into(), &"failed".into()));
    assert_eq!([&last["done"], &last["failed"], &last["skipped"]].map(|n| n.as_u64()), [Some(1), Some(1), Some(1)]);
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    for kind in ["step_started", "operation", "step_finished", "step_skipped", "evidence"] {
        assert!(kinds.contains(&kind), "no {kind} in {kinds:?}");
    }
    let kept = std::fs::read_to_string(project.last_run().join("events.ndjson")).unwrap();
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept, events, "the log of the run is not what was printed");
    let none = Project::new("services: {}\n").orch(&["apply", "--auto-approve", "--json"]).ok().lines();
    assert_eq!((&none[0]["event"], &none[0]["format"]), (&"run_started".into(), &1.into()));
    assert_eq!(none.last().unwrap()["event"], "run_finished");
}

#[test]
fn at_most_max_parallel_steps_run_at_once() {
    let script = "mkdir -p up; touch up/$ORCH_SERVICE; ls up | wc -l >> seen; sleep 0.2; rm up/$ORCH_SERVICE";
    let jobs: Vec<String> = (0..6).map(|n| job(&format!("j{n}"), script, "")).collect();
    let highest = |project: &Project| project.read("seen").lines().map(|n| n.trim().parse::<u32>().unwrap()).max();
    let project = Project::new(&services(&jobs));
    project.orch(&["apply", "--auto-approve", "--max-parallel", "1"]).ok();
    assert_eq!((project.read("seen").lines().count(), highest(&project)), (6, Some(1)));
    let project = Project::new(&format!("settings: {{max_parallel: 3}}\n{}", services(&jobs)));
    project.apply();
    let most = highest(&project).unwrap();
    assert!((2..=3).contains(&most), "{most} at once");
}

#[test]
fn independent_branches_go_on_and_dependents_of_a_failure_do_not_start() {
    let project = Project::new(&services(&[
        job("bad", "exit 1", ""),
        sleeper("after", &needs(&["bad"])),
        sleeper("alone", ""),
        sleeper("beside", &needs(&["alone"])),
    ]));
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&[
        "1 failed (bad)",
        "1 skipped (after)",
        "2 done",
        "bad failed",
    ]);
    project.pid("alone");
    project.pid("beside");
    assert_eq!(project.row("after")["state"], "not_applied");
}

#[test]
fn a_service_that_died_after_apply_is_started_again_by_its_supervisor() {
    let project = Project::new(&services(&[sleeper("web", "")]));
    project.apply();
    let pid = project.pid("web");
    assert!(project.processes().iter().any(|found| u64::from(found.pid) == pid && !found.supervisor));
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    wait_until("it runs again", || {
        let row = project.row("web");
        row["state"] == "running" && row["pid"] != pid && row["restarts"] == 1
    });
    project.apply().says(&["No changes."]);
}

#[test]
fn on_a_terminal_it_asks_and_only_yes_is_yes() {
    let project = Project::new(&services(&[sleeper("web", "")]));
    let answered = |answer: &str| project.on_terminal("apply", answer).end();
    answered("no\n").exits(1).says(&["Only `yes` is taken as yes", "Nothing was changed."]);
    answered("y\n").exits(1).says(&["Nothing was changed."]);
    // However little it is to say: nobody approves what was not shown.
    project.on_terminal("apply --quiet", "no\n").end().exits(1).says(&["create web", "Only `yes` is taken as yes"]);
    assert_eq!(project.processes(), []);
    answered("yes\n").exits(0).says(&["created"]);
    project.pid("web");
}

#[test]
fn on_a_terminal_each_running_step_has_a_live_line() {
    let check = "    health_check: {type: command, command: test, args: [-e, go], deadline: 60s}\n";
    let project = Project::new(&services(&[sleeper("web", check), sleeper("api", check)]));
    let mut run = project.on_terminal("apply --auto-approve", "");
    // Elapsed time, the count of probes and the last answer, drawn some times a second: which of the
    // first frames are seen is not said.
    for text in ["web", "api", "waiting for its gate | probe ", " waiting: test exited 1", "1 s  "] {
        run.until(text);
    }
    project.write("go", "");
    let ran = run.end().ok().says(&["web: created in", "api: created in", "Apply finished: 2 done"]);
    assert!(ran.out.contains("\x1b["), "nothing was drawn anew: {ran}");
    // In a pipe the same probes are lines of their own, and nothing is drawn anew.
    project.orch(&["restart", "web"]).ok().says(&["web: passed"]).does_not_say(&["\x1b"]);
}
