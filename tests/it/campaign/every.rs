//! One kill at every boundary that an apply meets, in every kind of step.

#![expect(clippy::print_stdout, reason = "the boundaries that were covered are named when the test fails")]

use super::world::{World, boundaries, broken, job, leftovers, service, tell};

/// What is applied before, what is being applied when orch is killed, and what must run in the end.
struct Scenario {
    name: &'static str,
    before: String,
    after: String,
    expected: &'static [(&'static str, &'static str)],
    /// How often the job has run in the end.
    job_runs: usize,
    /// Whether applying `after` fails, every time, and goes back.
    goes_back: bool,
}

impl Scenario {
    /// Kills an apply at every boundary; gives the boundaries that there were.
    fn run(&self) -> Vec<String> {
        let mut covered = Vec::new();
        let prepare = |context: &str| {
            let world = World::new();
            world.write(&self.before);
            let before = world.apply();
            assert_eq!(before.code, Some(0), "{context}\n{}", before.text);
            world.write(&self.after);
            world
        };
        let world = prepare(self.name);
        for (point, passes) in boundaries(|env, path| world.apply_with(env, path)) {
            let context = format!("{}: killed at {point} after {passes} passes", self.name);
            let world = prepare(&context);
            let killed = world.orch_with(&["apply", "--auto-approve"], &format!("{point}={passes}*off->return"));
            // How often some are passed is a matter of time.
            if !killed.killed {
                continue;
            }
            if self.goes_back {
                let again = world.apply();
                assert_eq!(again.code, Some(5), "{context}\n{}", again.text);
                world.assert_exactly(self.expected, &context);
            } else {
                world.converge(self.expected, &context);
            }
            assert_eq!(world.job_runs(), self.job_runs, "{context}: runs of the job");
            assert_eq!(leftovers(&world.path(".orch")), Vec::<String>::new(), "{context}");
            covered.push(format!("{point}#{passes}"));
        }
        println!("{}: {}", self.name, covered.join(" "));
        tell(&format!("{}: killed at {} boundaries", self.name, covered.len()));
        covered
    }
}

/// Runs a scenario and holds the number of its boundaries against the least there must be.
fn every_boundary(scenario: &Scenario, at_least: usize) {
    let covered = scenario.run();
    assert!(covered.len() >= at_least, "only {} boundaries of {}: {covered:?}", covered.len(), scenario.name);
}

#[test]
fn create() {
    let after = service("a", "1", "") + &service("b", "1", "    dependencies: [a]\n");
    let scenario = Scenario {
        name: "create",
        before: "  {}\n".into(),
        after,
        expected: &[("a", "1"), ("b", "1")],
        job_runs: 0,
        goes_back: false,
    };
    every_boundary(&scenario, 25);
}

#[test]
fn update() {
    let scenario = Scenario {
        name: "update",
        before: service("a", "1", ""),
        after: service("a", "1", "    health_check: {type: command, command: 'true'}\n")
            .replace("'1000']", "'1000']\n      stop_timeout: 3s"),
        expected: &[("a", "1")],
        job_runs: 0,
        goes_back: false,
    };
    every_boundary(&scenario, 20);
}

#[test]
fn replace_stop_first() {
    let scenario = Scenario {
        name: "replace, stop first",
        before: service("a", "1", ""),
        after: service("a", "2", ""),
        expected: &[("a", "2")],
        job_runs: 0,
        goes_back: false,
    };
    every_boundary(&scenario, 30);
}

#[test]
fn replace_create_first() {
    let first = "    lifecycle: {create_before_destroy: true}\n";
    let scenario = Scenario {
        name: "replace, create first",
        before: service("a", "1", first),
        after: service("a", "2", first),
        expected: &[("a", "2")],
        job_runs: 0,
        goes_back: false,
    };
    every_boundary(&scenario, 30);
}

#[test]
fn replace_and_roll_back() {
    let scenario = Scenario {
        name: "replace and roll back",
        before: service("a", "1", ""),
        after: broken("a", "2"),
        expected: &[("a", "1")],
        job_runs: 0,
        goes_back: true,
    };
    every_boundary(&scenario, 30);
}

#[test]
fn delete() {
    let scenario = Scenario {
        name: "delete",
        before: service("a", "1", "") + &service("b", "1", "    dependencies: [a]\n"),
        after: "  {}\n".into(),
        expected: &[],
        job_runs: 0,
        goes_back: false,
    };
    every_boundary(&scenario, 25);
}

#[test]
fn run_a_job() {
    let scenario = Scenario {
        name: "job",
        before: "  {}\n".into(),
        after: job("1") + &service("a", "1", "    dependencies: [job]\n"),
        expected: &[("a", "1")],
        job_runs: 1,
        goes_back: false,
    };
    every_boundary(&scenario, 25);
}

#[test]
fn rename() {
    let scenario = Scenario {
        name: "rename",
        before: service("a", "1", ""),
        after: service("b", "1", "    renamed_from: a\n"),
        expected: &[("a", "1")],
        job_runs: 0,
        goes_back: false,
    };
    every_boundary(&scenario, 18);
}

/// A journal that lost its end, wherever it was cut, is as good as a kill at that moment.
#[test]
fn a_journal_that_is_cut_at_any_byte() {
    let after = service("a", "2", "") + &service("b", "1", "    dependencies: [a]\n");
    let whole = {
        let world = World::new();
        run_to_the_end_of_the_journal(&world, &after);
        std::fs::metadata(world.journal()).unwrap().len()
    };
    for cut in (0..whole).step_by(usize::try_from(whole / 24).unwrap().max(1)) {
        let world = World::new();
        run_to_the_end_of_the_journal(&world, &after);
        let journal = std::fs::OpenOptions::new().write(true).open(world.journal()).unwrap();
        journal.set_len(cut).unwrap();
        world.converge(&[("a", "2"), ("b", "1")], &format!("journal cut at byte {cut} of {whole}"));
    }
}

/// Applies a change and dies when everything is done and nothing is folded into the state yet.
fn run_to_the_end_of_the_journal(world: &World, after: &str) {
    world.write(&service("a", "1", ""));
    assert_eq!(world.apply().code, Some(0));
    world.write(after);
    let killed = world.orch_with(&["apply", "--auto-approve"], "journal.run_end.synced=return");
    assert!(killed.killed, "{}", killed.text);
}
