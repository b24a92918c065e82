//! The file as it is written, before defaults and checks; the JSON Schema is made from these types.

mod backend;
mod check;
mod compose;
mod docker;
mod endpoint;
mod engine;
mod helm;
mod host;
mod kubernetes;
mod port;
mod remote;
mod scalar;
mod service;
mod strategy;
mod unit;

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

pub(crate) use backend::{RawBackend, RawLog, RawProcess, RawRestart};
pub(crate) use check::{RawBackendCheck, RawBody, RawCheck};
pub(crate) use compose::RawCompose;
pub(crate) use docker::{AnyMount, RawDocker, RawJoin, RawMount, RawUlimit};
pub(crate) use endpoint::{RawEndpoint, RawPortForward};
pub(crate) use engine::{Cpus, EngineRestart, EngineSignal, EngineSize, GpuCount, Pull, VolumeText};
pub(crate) use helm::RawHelm;
pub(crate) use host::{RawHost, RawMachine};
pub(crate) use kubernetes::RawKubernetes;
pub(crate) use port::Ports;
pub(crate) use remote::{RawPackage, RawSsh};
pub(crate) use scalar::{ByteSize, Delay, Period, Signal};
pub(crate) use service::{RawDependency, RawLifecycle, RawService};
pub(crate) use strategy::{RawAmount, RawStrategy};
pub(crate) use unit::{RawExec, RawHostFile, RawSchedule, RawSystemd, ServiceType, UnitRestart};

use super::de::Planned;
use super::field::{Entries, Field, RawText, scalar_schema};
use crate::model::OnFailure;

/// Variants that later versions have.
pub(crate) const PLANNED: &[Planned] = &[Planned {
    of: "RawMount",
    variants: &["tmpfs", "npipe", "cluster", "image"],
    message: "is not a kind of volume that orch knows",
    help: "use `bind` or `volume`; a folder in memory stands under the key `tmpfs`",
}];

/// The services of a project: what runs, in which order, and how it is known to be well.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "orch configuration")]
pub(crate) struct RawFile {
    /// The version of the file format: `"1.0"`, which is also the default.
    pub(crate) version: Option<Field<String>>,
    /// The project's name: letters, digits, `_`, `-` and `.`, at most 63. Default: the name of the
    /// folder that the first file is in.
    pub(crate) project: Option<Field<String>>,
    /// Settings of the whole project.
    pub(crate) settings: Option<Field<RawSettings>>,
    /// Variables that the file uses as `${var:NAME}`, by name.
    ///
    /// They are read before everything else, since the rest is read with their values.
    #[schemars(with = "BTreeMap<String, RawVariable>")]
    pub(crate) variables: Option<IgnoredAny>,
    /// Machines that services run on, by name: an address, a list of names that makes a group, or a map.
    pub(crate) hosts: Option<Field<Entries<RawHost>>>,
    /// Networks that services are in, by name. One of type `lan` that a container is in is made before the
    /// container, belongs to the project and goes with it.
    pub(crate) networks: Option<Field<Entries<RawNetwork>>>,
    /// The services, by name: letters, digits, `_`, `-` and `.`, at most 63.
    pub(crate) services: Option<Field<Entries<RawService>>>,
}

/// Settings of the whole project.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawSettings {
    /// The folder for state, journal, lock and runs, relative to the first file. Default: `.orch`.
    pub(crate) state_dir: Option<Field<String>>,
    /// How many steps run at once, 1 to 1000. Default: 4.
    pub(crate) max_parallel: Option<Field<u32>>,
    /// How long a step may take where its service does not say: seconds or a duration such as `5m`.
    /// Default: 300 seconds.
    pub(crate) default_timeout: Option<Field<Period>>,
    /// What happens when a step fails. Default: `rollback`.
    pub(crate) on_failure: Option<Field<OnFailure>>,
    /// Which of their `backends` services run on; `--deployment` and `ORCH_DEPLOYMENT` go before it.
    pub(crate) deployment: Option<Field<String>>,
}

/// A variable: its value is given outside the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawVariable {
    /// The value where none is given. A variable without a default must be given one.
    pub(crate) default: Option<Field<RawText>>,
    /// What it is for.
    pub(crate) description: Option<Field<String>>,
    /// Whether its value is a secret, which no output, plan or state may hold. Default: false.
    pub(crate) sensitive: Option<Field<bool>>,
    /// A regular expression that the whole value must match.
    pub(crate) pattern: Option<Field<String>>,
}

/// A network that services are in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(tag = "type")]
pub(crate) enum RawNetwork {
    /// A local network.
    Lan(RawLan),
    /// A WireGuard network.
    Wireguard(RawWireguard),
}

/// A local network.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLan {
    /// The subnet, an address and a prefix length: `192.168.1.0/24`. A service on a host whose address is
    /// outside is an error. Default: the engine chooses one.
    #[serde(default)]
    pub(crate) subnet: Option<Field<String>>,
    /// What the engine calls it. Default: `PROJECT_NAME`.
    #[serde(default)]
    pub(crate) name: Option<Field<String>>,
    /// Whether others make and keep it; it is then found by `name`, or by its name here. Default: false.
    #[serde(default)]
    pub(crate) external: Option<Field<bool>>,
}

/// A WireGuard network.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawWireguard {
    /// Its configuration file, relative to this file; the interface is named like the file, without `.conf`.
    /// It is brought up before what is in the network.
    pub(crate) config: Field<String>,
}

/// The JSON Schema of a configuration file.
#[must_use]
pub fn schema() -> Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(AsWritten);
    let mut schema = settings.into_generator().into_root_schema_for::<RawFile>();
    let definitions = schema.get_mut("$defs").and_then(Value::as_object_mut);
    for definition in definitions.into_iter().flat_map(|definitions| definitions.values_mut()) {
        if is_choice(definition) {
            let title = definition.get("description").cloned();
            *definition = json!({"anyOf": [definition, interpolated()]});
            if let Some(title) = title {
                definition["description"] = title;
            }
        }
    }
    schema
}

/// Applies [`as_written`] from the inside out, so that what it adds is not transformed again.
#[derive(Debug, Clone)]
struct AsWritten;

impl Transform for AsWritten {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        as_written(schema);
    }
}

/// Brings what is derived from the Rust types to what the loader takes: `x-` keys, `${...}` in the
/// place of a number, any scalar in the place of a text, and nothing in the place of what may be absent.
fn as_written(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.get("additionalProperties") == Some(&Value::Bool(false)) {
        object.insert("patternProperties".into(), json!({"^x-": true}));
    }
    let nullable = matches!(object.get("type"), Some(Value::Array(types)) if types.contains(&json!("null")));
    let types: Vec<String> = match object.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => return,
    };
    let is = |name: &str| types.iter().any(|kind| kind == name);
    let fixed = ["const", "enum", "pattern", "x-any"].iter().any(|key| object.contains_key(*key));
    if is("string") && types.len() <= 2 && !is("number") && !fixed {
        let mut any = scalar_schema();
        if let (true, Some(Value::Array(types))) = (nullable, any.get_mut("type")) {
            types.push(json!("null"));
        }
        object.extend(any.ensure_object().clone());
    } else if (is("integer") || is("boolean")) && !is("string") {
        // Limits and format stay with the number; what describes the field stays outside.
        let mut inner = serde_json::Map::new();
        for key in ["type", "format", "minimum", "maximum"] {
            if let Some(value) = object.remove(key) {
                inner.insert(key.into(), value);
            }
        }
        object.insert("anyOf".into(), json!([inner, interpolated()]));
    }
}

/// A text that becomes a value when `${...}` is put in.
fn interpolated() -> Value {
    json!({"type": "string", "pattern": r"\$\{"})
}

/// Whether a schema is a choice among fixed texts.
fn is_choice(schema: &Value) -> bool {
    let fixed = |schema: &Value| schema.get("const").is_some_and(Value::is_string) || schema.get("enum").is_some();
    fixed(schema) || schema.get("oneOf").and_then(Value::as_array).is_some_and(|list| list.iter().all(fixed))
}
