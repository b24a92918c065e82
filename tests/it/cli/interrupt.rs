//! Ctrl-C and SIGTERM during an apply.

use rustix::process::Signal;

use super::helpers::{job, needs, services, sleeper};
use crate::support::{Project, Running};

/// A run that is in the middle of a step: `slow` has begun, and ends when the file `go` is there.
fn under_way() -> (Project, Running) {
    let wait = "touch begun; while [ ! -e go ]; do sleep 0.02; done; echo ran >> ran";
    let project = Project::new(&services(&[job("slow", wait, ""), sleeper("after", &needs(&["slow"]))]));
    let mut run = project.start(&["apply", "--auto-approve"]);
    run.until("slow: creating");
    crate::support::wait_until("the job has begun", || project.path("begun").exists());
    (project, run)
}

#[test]
fn the_first_signal_finishes_what_runs_and_starts_nothing_new() {
    for (signal, name) in [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM")] {
        let (project, mut run) = under_way();
        run.signal(signal);
        run.until(name);
        project.write("go", "");
        run.end().exits(6).says(&[
            "nothing new is started, what runs is finished",
            "slow: created in",
            "Apply interrupted: 1 skipped",
            "1 done",
        ]);
        assert_eq!(project.row("slow")["state"], "completed");
        assert_eq!(project.row("after")["state"], "not_applied");
        project.plans(&[], &["after create"]);
        project.apply();
        assert_eq!(project.read("ran"), "ran\n", "the job that was finished ran again");
        project.pid("after");
        let runs = project.orch(&["history", "--json"]).ok().json();
        assert_eq!(runs[1]["outcome"], "interrupted");
    }
}

#[test]
fn the_second_signal_cancels_and_the_next_plan_converges() {
    let (project, mut run) = under_way();
    run.signal(Signal::INT);
    run.until("nothing new is started");
    run.signal(Signal::INT);
    run.end().exits(6).says(&["what runs is cancelled", "slow: cancelled after", "1 cancelled"]);
    let plan = project.plan(&[]);
    assert_eq!(plan["summary"]["changes"], true, "{plan}");
    project.orch(&["plan"]).ok().says(&["slow", "was interrupted while it worked on it"]);
    project.write("go", "");
    project.apply();
    assert_eq!(project.row("slow")["state"], "completed");
    project.pid("after");
    project.orch(&["plan", "--detailed-exitcode"]).ok();
    assert!(project.processes().iter().filter(|found| !found.supervisor).count() == 1, "{:?}", project.processes());
}

#[test]
fn a_killed_orch_is_gone_on_from() {
    let (project, run) = under_way();
    run.signal(Signal::KILL);
    assert_eq!(run.end().code, None);
    project.write("go", "");
    project.orch(&["apply", "--auto-approve"]).ok().says(&["after: created in"]);
    assert_eq!(project.row("slow")["state"], "completed");
    project.orch(&["plan", "--detailed-exitcode"]).ok();
}
