//! Conditions of dependencies, and services that orch does not run.

use std::net::TcpListener;

use super::helpers::{job, services, shell, sleeper};
use crate::support::{Project, free_port};

#[test]
fn started_does_not_wait_for_the_gate_and_healthy_does() {
    let check = "    health_check: {type: command, command: test, args: [-e, open], deadline: 30s}\n";
    let opens = |condition: &str| {
        job("opener", "touch open", &format!("    dependencies: {{slow: {{condition: {condition}}}}}\n"))
    };
    let project = Project::new(&services(&[sleeper("slow", check), opens("started")]));
    // The gate of `slow` opens only because `opener` did not wait for it.
    project.apply().says(&["2 done"]);
    let project = Project::new(&services(&[sleeper("slow", &check.replace("30s", "1s")), opens("healthy")]));
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&["slow failed", "1 skipped (opener)"]);
    assert!(!project.path("open").exists());
}

#[test]
fn completed_waits_for_the_job_to_end() {
    let project = Project::new(&services(&[
        job("migrate", "sleep 0.4; touch done", ""),
        job("after", "test -e done", "    dependencies: {migrate: {condition: completed}}\n"),
    ]));
    project.apply().says(&["2 done"]);
}

#[test]
fn a_dependency_may_restart_what_depends_on_it() {
    let file = |seconds: u32| {
        services(&[
            sleeper("db", "").replace("600", &seconds.to_string()),
            sleeper("tied", "    dependencies: {db: {restart: true}}\n"),
            sleeper("loose", "    dependencies: [db]\n"),
        ])
    };
    let project = Project::new(&file(600));
    project.apply();
    let (tied, loose) = (project.pid("tied"), project.pid("loose"));
    project.yaml(&file(601));
    project.orch(&["plan"]).ok().says(&["restart tied", "follows db"]).does_not_say(&["restart loose"]);
    project.apply();
    assert_ne!(project.pid("tied"), tied);
    assert_eq!(project.pid("loose"), loose);
}

#[test]
fn an_external_service_is_waited_for_and_never_run() {
    let port = free_port();
    let file = services(&[
        format!(
            "  database:\n    backend: {{type: external}}\n    health_check: {{type: tcp, host: 127.0.0.1, port: {port}, \
             deadline: 1s}}\n"
        ),
        shell("api", "exec sleep 600", "    dependencies: {database: {condition: healthy}}\n"),
    ]);
    let project = Project::new(&file);
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&["database failed", "1 skipped (api)"]);
    assert_eq!(project.processes(), []);
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    project.apply().says(&["2 done"]);
    let row = project.row("database");
    assert_eq!((&row["state"], &row["healthy"], &row["pid"]), (&"external".into(), &true.into(), &().into()));
    drop(listener);
    project.orch(&["plan"]).ok().says(&["Drift: database does not pass its checks"]);
    assert_eq!(project.row("database")["healthy"], false);
    project.orch(&["destroy", "--auto-approve"]).ok();
}

#[test]
fn moving_to_another_backend_is_a_replace_that_the_old_one_takes_part_in() {
    let port = free_port();
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let project = Project::new(&services(&[sleeper("db", "")]));
    project.apply();
    project.yaml(&format!(
        "services:\n  db:\n    backend: {{type: external}}\n    health_check: {{type: tcp, host: 127.0.0.1, port: {port}}}\n"
    ));
    project.orch(&["plan"]).ok().says(&["replace db (external)", "moves from backend process"]);
    project.apply();
    assert_eq!(project.processes(), []);
    assert_eq!(project.row("db")["state"], "external");
    project.yaml(&services(&[sleeper("db", "")]));
    project.orch(&["plan"]).ok().says(&["db (process)", "moves from backend external"]);
    project.apply();
    project.pid("db");
}
