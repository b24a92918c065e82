//! orch and kubectl killed at every boundary of an apply: the next one converges, and nothing is orphaned.

use orch::sys::CRASH_POINTS;

use super::{Shop, config, web};
use crate::support::Kube;

/// Runs orch with a crash point after some passes; whether it was killed.
fn kill(shop: &Shop<'_>, args: &[&str], point: &str, passes: usize) -> bool {
    let mut command = shop.project.command(args);
    command.env("FAILPOINTS", format!("{point}={passes}*off->return"));
    let ran = shop.project.spawn(command, args).end();
    assert!(matches!(ran.code, None | Some(0)), "{point} after {passes} passes: {ran}");
    ran.code.is_none()
}

/// The boundaries of a step in a cluster.
fn points() -> impl Iterator<Item = &'static str> {
    let own = |point: &&&str| {
        point.starts_with("kubernetes.") || **point == "step.operation.after" || **point == "journal.begin.synced"
    };
    CRASH_POINTS.iter().filter(own).copied()
}

#[test]
fn an_apply_that_is_killed_anywhere_is_finished_by_the_next() {
    let shop = Shop::new(Kube::get(), "killed");
    let turn = |turn: usize| {
        shop.manifest("web", &web(1, &format!("turn-{turn}")));
        shop.manifest("config", &config("settings", &format!("turn-{turn}")));
        shop.manifest(&format!("own-{turn}"), &config(&format!("own-{turn}"), "x"));
        if turn > 0 {
            let before = shop.project.path(&format!("k8s/own-{}.yaml", turn - 1));
            let _ = std::fs::remove_file(before);
        }
    };
    let (mut covered, mut now) = (0, 0);
    turn(now);
    // The first of them is killed while it is made, all others while they are changed.
    for point in points() {
        for passes in 0.. {
            if !kill(&shop, &["apply", "--auto-approve"], point, passes) {
                // It met no such boundary and went through.
                now += 1;
                turn(now);
                break;
            }
            covered += 1;
            // The file may change before anyone comes back.
            if covered % 2 == 0 {
                now += 1;
                turn(now);
            }
            let context = format!("killed at {point} after {passes} passes");
            shop.project.apply();
            shop.is_settled();
            assert_eq!(shop.value("settings", "key"), Some(format!("turn-{now}")), "{context}");
            assert_eq!(shop.inventories().len(), 1, "{context}");
            let maps = shop.namespace.kubectl(&["get", "configmaps", "-o", "name"]);
            let own: Vec<&str> = maps.lines().filter(|name| name.starts_with("configmap/own-")).collect();
            assert_eq!(own, [format!("configmap/own-{now}")], "{context}");
            now += 1;
            turn(now);
        }
    }
    assert!(covered >= 7, "only {covered} boundaries");
}

#[test]
fn a_first_apply_and_a_destroy_that_are_killed_leave_nothing_behind() {
    let shop = Shop::new(Kube::get(), "made");
    shop.file("", "    timeout: 40s\n");
    shop.manifest("web", &web(1, "one"));
    shop.manifest("config", &config("settings", "one"));
    let mut covered = 0;
    for point in points() {
        if kill(&shop, &["apply", "--auto-approve"], point, 0) {
            covered += 1;
        }
        shop.project.apply();
        shop.is_settled();
        assert_eq!(shop.inventories().len(), 1, "{point}");
        if kill(&shop, &["destroy", "--auto-approve"], point, 0) {
            covered += 1;
        }
        shop.project.orch(&["destroy", "--auto-approve"]).ok();
        assert_eq!(shop.inventories(), Vec::<String>::new(), "{point}");
        assert!(shop.namespace.get("deployment/web").is_none(), "{point}");
        assert_eq!(shop.value("settings", "key"), None, "{point}");
    }
    assert!(covered >= 8, "only {covered} boundaries");
}

#[test]
fn a_rollback_that_is_killed_is_finished_by_the_next_apply() {
    let shop = Shop::new(Kube::get(), "unback");
    shop.manifest("web", &web(1, "one"));
    shop.manifest("config", &config("settings", "one"));
    shop.project.apply();
    for point in ["step.rollback.before", "kubernetes.revert.before"] {
        shop.manifest("config", &config("settings", "two"));
        shop.manifest("web", &super::deployment("web", "registry.invalid/web:1", 1, &[super::SLEEPS]));
        assert!(kill(&shop, &["apply", "--auto-approve"], point, 0), "{point}");
        shop.manifest("config", &config("settings", "one"));
        shop.manifest("web", &web(1, "one"));
        shop.project.apply();
        shop.is_settled();
        assert_eq!(shop.value("settings", "key").as_deref(), Some("one"), "{point}");
    }
}

#[test]
fn a_kubectl_that_is_killed_is_an_error_and_the_next_apply_goes_on() {
    let kube = Kube::get();
    let mut shop = Shop::new(kube, "kubectl-killed");
    shop.manifest("web", &web(1, "one"));
    shop.manifest("config", &config("settings", "one"));
    let real = crate::support::Tools::get().bin("kubectl").display().to_string();
    let mark = shop.project.path("killed").display().to_string();
    // The call that applies the objects is killed once, after it did what it should, or before.
    for after in [false, true] {
        let _ = std::fs::remove_file(&mark);
        let (before, then) = if after { ("\"$REAL\" \"$@\"", "kill -KILL $$") } else { ("", "kill -KILL $$") };
        let script = format!(
            "#!/bin/sh\nREAL={real}\ncase \"$*\" in *--dry-run*) ;; *--field-manager=orch\\ *|*--field-manager=orch) \
             if [ ! -e {mark} ]; then : > {mark}; {before}\n{then}; fi;; esac\nexec \"$REAL\" \"$@\"\n"
        );
        let folder = shop.project.script("bin/kubectl", &script).parent().unwrap().display().to_string();
        shop.project.set_env("PATH", &format!("{folder}:{}", crate::support::Tools::get().path()));
        shop.manifest("config", &config("settings", if after { "after" } else { "before" }));
        shop.project.orch(&["apply", "--auto-approve"]).exits(5).says(&["a signal ended it"]);
        shop.project.apply();
        shop.is_settled();
        assert_eq!(shop.value("settings", "key").as_deref(), Some(if after { "after" } else { "before" }));
    }
}
