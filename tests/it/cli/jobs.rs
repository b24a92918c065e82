//! Jobs: they run to completion, and again when there is a reason.

use super::helpers::{job, needs, services, sleeper};
use crate::support::Project;

#[test]
fn a_job_runs_again_only_when_its_definition_or_a_trigger_changes() {
    let project = Project::empty();
    project.write("sql/1.sql", "one");
    let file = |script: &str| {
        services(&[job("migrate", script, "    triggers: [\"sql/*.sql\"]\n"), sleeper("web", &needs(&["migrate"]))])
    };
    project.yaml(&file("echo ran >> runs.txt"));
    let runs = || project.read("runs.txt").lines().count();
    project.apply();
    assert_eq!((runs(), project.row("migrate")["state"].as_str()), (1, Some("completed")));
    let web = project.pid("web");
    project.apply().says(&["No changes."]);
    assert_eq!(runs(), 1);
    project.write("sql/1.sql", "two");
    project.orch(&["plan"]).ok().says(&["migrate (process)", "sql/1.sql changed"]);
    project.apply();
    assert_eq!(runs(), 2);
    project.write("sql/2.sql", "more");
    project.apply();
    assert_eq!(runs(), 3);
    project.yaml(&file("echo again >> runs.txt"));
    project.orch(&["plan"]).ok().says(&["migrate (process)", "args changed"]);
    project.apply();
    assert_eq!(runs(), 4);
    project.apply().says(&["No changes."]);
    assert_eq!((runs(), project.pid("web")), (4, web));
}

#[test]
fn a_failing_job_blocks_what_depends_on_it_and_runs_again_next_time() {
    let project = Project::new(&services(&[
        job("migrate", "echo cannot migrate; test -e database", ""),
        sleeper("web", &needs(&["migrate"])),
    ]));
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&[
        "migrate failed",
        "exited with code 1",
        "cannot migrate",
        "1 skipped (web)",
    ]);
    assert_eq!(project.row("web")["state"], "not_applied");
    project.orch(&["plan"]).ok().says(&["the last step on it failed"]);
    project.write("database", "");
    project.apply();
    assert_eq!(project.row("migrate")["state"], "completed");
    project.pid("web");
}

#[test]
fn a_job_that_takes_too_long_is_ended() {
    let project = Project::new(&services(&[job("slow", "exec sleep 600", "    timeout: 1s\n")]));
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&["slow"]);
    let found = project.processes();
    assert!(found.is_empty() || project.row("slow")["state"] != "completed", "{found:?}");
    project.yaml(&services(&[job("slow", "true", "")]));
    project.apply();
    assert_eq!(project.row("slow")["state"], "completed");
    assert!(project.processes().iter().all(|found| found.supervisor), "{:?}", project.processes());
}
