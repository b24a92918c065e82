//! Releases of Helm charts, through the real `helm` (4 and 3) and `kubectl`.

mod errors;
mod hands;
#[cfg(feature = "failpoints")]
mod kill;
mod life;
mod sources;

use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::support::{Kube, Namespace, Project, Tools};

/// What looks like a secret, and must be nowhere but in the cluster.
const SECRET: &str = "hunter2-and-more";

/// The chart: a Deployment with its settings, a Secret, and a job before each change where the values ask for one.
const TEMPLATES: &[(&str, &str)] = &[
    (
        "config.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata:\n  greeting: {{ .Values.greeting | quote }}\n  \
         note: {{ .Values.note | quote }}\n",
    ),
    (
        "secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: {{ .Release.Name }}}\nstringData:\n  password: {{ .Values.db.password | quote }}\n",
    ),
    (
        "web.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: {{ .Release.Name }}}\nspec:\n  replicas: {{ .Values.replicas }}\n  \
         selector: {matchLabels: {app: {{ .Release.Name }}}}\n  template:\n    metadata: {labels: {app: {{ .Release.Name }}}}\n    \
         spec:\n      containers:\n      - name: web\n        image: {{ .Values.image }}\n        env:\n        \
         - {name: GREETING, value: {{ .Values.greeting | quote }}}\n",
    ),
    (
        "hook.yaml",
        "{{- if .Values.hook }}\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {{ .Release.Name }}-before\n  annotations:\n    \
         helm.sh/hook: pre-install,pre-upgrade\n    helm.sh/hook-delete-policy: before-hook-creation\nspec:\n  template:\n    spec:\n      \
         restartPolicy: Never\n      containers: [{name: wait, image: orch-test.invalid/never:1}]\n{{- end }}\n",
    ),
];

/// A project with one release, `web`, in a namespace of its own.
struct Shop<'k> {
    project: Project,
    space: Namespace<'k>,
}

/// A project with the chart, whose orch finds `tool` (`helm` or `helm3`) as `helm`.
fn project(kube: &Kube, namespace: &str, tool: &str) -> Project {
    let mut project = Project::empty();
    for (name, value) in kube.env() {
        project.set_env(&name, &value);
    }
    let bin = project.outer().join("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink(Tools::get().bin(tool), bin.join("helm")).unwrap();
    project.set_env("PATH", &format!("{}:{}", bin.display(), Tools::get().path()));
    project.write("chart/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n");
    let values = "replicas: 1\nimage: shop/web:1\ngreeting: hello\nnote: none\nhook: false\ndb: {password: \"\"}\n";
    project.write("chart/values.yaml", values);
    for (name, text) in TEMPLATES {
        project.write(&format!("chart/templates/{name}"), text);
    }
    values_in(&project, namespace, "");
    project
}

/// Writes the file of a project, with more values.
fn values_in(project: &Project, namespace: &str, values: &str) {
    backend_in(project, namespace, &format!("      values: {{db: {{password: {SECRET}}}, {values}}}\n"));
}

/// Writes the file of a project, with more of the backend.
fn backend_in(project: &Project, namespace: &str, more: &str) {
    project.yaml(&format!(
        "services:\n  web:\n    backend:\n      type: helm\n      chart: ./chart\n      namespace: {namespace}\n{more}    timeout: 60\n"
    ));
}

impl<'k> Shop<'k> {
    /// A project in a new namespace.
    fn new(kube: &'k Kube, name: &str, tool: &str) -> Self {
        let space = kube.namespace(name);
        Self { project: project(kube, space.name(), tool), space }
    }

    /// Writes the file, with more values.
    fn values(&self, values: &str) {
        values_in(&self.project, self.space.name(), values);
    }

    /// Writes the file, with more of the backend.
    fn backend(&self, more: &str) {
        backend_in(&self.project, self.space.name(), more);
    }

    /// The revisions of the release: number and status.
    fn history(&self) -> Vec<(u64, String)> {
        let text = self.space.try_helm("helm", &["history", "web", "--output", "json"]).unwrap_or_default();
        let all: Value = serde_json::from_str(&text).unwrap_or_default();
        let row = |row: &Value| (row["revision"].as_u64().unwrap(), row["status"].as_str().unwrap().to_owned());
        all.as_array().map(|all| all.iter().map(row).collect()).unwrap_or_default()
    }

    /// The number of the newest revision, which must be deployed.
    #[track_caller]
    fn deployed(&self) -> u64 {
        let history = self.history();
        let (number, status) = history.last().unwrap();
        assert_eq!(status, "deployed", "{history:?}");
        *number
    }

    /// The greeting that the cluster has.
    fn greeting(&self) -> String {
        self.space.get("configmap/web").unwrap()["data"]["greeting"].as_str().unwrap().to_owned()
    }

    /// Checks that nothing is left to do.
    #[track_caller]
    fn is_settled(&self) {
        self.project.plans(&[], &[]);
    }

    /// Checks that no file of the state folder holds the secret.
    #[track_caller]
    fn keeps_its_secret(&self) {
        let encoded = "aHVudGVyMi1hbmQtbW9yZ";
        for (path, bytes) in self.project.bytes() {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(SECRET) && !text.contains(encoded), "{}", path.display());
        }
    }
}
