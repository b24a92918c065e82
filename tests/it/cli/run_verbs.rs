//! `orch restart`, `stop` and `start`

use super::helpers::{needs, services, sleeper};
use crate::support::{Project, Ran};

fn applied() -> Project {
    let project = Project::new(&services(&[
        sleeper("db", ""),
        sleeper("api", &needs(&["db"])),
        sleeper("web", &needs(&["api"])),
    ]));
    project.apply();
    project
}

/// The services in the order in which their steps began and ended.
fn order(ran: &Ran) -> Vec<String> {
    let of = |event: &serde_json::Value| {
        let word = match event["event"].as_str()? {
            "step_started" => "begin",
            "step_finished" => "end",
            _ => return None,
        };
        Some(format!("{word} {}", event["address"].as_str()?))
    };
    ran.lines().iter().filter_map(of).collect()
}

#[test]
fn restart_goes_in_dependency_order_and_only_what_was_named() {
    let project = applied();
    let before = ["db", "api", "web"].map(|name| project.pid(name));
    let ran = project.orch(&["restart", "web", "db", "--json"]).ok();
    assert_eq!(order(&ran), ["begin db", "end db", "begin web", "end web"]);
    let after = ["db", "api", "web"].map(|name| project.pid(name));
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1], before[1]);
    assert_ne!(after[2], before[2]);
    project.orch(&["plan", "--detailed-exitcode"]).ok();
    assert_eq!(project.processes().len(), 6);
    project.orch(&["restart", "nope"]).exits(1).says(&["nope"]);
}

#[test]
fn stop_keeps_and_start_brings_back_and_both_are_recorded() {
    let project = applied();
    let ran = project.orch(&["stop", "db", "web", "--json"]).ok();
    assert_eq!(order(&ran), ["begin web", "end web", "begin db", "end db"]);
    for (name, state) in [("db", "stopped"), ("api", "running"), ("web", "stopped")] {
        assert_eq!(project.row(name)["state"], state, "{name}");
    }
    project.orch(&["state", "list"]).ok().says(&["stopped"]);
    project.orch(&["plan"]).ok().says(&["start db", "stopped by `orch stop`"]);
    project.orch(&["stop", "db"]).ok().says(&["No changes."]);
    let ran = project.orch(&["start", "web", "db", "--json"]).ok();
    assert_eq!(order(&ran), ["begin db", "end db", "begin web", "end web"]);
    for name in ["db", "api", "web"] {
        project.pid(name);
    }
    project.orch(&["start", "db"]).ok().says(&["No changes."]);
    project.orch(&["plan", "--detailed-exitcode"]).ok();
    let runs = project.orch(&["history", "--json"]).ok().json();
    let verbs: Vec<_> = runs.as_array().unwrap().iter().map(|run| run["verb"].clone()).collect();
    assert!(verbs.contains(&"stop".into()) && verbs.contains(&"start".into()), "{verbs:?}");
}

#[test]
fn what_was_stopped_starts_with_the_next_apply() {
    let project = applied();
    project.orch(&["stop", "api"]).ok();
    project.apply();
    project.pid("api");
}
