//! Saved plans: applied as reviewed, or refused.

use serde_json::Value;

use super::helpers::{job, needs, services, shell, sleeper};
use crate::support::Project;

fn saved() -> Project {
    let project = Project::new(&services(&[sleeper("web", "")]));
    project.orch(&["plan", "--out", "change.plan"]).ok().says(&["Saved to change.plan"]);
    project
}

/// Applies the saved plan, which must be refused for a reason, and nothing must have changed.
#[track_caller]
fn refused(project: &Project, args: &[&str], reasons: &[&str]) {
    let (bytes, processes) = (project.bytes(), project.processes());
    let all: Vec<&str> = ["apply", "change.plan"].iter().chain(args).copied().collect();
    project.orch(&all).exits(3).says(reasons).says(&["help:"]);
    let without_lock = |mut files: std::collections::BTreeMap<_, _>| {
        files.retain(|path: &std::path::PathBuf, _: &mut Vec<u8>| !path.ends_with("lock"));
        files
    };
    assert_eq!(without_lock(project.bytes()), without_lock(bytes), "a refused plan wrote something");
    assert_eq!(project.processes(), processes);
}

#[test]
fn a_saved_plan_is_applied_once() {
    let project = saved();
    project.orch(&["apply", "change.plan"]).ok().says(&["1 done"]);
    let pid = project.pid("web");
    refused(&project, &[], &["it was applied already, by run"]);
    assert_eq!(project.pid("web"), pid);
}

#[test]
fn a_plan_that_the_state_left_behind_is_stale() {
    let project = Project::new(&services(&[sleeper("web", ""), sleeper("api", "")]));
    project.orch(&["apply", "--auto-approve", "--target", "web"]).ok();
    project.orch(&["plan", "--out", "change.plan"]).ok();
    project.orch(&["restart", "web"]).ok();
    refused(&project, &[], &["it is stale: it rests on serial"]);
}

#[test]
fn an_altered_plan_is_refused() {
    let project = saved();
    let text = project.read("change.plan");
    for altered in [text.replace("600", "601"), text.replacen("{\"digest\"", "{\"x\":1,\"digest\"", 1)] {
        assert_ne!(altered, text);
        project.write("change.plan", altered);
        refused(&project, &[], &["it was altered", "have it reviewed"]);
    }
    project.write("change.plan", text.replacen("\"format\":1", "\"format\":999", 1));
    refused(&project, &[], &["it has format 999"]);
    project.write("change.plan", "not a plan");
    project.orch(&["apply", "change.plan"]).exits(1).says(&["it is not a plan file"]);
    project.orch(&["apply", "nowhere.plan"]).exits(1).says(&["nowhere.plan"]);
}

#[test]
fn the_input_that_changed_is_named() {
    let project = saved();
    project.yaml(&services(&[sleeper("web", ""), sleeper("more", "")]));
    refused(&project, &[], &["the file orch.yaml is not what it was when the plan was made"]);

    let project = Project::new(
        "variables: {color: {default: red}}\nservices:\n  web:\n    backend: {type: process, binary: sleep, args: [\"600\"], env: \
         {COLOR: \"${var:color}\", SHAPE: \"${env:SHAPE:-round}\", TEXT: \"${file:text.txt}\"}}\n",
    );
    project.write("text.txt", "one");
    project.orch(&["plan", "--out", "change.plan", "--var", "color=blue"]).ok();
    project.write("text.txt", "two");
    refused(&project, &[], &["the content of", "text.txt is not what it was"]);
    project.write("text.txt", "one");
    refused(&project, &["--var", "color=green"], &["the variable `color` is not what it was"]);
    project.orch(&["apply", "change.plan"]).ok();
    project.orch(&["state", "show", "web"]).ok().says(&["env.COLOR: \"blue\"", "env.SHAPE: \"round\""]);
    project.orch(&["plan", "--out", "change.plan", "--replace", "web", "--var", "color=blue"]).ok();
    let project = project.env("SHAPE", "square");
    refused(&project, &[], &["the environment variable `SHAPE` is not what it was"]);
}

#[test]
fn a_sensitive_variable_must_be_given_again_and_is_named() {
    let project = Project::new(
        "variables: {token: {sensitive: true}}\nservices:\n  web:\n    backend: {type: process, binary: sleep, args: [\"600\"], \
         env: {T: \"${var:token}\"}}\n",
    );
    project.orch(&["plan", "--out", "change.plan", "--var", "token=hunter2"]).ok();
    assert!(!project.read("change.plan").contains("hunter2"));
    project.orch(&["apply", "change.plan"]).exits(1).says(&["the variable `token` has no value", "--var token="]);
    refused(&project, &["--var", "token=other"], &["the variable `token`", "a sensitive one is not kept in the plan"]);
    project.orch(&["apply", "change.plan", "--var", "token=hunter2"]).ok().does_not_say(&["hunter2"]);
}

#[test]
fn what_no_longer_looks_as_observed_is_refused() {
    let project = Project::new(&services(&[sleeper("web", "")]));
    project.apply();
    project.yaml(&services(&[sleeper("web", "").replace("600", "601")]));
    project.orch(&["plan", "--out", "change.plan"]).ok();
    let found = project.processes().into_iter().find(|found| !found.supervisor).unwrap();
    let pid = rustix::process::Pid::from_raw(found.pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    crate::support::wait_until("it runs again", || project.row("web")["restarts"] == 1);
    refused(&project, &[], &["web is not what it was when the plan was made"]);
}

#[test]
fn a_plan_of_another_project_or_state_is_refused() {
    let other = Project::new(&format!("project: other\n{}", services(&[sleeper("web", "")])));
    other.orch(&["plan", "--out", "change.plan"]).ok();
    let project = saved();
    project.write("change.plan", other.read("change.plan"));
    refused(&project, &[], &["it is of project `other`, the file is of project `shop`"]);

    let twin = Project::new(&services(&[sleeper("web", "")]));
    twin.apply();
    twin.orch(&["plan", "--replace", "web", "--out", "change.plan"]).ok();
    let project = Project::new(&services(&[sleeper("web", "")]));
    project.apply();
    project.write("change.plan", twin.read("change.plan"));
    refused(&project, &[], &["is not what it was"]);
}

#[test]
fn a_plan_that_was_applied_in_part_is_resumed() {
    let project = Project::new(&services(&[
        job("first", "echo ran >> first.ran", ""),
        job("gate", "test -e open", &needs(&["first"])),
        sleeper("last", &needs(&["gate"])),
    ]));
    project.orch(&["plan", "--out", "change.plan"]).ok();
    project.orch(&["apply", "change.plan"]).exits(5).says(&["gate failed"]);
    refused(&project, &[], &["it was applied in part, by run", "1 of 3 steps are done", "--resume"]);
    project.write("open", "");
    project.orch(&["apply", "change.plan", "--resume"]).ok().says(&["2 done"]);
    assert_eq!(project.read("first.ran"), "ran\n", "a step that was done was done again");
    project.pid("last");
    refused(&project, &["--resume"], &["it was applied already"]);
    project.orch(&["plan", "--detailed-exitcode"]).ok();
}

#[test]
fn a_resume_after_the_state_moved_on_is_refused() {
    let project = Project::new(&services(&[sleeper("up", ""), shell("bad", "exit 1", "")]));
    project.orch(&["plan", "--out", "change.plan"]).ok();
    project.orch(&["apply", "change.plan"]).exits(5);
    project.orch(&["restart", "up"]).ok();
    refused(&project, &["--resume"], &["the state moved on since run"]);
}

#[test]
fn show_prints_a_saved_plan_in_every_form() {
    let project = saved();
    project.orch(&["show", "change.plan"]).ok().says(&["+ create web (process)", "Plan: 1 to create."]);
    project.orch(&["show", "change.plan", "--markdown"]).ok().says(&["| 1 | `+` create | `web` |"]);
    let shown = project.orch(&["show", "change.plan", "--json"]).ok().json();
    let file: Value = serde_json::from_str(&project.read("change.plan")).unwrap();
    assert_eq!(shown, file);
    project.write("change.plan", project.read("change.plan").replace("600", "601"));
    project.orch(&["show", "change.plan"]).exits(3).says(&["altered"]);
}
