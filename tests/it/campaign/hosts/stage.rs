//! A project on one host: files that are applied in turn, and what of them the host has.

#![expect(clippy::print_stdout, reason = "the boundaries that were covered are named when the test fails")]

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;

use orch::sys::CRASH_POINTS;

use crate::campaign::world::{boundaries, tell};
use crate::support::{Deployment, Fleet, Host, wait_until};

/// What begins the names of the boundaries of a step and its entries in the journal; of state and lock every one is met
/// with processes already.
pub(super) const STEP: [&str; 3] = ["step.", "journal.begin.", "journal.end."];

/// Files that are applied in turn, and what runs on the host when it is over.
pub(super) struct Scenario<'a> {
    pub(super) name: &'static str,
    pub(super) host: &'a Host,
    pub(super) world: &'a Deployment,
    /// Each file, and what [`Scenario::look`] sees then.
    pub(super) turns: Vec<(String, &'static str)>,
    /// Whether the turns differ in kind, so that each is killed everywhere, or the next one will do.
    pub(super) each: bool,
    /// What a kill leaves of a file whose gate is never passed; the one turn is what it goes back to.
    pub(super) broken: Option<(String, &'static str)>,
    pub(super) backend: &'static str,
}

impl Scenario<'_> {
    /// Kills an apply at every boundary; gives the boundaries that there were.
    fn run(&self) -> Vec<String> {
        let mut covered = Vec::new();
        let mut at = 0;
        self.go_to(0, "first");
        let mut met = BTreeSet::new();
        for turn in (1..=self.turns.len()).map(|turn| turn % self.turns.len()) {
            self.world.yaml(self.broken.as_ref().map_or(&self.turns[turn].0, |broken| &broken.0));
            let apply = || self.world.command(&["apply", "--auto-approve"]);
            met.extend(boundaries(|env, path| apply().env(env, path).output().unwrap()).into_iter().map(|(it, _)| it));
        }
        let own = |point: &&&str| {
            let rolls = ["step.undo.", "step.after."].iter().any(|start| point.starts_with(start));
            let step = STEP.iter().any(|start| point.starts_with(start)) && !rolls;
            met.contains(**point) && (step || point.starts_with(&format!("{}.", self.backend)))
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

    fn look(&self) -> String {
        look(self.host, self.world.name())
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

/// What runs of a project on a host, once it is neither starting nor stopping: a line a unit with how it is, the version
/// in its environment, and that of its files.
pub(super) fn look(host: &Host, project: &str) -> String {
    let mut seen = String::new();
    wait_until("nothing on the host is on its way", || {
        seen = look_now(host, project);
        !seen.contains("activating")
    });
    seen
}

fn look_now(host: &Host, project: &str) -> String {
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
pub(super) fn leftovers(host: &Host, project: &str) -> String {
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
pub(super) struct Foreign<'a> {
    host: &'a Host,
    project: String,
    before: String,
}

impl<'a> Foreign<'a> {
    pub(super) fn put(host: &'a Host, project: &str) -> Self {
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

    pub(super) fn is_untouched(&self) -> bool {
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

/// A project on one shared host, with what is not orch's beside it.
pub(super) struct Stage {
    pub(super) world: Deployment,
    pub(super) foreign: Foreign<'static>,
    pub(super) host: &'static Host,
    pub(super) yaml: Box<dyn Fn(&str) -> String>,
}

impl Stage {
    pub(super) fn on(number: usize) -> Self {
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

    pub(super) fn project(&self) -> &str {
        self.world.name()
    }

    pub(super) fn scenario(
        &self,
        backend: &'static str,
        name: &'static str,
        turns: &[(String, &'static str)],
    ) -> Scenario<'_> {
        let turns = turns.iter().map(|(services, seen)| ((self.yaml)(services), *seen)).collect();
        Scenario { name, host: self.host, world: &self.world, turns, each: false, broken: None, backend }
    }

    /// Runs a scenario, and holds its boundaries against those that there must be.
    pub(super) fn every_boundary(&self, scenario: &Scenario<'_>, wanted: &[&str]) {
        let covered = scenario.run();
        for point in STEP_POINTS.iter().chain(wanted) {
            let met = covered.iter().any(|met| met.split('#').next() == Some(*point));
            assert!(met, "{}: {point} was never met: {covered:?}", scenario.name);
        }
        assert!(self.foreign.is_untouched(), "{}: what is not orch's was touched", scenario.name);
    }
}

/// The boundaries that every step meets.
pub(super) const STEP_POINTS: &[&str] = &[
    "step.operation.before",
    "step.operation.after",
    "step.end.before",
    "step.end.after",
    "journal.begin.before",
    "journal.begin.synced",
    "journal.end.before",
    "journal.end.synced",
];
