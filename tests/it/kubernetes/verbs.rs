//! The verbs of a service of manifests, its log, and commands inside it.

use super::{Shop, config, web};
use crate::support::{Kube, wait_until};

#[test]
fn what_is_stopped_has_no_pod_and_comes_back_as_it_was() {
    let shop = Shop::new(Kube::get(), "stop");
    shop.manifest("web", &web(2, "one"));
    shop.manifest("config", &config("settings", "one"));
    shop.project.apply();
    shop.project.orch(&["stop", "web"]).ok();
    assert_eq!(shop.namespace.kubectl(&["get", "pods", "-o", "name"]), "");
    assert_eq!(shop.project.row("web")["state"], "stopped");
    assert_eq!(shop.value("settings", "key").as_deref(), Some("one"), "only what runs goes");
    shop.project.orch(&["start", "web"]).ok();
    let live = shop.namespace.get("deployment/web").unwrap();
    assert_eq!((&live["spec"]["replicas"], &live["status"]["availableReplicas"]), (&2.into(), &2.into()));
    shop.is_settled();
}

#[test]
fn a_restart_makes_new_pods_and_nothing_else() {
    let shop = Shop::new(Kube::get(), "restart");
    shop.manifest("web", &web(1, "one"));
    shop.project.apply();
    let pods = || shop.namespace.kubectl(&["get", "pods", "-o", "name"]);
    let before = pods();
    shop.project.orch(&["restart", "web"]).ok();
    wait_until("the old pod is gone", || !pods().contains(&before));
    shop.is_settled();
    // The next change does not take that back.
    shop.manifest("config", &config("settings", "one"));
    let restarted = pods();
    shop.project.apply();
    assert_eq!(pods(), restarted);
}

#[test]
fn a_renamed_service_keeps_its_objects() {
    let shop = Shop::new(Kube::get(), "rename");
    shop.manifest("web", &web(1, "one"));
    shop.project.apply();
    let uid = shop.namespace.get("deployment/web").unwrap()["metadata"]["uid"].clone();
    shop.project.yaml(&shop.project.read("orch.yaml").replace("  web:\n", "  site:\n    renamed_from: web\n"));
    shop.project.apply();
    shop.is_settled();
    assert_eq!(shop.namespace.get("deployment/web").unwrap()["metadata"]["uid"], uid);
    assert_eq!(shop.inventories().len(), 1);
}
