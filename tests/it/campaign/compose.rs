//! One kill at every boundary that a step on a Compose project meets.

#![expect(clippy::print_stdout, reason = "the boundaries that were covered are named when the test fails")]

use std::os::unix::process::ExitStatusExt;

use super::world::{boundaries, tell};
use crate::compose::{Stack, two};

/// Kills an apply, or a destroy, at every boundary, and holds what the next one comes to against the file.
fn every_boundary(name: &str, before: Option<&str>, after: Option<&str>, fails: bool, at_least: usize) {
    let mut covered = Vec::new();
    let stack = Stack::new("services: {}\n", "");
    // Those of the journal itself are every backend's, and met in the other campaigns.
    let own = |point: &str| ["compose.", "step.", "journal.begin.synced"].iter().any(|start| point.starts_with(start));
    let verb = if after.is_some() { "apply" } else { "destroy" };
    let prepare = || {
        stack.orch(&["destroy", "--auto-approve"]).exits(0);
        if let Some(before) = before {
            stack.file(before);
            stack.apply();
        }
        if let Some(after) = after {
            stack.file(after);
        }
    };
    prepare();
    let met = boundaries(|env, path| stack.command(&[verb, "--auto-approve"]).env(env, path).output().unwrap());
    for (point, passes) in met.iter().filter(|(point, _)| own(point)) {
        let context = format!("{name}: killed at {point} after {passes} passes");
        prepare();
        let mut command = stack.command(&[verb, "--auto-approve"]);
        let killed = command.env("FAILPOINTS", format!("{point}={passes}*off->return")).output().unwrap();
        // How often some are passed is a matter of time.
        if killed.status.signal() != Some(9) {
            continue;
        }
        let again = stack.orch(&[verb, "--auto-approve"]);
        assert_eq!(again.code, Some(if fails { 5 } else { 0 }), "{context}\n{}{}", again.out, again.err);
        if !fails && after.is_some() {
            let plan = stack.orch(&["plan", "--detailed-exitcode"]);
            assert_eq!(plan.code, Some(0), "{context}: the plan after is not empty\n{}", plan.out);
        }
        let running = stack.found("").into_iter().filter(|found| found["State"]["Running"] == true).count();
        let wanted = if fails {
            1..
        } else if after.is_some() {
            2..
        } else {
            0..
        };
        assert!(wanted.contains(&running), "{context}: {running} run");
        assert!(after.is_some() || stack.found("").is_empty(), "{context}: something is left");
        covered.push(format!("{point}#{passes}"));
    }
    println!("compose {name}: {}", covered.join(" "));
    tell(&format!("compose {name}: killed at {} boundaries", covered.len()));
    assert!(covered.len() >= at_least, "only {} boundaries of {name}: {covered:?}", covered.len());
}

#[test]
fn create() {
    every_boundary("create", None, Some(&two("[web, serve]")), false, 10);
}

#[test]
fn switch() {
    every_boundary("switch", Some(&two("[web, serve]")), Some(&two("[web, wait]")), false, 10);
}

#[test]
fn switch_and_go_back() {
    // Compose itself gives up on it, however long the job takes to fail.
    let file = |command: &str| {
        two(command).replacen("restart:", "depends_on: {b: {condition: service_completed_successfully}}, restart:", 1)
    };
    let (before, after) = (file("[web, job, done]"), file("[web, fail]"));
    every_boundary("switch and go back", Some(&before), Some(&after), true, 12);
}

#[test]
fn destroy() {
    every_boundary("destroy", Some(&two("[web, serve]")), None, false, 7);
}
