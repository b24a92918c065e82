//! A release from its installation to its end.

use std::os::unix::fs::PermissionsExt;

use super::{SECRET, Shop};
use crate::support::{Kube, Tools};

#[test]
fn a_release_is_made_changed_and_taken_down() {
    for tool in ["helm", "helm3"] {
        let shop = Shop::new(Kube::get(), "life", tool);
        let planned = shop.project.orch(&["plan"]).ok();
        planned
            .says(&["create web", "objects.Deployment/web", "+  greeting: hello", "password: (sensitive)"])
            .does_not_say(&[SECRET]);
        shop.project.apply().does_not_say(&[SECRET]);
        assert_eq!((shop.deployed(), shop.greeting().as_str()), (1, "hello"));
        shop.is_settled();
        assert_eq!(shop.project.row("web")["state"], "running");
        // The objects that change are told of, and only these.
        shop.values("greeting: welcome");
        let planned = shop.project.orch(&["plan"]).ok();
        planned.says(&["-  greeting: hello", "+  greeting: welcome", "values.greeting"]).does_not_say(&["Secret/web"]);
        shop.project.apply();
        assert_eq!((shop.deployed(), shop.greeting().as_str()), (2, "welcome"));
        shop.is_settled();
        // That a secret changed is told, and not what it is.
        shop.backend("      values: {db: {password: another-one}, greeting: welcome}\n");
        let planned = shop.project.orch(&["plan"]).ok();
        planned.says(&["values.db.password: (sensitive, changed)"]).does_not_say(&[SECRET, "another-one"]);
        shop.keeps_its_secret();
        shop.project.orch(&["destroy", "--auto-approve"]).ok();
        assert!(shop.history().is_empty() && shop.space.get("deployment/web").is_none());
        assert!(shop.project.state()["state"]["records"].as_object().is_none_or(serde_json::Map::is_empty));
    }
}

#[test]
fn values_come_from_files_the_file_profiles_and_paths_in_this_order() {
    let shop = Shop::new(Kube::get(), "values", "helm");
    shop.project.write("one.yaml", "greeting: one\nnote: one\nreplicas: 2\n");
    shop.project.write("two.yaml", "greeting: two\nnote: two\n");
    shop.backend(
        "      values_files: [one.yaml, two.yaml]\n      values: {greeting: three}\n      profile_values: {big: {greeting: four}}\n      \
         set: {db.password: from-a-path-1}\n",
    );
    let config = || shop.space.get("configmap/web").unwrap()["data"].clone();
    shop.project.apply();
    assert_eq!(config(), serde_json::json!({"greeting": "three", "note": "two"}));
    assert_eq!(shop.space.get("deployment/web").unwrap()["spec"]["replicas"], 2);
    let secret = shop.space.get("secret/web").unwrap()["data"]["password"].clone();
    assert_eq!(secret, "ZnJvbS1hLXBhdGgtMQ==");
    shop.project.orch(&["apply", "--auto-approve", "--profile", "big"]).ok();
    assert_eq!(config()["greeting"], "four");
    shop.project.plans(&["--profile", "big"], &[]);
    shop.project.plans(&[], &["web replace"]);
    shop.project.orch(&["plan", "--profile", "bog"]).exits(1).says(&["did you mean `big`?"]);
    // A file of values is a part of what is reviewed.
    shop.project.orch(&["plan", "--out", "saved.plan"]).ok();
    shop.project.write("two.yaml", "greeting: two\nnote: other\n");
    shop.project.orch(&["apply", "saved.plan"]).exits(3).says(&["two.yaml"]);
}

#[test]
fn a_chart_that_changed_after_the_review_is_not_applied() {
    let shop = Shop::new(Kube::get(), "review", "helm");
    shop.project.orch(&["plan", "--out", "saved.plan"]).ok();
    shop.project.write("chart/templates/more.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n");
    shop.project.orch(&["apply", "saved.plan"]).exits(3).says(&["something else than what was reviewed"]);
    assert!(shop.history().is_empty());
}

#[test]
fn a_secret_reaches_the_cluster_and_no_argument() {
    let shop = Shop::new(Kube::get(), "args", "helm");
    let log = shop.project.outer().join("arguments");
    for tool in ["helm", "kubectl"] {
        let path = shop.project.outer().join("bin").join(tool);
        let _ = std::fs::remove_file(&path);
        let real = Tools::get().bin(tool);
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >> {}\nexec {} \"$@\"\n", log.display(), real.display());
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    shop.project.write("secret", SECRET);
    shop.backend("      values: {note: 'x ${file:secret} y'}\n      set: {db.password: \"${file:secret}\"}\n");
    shop.project.apply();
    shop.values("greeting: welcome");
    shop.project.apply();
    shop.project.orch(&["restart", "web"]).ok();
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("upgrade") && said.contains("--values=-") && said.contains("restart"), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    shop.keeps_its_secret();
}

#[test]
fn pods_that_never_get_ready_bring_the_version_before_back() {
    for tool in ["helm", "helm3"] {
        let shop = Shop::new(Kube::get(), "gate", tool);
        shop.project.apply();
        shop.values("greeting: welcome, image: 'orch-test.invalid/web:2'");
        let failed = shop.project.orch(&["apply", "--auto-approve"]).exits(5);
        let failed =
            failed.says(&["Deployment/web", "ImagePullBackOff", "going back", "the last healthy version runs again"]);
        failed.does_not_say(&[SECRET]);
        assert_eq!((shop.deployed(), shop.greeting().as_str()), (3, "hello"));
        let evidence = shop.project.last_run().join("evidence/web");
        let log = std::fs::read_to_string(evidence.join("log.txt")).unwrap();
        assert!(log.contains("event: ") && log.contains("orch-test.invalid/web:2"), "{log}");
        // What failed was never recorded as applied.
        shop.project.plans(&[], &["web replace"]);
        shop.values("");
        shop.is_settled();
        shop.keeps_its_secret();
    }
}

#[test]
fn a_first_installation_that_fails_stays_to_be_looked_at() {
    let shop = Shop::new(Kube::get(), "first", "helm");
    shop.values("image: 'orch-test.invalid/web:1'");
    shop.project.orch(&["apply", "--auto-approve"]).exits(5).says(&["ImagePullBackOff", "left as it is"]);
    assert_eq!(shop.deployed(), 1);
    assert_eq!(shop.project.state()["state"]["records"]["web"]["status"], "failed");
    shop.values("");
    shop.project.apply();
    assert_eq!(shop.deployed(), 2);
    shop.is_settled();
}

#[test]
fn a_restart_starts_the_pods_again_and_a_stop_is_refused() {
    let shop = Shop::new(Kube::get(), "verbs", "helm");
    shop.project.apply();
    shop.project.orch(&["restart", "web"]).ok();
    let template = shop.space.get("deployment/web").unwrap()["spec"]["template"].clone();
    assert!(template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].is_string(), "{template}");
    assert_eq!(shop.deployed(), 1);
    shop.is_settled();
    shop.project.orch(&["stop", "web"]).exits(5).says(&["cannot be stopped", "replicas to 0"]);
}

#[test]
fn what_a_chart_makes_up_each_time_is_no_change() {
    let shop = Shop::new(Kube::get(), "random", "helm");
    let text =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: made-up}\nstringData: {key: {{ randAlphaNum 12 | quote }}}\n";
    shop.project.write("chart/templates/random.yaml", text);
    shop.project.apply();
    shop.is_settled();
    shop.values("greeting: welcome");
    shop.project.orch(&["plan"]).ok().does_not_say(&["made-up"]);
    shop.project.apply();
    shop.is_settled();
}

#[test]
fn the_log_of_its_pods_is_shown() {
    // What a pod of the mock has logged is what its annotation says.
    let own = Kube::own();
    let shop = Shop::new(&own, "log", "helm");
    shop.project.apply();
    shop.space.kubectl(&["annotate", "pods", "--all", "orch-test/log=up and away"]);
    shop.project.orch(&["logs", "web"]).ok().says(&["up and away"]);
}
