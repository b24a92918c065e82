//! A service, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Delay, Period, RawAmount, RawBackend, RawCheck, RawEndpoint, RawStrategy};
use crate::config::field::{Entries, Field, Names, OneOrMany, Short};
use crate::model::{Condition, Kind};

/// A service: what runs it, what it needs, how it is known to be well.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = {"required": ["backends"]},
    "then" = {"not": {"required": ["backend"]}},
    "else" = {"required": ["backend"]}
))]
pub(crate) struct RawService {
    /// What it is for.
    #[serde(default)]
    #[expect(dead_code, reason = "it is for whoever reads the file, and it is checked to be a text")]
    pub(crate) description: Option<Field<String>>,
    /// How long it is meant to run: `permanent` until it is stopped, `job` to completion,
    /// `periodic` whenever its schedule says. Default: `permanent`; with a schedule `periodic`.
    #[serde(default)]
    pub(crate) kind: Option<Field<Kind>>,
    /// What runs it.
    #[serde(default)]
    pub(crate) backend: Field<RawBackend>,
    /// What runs it in each deployment, by the deployment's name, in the place of `backend`; `settings.deployment`
    /// chooses one.
    #[serde(default)]
    pub(crate) backends: Option<Field<Entries<RawBackend>>>,
    /// Where it can be reached, by name: a port, or a map with more. Others use `${service:NAME.ENDPOINT.url}`, and
    /// `.host`, `.port` and `.authority`.
    #[serde(default)]
    pub(crate) endpoints: Option<Field<Entries<Short<u16, RawEndpoint>>>>,
    /// The services that it needs: a list of names, or a map from names to conditions.
    #[serde(default)]
    pub(crate) dependencies: Option<Field<Names<RawDependency>>>,
    /// How it is known to be well: one check or a list of them, which must all pass.
    #[serde(default)]
    pub(crate) health_check: Option<Field<OneOrMany<RawCheck>>>,
    /// The profiles that it is a part of. Without any it is always active, else only when one of them
    /// is asked for with `--profile`.
    #[serde(default)]
    pub(crate) profiles: Option<Field<Vec<Field<String>>>>,
    /// Rules about its life.
    #[serde(default)]
    pub(crate) lifecycle: Option<Field<RawLifecycle>>,
    /// Files (`*`, `?` and `**` are allowed) whose change reruns a job or restarts a service; relative to
    /// this one.
    #[serde(default)]
    pub(crate) triggers: Option<Field<Vec<Field<String>>>>,
    /// The name that it had before, so that what runs is kept under the new one.
    #[serde(default)]
    pub(crate) renamed_from: Option<Field<String>>,
    /// How long a step on it may take, its gate included: seconds or a duration. Default:
    /// `settings.default_timeout`.
    #[serde(default)]
    pub(crate) timeout: Option<Field<Period>>,
    /// How long it must keep running to count as started, where it has no check: seconds or a
    /// duration. Default: 300 ms.
    #[serde(default)]
    pub(crate) settle: Option<Field<Delay>>,
    /// How many copies run, 1 to 1000; only containers have replicas. Each has a port of its own of a
    /// range of host ports. Default: one copy without a number.
    #[serde(default)]
    pub(crate) replicas: Option<Field<u32>>,
    /// How a change goes over its copies, on hosts or as replicas: how many are changed at once, or a map
    /// with more.
    #[serde(default)]
    pub(crate) strategy: Option<Field<Short<OneOrMany<RawAmount>, RawStrategy>>>,
    /// The network that it is in.
    #[serde(default)]
    pub(crate) network: Option<Field<String>>,
}

/// What there is to say about a dependency.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawDependency {
    /// What it must have reached. Default: `completed` for a job, `healthy` where it has a check, else
    /// `started`.
    pub(crate) condition: Option<Field<Condition>>,
    /// Whether this service restarts when the dependency restarts or is replaced. Default: false.
    pub(crate) restart: Option<Field<bool>>,
}

/// Rules about a service's life.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawLifecycle {
    /// No plan may delete or replace it. Default: false.
    pub(crate) prevent_destroy: Option<Field<bool>>,
    /// Fields of its definition (`env.PORT`, or `env` for all of them) whose changes are not acted on.
    pub(crate) ignore_changes: Option<Field<Vec<Field<String>>>>,
    /// Services whose replace or restart replaces this one.
    pub(crate) replace_triggered_by: Option<Field<Vec<Field<String>>>>,
    /// Whether a replace brings the new one up, behind its gate, before the old one goes. Default: true for
    /// a container that shares no host port, volume or name with the old one, else false.
    pub(crate) create_before_destroy: Option<Field<bool>>,
}
