//! `orch destroy`, and services that left the file.

use super::helpers::{needs, services, shell, sleeper};
use crate::support::Project;

fn trapping(name: &str, more: &str) -> String {
    let script = format!("trap 'echo {name} >> ../stopped; exit 0' TERM; while :; do sleep 0.05; done");
    shell(name, &script, more)
}

/// The order in which the services were asked to stop; the file is outside of the project's folder.
fn stopped(project: &Project) -> Vec<String> {
    std::fs::read_to_string(project.outer().join("stopped")).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn everything_goes_in_reverse_and_gracefully() {
    let project = Project::new(&services(&[
        trapping("db", ""),
        trapping("api", &needs(&["db"])),
        trapping("web", &needs(&["api"])),
    ]));
    project.apply();
    project.orch(&["destroy"]).exits(1).says(&["there is no terminal to ask on"]);
    assert_eq!(project.processes().iter().filter(|found| found.supervisor).count(), 3);
    project.orch(&["destroy", "--auto-approve"]).ok().says(&["Plan: 3 to delete.", "Destroy finished: 3 done"]);
    assert_eq!(stopped(&project), ["web", "api", "db"]);
    assert_eq!(project.processes(), []);
    project.orch(&["state", "list"]).ok().says(&["Nothing is recorded."]);
    project.orch(&["destroy", "--auto-approve"]).ok().says(&["No changes. Nothing is left to take down."]);
}

#[test]
fn what_left_the_file_leaves_the_machine_dependents_first() {
    let project = Project::new(&services(&[trapping("db", ""), trapping("api", &needs(&["db"])), sleeper("keep", "")]));
    project.apply();
    let keep = project.pid("keep");
    project.yaml(&services(&[sleeper("keep", "")]));
    project.plans(&[], &["api delete", "db delete"]);
    project.apply();
    assert_eq!(stopped(&project), ["api", "db"]);
    assert_eq!((project.pid("keep"), project.processes().len()), (keep, 2));
}

#[test]
fn a_target_goes_with_what_depends_on_it() {
    let project = Project::new(&services(&[sleeper("db", ""), sleeper("api", &needs(&["db"])), sleeper("aside", "")]));
    project.apply();
    project.orch(&["destroy", "--auto-approve", "--target", "db"]).ok().says(&["2 to delete"]);
    assert_eq!(project.row("db")["state"], "not_applied");
    project.pid("aside");
}

#[test]
fn what_does_not_stop_is_killed_with_all_its_children() {
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' & while :; do sleep 0.1; done";
    let project =
        Project::new(&services(&[shell("stubborn", script, "").replace("stop_timeout: 2s", "stop_timeout: 300ms")]));
    project.apply();
    project.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!(project.processes(), []);
}
