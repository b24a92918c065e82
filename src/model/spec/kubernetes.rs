//! Manifests that are applied to a Kubernetes cluster.

use std::path::PathBuf;

use super::kube::KubeObject;
use crate::model::Text;
use crate::model::field::{Effect, Fields};

/// A set of objects of a Kubernetes cluster, that live and go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesSpec {
    /// Which cluster.
    pub cluster: KubeCluster,
    /// The namespace of the objects that name none, and of what orch keeps about them.
    pub namespace: String,
    /// Where the objects are written, in the order of the file.
    pub manifests: Vec<Manifest>,
    /// Whether an object that the manifests no longer have is deleted.
    pub prune: bool,
    /// Whether the server merges what is applied; otherwise `kubectl` does.
    pub server_side: bool,
    /// Whether fields that another manager has set are taken over.
    pub force_conflicts: bool,
    /// The objects that the manifests come to, sorted; `None` until they were rendered.
    pub objects: Option<Vec<KubeObject>>,
}

/// A cluster, as `kubectl` and `helm` find it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubeCluster {
    /// The kubeconfig file, absolute; `None` for the one of the environment.
    pub kubeconfig: Option<String>,
    /// The context in it; `None` for the current one.
    pub context: Option<String>,
}

/// Where objects are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// In a file of this machine.
    File {
        /// Its path as the file gives it.
        path: String,
        /// What is in it.
        content: Text,
    },
    /// In a folder with a `kustomization.yaml`.
    Kustomize(PathBuf),
    /// At an address, `https://...`.
    Url(String),
}

impl KubeCluster {
    /// What tells one cluster from another: its context where one is named, else the kubeconfig file.
    #[must_use]
    pub fn key(&self) -> String {
        match (&self.context, &self.kubeconfig) {
            (Some(context), _) => format!("context {context}"),
            (None, Some(path)) => format!("kubeconfig {path}"),
            (None, None) => "default".to_owned(),
        }
    }

    /// Adds what says which cluster it is.
    pub(in crate::model) fn fields(&self, fields: &mut Fields<'_>) {
        fields.plain("cluster", Effect::Replace, self.key());
        if let Some(path) = &self.kubeconfig {
            fields.plain("kubeconfig", Effect::Record, path.clone());
        }
        if let Some(context) = &self.context {
            fields.plain("kube_context", Effect::Record, context.clone());
        }
    }
}

impl KubernetesSpec {
    /// Objects of some manifests, with the defaults of the file.
    #[must_use]
    pub fn new(cluster: KubeCluster, namespace: impl Into<String>, manifests: Vec<Manifest>) -> Self {
        Self {
            cluster,
            namespace: namespace.into(),
            manifests,
            prune: true,
            server_side: true,
            force_conflicts: false,
            objects: None,
        }
    }

    pub(in crate::model) fn fields(&self, fields: &mut Fields<'_>) {
        self.cluster.fields(fields);
        fields.plain("namespace", Effect::Replace, self.namespace.clone());
        if !self.prune {
            fields.plain("prune", Effect::Record, "false");
        }
        if !self.server_side {
            fields.plain("server_side", Effect::Record, "false");
        }
        if self.force_conflicts {
            fields.plain("force_conflicts", Effect::Record, "true");
        }
        for object in self.objects.iter().flatten() {
            object.fields(&self.namespace, fields);
        }
    }
}
