//! One kill at every boundary that a step on a host meets: the host has the old or the new, whole, and the next
//! apply needs no help.

mod connection;
mod roll;
mod stage;

use self::stage::{Scenario, Stage};

/// A unit that does nothing, in a version that is in its environment and in a file of its.
fn unit(project: &str, name: &str, version: &str, more: &str) -> String {
    format!(
        "  {name}:\n    settle: 0\n    backend:\n      type: systemd\n      host: HOST\n      exec: [/usr/bin/sleep, '1000']\n      \
         stop_timeout: 2s\n      env: {{VERSION: '{version}'}}\n      files: {{/etc/{project}/version: 'version {version}'}}\n{more}"
    )
}

/// A program that is uploaded, in a version that is in its environment and in itself.
fn program(project: &str, version: &str, more: &str) -> String {
    format!(
        "  a:\n    settle: 0\n    backend:\n      type: ssh\n      host: HOST\n      binary: /opt/{project}/prog\n      \
         upload: prog-{version}\n      stop_timeout: 2s\n      env: {{VERSION: '{version}'}}\n{more}"
    )
}

/// A package in a version that is in its environment and in its release.
fn package(project: &str, version: &str, more: &str) -> String {
    format!(
        "  a:\n    settle: 0\n    backend:\n      type: package\n      host: HOST\n      package: app-{version}.tar.gz\n      \
         install_path: /opt/{project}\n      keep: 2\n      stop_timeout: 2s\n      env: {{VERSION: '{version}'}}\n{more}"
    )
}

/// A gate that version 2 never passes, wherever it is.
fn gate(file: &str) -> String {
    format!(
        "    health_check: {{type: command, command: sh, args: [-c, '! grep -q \"version 2\" {file}'], interval: 100ms, \
         retries: 1, timeout: 5s}}\n"
    )
}

#[test]
fn a_unit_is_made_and_deleted() {
    let stage = Stage::on(1);
    let turns = [(String::new(), ""), (unit(stage.project(), "a", "1", ""), "active 1 1")];
    let scenario = Scenario { each: true, ..stage.scenario("systemd", "systemd, create and delete", &turns) };
    stage.every_boundary(&scenario, &["systemd.place.before", "systemd.place.after"]);
}

#[test]
fn a_unit_is_switched() {
    let stage = Stage::on(2);
    let turns = ["1", "2"].map(|version| unit(stage.project(), "a", version, ""));
    let [one, two] = turns;
    let scenario = stage.scenario("systemd", "systemd, switch", &[(one, "active 1 1"), (two, "active 2 2")]);
    stage.every_boundary(&scenario, &["systemd.place.before", "systemd.place.after"]);
}

#[test]
fn a_unit_whose_gate_fails_goes_back() {
    let stage = Stage::on(3);
    let gate = gate(&format!("/etc/{}/version", stage.project()));
    let [one, two] = ["1", "2"].map(|version| unit(stage.project(), "a", version, &gate));
    let broken = Some(((stage.yaml)(&two), "active 2 2"));
    let scenario = Scenario { broken, ..stage.scenario("systemd", "systemd, go back", &[(one, "active 1 1")]) };
    stage.every_boundary(&scenario, &["systemd.place.before", "systemd.place.after", "step.rollback.before"]);
}

#[test]
fn a_unit_is_renamed() {
    let stage = Stage::on(4);
    let name = format!("      unit: {}-fixed.service\n", stage.project());
    let a = unit(stage.project(), "a", "1", &format!("{name}    renamed_from: b\n"));
    let b = unit(stage.project(), "b", "1", &format!("{name}    renamed_from: a\n"));
    let scenario = stage.scenario("systemd", "systemd, rename", &[(a, "active 1 1"), (b, "active 1 1")]);
    stage.every_boundary(&scenario, &[]);
}

#[test]
fn a_program_is_uploaded_and_deleted() {
    let stage = Stage::on(1);
    programs(&stage);
    let turns = [(String::new(), ""), (program(stage.project(), "1", ""), "active 1 1")];
    let scenario = Scenario { each: true, ..stage.scenario("ssh", "ssh, create and delete", &turns) };
    stage.every_boundary(&scenario, &["ssh.place.before", "ssh.place.after"]);
}

#[test]
fn a_program_is_switched() {
    let stage = Stage::on(2);
    programs(&stage);
    let [one, two] = ["1", "2"].map(|version| program(stage.project(), version, ""));
    let scenario = stage.scenario("ssh", "ssh, switch", &[(one, "active 1 1"), (two, "active 2 2")]);
    stage.every_boundary(&scenario, &["ssh.place.before", "ssh.place.after"]);
}

fn programs(stage: &Stage) {
    for version in ["1", "2"] {
        let program = format!("#!/bin/sh\n# version {version}\nexec sleep 1000\n");
        stage.world.script(&format!("prog-{version}"), &program);
    }
}

const PACKAGE: &[&str] = &[
    "package.prepare.claimed",
    "package.prepare.uploaded",
    "package.prepare.unpacked",
    "package.switch.before",
    "package.switch.done",
];

#[test]
fn a_package_is_deployed_and_deleted() {
    let stage = Stage::on(3);
    packages(&stage);
    let turns = [(String::new(), ""), (package(stage.project(), "1", ""), "active 1 1")];
    let scenario = Scenario { each: true, ..stage.scenario("package", "package, create and delete", &turns) };
    stage.every_boundary(&scenario, &[PACKAGE, &["package.remove.done"]].concat());
}

/// Of three versions two are kept, so that the next one is always uploaded.
#[test]
fn a_package_is_switched() {
    let stage = Stage::on(4);
    packages(&stage);
    let [one, two, three] = ["1", "2", "3"].map(|version| package(stage.project(), version, ""));
    let turns = [(one, "active 1 1"), (two, "active 2 2"), (three, "active 3 3")];
    stage.every_boundary(&stage.scenario("package", "package, switch", &turns), PACKAGE);
}

#[test]
fn a_package_whose_gate_fails_goes_back() {
    let stage = Stage::on(4);
    packages(&stage);
    let gate = gate(&format!("/opt/{}/current/data/version", stage.project()));
    let [one, two] = ["1", "2"].map(|version| package(stage.project(), version, &gate));
    let broken = Some(((stage.yaml)(&two), "active 2 2"));
    let scenario = Scenario { broken, ..stage.scenario("package", "package, go back", &[(one, "active 1 1")]) };
    let back = ["package.revert.before", "package.revert.done", "step.rollback.before", "package.switch.before"];
    stage.every_boundary(&scenario, &back);
}

fn packages(stage: &Stage) {
    for version in ["1", "2", "3"] {
        let folder = format!("source-{version}");
        let manifest = format!("name: app\nversion: \"{version}\"\nentry_point: bin/app\n");
        stage.world.write(&format!("{folder}/manifest.yaml"), manifest);
        stage.world.script(&format!("{folder}/bin/app"), "#!/bin/sh\nexec sleep 1000\n");
        let version = format!("version {version}\n");
        // What tells a whole release from a part of one.
        let sums = format!("{}  data/version\n", orch::model::Digest::of(version.as_bytes()));
        stage.world.write(&format!("{folder}/data/version"), version);
        stage.world.write(&format!("{folder}/sums"), sums);
        stage.world.orch(&["package", "build", &folder]).ok();
    }
}
