//! One run at a time changes a project.

use rustix::process::Signal;

use super::helpers::{job, services};
use crate::support::{Project, Running};

/// A run that holds the lock until the file `go` is there.
fn held() -> (Project, Running) {
    let project = Project::new(&services(&[job("slow", "touch begun; while [ ! -e go ]; do sleep 0.02; done", "")]));
    let run = project.start(&["apply", "--auto-approve"]);
    crate::support::wait_until("the job has begun", || project.path("begun").exists());
    (project, run)
}

#[test]
fn a_second_apply_exits_4_and_names_the_holder() {
    let (project, run) = held();
    let pid = format!("(pid {})", run.pid());
    for args in [
        &["apply", "--auto-approve"][..],
        &["destroy", "--auto-approve"],
        &["restart", "slow"],
        &["state", "rm", "slow"],
    ] {
        project.orch(args).exits(4).says(&["is held by", "@", &pid, "doing `apply`", "lock id", "--lock-timeout"]);
    }
    // Looking needs no lock, and says that a run is under way.
    project.orch(&["plan"]).ok();
    project.orch(&["status"]).ok().says(&["A run is under way", &pid]);
    project.orch(&["apply", "--auto-approve", "--lock-timeout", "1s"]).exits(4);
    project.write("go", "");
    run.end().ok();
}

#[test]
fn a_lock_timeout_waits_for_the_holder() {
    let (project, run) = held();
    let mut second = project.start(&["apply", "--auto-approve", "--lock-timeout", "60s"]);
    second.until("Waiting for the lock");
    second.until(&format!("(pid {})", run.pid()));
    project.write("go", "");
    run.end().ok();
    second.end().ok().says(&["No changes."]);
}

#[test]
fn the_lock_of_a_dead_holder_is_taken_over_with_a_warning() {
    let (project, run) = held();
    let pid = run.pid();
    run.signal(Signal::KILL);
    run.end();
    project.write("go", "");
    project.orch(&["apply", "--auto-approve"]).ok().says(&[
        "took over the lock of",
        &format!("(pid {pid})"),
        "was interrupted",
    ]);
    project.apply().says(&["No changes."]).does_not_say(&["took over"]);
}

#[test]
fn unlock_is_for_the_rest() {
    let (project, run) = held();
    project.orch(&["unlock", "deadbeef"]).exits(1).says(&["the lock has the id"]);
    let lock: serde_json::Value = serde_json::from_str(&project.read(".orch/lock")).unwrap();
    let id = lock["id"].as_str().unwrap();
    project.orch(&["unlock", id]).exits(1).says(&["still running", "wait for pid"]);
    project.write("go", "");
    run.end().ok();
    project.orch(&["unlock", id]).exits(1).says(&["is not held by anyone"]);
    // A holder on another machine cannot be asked whether it lives.
    let mut foreign = lock.clone();
    foreign["host"] = "elsewhere.example".into();
    project.write(".orch/lock", foreign.to_string());
    project.orch(&["restart", "slow"]).exits(4).says(&["elsewhere.example", &format!("orch unlock {id}")]);
    project.orch(&["unlock", id]).ok().says(&["Removed the lock of", "elsewhere.example"]);
    project.apply().says(&["No changes."]);
}
