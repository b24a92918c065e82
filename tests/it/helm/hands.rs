//! What others do to a release, and releases of others.

use super::Shop;
use crate::support::Kube;

#[test]
fn live_objects_that_were_changed_are_brought_back() {
    for tool in ["helm", "helm3"] {
        let shop = Shop::new(Kube::get(), "drift", tool);
        shop.project.apply();
        shop.space.kubectl(&["scale", "deployment/web", "--replicas=3"]);
        shop.space.kubectl(&["delete", "configmap/web"]);
        let planned = shop.project.orch(&["plan"]).ok();
        planned.says(&["ConfigMap/web is gone", "Deployment/web: spec.replicas is 3, not 1", "update web"]);
        shop.project.apply();
        assert_eq!(shop.space.get("deployment/web").unwrap()["spec"]["replicas"], 1);
        assert_eq!(shop.greeting(), "hello");
        shop.is_settled();
    }
}

#[test]
fn a_release_that_was_changed_by_hand_is_brought_back() {
    let shop = Shop::new(Kube::get(), "byhand", "helm");
    shop.project.apply();
    let chart = shop.project.path("chart").display().to_string();
    shop.space.helm("helm", &["upgrade", "web", &chart, "--set", "greeting=by-hand"]);
    let planned = shop.project.orch(&["plan"]).ok();
    planned.says(&["changed by hand: it is at revision 2, and orch left it at 1", "update web"]);
    shop.project.apply();
    assert_eq!((shop.deployed(), shop.greeting().as_str()), (3, "hello"));
    shop.is_settled();
    // So is one that was rolled back.
    shop.values("greeting: welcome");
    shop.project.apply();
    shop.space.helm("helm", &["rollback", "web", "3"]);
    shop.project.apply();
    assert_eq!(shop.greeting(), "welcome");
    shop.is_settled();
    // And one that was taken down.
    shop.space.helm("helm", &["uninstall", "web"]);
    shop.project.plans(&[], &["web create"]);
    shop.project.apply();
    shop.is_settled();
}

#[test]
fn a_release_of_others_is_not_touched_until_it_is_adopted() {
    let shop = Shop::new(Kube::get(), "adopt", "helm");
    let chart = shop.project.path("chart").display().to_string();
    shop.space.helm("helm", &["install", "web", &chart, "--set", "greeting=theirs"]);
    shop.project.orch(&["plan"]).ok().says(&["is taken by the release of the chart web-1.0.0", "orch does not own"]);
    shop.project.orch(&["apply", "--auto-approve"]).exits(5).says(&["not orch's", "orch adopt"]);
    assert_eq!((shop.deployed(), shop.greeting().as_str()), (1, "theirs"));
    shop.project.orch(&["adopt", "--auto-approve"]).ok().says(&["the name of the release", "web-1.0.0, revision 1"]);
    assert_eq!(shop.deployed(), 1);
    shop.project.orch(&["plan"]).ok().says(&["-  greeting: theirs", "+  greeting: hello", "replace web"]);
    shop.project.apply();
    assert_eq!((shop.deployed(), shop.greeting().as_str()), (2, "hello"));
    shop.is_settled();
}

#[test]
fn a_release_that_is_as_the_file_says_is_adopted_as_it_is() {
    let shop = Shop::new(Kube::get(), "asis", "helm");
    let chart = shop.project.path("chart").display().to_string();
    shop.space.helm("helm", &["install", "web", &chart, "--set", &format!("db.password={}", super::SECRET)]);
    shop.project.orch(&["adopt", "--auto-approve"]).ok();
    // It is stamped by the next apply, and nothing else happens to it.
    shop.project.plans(&[], &["web update"]);
    shop.project.apply();
    assert_eq!(shop.deployed(), 1);
    shop.is_settled();
}

#[test]
fn a_release_that_moves_to_another_namespace_comes_up_before_the_old_one_goes() {
    let kube = Kube::get();
    let shop = Shop::new(kube, "moves", "helm");
    let other = kube.namespace("moved");
    shop.project.apply();
    let file = shop.project.read("orch.yaml").replace(shop.space.name(), other.name());
    shop.project.yaml(&file);
    shop.project.orch(&["plan"]).ok().says(&["+/- replace web", "namespace"]);
    shop.project.apply();
    assert!(shop.history().is_empty() && shop.space.get("deployment/web").is_none());
    assert!(other.get("deployment/web").is_some());
    shop.is_settled();
}
