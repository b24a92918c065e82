//! A Compose project, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Period;
use crate::config::field::{Field, OneOrMany, Pairs};
use crate::model::ComposePull;

/// A Compose project that is brought up as a whole; Compose v2 runs it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCompose {
    /// The Compose files, one path or a list, relative to this file; later ones go before earlier ones.
    /// Relative paths in them start at the folder of the first one.
    pub(crate) files: Field<OneOrMany<String>>,
    /// The project's name on the engine: lower-case letters, digits, `-` and `_`. Default: the project and the
    /// service, `shop-stack`.
    #[serde(default)]
    pub(crate) project_name: Option<Field<String>>,
    /// The profiles of the Compose file that are on.
    #[serde(default)]
    pub(crate) profiles: Option<Field<Vec<Field<String>>>>,
    /// Files with values for the variables of the Compose file, one path or a list, relative to this file.
    /// Default: `.env` beside the first Compose file, where there is one.
    #[serde(default)]
    pub(crate) env_file: Option<Field<OneOrMany<String>>>,
    /// Values for the variables of the Compose file: a map, or a list of `NAME=value`. They go before those of
    /// orch's own environment, which it gets too, and of `env_file`. A name alone takes the value from the
    /// environment of orch.
    #[serde(default)]
    pub(crate) env: Option<Field<Pairs>>,
    /// Whether images are built at each change (`true`) or never (`false`). Default: where they are missing.
    #[serde(default)]
    pub(crate) build: Option<Field<bool>>,
    /// When images are pulled: `always` (at each change), `missing` or `never`. Default: as the Compose file says.
    #[serde(default)]
    pub(crate) pull: Option<Field<ComposePull>>,
    /// The services of the Compose file that are brought up, with those that they depend on. Default: all.
    #[serde(default)]
    pub(crate) services: Option<Field<Vec<Field<String>>>>,
    /// The services of the Compose file that must be running, and healthy where they have a health check, for
    /// this one to be well. Default: all that are brought up.
    #[serde(default)]
    pub(crate) gate: Option<Field<Vec<Field<String>>>>,
    /// Whether containers of the project are removed whose service the Compose file no longer has, or whose
    /// profile is off. Default: true.
    #[serde(default)]
    pub(crate) remove_orphans: Option<Field<bool>>,
    /// Whether the project's volumes are removed, with what they hold, when the service is deleted. Default:
    /// false.
    #[serde(default)]
    pub(crate) remove_volumes: Option<Field<bool>>,
    /// How long all of it may take to be well: seconds or a duration. Default: the service's `timeout`.
    #[serde(default)]
    pub(crate) wait_timeout: Option<Field<Period>>,
}
