//! What goes wrong around a cluster: each has an error in the tool's own words with a way out, and the next apply
//! converges.

use serde_json::json;

use super::{Shop, config, deployment, web};
use crate::support::Kube;

#[test]
fn a_manifest_that_is_none_and_one_that_the_server_refuses_are_told_before_anything_changes() {
    let shop = Shop::new(Kube::get(), "wrong");
    shop.manifest("web", "kind: [\nx: y\n");
    shop.project.orch(&["plan"]).exits(1).says(&["cannot read the manifest k8s/web.yaml: line 2"]);
    shop.manifest("web", "a: b\n");
    shop.project.orch(&["plan"]).exits(1).says(&["an object has no `kind`"]);
    shop.manifest("web", &web(1, "one").replace("replicas:", "replcas:"));
    shop.manifest("config", &config("settings", "one"));
    shop.project.orch(&["apply", "--auto-approve"]).exits(1).says(&[".spec.replcas: field not declared in schema"]);
    assert_eq!(shop.value("settings", "key"), None);
    shop.manifest("web", "apiVersion: example.com/v1\nkind: Unknown\nmetadata: {name: x}\n");
    shop.project.orch(&["plan"]).exits(1).says(&["no matches for kind \"Unknown\"", "CustomResourceDefinition"]);
    shop.manifest("web", &config("settings", "two"));
    shop.project.orch(&["plan"]).exits(1).says(&["the manifests have ConfigMap/", "twice"]);
    shop.without("web");
    shop.project.apply();
    shop.is_settled();
}

#[test]
fn a_missing_kubectl_and_an_old_one_are_told() {
    let kube = Kube::get();
    let mut shop = Shop::new(kube, "kubectl");
    shop.manifest("config", &config("settings", "one"));
    let path = crate::support::Tools::get().path();
    // Not even the machine's own.
    shop.project.set_env("PATH", &shop.project.path("nothing").display().to_string());
    shop.project.orch(&["plan"]).exits(1).says(&["`kubectl` is not in PATH", "install kubectl"]);
    let old = "#!/bin/sh\necho '{\"clientVersion\": {\"major\": \"1\", \"minor\": \"20\"}}'\n";
    let folder = shop.project.script("old/kubectl", old).parent().unwrap().display().to_string();
    shop.project.set_env("PATH", &format!("{folder}:/usr/bin:/bin"));
    shop.project.orch(&["plan"]).exits(1).says(&["`kubectl` is version 1.20, and 1.22 or later is needed"]);
    shop.project.set_env("PATH", &path);
    shop.project.apply();
}

#[test]
fn what_is_anothers_is_not_touched() {
    let shop = Shop::new(Kube::get(), "others");
    shop.namespace.apply(&config("settings", "by hand"));
    shop.manifest("config", &config("settings", "one"));
    let refused = shop.project.orch(&["apply", "--auto-approve"]).exits(1);
    let refused =
        refused.says(&["is there already and is not orch's", "hand it over: `kubectl label configmap settings"]);
    assert_eq!(shop.value("settings", "key").as_deref(), Some("by hand"));
    // As the hint says.
    let command = refused.err.split("hand it over: `kubectl ").nth(1).unwrap().split('`').next().unwrap();
    shop.namespace.kubectl(&command.split(' ').collect::<Vec<_>>());
    shop.file(", force_conflicts: true", "");
    shop.project.apply();
    assert_eq!(shop.value("settings", "key").as_deref(), Some("one"));
    shop.is_settled();
}

#[test]
fn a_server_that_is_gone_and_back_loses_nothing() {
    let mut kube = Kube::own();
    let (project, name) = {
        let shop = Shop::new(&kube, "gone");
        shop.manifest("web", &web(1, "one"));
        shop.project.apply();
        shop.manifest("web", &web(2, "two"));
        let name = shop.namespace.name().to_owned();
        let Shop { project, namespace } = shop;
        std::mem::forget(namespace);
        (project, name)
    };
    kube.server().stop();
    project.orch(&["plan"]).exits(1).says(&["connection refused", "API server"]);
    kube.server().again();
    // In the middle of an apply: every write is refused once the first was done.
    kube.server().fault(&json!({"method": "PATCH", "path": "/deployments/", "code": 503, "count": 1,
        "message": "the server is currently unable to handle the request"}));
    let ran = project.orch(&["apply", "--auto-approve"]);
    assert_ne!(ran.code, Some(0), "{ran}");
    project.apply();
    project.plans(&[], &[]);
    let replicas = kube.kubectl(&["get", "deployment/web", "-n", &name, "-o", "jsonpath={.status.availableReplicas}"]);
    assert_eq!(replicas, "2");
}

#[test]
fn credentials_that_expired_are_told_and_nothing_is_half_recorded() {
    let mut kube = Kube::own();
    let (project, name) = {
        let shop = Shop::new(&kube, "expired");
        shop.manifest("config", &config("settings", "one"));
        let name = shop.namespace.name().to_owned();
        let Shop { project, namespace } = shop;
        std::mem::forget(namespace);
        (project, name)
    };
    kube.server().expire();
    project.orch(&["apply", "--auto-approve"]).exits(1).says(&["Unauthorized", "log in again"]);
    kube.server().renew();
    project.apply();
    project.plans(&[], &[]);
    assert_eq!(kube.kubectl(&["get", "configmap/settings", "-n", &name, "-o", "jsonpath={.data.key}"]), "one");
}

#[test]
fn a_namespace_that_is_being_deleted_is_told() {
    let shop = Shop::new(Kube::get(), "deleted");
    // Something that nobody lets go keeps it from going.
    shop.namespace.apply(&config("held", "x").replace("{name: held}", "{name: held, finalizers: [example.com/held]}"));
    shop.namespace.kubectl(&["delete", "namespace", shop.namespace.name(), "--wait=false"]);
    shop.manifest("config", &config("settings", "one"));
    let ran = shop.project.orch(&["apply", "--auto-approve"]);
    assert_ne!(ran.code, Some(0), "{ran}");
    ran.says(&["being terminated", "the namespace is being deleted: wait until it is gone"]);
    shop.namespace.kubectl(&[
        "patch",
        "configmap/held",
        "--type=merge",
        "-p",
        "{\"metadata\": {\"finalizers\": null}}",
    ]);
}

#[test]
fn pods_that_are_never_ready_are_told_when_their_time_is_over() {
    let shop = Shop::new(Kube::get(), "never");
    shop.file("", "    timeout: 3s\n");
    let probe = "readinessProbe: {exec: {command: [\"false\"]}, periodSeconds: 1}";
    shop.manifest("web", &deployment("web", Kube::IMAGE, 1, &[super::SLEEPS, probe]));
    let ran = shop.project.orch(&["apply", "--auto-approve"]).exits(5);
    ran.says(&["not up within 3s", "Deployment/web: 0 of 1 pods are available"]);
    assert_eq!(shop.project.state()["state"]["records"]["web"]["status"], "failed");
    shop.manifest("web", &web(1, "one"));
    shop.file("", "");
    shop.project.apply();
    shop.is_settled();
}
