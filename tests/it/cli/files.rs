//! Several files, and folders of files.

use super::helpers::{needs, services, sleeper};
use crate::support::Project;

#[test]
fn several_files_and_folders_are_merged() {
    let project = Project::empty();
    project.write("a.yaml", services(&[sleeper("db", "")]));
    project.write("more/b.yaml", services(&[sleeper("api", &needs(&["db"]))]));
    project.write("more/c.yml", services(&[sleeper("web", &needs(&["api"]))]));
    project.write("more/notes.txt", "not yaml: [");
    project.plans(&["-f", "a.yaml", "-f", "more"], &["db create", "api create", "web create"]);
    project.orch(&["validate", "-f", "more"]).exits(1).says(&["there is no service `db`"]);
    let project = project.env("ORCH_FILE", "a.yaml");
    project.plans(&[], &["db create"]);
    project.orch(&["plan"]).exits(0);
    project.orch(&["plan", "-f", "nope.yaml"]).exits(1).says(&["`nope.yaml` cannot be read"]);
}

#[test]
fn a_duplicate_service_shows_both_places() {
    let project = Project::empty();
    project.write("a.yaml", services(&[sleeper("web", "")]));
    project.write("b.yaml", services(&[sleeper("api", ""), sleeper("web", "")]));
    project.orch(&["validate", "-f", "a.yaml", "-f", "b.yaml"]).exits(1).says(&[
        "the service `web`",
        "a.yaml:2:",
        "b.yaml:4:",
    ]);
    let data = project.orch(&["validate", "--json", "-f", "a.yaml", "-f", "b.yaml"]).exits(1).json();
    let problem = &data["diagnostics"][0];
    assert_eq!((&problem["file"], &problem["line"]), (&"b.yaml".into(), &4.into()), "{data}");
    assert_eq!(
        (&problem["related"][0]["file"], &problem["related"][0]["line"]),
        (&"a.yaml".into(), &2.into()),
        "{data}"
    );
}

#[test]
fn paths_are_relative_to_the_file_that_names_them_and_another_folder_can_be_named() {
    let project = Project::empty();
    project.script("sub/bin/run", "#!/bin/sh\npwd > where.txt\nexec sleep 600\n");
    project
        .write("sub/orch.yaml", "project: shop\nservices:\n  web:\n    backend: {type: process, binary: ./bin/run}\n");
    project.orch(&["-C", "sub", "plan"]).ok().says(&["create web"]);
    project.orch(&["apply", "--auto-approve", "-f", "sub/orch.yaml", "--state-dir", ".orch"]).ok();
    crate::support::wait_until("the service wrote", || !project.read("sub/where.txt").is_empty());
    assert_eq!(project.read("sub/where.txt").trim(), project.path("sub").display().to_string());
    assert!(project.path(".orch/state.json").exists() && !project.path("sub/.orch").exists());
    project.orch(&["-C", "nowhere", "plan"]).exits(1).says(&["nowhere"]);
}

#[test]
fn a_file_of_this_version_is_valid_and_a_backend_that_is_not_known_is_refused() {
    let project = Project::new(
        "version: \"1.0\"\nproject: shop\nsettings: {state_dir: .orch, max_parallel: 4, default_timeout: 300, on_failure: rollback}\n\
         networks:\n  production: {type: lan, subnet: 192.168.1.0/24}\nservices:\n  postgres:\n    backend: {type: docker, image: \"postgres:15\"}\n",
    );
    project.orch(&["validate"]).exits(0);
    let project = Project::new("services:\n  web:\n    backend: {type: nomad, files: x}\n");
    project.orch(&["validate"]).exits(1).says(&["`nomad`", "`process`"]);
}
