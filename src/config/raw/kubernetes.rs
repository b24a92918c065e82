//! Manifests of Kubernetes, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Period;
use crate::config::field::{Field, OneOrMany};

/// Manifests that are applied to a Kubernetes cluster; their objects live and go together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawKubernetes {
    /// Where the objects are written, one or a list: files of this machine, patterns (`k8s/*.yaml`), folders (with a
    /// `kustomization.yaml` what `kubectl kustomize` makes of them, else the YAML and JSON files in them), all relative
    /// to this file; and `https://` addresses.
    pub(crate) manifests: Field<OneOrMany<String>>,
    /// The namespace of the objects that name none, and of what orch keeps about them. Default: `default`.
    #[serde(default)]
    pub(crate) namespace: Option<Field<String>>,
    /// Whether an object that the manifests no longer have is deleted. Default: true.
    #[serde(default)]
    pub(crate) prune: Option<Field<bool>>,
    /// Whether the server merges what is applied, and refuses what another manager has set; otherwise `kubectl`
    /// merges it. Default: true.
    #[serde(default)]
    pub(crate) server_side: Option<Field<bool>>,
    /// Whether fields that another manager has set are taken over. Default: false, which is an error that names them.
    #[serde(default)]
    pub(crate) force_conflicts: Option<Field<bool>>,
    /// The context of the kubeconfig. Default: its current one.
    #[serde(default)]
    pub(crate) kube_context: Option<Field<String>>,
    /// The kubeconfig, relative to this file; `~/` is the home folder. Default: `KUBECONFIG`, or
    /// `~/.kube/config`.
    #[serde(default)]
    pub(crate) kubeconfig: Option<Field<String>>,
    /// How long the rollout may take: seconds or a duration. Default: as long as the step may.
    #[serde(default)]
    pub(crate) timeout: Option<Field<Period>>,
}
