//! Orch and Helm are killed; the next apply makes whole what they left.

use rustix::process::{Pid, Signal, kill_process};

use super::Shop;
use crate::support::{Kube, Running, wait_until};

impl Shop<'_> {
    /// The Helm that changes the release.
    fn helm_pid(&self) -> Option<Pid> {
        let own = |process: &orch::sys::ProcessStat| {
            let line = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains(self.space.name()) && line.contains("\0upgrade\0") && !line.starts_with("/bin/sh")
        };
        let found = orch::sys::processes().into_iter().find(|process| process.is_alive() && own(process))?;
        Pid::from_raw(i32::try_from(found.pid).unwrap())
    }

    /// Starts an apply that hangs in a hook, and waits until Helm is at it.
    fn hanging(&self) -> Running {
        let running = self.project.start(&["apply", "--auto-approve"]);
        wait_until("the release is pending", || {
            self.history().last().is_some_and(|(_, status)| status.starts_with("pending-"))
        });
        running
    }

    fn kill_helm(&self) {
        kill_process(self.helm_pid().expect("Helm runs"), Signal::KILL).unwrap();
        wait_until("Helm is gone", || self.helm_pid().is_none());
    }

    /// Runs a command that is killed at a point.
    fn killed_at(&self, point: &str, args: &[&str]) -> bool {
        let mut command = self.project.command(args);
        command.env("FAILPOINTS", format!("{point}=return"));
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        child.wait().unwrap().code().is_none()
    }
}

#[test]
fn a_helm_that_is_killed_is_rolled_back_by_its_orch() {
    let shop = Shop::new(Kube::get(), "killhelm", "helm");
    shop.project.apply();
    shop.values("greeting: welcome, hook: true");
    let running = shop.hanging();
    shop.kill_helm();
    running.end().exits(5).says(&["helm was killed", "the last healthy version runs again"]);
    assert_eq!((shop.deployed(), shop.greeting().as_str()), (3, "hello"));
    shop.values("greeting: welcome");
    shop.project.apply();
    shop.is_settled();
}

#[test]
fn a_lock_that_both_left_is_rolled_back_by_the_next_apply() {
    for tool in ["helm", "helm3"] {
        let shop = Shop::new(Kube::get(), "killboth", tool);
        shop.project.apply();
        shop.values("greeting: welcome, hook: true");
        let running = shop.hanging();
        running.signal(Signal::KILL);
        drop(running);
        shop.kill_helm();
        shop.values("greeting: welcome");
        shop.project.orch(&["plan"]).ok().says(&[
            "pending-upgrade",
            "it is first rolled back to revision 1",
            "interrupted",
        ]);
        shop.project.apply();
        assert_eq!((shop.deployed(), shop.greeting().as_str()), (4, "welcome"));
        shop.is_settled();
    }
}

#[test]
fn an_installation_that_never_was_deployed_is_taken_away_first() {
    for tool in ["helm", "helm3"] {
        let shop = Shop::new(Kube::get(), "killfirst", tool);
        shop.values("hook: true");
        let running = shop.hanging();
        running.signal(Signal::KILL);
        drop(running);
        shop.kill_helm();
        shop.values("");
        shop.project.orch(&["plan"]).ok().says(&["pending-install", "never deployed: it is first uninstalled"]);
        shop.project.apply();
        assert_eq!(shop.deployed(), 1);
        shop.is_settled();
    }
}

#[test]
fn a_helm_that_outlives_its_orch_is_waited_for() {
    let shop = Shop::new(Kube::get(), "outlives", "helm");
    shop.project.apply();
    shop.values("greeting: welcome");
    assert!(shop.killed_at("helm.begun", &["apply", "--auto-approve"]));
    shop.project.apply();
    assert_eq!((shop.deployed(), shop.greeting().as_str()), (2, "welcome"));
    shop.is_settled();
}

#[test]
fn a_second_interrupt_interrupts_helm_once_and_the_next_apply_goes_on() {
    let shop = Shop::new(Kube::get(), "interrupt", "helm");
    shop.project.apply();
    shop.values("greeting: welcome, hook: true");
    let mut running = shop.hanging();
    running.signal(Signal::INT);
    running.until("A second one cancels it");
    running.signal(Signal::INT);
    running.end().exits(6);
    wait_until("Helm has ended", || shop.helm_pid().is_none());
    shop.values("greeting: welcome");
    shop.project.apply();
    assert_eq!(shop.greeting(), "welcome");
    shop.is_settled();
}

#[test]
fn orch_may_be_killed_at_every_step() {
    let shop = Shop::new(Kube::get(), "points", "helm");
    let (mut number, mut reached) = (0, 0);
    for point in ["helm.upgrade.before", "helm.marked", "helm.begun", "helm.ended", "helm.upgrade.done"] {
        number += 1;
        shop.values(&format!("greeting: g{number}"));
        assert!(shop.killed_at(point, &["apply", "--auto-approve"]), "{point} is not reached");
        reached += 1;
        shop.project.apply();
        assert_eq!(shop.greeting(), format!("g{number}"), "after {point}");
        shop.is_settled();
    }
    // On the way back from a change that failed.
    for point in ["helm.rollback.before", "helm.rollback.done", "helm.rollback.stamped"] {
        shop.values(&format!("greeting: bad{number}, image: 'orch-test.invalid/web:{number}'"));
        assert!(shop.killed_at(point, &["apply", "--auto-approve"]), "{point} is not reached");
        reached += 1;
        number += 1;
        shop.values(&format!("greeting: g{number}"));
        shop.project.apply();
        assert_eq!(shop.greeting(), format!("g{number}"), "after {point}");
        shop.is_settled();
    }
    // While what another killed run left is taken back.
    for point in ["helm.pending.before", "helm.pending.done"] {
        shop.values("greeting: stuck, hook: true");
        let running = shop.hanging();
        running.signal(Signal::KILL);
        drop(running);
        shop.kill_helm();
        number += 1;
        shop.values(&format!("greeting: g{number}"));
        assert!(shop.killed_at(point, &["apply", "--auto-approve"]), "{point} is not reached");
        reached += 1;
        shop.project.apply();
        assert_eq!(shop.greeting(), format!("g{number}"), "after {point}");
        shop.is_settled();
    }
    assert!(shop.killed_at("helm.restart.done", &["restart", "web"]));
    shop.project.apply();
    shop.is_settled();
    shop.space.kubectl(&["delete", "configmap/web"]);
    assert!(shop.killed_at("helm.upgrade.done", &["apply", "--auto-approve"]));
    shop.project.apply();
    shop.is_settled();
    for point in ["helm.uninstall.before", "helm.uninstall.done"] {
        assert!(shop.killed_at(point, &["destroy", "--auto-approve"]), "{point} is not reached");
        reached += 1;
        shop.project.orch(&["destroy", "--auto-approve"]).ok();
        assert!(shop.history().is_empty(), "after {point}");
        shop.project.apply();
        shop.is_settled();
    }
    assert_eq!(reached, 12);
    shop.keeps_its_secret();
}
