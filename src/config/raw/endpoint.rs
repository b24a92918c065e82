//! Endpoints: where a service can be reached.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::{Field, Short};

/// Where a service can be reached.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawEndpoint {
    /// The port that the service listens on; of a container, the port inside it.
    pub(crate) port: Field<u16>,
    /// The path of its URL, `/v1`. Default: none.
    #[serde(default)]
    pub(crate) path: Option<Field<String>>,
    /// The scheme of its URL. Default: `http`.
    #[serde(default)]
    pub(crate) scheme: Option<Field<String>>,
    /// The host by which it is reached. Default: what the backend says; `localhost` for what runs on this machine.
    #[serde(default)]
    pub(crate) host: Option<Field<String>>,
    /// The part of the service that has the port, where its backend runs several: the name of a Compose service or
    /// of a Kubernetes service.
    #[serde(default)]
    pub(crate) service: Option<Field<String>>,
    /// Whether a port of this machine is forwarded to it, where it cannot be reached otherwise: `true`, or a map with
    /// more. Default: false.
    #[serde(default)]
    pub(crate) port_forward: Option<Field<Short<bool, RawPortForward>>>,
}

/// How a port of this machine is forwarded to an endpoint.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawPortForward {
    /// What it leads to: `svc/NAME`, `deployment/NAME` or `pod/NAME`. Default: what the endpoint's `service` names.
    pub(crate) to: Option<Field<String>>,
    /// The port of this machine. Default: one that is free.
    pub(crate) local_port: Option<Field<u16>>,
}
