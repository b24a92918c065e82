//! `orch import`: what comes out is valid, says what it is, and holds no secret.

mod compose;

use std::path::Path;

use crate::support::{Project, Ran};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/import");

/// A project with what a fixture holds.
fn with_fixture(name: &str) -> Project {
    fn copy(project: &Project, from: &Path, to: &str) {
        for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
            let to = format!("{to}/{}", entry.file_name().unwrap().to_str().unwrap());
            match entry.is_dir() {
                true => copy(project, &entry, &to),
                false => drop(project.write(&to, std::fs::read(&entry).unwrap())),
            }
        }
    }
    let project = Project::empty();
    copy(&project, &Path::new(FIXTURES).join(name), ".");
    project
}

/// Imports into `orch.yaml`; what it says, with the file as its stdout, after `orch validate` took the file.
#[track_caller]
fn imported(project: &mut Project, args: &[&str]) -> Ran {
    let all: Vec<&str> = ["import"].iter().chain(args).copied().chain(["-o", "orch.yaml"]).collect();
    let ran = project.orch(&all).ok();
    let text = project.read("orch.yaml");
    assert!(!ran.err.contains("hunter2") && !text.contains("hunter2"), "a secret was copied: {ran}\n{text}");
    // What is to be set is set, as the user is told to.
    for line in ran.err.lines().filter(|line| line.contains("is a secret")) {
        let name = line.split('`').nth(1).unwrap();
        assert!(text.contains(&format!("${{env:{name}")), "{name} is not in the file:\n{text}");
        project.set_env(name, "hunter22");
    }
    project.orch(&["validate"]).ok();
    Ran { out: text, ..ran }
}

#[test]
fn a_compose_project_becomes_containers() {
    let mut project = with_fixture("shop");
    let ran = imported(&mut project, &["compose"]);
    insta::assert_snapshot!("shop", ran.out);
    insta::assert_snapshot!("shop_told", ran.err.replace(project.path("").to_str().unwrap(), "[SHOP]/"));
}

#[test]
fn a_file_is_not_written_over_and_stdout_is_the_file_alone() {
    let project = with_fixture("shop");
    let to_stdout = project.orch(&["import", "compose", "compose.yaml"]).ok();
    assert!(to_stdout.out.starts_with("# Written by `orch import` from compose.yaml"), "{to_stdout}");
    project.yaml("services: {}\n");
    project.orch(&["import", "compose", "-o", "orch.yaml"]).exits(1).says(&["is there already", "--force"]);
    assert_eq!(project.read("orch.yaml"), "services: {}\n");
    project.orch(&["import", "compose", "-o", "orch.yaml", "--force"]).ok().says(&["Wrote", "`orch adopt`"]);
    project.orch(&["import", "compose", "nowhere.yaml"]).exits(1).says(&["nowhere.yaml", "does not exist"]);
    // A file in another folder finds the same files.
    project.orch(&["import", "compose", "-o", "deploy/orch.yaml"]).ok();
    let text = project.read("deploy/orch.yaml");
    assert!(text.contains("\"../init.sql:/docker-entrypoint") && text.contains("env_file: ../app.env"), "{text}");
}

#[test]
fn a_procfile_becomes_processes() {
    let mut project = Project::empty();
    let fixture = |name: &str| std::fs::read_to_string(Path::new(FIXTURES).join(name)).unwrap();
    project.write("Procfile", fixture("Procfile"));
    project.write(".env", fixture("Procfile.env"));
    for script in ["bin/migrate", "bin/work"] {
        project.script(script, "#!/bin/sh\n");
    }
    let ran = imported(&mut project, &["procfile"]);
    insta::assert_snapshot!("procfile", ran.out);
    insta::assert_snapshot!("procfile_told", ran.err.replace(project.path("").to_str().unwrap(), "[SHOP]/"));
}

#[test]
fn units_become_units_of_orchs() {
    let mut project = with_fixture("units");
    let units = [
        "web.service",
        "db.service",
        "backup.service",
        "backup.timer",
        "./queue@a.service",
        "./queue@b.service",
        "setup.service",
    ];
    let ran = imported(&mut project, &[&["systemd"], &units[..]].concat());
    insta::assert_snapshot!("units", ran.out);
    insta::assert_snapshot!("units_told", ran.err.replace(project.path("").to_str().unwrap(), "[SHOP]/"));
    project.orch(&["import", "systemd", "./queue@.service"]).exits(1).says(&["is a template", "queue@NAME.service"]);
    project.orch(&["import", "systemd", "backup.timer"]).exits(1).says(&["name backup.service too"]);
    project
        .orch(&["import", "systemd", "orch-test-no-such-unit"])
        .exits(1)
        .says(&["orch-test-no-such-unit.service cannot be read"]);
}
