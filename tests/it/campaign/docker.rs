//! One kill at every boundary that a step on a container meets: none may be there twice, none left
//! over, and nothing that is not orch's may be touched.

#![expect(clippy::print_stdout, reason = "the boundaries that were covered are named when the test fails")]

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;

use super::world::{boundaries, tell};
use crate::support::{Deployment, Engine, Registry, free_port, wait_until};

/// What is applied before, what is being applied when orch is killed, and what must run in the end.
struct Scenario {
    name: &'static str,
    before: String,
    after: String,
    expected: &'static [(&'static str, &'static str)],
    networks: usize,
    /// Whether applying `after` fails, every time, and goes back.
    goes_back: bool,
}

/// A container that does nothing, in a version; a name that is free for more keys of its backend.
fn container(name: &str, version: &str, more: &str) -> String {
    format!(
        "  {name}:\n    settle: 0\n    backend:\n      type: docker\n      image: orch-test/web:1\n      \
         command: [web, wait]\n      env: {{VERSION: '{version}'}}\n      stop_timeout: 2s\n{more}"
    )
}

impl Scenario {
    /// Kills an apply at every boundary; gives how many there were.
    fn run(&self, between: impl Fn(&Deployment)) -> usize {
        let mut covered = Vec::new();
        let world = Deployment::new("services: {}\n");
        let foreign = world.by_hand(&["--env", "VERSION=0", "orch-test/web:1", "web", "wait"]);
        // Of state and lock every boundary is met with processes already; these are what a container adds.
        let own = |point: &str| {
            ["docker.", "step.", "journal.begin.", "journal.end."].iter().any(|start| point.starts_with(start))
        };
        let prepare = |context: &str| {
            world.yaml(&self.before);
            between(&world);
            let before = world.apply();
            assert_eq!(before.code, Some(0), "{context}\n{}{}", before.out, before.err);
            world.yaml(&self.after);
        };
        prepare(self.name);
        let met = boundaries(|env, path| world.command(&["apply", "--auto-approve"]).env(env, path).output().unwrap());
        for (point, passes) in met.iter().filter(|(point, _)| own(point)) {
            let context = format!("{}: killed at {point} after {passes} passes", self.name);
            prepare(&context);
            let mut command = world.command(&["apply", "--auto-approve"]);
            let killed = command.env("FAILPOINTS", format!("{point}={passes}*off->return")).output().unwrap();
            // How often some are passed is a matter of time: how many pieces an image comes in, say.
            if killed.status.signal() != Some(9) {
                continue;
            }
            let again = world.orch(&["apply", "--auto-approve"]);
            if self.goes_back {
                assert_eq!(again.code, Some(5), "{context}\n{}{}", again.out, again.err);
            } else {
                assert_eq!(again.code, Some(0), "{context}\n{}{}", again.out, again.err);
                let plan = world.orch(&["plan", "--detailed-exitcode"]);
                assert_eq!(plan.code, Some(0), "{context}: the plan after is not empty\n{}", plan.out);
            }
            self.assert_exactly(&world, &context);
            assert!(world.engine().runs(&foreign), "{context}: what is not orch's was touched");
            covered.push(format!("{point}#{passes}"));
        }
        println!("docker {}: {}", self.name, covered.join(" "));
        tell(&format!("docker {}: killed at {} boundaries", self.name, covered.len()));
        covered.len()
    }

    fn assert_exactly(&self, world: &Deployment, context: &str) {
        let label = format!("orch.project={}", world.name());
        let found: Vec<(String, String, bool)> = world
            .containers()
            .iter()
            .map(|id| {
                let found = world.engine().inspect(id);
                let env = found["Config"]["Env"].as_array().unwrap().iter().filter_map(|entry| entry.as_str());
                let version = env.filter_map(|entry| entry.strip_prefix("VERSION=")).next().unwrap_or("?");
                let service = found["Config"]["Labels"]["orch.service"].as_str().unwrap();
                (service.to_owned(), version.to_owned(), found["State"]["Running"] == true)
            })
            .collect();
        let once: BTreeSet<_> = found.iter().cloned().collect();
        let wanted: BTreeSet<_> = self.expected.iter().map(|(s, v)| ((*s).to_owned(), (*v).to_owned(), true)).collect();
        assert_eq!(once, wanted, "{context}");
        assert_eq!(found.len(), once.len(), "{context}: one is there twice");
        let networks = world.engine().docker(&["network", "ls", "--quiet", "--filter", &format!("label={label}")]);
        assert_eq!(networks.lines().count(), self.networks, "{context}: networks");
    }
}

fn every_boundary(scenario: &Scenario, at_least: usize) {
    let covered = scenario.run(|_| {});
    assert!(covered >= at_least, "only {covered} boundaries of {}", scenario.name);
}

#[test]
fn create_with_a_network_and_a_dependent() {
    let networks = "networks: {lan: {type: lan}}\nservices:\n";
    let member = "      networks: [lan]\n";
    let scenario = Scenario {
        name: "create",
        before: "services: {}\n".into(),
        after: networks.to_owned()
            + &container("a", "1", member)
            + &container("b", "1", &format!("{member}    dependencies: [a]\n")),
        expected: &[("a", "1"), ("b", "1")],
        networks: 1,
        goes_back: false,
    };
    every_boundary(&scenario, 20);
}

#[test]
fn replace_create_first() {
    let scenario = Scenario {
        name: "replace, create first",
        before: "services:\n".to_owned() + &container("a", "1", ""),
        after: "services:\n".to_owned() + &container("a", "2", ""),
        expected: &[("a", "2")],
        networks: 0,
        goes_back: false,
    };
    every_boundary(&scenario, 15);
}

#[test]
fn replace_stop_first() {
    let port = free_port();
    let ports = format!("      ports: ['127.0.0.1:{port}:80']\n");
    let scenario = Scenario {
        name: "replace, stop first",
        before: "services:\n".to_owned() + &container("a", "1", &ports),
        after: "services:\n".to_owned() + &container("a", "2", &ports),
        expected: &[("a", "2")],
        networks: 0,
        goes_back: false,
    };
    every_boundary(&scenario, 17);
}

#[test]
fn replace_with_a_fixed_name_and_roll_back() {
    let name = format!("orch-fixed-{}", free_port());
    let fixed = format!("      container_name: {name}\n");
    // Long enough for it to have ended, so that it never passes for well.
    let broken = container("a", "2", &fixed).replace("[web, wait]", "[web, fail]").replace("settle: 0", "settle: 1s");
    let scenario = Scenario {
        name: "replace and roll back",
        before: "services:\n".to_owned() + &container("a", "1", &fixed),
        after: "services:\n".to_owned()
            + &broken.replace("      stop_timeout", "      restart: 'no'\n      stop_timeout"),
        expected: &[("a", "1")],
        networks: 0,
        goes_back: true,
    };
    every_boundary(&scenario, 17);
}

#[test]
fn update_in_place() {
    let scenario = Scenario {
        name: "update",
        before: "services:\n".to_owned() + &container("a", "1", "      memory: 64m\n"),
        after: "services:\n".to_owned() + &container("a", "1", "      memory: 96m\n      restart: always\n"),
        expected: &[("a", "1")],
        networks: 0,
        goes_back: false,
    };
    every_boundary(&scenario, 8);
}

#[test]
fn delete() {
    let scenario = Scenario {
        name: "delete",
        before: "networks: {lan: {type: lan}}\nservices:\n".to_owned()
            + &container("a", "1", "      networks: [lan]\n")
            + &container("b", "1", "    dependencies: [a]\n"),
        after: "services: {}\n".into(),
        expected: &[],
        networks: 0,
        goes_back: false,
    };
    every_boundary(&scenario, 15);
}

#[test]
fn rename() {
    let scenario = Scenario {
        name: "rename",
        before: "services:\n".to_owned() + &container("a", "1", ""),
        after: "services:\n".to_owned() + &container("b", "1", "    renamed_from: a\n"),
        expected: &[("a", "1")],
        networks: 0,
        goes_back: false,
    };
    every_boundary(&scenario, 8);
}

#[test]
fn pull() {
    let registry = Registry::start();
    registry.push_new(Engine::get(), "1", "web:1", 1);
    let image = registry.name("web:1");
    let after = "services:\n".to_owned() + &container("a", "1", "").replace("orch-test/web:1", &image);
    let scenario = Scenario {
        name: "pull",
        before: "services: {}\n".into(),
        after,
        expected: &[("a", "1")],
        networks: 0,
        goes_back: false,
    };
    let covered = scenario.run(|world| {
        // So that it is pulled again; a container of it may still be on its way out.
        wait_until("the image is gone", || {
            let _ = world.engine().try_docker(&["rmi", "--force", &image]);
            world.engine().inspect(&image).is_null()
        });
    });
    assert!(covered >= 14, "only {covered} boundaries");
}
