//! A release of a Helm chart, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Period;
use crate::config::field::{Entries, Field, OneOrMany, RawScalar, RawTree};

/// A release of a Helm chart in a Kubernetes cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawHelm {
    /// The chart: a folder or an archive of this machine, relative to this file (a path that starts with `./`,
    /// `../` or `/`, or that is there), `REPOSITORY/NAME`, or an `oci://` or `https://` address.
    pub(crate) chart: Field<String>,
    /// The version of the chart, or a constraint such as `^1.2`; a folder or an archive has its own. Default: the
    /// newest.
    #[serde(default)]
    pub(crate) version: Option<Field<String>>,
    /// The release's name: lower-case letters, digits, `-` and `.`, at most 53. Default: the service's name.
    #[serde(default)]
    pub(crate) release: Option<Field<String>>,
    /// The namespace of the release. Default: `default`.
    #[serde(default)]
    pub(crate) namespace: Option<Field<String>>,
    /// Whether the namespace is made where it does not exist; it then stays. Default: false.
    #[serde(default)]
    pub(crate) create_namespace: Option<Field<bool>>,
    /// Files of values, relative to this file: one or a list, of which a later one goes before an earlier one.
    #[serde(default)]
    pub(crate) values_files: Option<Field<OneOrMany<String>>>,
    /// Values, which go before those of the files. A value whose name looks secret (`password`, `token`, ...) is
    /// never shown or recorded.
    #[serde(default)]
    pub(crate) values: Option<Field<Entries<RawTree>>>,
    /// Values for profiles, by the profile's name: those of the active profiles go before `values`, a later one
    /// before an earlier one.
    #[serde(default)]
    pub(crate) profile_values: Option<Field<Entries<Entries<RawTree>>>>,
    /// Values by Helm's paths (`image.tag`, `hosts[0].name`), which go before all others.
    #[serde(default)]
    pub(crate) set: Option<Field<Entries<Option<RawScalar>>>>,
    /// The context of the kubeconfig. Default: its current one.
    #[serde(default)]
    pub(crate) kube_context: Option<Field<String>>,
    /// The kubeconfig, relative to this file; `~/` is the home folder. Default: `KUBECONFIG`, or
    /// `~/.kube/config`.
    #[serde(default)]
    pub(crate) kubeconfig: Option<Field<String>>,
    /// How long Helm may take for one operation, such as a hook: seconds or a duration. Default: as long as the
    /// step may.
    #[serde(default)]
    pub(crate) timeout: Option<Field<Period>>,
    /// How many revisions of the release are kept, 2 to 1000. Default: 10.
    #[serde(default)]
    pub(crate) history_max: Option<Field<u32>>,
}
