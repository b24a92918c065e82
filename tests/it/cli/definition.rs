//! Variables, interpolation and profiles.

use super::helpers::{services, sleeper};
use crate::support::Project;

/// A service whose environment shows what interpolation made.
fn shows(value: &str) -> String {
    let value = serde_json::to_string(value).unwrap();
    format!("services:\n  web:\n    backend: {{type: process, binary: sleep, args: [\"600\"], env: {{V: {value}}}}}\n")
}

/// The value that a plan would give the service.
#[track_caller]
fn value(project: &Project, args: &[&str]) -> String {
    let plan = project.plan(args);
    let changes = plan["steps"][0]["changes"].as_array().unwrap().clone();
    let change = changes.iter().find(|change| change["path"] == "env.V").unwrap_or_else(|| panic!("{plan}"));
    change["new"].as_str().map_or_else(|| change["new"].to_string(), str::to_owned)
}

#[test]
fn values_come_from_the_command_line_then_files_then_the_environment_then_the_default() {
    let project = Project::new(&format!(
        "variables: {{color: {{default: red, description: of the door}}}}\n{}",
        shows("${var:color}")
    ));
    assert!(value(&project, &[]).contains("red"));
    let project = project.env("ORCH_VAR_color", "green");
    assert!(value(&project, &[]).contains("green"));
    project.write("vars.yaml", "color: blue\n");
    project.write("vars.toml", "color = \"white\"\n");
    assert!(value(&project, &["--var-file", "vars.yaml"]).contains("blue"));
    assert!(value(&project, &["--var-file", "vars.toml"]).contains("white"));
    assert!(value(&project, &["--var-file", "vars.toml", "--var-file", "vars.yaml"]).contains("blue"));
    assert!(value(&project, &["--var-file", "vars.yaml", "--var", "color=black"]).contains("black"));
}

#[test]
fn a_pattern_is_kept_and_what_is_not_set_or_not_declared_is_an_error() {
    let project = Project::new(&format!("variables: {{port: {{pattern: \"[0-9]+\"}}}}\n{}", shows("${var:port}")));
    project.orch(&["plan"]).exits(1).says(&["the variable `port` has no value", "--var port=", "ORCH_VAR_port"]);
    project.orch(&["plan", "--var", "port=eighty"]).exits(1).says(&["`eighty`", "does not match `[0-9]+`"]);
    project
        .orch(&["plan", "--var", "port=80", "--var", "prot=1"])
        .exits(1)
        .says(&["the variable `prot`", "did you mean `port`"]);
    project.orch(&["plan", "--var", "port=80"]).ok();
    project.write("bad.toml", "port = [1]\n");
    project.orch(&["plan", "--var-file", "bad.toml"]).exits(1).says(&["bad.toml:1:"]);
    project.orch(&["plan", "--var-file", "nowhere.yaml"]).exits(1).says(&["nowhere.yaml"]);
    project.orch(&["plan", "--var", "port"]).exits(64).says(&["NAME=VALUE"]);
}

#[test]
fn every_source_of_interpolation_is_read() {
    let project = Project::new(&shows("${env:SHAPE}/${env:NOPE:-default}/$${var:literal}"));
    project.orch(&["plan"]).exits(1).says(&["the environment variable `SHAPE` is not set"]);
    let project = project.env("SHAPE", "round");
    let found = value(&project, &[]);
    assert!(found.contains("round/default/${var:literal}"), "{found}");
    project.yaml(&shows("${file:text.txt}"));
    project.orch(&["validate"]).exits(1).says(&["the file `text.txt` cannot be read"]);
    project.write("text.txt", "from a file");
    // What a file holds may be secret, so it is looked up where it arrives.
    project.orch(&["plan"]).ok().says(&["env.V: (sensitive)"]).does_not_say(&["from a file"]);
    project.apply();
    let service = project.processes().into_iter().find(|found| !found.supervisor).unwrap();
    assert!(service.environ.contains("V=from a file"), "{}", service.environ);
    project.yaml(&shows("${HOME}"));
    project.orch(&["validate"]).exits(1).says(&["`${HOME}` says no source"]);
}

#[test]
fn profiles_choose_services_and_what_they_leave_out_is_taken_down() {
    let project = Project::new(&services(&[
        sleeper("web", ""),
        sleeper("debug", "    profiles: [dev]\n"),
        sleeper("trace", "    profiles: [dev, ops]\n"),
    ]));
    project.plans(&[], &["web create"]);
    project.plans(&["--profile", "ops"], &["trace create", "web create"]);
    project.plans(&["--profile", "dev"], &["debug create", "trace create", "web create"]);
    project.orch(&["plan", "--profile", "nope"]).exits(1).says(&["no service has the profile `nope`"]);
    project.orch(&["apply", "--auto-approve", "--profile", "dev"]).ok();
    project.plans(&["--profile", "ops"], &["debug delete"]);
    project.orch(&["plan", "--profile", "ops"]).ok().says(&["no active profile has it"]);
    let project = project.env("ORCH_PROFILES", "ops");
    project.apply();
    assert_eq!(project.processes().len(), 4);
    project.plans(&[], &[]);
}

#[test]
fn text_is_yaml_1_2_and_anchors_and_merges_work() {
    let project = Project::empty();
    project.yaml(
        "x-base: &base {type: process, binary: sleep, args: [\"600\"]}\nservices:\n  web:\n    backend:\n      <<: *base\n      \
         env:\n        A: no\n        V: |-\n          one\n          two\n",
    );
    project.orch(&["plan"]).ok().says(&["env.A: \"no\"", "+one", "+two", "binary: \"sleep\""]);
}
