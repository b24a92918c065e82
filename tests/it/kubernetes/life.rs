//! The life of a set of manifests: made, changed, pruned, drifted from, rolled back, taken away.

use super::{SLEEPS, Shop, config, deployment, web};
use crate::support::{Kube, files_below};

#[test]
fn manifests_are_made_changed_pruned_and_taken_away() {
    let shop = Shop::new(Kube::get(), "life");
    shop.manifest("web", &web(1, "one"));
    shop.manifest("config", &config("settings", "one"));
    shop.manifest("more", &config("more", "one"));
    shop.project.orch(&["plan"]).ok().says(&[
        "+ create web (kubernetes)",
        "objects.Deployment/web:",
        "objects.ConfigMap/settings:",
        "+  key: one",
    ]);
    assert!(shop.namespace.get("deployment/web").is_none(), "a plan changes nothing");
    shop.project.apply();
    shop.is_settled();
    let live = shop.namespace.get("deployment/web").unwrap();
    assert_eq!(live["status"]["availableReplicas"], 1, "the gate waits for the rollout");
    assert_eq!(shop.project.row("web")["state"], "running");
    assert_eq!(shop.inventories().len(), 1);

    shop.manifest("web", &web(2, "two"));
    shop.manifest("config", &config("settings", "two"));
    shop.without("more");
    shop.project.orch(&["plan"]).ok().says(&[
        "web (kubernetes), in place",
        "-  replicas: 1",
        "+  replicas: 2",
        "-  key: one",
        "+  key: two",
        "- objects.ConfigMap/more",
    ]);
    shop.project.apply();
    shop.is_settled();
    assert_eq!(shop.value("settings", "key").as_deref(), Some("two"));
    assert_eq!(shop.value("more", "key"), None, "what is no longer declared goes");
    assert_eq!(shop.namespace.get("deployment/web").unwrap()["status"]["availableReplicas"], 2);

    // What is not orch's stays, whatever it is called.
    shop.namespace.apply(&config("mine", "by hand"));
    shop.project.orch(&["destroy", "--auto-approve"]).ok();
    assert!(shop.namespace.get("deployment/web").is_none());
    assert_eq!(shop.value("settings", "key"), None);
    assert_eq!(shop.value("mine", "key").as_deref(), Some("by hand"));
    assert_eq!(shop.inventories(), Vec::<String>::new());
}

#[test]
fn what_is_kept_or_not_to_be_pruned_stays() {
    let shop = Shop::new(Kube::get(), "kept");
    shop.file(", prune: false", "");
    shop.manifest("a", &config("a", "one"));
    shop.manifest("b", &config("b", "one"));
    shop.project.apply();
    shop.without("b");
    shop.project.apply();
    shop.is_settled();
    assert_eq!(shop.value("b", "key").as_deref(), Some("one"));
    let kept = config("c", "one").replace("{name: c}", "{name: c, annotations: {orch.dev/keep: \"true\"}}");
    shop.manifest("c", &kept);
    shop.project.apply();
    shop.project.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!(shop.value("a", "key"), None);
    assert_eq!(shop.value("c", "key").as_deref(), Some("one"));
}

#[test]
fn secrets_are_compared_and_never_written_down() {
    let shop = Shop::new(Kube::get(), "secret");
    let secret = |value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: {value}}}\n")
    };
    let env = |value: &str| {
        deployment("web", Kube::IMAGE, 1, &[SLEEPS, &format!("env: [{{name: DB_PASSWORD, value: {value}}}]")])
    };
    shop.manifest("secret", &secret("hunter2-first"));
    shop.manifest("web", &env("hunter2-third"));
    let planned = shop.project.orch(&["plan", "--out", "change.plan"]).ok();
    planned.says(&["password: (sensitive)"]).does_not_say(&["hunter2", "aHVudGVyMi"]);
    let applied = shop.project.orch(&["apply", "change.plan"]).ok();
    applied.does_not_say(&["hunter2", "aHVudGVyMi"]);
    shop.is_settled();
    shop.manifest("secret", &secret("hunter2-second"));
    let changed = shop.project.orch(&["apply", "--auto-approve", "--json"]).ok();
    changed.says(&["objects.Secret/db.stringData.password"]).does_not_say(&["hunter2", "aHVudGVyMi"]);
    let live = shop.namespace.get("secret/db").unwrap();
    assert_eq!(live["data"]["password"], "aHVudGVyMi1zZWNvbmQ=");
    for (path, bytes) in files_below(shop.project.outer()) {
        let is_ours = path.starts_with(shop.project.path("k8s"));
        let text = String::from_utf8_lossy(&bytes);
        assert!(is_ours || !text.contains("hunter2") && !text.contains("aHVudGVyMi"), "{} holds it", path.display());
    }
    shop.is_settled();
}

#[test]
fn what_is_changed_by_hand_is_shown_and_brought_back() {
    let shop = Shop::new(Kube::get(), "drift");
    shop.manifest("web", &web(1, "one"));
    shop.manifest("config", &config("settings", "one"));
    shop.project.apply();
    // Gone: it is made again.
    shop.namespace.kubectl(&["delete", "configmap/settings"]);
    let plan = shop.project.orch(&["plan"]).ok().says(&["Drift: ", "ConfigMap/settings is gone", "~ update web"]);
    drop(plan);
    shop.project.apply();
    shop.is_settled();
    assert_eq!(shop.value("settings", "key").as_deref(), Some("one"));
    // Another manager's: the field and the manager are named, and so is the way out.
    shop.namespace.kubectl(&["scale", "deployment/web", "--replicas", "2"]);
    shop.project.orch(&["plan"]).ok().says(&["Deployment/web: spec.replicas is 2, not 1"]);
    shop.project.orch(&["apply", "--auto-approve"]).exits(5).says(&[
        "Apply failed with 1 conflict: conflict with \"kubectl\" with subresource \"scale\"",
        ".spec.replicas",
        "force_conflicts: true",
    ]);
    assert_eq!(shop.namespace.get("deployment/web").unwrap()["spec"]["replicas"], 2, "nothing is taken over");
    shop.file(", force_conflicts: true", "");
    shop.project.apply();
    shop.is_settled();
    assert_eq!(shop.namespace.get("deployment/web").unwrap()["spec"]["replicas"], 1);
    // What nobody declares is nobody's drift.
    shop.namespace.kubectl(&["annotate", "deployment/web", "example.com/note=by-hand"]);
    shop.is_settled();
}

#[test]
fn what_does_not_get_up_fails_early_and_goes_back() {
    let shop = Shop::new(Kube::get(), "back");
    shop.manifest("web", &web(1, "one"));
    shop.manifest("config", &config("settings", "one"));
    shop.project.apply();
    shop.manifest("config", &config("settings", "two"));
    shop.manifest("more", &config("more", "two"));
    for (line, why) in [("command: [\"false\"]", "CrashLoopBackOff"), (SLEEPS, "ImagePull")] {
        let image = if why == "ImagePull" { "registry.invalid/web:1" } else { Kube::IMAGE };
        shop.manifest("web", &deployment("web", image, 1, &[line]));
        let failed = shop.project.orch(&["apply", "--auto-approve"]).exits(5);
        let failed =
            failed.says(&["Deployment/web: pod web-", why, "event: ", "going back to the last healthy version"]);
        drop(failed);
        let live = shop.namespace.get("deployment/web").unwrap();
        assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"], "one");
        assert_eq!(shop.value("settings", "key").as_deref(), Some("one"));
        assert_eq!(shop.value("more", "key"), None, "what only the failed one had goes");
    }
    // What is recorded is what runs.
    shop.manifest("web", &web(1, "one"));
    shop.manifest("config", &config("settings", "one"));
    shop.without("more");
    shop.is_settled();
}

#[test]
fn a_job_that_changes_runs_again_and_one_that_fails_is_a_missed_gate() {
    let shop = Shop::new(Kube::get(), "job");
    let job = |command: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: migrate}}\nspec:\n  backoffLimit: 0\n  template:\n    \
             spec:\n      restartPolicy: Never\n      containers: [{{name: main, image: \"{}\", command: {command}}}]\n",
            Kube::IMAGE
        )
    };
    shop.manifest("job", &job("[\"true\"]"));
    shop.project.apply();
    shop.is_settled();
    let first = shop.namespace.get("job/migrate").unwrap()["metadata"]["uid"].clone();
    shop.manifest("job", &job("[echo, again]"));
    shop.project.apply();
    shop.is_settled();
    assert_ne!(shop.namespace.get("job/migrate").unwrap()["metadata"]["uid"], first);
    shop.manifest("job", &job("[\"false\"]"));
    shop.project.orch(&["apply", "--auto-approve"]).exits(5).says(&["Job/migrate: BackoffLimitExceeded"]);
}

#[test]
fn a_namespace_of_the_manifests_is_made_first_and_kustomize_is_built() {
    let kube = Kube::get();
    let shop = Shop::new(kube, "kustomize");
    let name = format!("{}-made", shop.namespace.name());
    shop.project.write(
        "overlay/kustomization.yaml",
        format!(
            "namespace: {name}\nresources: [objects.yaml]\nconfigMapGenerator:\n- {{name: made, literals: [key=one]}}\n"
        ),
    );
    shop.project.write(
        "overlay/objects.yaml",
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n---\n{}", config("plain", "one")),
    );
    shop.project.yaml(&format!(
        "project: shop\nservices:\n  web:\n    backend: {{type: kubernetes, manifests: overlay, namespace: {name}}}\n"
    ));
    shop.project.orch(&["plan"]).ok().says(&[
        "objects.Namespace/",
        "objects.ConfigMap/plain:",
        "objects.ConfigMap/made-",
    ]);
    shop.project.apply();
    shop.is_settled();
    let get = |object: &str| kube.kubectl(&["get", object, "-n", &name, "-o", "jsonpath={.data.key}"]);
    assert_eq!(get("configmap/plain"), "one");
    shop.project.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!(kube.kubectl(&["get", "namespace", &name, "--ignore-not-found", "-o", "name"]), "");
}
