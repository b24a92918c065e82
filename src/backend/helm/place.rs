//! Where a release is, and what orch calls it.

use crate::backend::BackendError;
use crate::model::{HelmSpec, KubeCluster, ObjectId};

/// A release in a namespace of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cluster: KubeCluster,
    pub(super) namespace: String,
    pub(super) release: String,
}

impl Place {
    /// Where a release is to be, its cluster known.
    pub(super) fn of(spec: &HelmSpec) -> Self {
        Self { cluster: spec.cluster.clone(), namespace: spec.namespace.clone(), release: spec.release.clone() }
    }

    /// What orch calls it: `CLUSTER/NAMESPACE/RELEASE`.
    pub(super) fn id(&self) -> ObjectId {
        ObjectId::new(format!("{}/{}/{}", self.cluster.key(), self.namespace, self.release))
    }

    /// The key of the cluster, the namespace and the release of what orch calls a release.
    pub(super) fn parts(id: &ObjectId) -> Result<(&str, &str, &str), BackendError> {
        let mut parts = id.as_str().rsplitn(3, '/');
        let (release, namespace, cluster) = (parts.next(), parts.next(), parts.next());
        match (cluster, namespace, release) {
            (Some(cluster), Some(namespace), Some(release)) => Ok((cluster, namespace, release)),
            _ => Err(BackendError::new(format!("{id} is no release"))),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_may_have_slashes() {
        let cluster = KubeCluster { kubeconfig: None, context: Some("arn:aws:eks:x:cluster/shop".into()) };
        let place = Place { cluster, namespace: "shop".into(), release: "web".into() };
        assert_eq!(Place::parts(&place.id()).unwrap(), ("context arn:aws:eks:x:cluster/shop", "shop", "web"));
        assert!(Place::parts(&ObjectId::new("web")).is_err());
    }
}
