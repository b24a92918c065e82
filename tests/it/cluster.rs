//! The cluster that the tests of Helm and Kubernetes run against does what they rely on, as the real `kubectl` and
//! `helm` see it. All but the faults hold on a real cluster, too.

use serde_json::json;

use crate::support::{Kube, Namespace, wait_until};

/// A Deployment of one container, which has these lines besides its name and image.
fn deployment(name: &str, image: &str, lines: &[&str]) -> String {
    let more: String = lines.iter().map(|line| format!("        {line}\n")).collect();
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec:\n  replicas: 1\n  \
         progressDeadlineSeconds: 60\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    \
         metadata: {{labels: {{app: {name}}}}}\n    spec:\n      terminationGracePeriodSeconds: 1\n      containers:\n      - name: main\n        \
         image: {image}\n{more}"
    )
}

const SLEEPS: &str = "command: [sleep, infinity]";

fn waiting_reason(namespace: &Namespace<'_>, app: &str) -> String {
    let path = "jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}";
    namespace.kubectl(&["get", "pods", "--selector", &format!("app={app}"), "--output", path])
}

#[test]
fn fields_have_owners_and_who_takes_one_has_to_say_so() {
    let namespace = Kube::get().namespace("owners");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yaml");
    std::fs::write(&file, deployment("web", Kube::IMAGE, &[SLEEPS, "env: [{name: A, value: a}, {name: B, value: b}]"]))
        .unwrap();
    let path = file.display().to_string();
    let apply = ["apply", "--server-side", "--field-manager", "orch", "--filename", path.as_str()];
    namespace.kubectl(&apply);
    let before = namespace.get("deployment/web").unwrap();
    // Applying the same again changes nothing, and a diff finds nothing.
    namespace.kubectl(&["diff", "--server-side", "--field-manager", "orch", "--filename", &path]);
    namespace.kubectl(&apply);
    assert_eq!(before["metadata"]["generation"], namespace.get("deployment/web").unwrap()["metadata"]["generation"]);

    namespace.kubectl(&["scale", "deployment/web", "--replicas", "2"]);
    let said = namespace.try_kubectl(&apply).unwrap_err();
    assert!(
        said.contains("Apply failed with 1 conflict: conflict with \"kubectl\" with subresource \"scale\""),
        "{said}"
    );
    assert!(said.contains(": .spec.replicas"), "{said}");
    namespace.kubectl(&[&apply[..], &["--force-conflicts"]].concat());

    // What is no longer applied goes; what the server filled in stays.
    std::fs::write(&file, deployment("web", Kube::IMAGE, &[SLEEPS, "env: [{name: A, value: c}]"])).unwrap();
    let diff = namespace.try_kubectl(&["diff", "--server-side", "--field-manager", "orch", "--filename", &path]);
    let diff = diff.unwrap_err();
    assert!(diff.contains("-          value: a") && diff.contains("-        - name: B"), "{diff}");
    namespace.kubectl(&apply);
    let after = namespace.get("deployment/web").unwrap();
    let container = &after["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["env"], json!([{"name": "A", "value": "c"}]));
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert_eq!(after["spec"]["replicas"], 1);
}

#[test]
fn what_cannot_be_is_refused_in_the_words_of_the_server() {
    let namespace = Kube::get().namespace("refused");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("object.yaml");
    let path = file.display().to_string();
    let refused = |text: &str, args: &[&str], wanted: &str| {
        std::fs::write(&file, text).unwrap();
        let said = namespace.try_kubectl(&[args, &["--filename", &path]].concat()).unwrap_err();
        assert!(said.contains(wanted), "{said}");
    };
    let apply: &[&str] = &["apply", "--server-side"];
    let web = deployment("web", Kube::IMAGE, &[]);
    let misspelt = web.replace("replicas:", "replcas:");
    refused(&misspelt, apply, ".spec.replcas: field not declared in schema");
    refused(&misspelt, &["create"], "strict decoding error: unknown field \"spec.replcas\"");
    refused(
        &web.replace("    spec:", "    spec: {}\n    x:"),
        &["create", "--validate=ignore"],
        "spec.containers: Required value",
    );
    let other = web.replace("metadata: {labels: {app: web}}", "metadata: {labels: {app: other}}");
    refused(&other, apply, "`selector` does not match template `labels`");
    namespace.apply(&web);
    let moved = other.replace("matchLabels: {app: web}", "matchLabels: {app: other}");
    refused(&moved, &["apply", "--server-side", "--force-conflicts"], "field is immutable");
    refused(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n",
        apply,
        "a lowercase RFC 1123 subdomain must consist of",
    );
    refused("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n", apply, "no matches for kind \"Widget\"");
}

#[test]
fn workloads_become_ready_or_say_why_not() {
    let namespace = Kube::get().namespace("workloads");
    namespace.apply(&deployment("good", Kube::IMAGE, &[SLEEPS]));
    namespace.apply(&deployment("unpulled", "registry.invalid/nothing:1", &[]));
    namespace.apply(&deployment("crashing", Kube::IMAGE, &["command: [\"false\"]"]));
    namespace.apply(&deployment(
        "unready",
        Kube::IMAGE,
        &[SLEEPS, "readinessProbe: {exec: {command: [\"false\"]}, periodSeconds: 1}"],
    ));
    namespace.apply(&deployment(
        "late",
        Kube::IMAGE,
        &["env: [{name: A, valueFrom: {secretKeyRef: {name: absent, key: a}}}]"],
    ));
    namespace.kubectl(&["rollout", "status", "deployment/good", "--timeout", "60s"]);
    let pods =
        namespace.kubectl(&["get", "pods", "--selector", "app=good", "--output", "jsonpath={.items[*].status.phase}"]);
    assert_eq!(pods, "Running");
    for (app, reason) in
        [("unpulled", "ImagePullBackOff"), ("crashing", "CrashLoopBackOff"), ("late", "CreateContainerConfigError")]
    {
        wait_until("a container waits", || waiting_reason(&namespace, app) == reason);
        let ready = namespace.get(&format!("deployment/{app}")).unwrap()["status"]["readyReplicas"].clone();
        assert!(ready.is_null() || ready == 0, "{app}: {ready}");
    }
    let said = namespace.try_kubectl(&["rollout", "status", "deployment/unready", "--timeout", "2s"]).unwrap_err();
    assert!(said.contains("0 of 1 updated replicas are available"), "{said}");
    let events = namespace.kubectl(&["get", "events", "--field-selector", "type=Warning"]);
    assert!(events.contains("Failed to pull image \"registry.invalid/nothing:1\""), "{events}");
    // What was deleted is made again, and what is owned goes with its owner.
    namespace.kubectl(&["delete", "pods", "--selector", "app=good", "--wait=false"]);
    namespace.kubectl(&["rollout", "status", "deployment/good", "--timeout", "60s"]);
    namespace.kubectl(&["delete", "deployments", "--all", "--cascade=foreground"]);
    assert_eq!(namespace.kubectl(&["get", "replicasets", "--output", "name"]), "");
}

#[test]
fn jobs_end() {
    let namespace = Kube::get().namespace("jobs");
    let job = |name: &str, command: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n  backoffLimit: 0\n  template:\n    spec:\n      \
             restartPolicy: Never\n      containers: [{{name: main, image: \"{}\", command: [\"{command}\"]}}]\n",
            Kube::IMAGE
        )
    };
    namespace.apply(&job("good", "true"));
    namespace.apply(&job("bad", "false"));
    namespace.kubectl(&["wait", "--for", "condition=complete", "job/good", "--timeout", "60s"]);
    namespace.kubectl(&["wait", "--for", "condition=failed", "job/bad", "--timeout", "60s"]);
    let conditions = namespace.get("job/bad").unwrap()["status"]["conditions"].to_string();
    assert!(conditions.contains("BackoffLimitExceeded"), "{conditions}");
}

#[test]
fn a_namespace_ends_only_when_it_is_empty() {
    let kube = Kube::get();
    let namespace = kube.namespace("ending");
    namespace.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/hold]}\n");
    kube.kubectl(&["delete", "namespace", namespace.name(), "--wait=false"]);
    wait_until("the namespace says why it is still there", || {
        let status = kube.kubectl(&["get", "namespace", namespace.name(), "--output", "jsonpath={.status}"]);
        status.contains("Terminating") && status.contains("example.com/hold in 1 resource instances")
    });
    let said = namespace.try_kubectl(&["create", "serviceaccount", "new"]).unwrap_err();
    assert!(said.contains("because it is being terminated"), "{said}");
    let release = r#"{"metadata": {"finalizers": null}}"#;
    namespace.kubectl(&["patch", "configmap/held", "--type", "merge", "--patch", release]);
    kube.kubectl(&["wait", "--for", "delete", "namespace", namespace.name(), "--timeout", "60s"]);
}

#[test]
fn helm_deploys_waits_fails_and_rolls_back() {
    let kube = Kube::get();
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("web");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.0.0\n").unwrap();
    std::fs::write(chart.join("values.yaml"), format!("image: {}\n", Kube::IMAGE)).unwrap();
    std::fs::write(chart.join("templates/web.yaml"), deployment("web", "{{ .Values.image }}", &[SLEEPS])).unwrap();
    let chart = chart.display().to_string();
    for helm in ["helm", "helm3"] {
        let namespace = kube.namespace(helm);
        namespace.helm(helm, &["install", "r", &chart, "--wait", "--timeout", "60s"]);
        assert_eq!(namespace.get("deployment/web").unwrap()["status"]["readyReplicas"], 1);
        let dry = namespace.helm(helm, &["upgrade", "r", &chart, "--dry-run=server", "--set", "image=other:1"]);
        assert!(dry.contains("image: other:1"), "{dry}");
        let wrong = ["upgrade", "r", &chart, "--wait", "--timeout", "3s", "--set", "image=registry.invalid/x:1"];
        namespace.try_helm(helm, &wrong).unwrap_err();
        let statuses = |namespace: &Namespace<'_>| -> Vec<String> {
            let history = namespace.helm(helm, &["history", "r", "--output", "json"]);
            let history: serde_json::Value = serde_json::from_str(&history).unwrap();
            history.as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(statuses(&namespace), ["deployed", "failed"]);
        namespace.helm(helm, &["rollback", "r", "1", "--wait", "--timeout", "60s"]);
        assert_eq!(statuses(&namespace), ["superseded", "failed", "deployed"]);
        let manifest = namespace.helm(helm, &["get", "manifest", "r"]);
        assert!(manifest.contains(&format!("image: {}", Kube::IMAGE)), "{manifest}");
        namespace.helm(helm, &["uninstall", "r", "--wait"]);
        assert!(namespace.get("deployment/web").is_none());
    }
}

#[test]
fn custom_resources_follow_their_definition() {
    let namespace = Kube::get().namespace("custom");
    let group = format!("{}.example.com", namespace.name());
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.{group}}}\nspec:\n  group: {group}\n  \
         scope: Namespaced\n  names: {{plural: widgets, kind: Widget}}\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    \
         subresources: {{status: {{}}}}\n    schema:\n      openAPIV3Schema:\n        type: object\n        properties:\n          \
         spec: {{type: object, required: [size], properties: {{size: {{type: integer, minimum: 1}}}}}}\n          \
         status: {{type: object, properties: {{phase: {{type: string}}}}}}\n"
    );
    namespace.apply(&definition);
    namespace.kubectl(&["wait", "--for", "condition=Established", &format!("crd/widgets.{group}"), "--timeout", "60s"]);
    let widget =
        |size: i32| format!("apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {{size: {size}}}\n");
    namespace.apply(&widget(3));
    namespace.set_status(&format!("widgets.{group}/w"), &json!({ "phase": "Good" }));
    namespace.apply(&widget(4));
    let object = namespace.get(&format!("widgets.{group}/w")).unwrap();
    assert_eq!((&object["spec"]["size"], &object["status"]["phase"]), (&json!(4), &json!("Good")));
    assert_eq!(object["metadata"]["generation"], 2);
    let patch = ["patch", &format!("widgets.{group}/w"), "--type", "merge", "--patch", r#"{"spec": {"size": 0}}"#];
    let said = namespace.try_kubectl(&patch).unwrap_err();
    assert!(said.contains("should be greater than or equal to 1"), "{said}");
    namespace.kubectl(&["delete", "crd", &format!("widgets.{group}")]);
}

#[test]
fn a_server_of_a_tests_own_can_be_put_out_of_order() {
    let mut kube = Kube::own();
    kube.kubectl(&["create", "namespace", "kept"]);
    // From now on kubectl knows what there is, and does not try to find that out again and again.
    kube.kubectl(&["get", "namespace", "kept"]);
    kube.server().expire();
    let said = kube.try_kubectl(&["get", "namespaces"]).unwrap_err();
    assert!(said.contains("You must be logged in to the server"), "{said}");
    kube.server().renew();
    kube.server().pause("unavailable");
    let said = kube.try_kubectl(&["get", "namespace", "kept"]).unwrap_err();
    assert!(said.contains("the server is currently unable to handle the request"), "{said}");
    kube.server().pause("close");
    assert!(kube.try_kubectl(&["get", "namespace", "kept"]).unwrap_err().contains("EOF"));
    kube.server().resume();
    kube.server().stop();
    let said = kube.try_kubectl(&["get", "namespace", "kept"]).unwrap_err();
    assert!(said.contains("connection refused") || said.contains("was refused"), "{said}");
    kube.server().again();
    kube.kubectl(&["get", "namespace", "kept"]);
    // The answer is lost, and what was asked for is done all the same.
    kube.server().fault(&json!({ "method": "POST", "path": "/serviceaccounts", "when": "after" }));
    kube.try_kubectl(&["create", "serviceaccount", "made", "--namespace", "kept"]).unwrap_err();
    kube.kubectl(&["get", "serviceaccount", "made", "--namespace", "kept"]);
    assert!(kube.server().requests().iter().any(|one| one.starts_with("POST /api/v1/namespaces/kept/serviceaccounts")));
    // A watch from before the history was cut is refused, and a client lists again.
    kube.server().compact();
    let said = kube.kubectl(&["get", "--raw", "/api/v1/namespaces?watch=1&resourceVersion=1"]);
    assert!(said.contains("too old resource version"), "{said}");
    assert!(kube.server().state().contains("\"name\":\"made\""));
    assert!(std::fs::read_to_string(kube.kubeconfig()).unwrap().contains("http://127.0.0.1:"));
    assert_eq!(kube.server().log(), "");
}
