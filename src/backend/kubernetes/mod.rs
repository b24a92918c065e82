//! Manifests that are applied to a Kubernetes cluster.
