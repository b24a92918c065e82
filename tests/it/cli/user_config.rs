//! The user's own defaults in `config.toml`.

use super::helpers::{services, sleeper};
use crate::support::Project;

fn with(config: &str) -> Project {
    let project = Project::new(&services(&[sleeper("web", "")]));
    project.write("../config/orch/config.toml", config);
    project
}

#[test]
fn defaults_are_taken_and_the_command_line_and_the_file_win() {
    let project = with("max_parallel = 7\ncolor = \"always\"\n");
    assert_eq!(project.plan(&[])["max_parallel"], 7);
    assert_eq!(project.plan(&["--max-parallel", "2"])["max_parallel"], 2);
    assert!(project.orch(&["plan"]).ok().out.contains("\x1b["), "no colour");
    assert!(!project.orch(&["plan", "--color", "never"]).ok().out.contains("\x1b["));
    project.yaml(&format!("settings: {{max_parallel: 3}}\n{}", services(&[sleeper("web", "")])));
    assert_eq!(project.plan(&[])["max_parallel"], 3);
}

#[test]
fn log_lines_are_limited_as_the_user_likes() {
    let project = with("log_lines = 2\n");
    project.yaml(&services(&[super::helpers::job("j", "echo one; echo two; echo three", "")]));
    project.apply();
    assert_eq!(project.orch(&["logs", "j"]).ok().out, "two\nthree\n");
    assert_eq!(project.orch(&["logs", "j", "-n", "1"]).ok().out, "three\n");
}

#[test]
fn the_lock_is_waited_for_as_long_as_the_user_likes() {
    let project = with("lock_timeout = \"60s\"\n");
    project.yaml(&services(&[super::helpers::job("slow", "touch begun; while [ ! -e go ]; do sleep 0.02; done", "")]));
    let first = project.start(&["apply", "--auto-approve"]);
    crate::support::wait_until("the job has begun", || project.path("begun").exists());
    project.orch(&["apply", "--auto-approve", "--lock-timeout", "0"]).exits(4);
    let mut second = project.start(&["apply", "--auto-approve"]);
    second.until("Waiting for the lock");
    project.write("go", "");
    first.end().ok();
    second.end().ok();
}

#[test]
fn a_wrong_file_is_an_error_that_names_every_key() {
    let project = with("max_paralel = 8\ncolor = 3\n");
    project.orch(&["plan"]).exits(1).says(&[
        "config.toml:1:1",
        "max_paralel",
        "did you mean `max_parallel`",
        "config.toml:2:",
    ]);
}
