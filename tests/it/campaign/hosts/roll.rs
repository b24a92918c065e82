//! A roll that is killed.

use std::os::unix::process::ExitStatusExt;

use super::stage::{Foreign, leftovers, look};
use super::{gate, unit};
use crate::campaign::world::tell;
use crate::support::{Deployment, Fleet};

/// A roll whose third host fails: each of the other two has the new version or the old one whenever orch dies. What the
/// killed roll had finished stays, since the next one goes on from there; the third has the old one in the end.
#[test]
fn a_roll_is_put_back() {
    let fleet = Fleet::get();
    let world = Deployment::new("services: {}\n");
    let foreign: Vec<_> = (1..=3).map(|number| Foreign::put(fleet.host(number), world.name())).collect();
    let roll = |version: &str| {
        let failing = gate(&format!("/etc/{}/version", world.name()));
        let failing = failing.replace("'! grep", &format!("'! test -e /etc/is-h3-{} || ! grep", world.name()));
        let strategy = "    strategy: {max_parallel: 1, on_failure: rollback}\n";
        let unit = unit(world.name(), "a", version, &format!("{failing}{strategy}"));
        format!("{}services:\n{}", fleet.yaml(), unit.replace("host: HOST", "hosts: [h1, h2, h3]"))
    };
    fleet.host(3).sh(&format!("touch /etc/is-h3-{}", world.name()));
    world.yaml(&roll("1"));
    world.apply();
    world.yaml(&roll("2"));
    let mut covered = Vec::new();
    let points = ["step.operation.after", "step.end.before", "step.rollback.before", "step.undo.before"];
    for point in points.into_iter().chain(["step.undo.end.before"]) {
        for passes in 0.. {
            let context = format!("a roll: killed at {point} after {passes} passes");
            let mut command = world.command(&["apply", "--auto-approve"]);
            let killed = command.env("FAILPOINTS", format!("{point}={passes}*off->return")).output().unwrap();
            let met = killed.status.signal() == Some(9);
            for number in 1..=3 {
                let seen = look(fleet.host(number), world.name());
                assert!(["active 1 1", "active 2 2"].contains(&seen.as_str()), "{context}: h{number}: {seen:?}");
            }
            if !met {
                break;
            }
            covered.push(format!("{point}#{passes}"));
            let again = world.orch(&["apply", "--auto-approve"]);
            assert_eq!(again.code, Some(5), "{context}\n{}{}", again.out, again.err);
            for number in 1..=3 {
                let seen = look(fleet.host(number), world.name());
                let finished = number < 3 && seen == "active 2 2";
                assert!(finished || seen == "active 1 1", "{context}: h{number}: {seen}\n{}{}", again.out, again.err);
                assert_eq!(leftovers(fleet.host(number), world.name()), "", "{context}: h{number}");
            }
            world.yaml(&roll("1"));
            world.apply();
            world.yaml(&roll("2"));
            // The first of each batch, and the last of all, tell the most.
            if passes == 1 {
                break;
            }
        }
    }
    fleet.host(3).sh(&format!("rm /etc/is-h3-{}", world.name()));
    assert!(foreign.iter().all(Foreign::is_untouched));
    tell(&format!("a roll that is put back: killed at {} boundaries", covered.len()));
    for point in points {
        assert!(covered.iter().any(|met| met.starts_with(point)), "{point}: {covered:?}");
    }
}
