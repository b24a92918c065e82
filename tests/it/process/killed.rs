//! orch is killed at every crash point inside the backend, and the same step is done again.
//!
//! The test starts itself as the orch that dies: `driver` walks through the life of an object and
//! notes each step before it takes it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use orch::backend::{BackendError, Observer, Operator};
use orch::model::ObjectId;
use orch::sys::{CRASH_POINTS, processes};

use super::bench::{Bench, Make, context, eventually};

const FOLDER: &str = "ORCH_TEST_FOLDER";

/// The steps of a life, and how many processes there are after each.
const STEPS: [(&str, usize); 7] =
    [("create", 1), ("update", 1), ("stop", 0), ("start", 1), ("restart", 1), ("again", 1), ("remove", 0)];

fn make(bench: &Bench) -> Make {
    bench.program("sleep").args(&["600"]).stop_timeout(500)
}

async fn take(bench: &Bench, step: &str) -> Result<(), BackendError> {
    let (id, instance) = (ObjectId::new("run.1"), make(bench).instance());
    let backend = &bench.backend;
    match step {
        "create" => backend.create(&context("web", "run.1"), &instance).await.map(drop),
        "update" => backend.update(&context("renamed", "run.2"), &id, &instance).await,
        "stop" => backend.stop(&context("web", "run.3"), &id).await,
        "start" => backend.start(&context("web", "run.4"), &id).await,
        "restart" => backend.restart(&context("web", "run.5"), &id, &instance).await,
        "again" => backend.restart(&context("web", "run.6"), &id, &instance).await,
        _ => backend.remove(&context("web", "run.7"), &id, false).await,
    }
}

#[tokio::test]
#[ignore = "the part of orch in the test below"]
#[expect(clippy::disallowed_methods, reason = "the test tells its other half where to work")]
async fn driver() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let scenario = fail::FailScenario::setup();
    let bench = Bench::inside(folder.into());
    for (step, _) in STEPS {
        if step == "again" {
            bench.kill_supervisor(&ObjectId::new("run.1")).await;
        }
        let mut steps = OpenOptions::new().append(true).create(true).open(bench.path("steps")).unwrap();
        writeln!(steps, "{step}").unwrap();
        take(&bench, step).await.unwrap();
    }
    scenario.teardown();
}

/// How many processes run in the bench's folder.
fn running(bench: &Bench) -> usize {
    let here = &bench.folder;
    let is_here = |pid: u32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == *here);
    processes().iter().filter(|process| process.is_alive() && is_here(process.pid)).count()
}

#[tokio::test]
async fn the_same_step_again_finishes_what_a_killed_orch_began() {
    let mut points = 0;
    for point in CRASH_POINTS.iter().filter(|point| point.starts_with("process.")) {
        let bench = Bench::new();
        #[expect(clippy::disallowed_methods, reason = "the test starts its other half")]
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::killed::driver", "--ignored", "--quiet"])
            .env("FAILPOINTS", format!("{point}=return"))
            .env(FOLDER, &bench.folder)
            .output()
            .unwrap()
            .status;
        assert_eq!(status.signal(), Some(9), "{point} was not reached");
        let steps = bench.read("steps");
        let last = steps.lines().last().unwrap();
        let expected = STEPS.iter().find(|(step, _)| *step == last).unwrap().1;
        // Looking never fails, whatever the crash left.
        let seen = bench.backend.list().await.unwrap().objects;
        assert!(seen.len() <= 1 && running(&bench) <= 1, "{point}: {seen:?}");
        take(&bench, last).await.unwrap_or_else(|error| panic!("{point}: {last} again: {error:?}"));
        eventually(point, || running(&bench) == expected).await;
        let seen = bench.backend.list().await.unwrap().objects;
        assert_eq!(seen.iter().filter(|object| object.is_up()).count(), expected, "{point}: {seen:?}");
        take(&bench, "remove").await.unwrap();
        assert_eq!((running(&bench), bench.backend.list().await.unwrap().objects.len()), (0, 0), "{point}");
        points += 1;
    }
    println!("killed orch at {points} points");
    assert!(points >= 18);
}
