//! Kills a process at every boundary of the store, and recovers.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use super::*;
use crate::sys::{CRASH_POINTS, beside};

/// What tells the child where to work; without it the child does nothing.
const DIR: &str = "ORCH_TEST_KILL_DIR";
const NAMES: [&str; 2] = ["db", "api"];

/// Notes what was acknowledged, as an outside effect would rely on it.
fn acknowledged(store: &Store, what: &str) {
    let path = beside(store.dir(), "acknowledged");
    let before = crate::sys::read_if_exists(&path).unwrap().unwrap_or_default();
    write(&path, &[before, format!("{what}\n").into_bytes()].concat());
}

/// The child: one run of two steps, each crash point of the store met on the way.
#[test]
#[ignore = "the child of the test below"]
#[expect(clippy::disallowed_methods, reason = "a test speaks to its child through the environment")]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let _scenario = fail::FailScenario::setup();
    let store = Store::at(dir.into());
    let locked = lock(&store);
    let run = RunId::generate(at()).unwrap();
    let mut record = RunRecord::started(run.clone(), "apply", "alice@laptop", at());
    store.runs().start(&record).unwrap();
    let writer = locked.begin_run(header(run.as_str(), None, 2)).unwrap();
    wait(async {
        for (step, name) in (1..).zip(NAMES) {
            writer.begin(step, &address(name), pending(step)).await.unwrap();
            acknowledged(&store, &format!("begin {name}"));
            writer.end(put(step, name)).await.unwrap();
            acknowledged(&store, &format!("end {name}"));
        }
    });
    writer.finish("succeeded", at()).unwrap();
    acknowledged(&store, "finish");
    record.outcome = Some("succeeded".into());
    store.runs().end(&record).unwrap();
    drop(writer);
}

#[expect(clippy::disallowed_methods, reason = "a test starts its child")]
fn run_child(store: &Store, failpoints: &str) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "state::tests::kill::child", "--ignored", "--quiet"]);
    command.env(DIR, store.dir()).env("FAILPOINTS", failpoints).output().unwrap().status
}

/// What was acknowledged is recorded, and an intent without an end is still known.
fn check_nothing_lost(store: &Store, what: &str) {
    let path = beside(store.dir(), "acknowledged");
    let text = String::from_utf8(crate::sys::read_if_exists(&path).unwrap().unwrap_or_default()).unwrap();
    let state = store.read().unwrap_or_else(|error| panic!("{what}: {error}"));
    for line in text.lines() {
        let (kind, name) = line.split_once(' ').unwrap_or((line, "db"));
        let name = address(name);
        let (recorded, open) = (state.records.contains_key(&name), state.pending.contains_key(&name));
        match kind {
            "begin" => assert!(recorded || open, "{what}: the intent of {name} was lost"),
            _ => assert!(recorded, "{what}: the end of {name} was lost"),
        }
    }
}

#[test]
fn a_kill_at_any_boundary_loses_nothing_that_was_acknowledged() {
    let mut kills = 0;
    let of_the_store = |point: &&&str| ["lock.", "run.", "journal.", "state."].iter().any(|own| point.starts_with(own));
    for point in CRASH_POINTS.iter().filter(of_the_store) {
        // Of a new store, and of one that has a state already.
        for (recorded, nth) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
            let (_folder, store) = store();
            let before = if recorded { apply(&store, RUN, &["old"]).serial } else { 0 };
            let what = format!("{point}, time {nth}, recorded {recorded}");
            let status = run_child(&store, &format!("{point}={nth}*off->return"));
            if status.success() {
                assert_ne!(nth, 0, "{what} was never met");
                continue;
            }
            assert_eq!(status.signal(), Some(9), "{what}");
            kills += 1;
            check_nothing_lost(&store, &what);
            let seen = store.read().unwrap();
            assert!(seen.serial <= before + 1, "{what}");

            // Killed again while it recovers, then left in peace.
            let again = run_child(&store, "state.renamed=return;journal.emptied=return");
            assert_eq!(again.signal(), Some(9), "{what}, killed again");
            check_nothing_lost(&store, &what);
            assert!(run_child(&store, "").success(), "{what}, recovered");
            check_nothing_lost(&store, &what);
            let state = store.read().unwrap();
            assert_eq!((state.records.len(), state.pending.len()), (2 + usize::from(recorded), 0), "{what}");
            assert_eq!(store.peek_lock().unwrap(), None);
        }
    }
    println!("{kills} kills");
    assert!(kills >= 2 * 22, "{kills} kills only");
}
