//! One kill at every boundary that a step on a host meets: the host has the old or the new, whole, and the next
//! apply needs no help.

#![expect(clippy::print_stdout, reason = "the boundaries that were covered are named when the test fails")]

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use orch::sys::CRASH_POINTS;
use rustix::process::{Pid, Signal, kill_process};

use super::world::tell;
use crate::support::{Deployment, Fleet, Host, wait_until};

/// What begins the names of the boundaries of a step and its entries in the journal; of state and lock every one is met
/// with processes already.
const STEP: [&str; 3] = ["step.", "journal.begin.", "journal.end."];

/// Files that are applied in turn, and what runs on the host when it is over.
struct Scenario<'a> {
    name: &'static str,
    host: &'a Host,
    world: &'a Deployment,
    /// Each file, and what [`Scenario::look`] sees then.
    turns: Vec<(String, &'static str)>,
    /// Whether the turns differ in kind, so that each is killed everywhere, or the next one will do.
    each: bool,
    /// What a kill leaves of a file whose gate is never passed; the one turn is what it goes back to.
    broken: Option<(String, &'static str)>,
    backend: &'static str,
}

impl Scenario<'_> {
    /// Kills an apply at every boundary; gives the boundaries that there were.
    fn run(&self) -> Vec<String> {
        let mut covered = Vec::new();
        let mut at = 0;
        self.go_to(0, "first");
        let own = |point: &&&str| {
            let rolls = ["step.undo.", "step.after."].iter().any(|start| point.starts_with(start));
            let step = STEP.iter().any(|start| point.starts_with(start)) && !rolls;
            step || point.starts_with(&format!("{}.", self.backend))
        };
        let turns = if self.each { self.turns.len() } else { 1 };
        for point in CRASH_POINTS.iter().filter(own) {
            for turn in 0..turns {
                if self.each && at != turn {
                    self.go_to(turn, point);
                    at = turn;
                }
                for passes in 0.. {
                    let context = format!("{}: killed at {point} after {passes} passes in turn {at}", self.name);
                    let next = (at + 1) % self.turns.len();
                    self.world.yaml(self.broken.as_ref().map_or(&self.turns[next].0, |broken| &broken.0));
                    let met = self.kill(point, passes);
                    if met {
                        self.assert_whole(at, next, &context);
                        self.go_to(next, &context);
                        covered.push(format!("{point}#{passes}"));
                    }
                    at = next;
                    if !met {
                        break;
                    }
                    self.assert_converged(next, &context);
                    if self.each {
                        // Back to where this boundary is met.
                        for turn in (at + 1..).take(self.turns.len() - 1).map(|turn| turn % self.turns.len()) {
                            self.go_to(turn, &context);
                            at = turn;
                        }
                    }
                    // One step begins and ends once.
                    if point.starts_with("journal.") || point.starts_with("step.end.") {
                        break;
                    }
                }
            }
        }
        println!("{}: {}", self.name, covered.join(" "));
        tell(&format!("{}: killed at {} boundaries", self.name, covered.len()));
        covered
    }

    fn kill(&self, point: &str, passes: usize) -> bool {
        let mut command = self.world.command(&["apply", "--auto-approve"]);
        let killed = command.env("FAILPOINTS", format!("{point}={passes}*off->return")).output().unwrap();
        let text = String::from_utf8_lossy(&killed.stderr);
        let expected = if self.broken.is_some() { 5 } else { 0 };
        assert!(
            killed.status.signal() == Some(9) || killed.status.code() == Some(expected),
            "{}: {point}#{passes}: {:?} {text}",
            self.name,
            killed.status
        );
        killed.status.signal() == Some(9)
    }

    fn go_to(&self, turn: usize, context: &str) {
        let broken = self.broken.as_ref().filter(|_| context != "first");
        self.world.yaml(broken.map_or(&self.turns[turn].0, |broken| &broken.0));
        let ran = self.world.orch(&["apply", "--auto-approve"]);
        assert_eq!(ran.code, Some(if broken.is_some() { 5 } else { 0 }), "{context}\n{}{}", ran.out, ran.err);
    }

    /// What the host runs, once it is neither starting nor stopping: a line a unit with how it is, the version in its
    /// environment, and that of its files.
    fn look(&self) -> String {
        let mut seen = String::new();
        wait_until("nothing on the host is on its way", || {
            seen = look(self.host, self.world.name());
            !seen.contains("activating")
        });
        seen
    }

    /// Right after a kill: the old or the new.
    fn assert_whole(&self, before: usize, after: usize, context: &str) {
        let seen = self.look();
        let broken = self.broken.as_ref().map_or(self.turns[after].1, |broken| broken.1);
        let possible = [self.turns[before].1, self.turns[after].1, broken];
        assert!(possible.contains(&seen.as_str()), "{context}: {seen:?} is none of {possible:?}");
    }

    fn assert_converged(&self, turn: usize, context: &str) {
        let wanted = self.turns[turn].1;
        assert_eq!(self.look(), wanted, "{context}");
        if self.broken.is_none() {
            let plan = self.world.orch(&["plan", "--detailed-exitcode"]);
            assert_eq!(plan.code, Some(0), "{context}: the plan after is not empty\n{}{}", plan.out, plan.err);
        }
        assert_eq!(leftovers(self.host, self.world.name()), "", "{context}: left over");
        if wanted.is_empty() {
            let left = self.host.sh(&format!(
                "ls -d /etc/{0} /opt/{0} 2>/dev/null; grep -lr '\"project\":\"{0}\"' /var/lib/orch || true",
                self.world.name()
            ));
            assert_eq!(left, "", "{context}: left over");
        }
    }
}

/// Prints what runs of a project on a host, and the version in what it reads.
fn look(host: &Host, project: &str) -> String {
    let script = r#"
        for unit in /etc/systemd/system/*PROJECT*.service; do
            case $unit in *-foreign.service | *'*'*) continue ;; esac
            name=${unit##*/}
            pid=$(systemctl show -p MainPID --value "$name")
            version=$(tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | sed -n 's/^VERSION=//p')
            echo "$(systemctl is-active "$name") $version"
        done
        for file in /etc/PROJECT/version /opt/PROJECT/prog /opt/PROJECT/current/data/version; do
            [ ! -e "$file" ] || sed -n 's/^.*version \([0-9]\).*/\1/p' "$file"
        done
        if [ -L /opt/PROJECT/current ]; then
            cd "/opt/PROJECT/$(readlink /opt/PROJECT/current)" && sha256sum --quiet -c sums 2>&1
        fi
    "#;
    // A unit that ends while it is looked at is looked at again.
    host.sh(&format!("{}\ntrue", script.replace("PROJECT", project))).replace('\n', " ")
}

/// Prints what an interrupted change leaves until the next one, and may not outlive that.
fn leftovers(host: &Host, project: &str) -> String {
    host.sh(&format!(
        r#"
        for stamp in $(grep -ls '"project":"{project}"' /var/lib/orch/*/*/stamp.json); do
            slot=${{stamp%/*}}
            find "$slot" \( -name pending -o -name '.*' -o -name '*.new' -o -path '*/uploads/*' \) -print
        done
        find /opt/{project} /etc/{project} -name '.*' ! -name .orch -print 2>/dev/null
        find /etc/systemd/system -name '.*{project}*' -print
        true"#
    ))
}

/// What is not orch's, beside what is: a unit that runs, and files, under names like orch's.
struct Foreign<'a> {
    host: &'a Host,
    project: String,
    before: String,
}

impl<'a> Foreign<'a> {
    fn put(host: &'a Host, project: &str) -> Self {
        let unit = format!("orch-{project}-foreign.service");
        host.sh(&format!(
            "printf '[Service]\\nExecStart=/usr/bin/sleep 10000\\n' >/etc/systemd/system/{unit}; systemctl daemon-reload; \
             systemctl start {unit}; mkdir -p /opt/{project}-foreign/releases /etc/{project}-foreign; \
             echo mine >/opt/{project}-foreign/releases/.x.tar.gz; echo mine >/etc/{project}-foreign/.version.orch"
        ));
        let mut foreign = Self { host, project: project.to_owned(), before: String::new() };
        foreign.before = foreign.look();
        foreign
    }

    fn look(&self) -> String {
        let project = &self.project;
        self.host.sh(&format!(
            "systemctl show -p InvocationID,ActiveState,FragmentPath,DropInPaths orch-{project}-foreign.service; \
             find /opt/{project}-foreign /etc/{project}-foreign /etc/systemd/system/orch-{project}-foreign.service \
             -exec stat -c '%n %i %y %a' {{}} +"
        ))
    }

    fn is_untouched(&self) -> bool {
        self.look() == self.before
    }
}

impl Drop for Foreign<'_> {
    fn drop(&mut self) {
        let project = &self.project;
        let _ = self.host.try_sh(&format!(
            "for unit in $(ls /etc/systemd/system | grep {project}); do systemctl disable --now $unit; \
             rm -f /etc/systemd/system/$unit; done; systemctl daemon-reload; \
             for stamp in $(grep -ls '\"project\":\"{project}\"' /var/lib/orch/*/*/stamp.json); do \
             rm -rf ${{stamp%/*/*}}; done; \
             rm -rf /opt/{project} /etc/{project} /opt/{project}-foreign /etc/{project}-foreign"
        ));
    }
}

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

/// A project on one shared host, with what is not orch's beside it.
struct Stage {
    world: Deployment,
    foreign: Foreign<'static>,
    host: &'static Host,
    yaml: Box<dyn Fn(&str) -> String>,
}

impl Stage {
    fn on(number: usize) -> Self {
        let host = Fleet::get().host(number);
        let world = Deployment::new("services: {}\n");
        let foreign = Foreign::put(host, world.name());
        let hosts = Fleet::get().yaml();
        let yaml = move |services: &str| {
            let services = if services.is_empty() { "  {}\n" } else { services };
            // Only hosts that something is on are asked, so that one scenario does not wait for those of others.
            let hosts: String = hosts
                .lines()
                .filter(|line| *line == "hosts:" || line.contains(&format!("h{number}:")))
                .map(|line| format!("{line}\n"))
                .collect();
            format!("{hosts}services:\n{}", services.replace("HOST", &format!("h{number}")))
        };
        Self { world, foreign, host, yaml: Box::new(yaml) }
    }

    fn project(&self) -> &str {
        self.world.name()
    }

    fn scenario(&self, backend: &'static str, name: &'static str, turns: &[(String, &'static str)]) -> Scenario<'_> {
        let turns = turns.iter().map(|(services, seen)| ((self.yaml)(services), *seen)).collect();
        Scenario { name, host: self.host, world: &self.world, turns, each: false, broken: None, backend }
    }

    /// Runs a scenario, and holds its boundaries against those that there must be.
    fn every_boundary(&self, scenario: &Scenario<'_>, wanted: &[&str]) {
        let covered = scenario.run();
        for point in STEP_POINTS.iter().chain(wanted) {
            let met = covered.iter().any(|met| met.split('#').next() == Some(*point));
            assert!(met, "{}: {point} was never met: {covered:?}", scenario.name);
        }
        assert!(self.foreign.is_untouched(), "{}: what is not orch's was touched", scenario.name);
    }
}

/// The boundaries that every step meets.
const STEP_POINTS: &[&str] = &[
    "step.operation.before",
    "step.operation.after",
    "step.end.before",
    "step.end.after",
    "journal.begin.before",
    "journal.begin.synced",
    "journal.end.before",
    "journal.end.synced",
];

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

/// The connection dies while a script on the host waits for the end of what runs: the script goes on by itself.
#[test]
fn a_connection_that_is_killed_within_a_step() {
    let stage = Stage::on(1);
    let sockets = stage.world.outer().join("tmp");
    std::fs::create_dir(&sockets).unwrap();
    let go = format!("/run/go-{}", stage.project());
    let slow = |version: &str| {
        let exec = format!(
            "exec: [/bin/sh, -c, \"trap 'touch {go}-asked; while [ ! -e {go} ]; do sleep 0.1; done; exit' TERM; touch {go}-ready; while :; do sleep 0.1; done\"]"
        );
        let unit = unit(stage.project(), "a", version, "");
        (stage.yaml)(
            &unit.replace("exec: [/usr/bin/sleep, '1000']", &exec).replace("stop_timeout: 2s", "stop_timeout: 60s"),
        )
    };
    stage.world.yaml(&slow("1"));
    stage.world.apply();
    wait_until("it minds its signals", || stage.host.try_sh(&format!("test -e {go}-ready")).is_ok());
    stage.world.yaml(&slow("2"));
    let args = ["apply", "--auto-approve"];
    let mut command = stage.world.command(&args);
    command.env("TMPDIR", &sockets);
    let running = stage.world.spawn(command, &args);
    wait_until("the old one is told to end", || stage.host.try_sh(&format!("test -e {go}-asked")).is_ok());
    let masters = masters(&sockets);
    assert!(!masters.is_empty(), "no ssh of this orch is there");
    for pid in masters {
        let _ = kill_process(pid, Signal::KILL);
    }
    stage.host.sh(&format!("touch {go}"));
    let ended = running.end();
    // A look between two scripts is asked again; only a script that ran is lost.
    assert!(matches!(ended.code, Some(0 | 5)), "{ended}");
    if ended.code != Some(0) {
        assert!(ended.out.contains("lost the connection to h1"), "the error is clear: {ended}");
    }
    tell(&format!("ssh killed within a step: exit {:?}", ended.code));
    stage.world.apply();
    wait_until("the new one runs", || look(stage.host, stage.project()) == "active 2 2");
    stage.world.orch(&["plan", "--detailed-exitcode"]).ok();
    assert_eq!(leftovers(stage.host, stage.project()), "");
    assert!(stage.foreign.is_untouched());
}

/// The shared connections of an orch that has their sockets in a folder: it stands in their command lines.
fn masters(sockets: &Path) -> Vec<Pid> {
    let socket = format!("{}/orch-ssh-", sockets.display());
    let is_ours = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"ssh") && String::from_utf8_lossy(&line).contains(&socket)
    };
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(is_ours).filter_map(Pid::from_raw).collect()
}
