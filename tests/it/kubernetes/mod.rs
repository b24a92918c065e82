//! Manifests in a cluster: the one of `ORCH_TEST_KUBECONFIG`, or an API server of the tests.

mod endpoints;
mod faults;
#[cfg(feature = "failpoints")]
mod killed;
mod life;
mod verbs;

use crate::support::{Kube, Namespace, Project};

/// A project with one service of manifests in a namespace of its own.
pub(super) struct Shop<'a> {
    pub(super) project: Project,
    pub(super) namespace: Namespace<'a>,
}

impl<'a> Shop<'a> {
    pub(super) fn new(kube: &'a Kube, name: &str) -> Self {
        let mut project = Project::empty();
        for (name, value) in kube.env() {
            project.set_env(&name, &value);
        }
        let shop = Self { project, namespace: kube.namespace(name) };
        shop.file("", "");
        shop
    }

    /// Writes `orch.yaml`, with more keys of the backend and of the service.
    pub(super) fn file(&self, backend: &str, service: &str) {
        let namespace = self.namespace.name();
        self.project.yaml(&format!(
            "project: shop\nservices:\n  web:\n    backend: {{type: kubernetes, manifests: [k8s/*.yaml], \
             namespace: {namespace}{backend}}}\n{service}"
        ));
    }

    /// Writes a manifest.
    pub(super) fn manifest(&self, name: &str, text: &str) {
        self.project.write(&format!("k8s/{name}.yaml"), text);
    }

    /// Takes a manifest away.
    pub(super) fn without(&self, name: &str) {
        std::fs::remove_file(self.project.path(&format!("k8s/{name}.yaml"))).unwrap();
    }

    /// The value of a key of a config map.
    pub(super) fn value(&self, name: &str, key: &str) -> Option<String> {
        Some(self.namespace.get(&format!("configmap/{name}"))?["data"][key].as_str().unwrap_or_default().to_owned())
    }

    /// The inventories that there are.
    pub(super) fn inventories(&self) -> Vec<String> {
        let text = self.namespace.kubectl(&["get", "secrets", "-l", "orch.dev/role=inventory", "-o", "name"]);
        text.lines().map(str::to_owned).collect()
    }

    /// Checks that applying again changes nothing.
    #[track_caller]
    pub(super) fn is_settled(&self) {
        self.project.plans(&[], &[]);
    }
}

/// A Deployment of one container, which has these lines besides its name and image.
pub(super) fn deployment(name: &str, image: &str, replicas: usize, lines: &[&str]) -> String {
    let more: String = lines.iter().map(|line| format!("        {line}\n")).collect();
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: {replicas}\n  \
         progressDeadlineSeconds: 60\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    \
         metadata: {{labels: {{app: {name}}}}}\n    spec:\n      terminationGracePeriodSeconds: 1\n      containers:\n      - name: main\n        \
         image: {image}\n{more}"
    )
}

pub(super) const SLEEPS: &str = "command: [sleep, infinity]";

/// A deployment that gets up.
pub(super) fn web(replicas: usize, mark: &str) -> String {
    deployment("web", Kube::IMAGE, replicas, &[SLEEPS, &format!("env: [{{name: MARK, value: {mark}}}]")])
}

pub(super) fn config(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: {value}}}\n")
}
