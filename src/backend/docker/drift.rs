//! How a container differs from what it was made as: only what an engine lets someone change.

use bollard::models::{ContainerInspectResponse, HostConfig, RestartPolicyNameEnum};

use super::inverse::FOREIGN_NETWORK;
use super::labels::{self, Stamp};
use super::{DockerSettings, Known};
use crate::model::{Drift, DriftKind, FieldValue, NetworkUse, ObservedObject, Repair, shown_cpus};

/// Notes on an observed container how it differs from its record, and what brings it back.
pub(super) fn note(
    settings: &DockerSettings,
    found: &ContainerInspectResponse,
    stamp: &Stamp,
    known: Option<&Known>,
    own: bool,
    observed: &mut ObservedObject,
) {
    let Some(known) = known else { return };
    let mut drift = Vec::new();
    let mut config = |detail: String| drift.push(Drift { kind: DriftKind::Config, detail });
    if found.state.as_ref().and_then(|state| state.paused) == Some(true) {
        config("it is paused".to_owned());
    }
    let plain = |path: &str| match known.fields.get(path) {
        Some(FieldValue::Plain(text)) => Some(text.as_str()),
        _ => None,
    };
    let host = found.host_config.as_ref();
    let limits = host.map(limits).unwrap_or_default();
    for ((path, is), unit) in limits.iter().zip([" bytes", "", ""]) {
        let was = plain(path);
        if is.as_deref() != was {
            let shown = |value: Option<&str>| value.map_or("no limit".to_owned(), |value| format!("{value}{unit}"));
            config(format!("{path} is {}, not {} as recorded", shown(is.as_deref()), shown(was)));
        }
    }
    let joined = found.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    // A container that was taken over may be in networks that the file does not have.
    let own_networks = known.fields.iter().filter(|(_, value)| value.to_string() != FOREIGN_NETWORK);
    for name in own_networks.filter_map(|(path, _)| path.strip_prefix("networks.")) {
        let engine_name = labels::shared_name(settings, name);
        let shown = plain(&format!("networks.{name}"));
        let engine_name = shown.and_then(NetworkUse::engine_name_of).unwrap_or(&engine_name);
        if joined.is_none_or(|joined| !joined.contains_key(engine_name)) {
            config(format!("it was taken out of the network {name}"));
        }
    }
    let name = found.name.as_deref().unwrap_or_default().trim_start_matches('/');
    let usual = plain("container_name").map(str::to_owned);
    // A container that was taken over as it is keeps the name that it had.
    let made_by = || made_by(found).filter(|_| own);
    let usual = usual.or_else(|| Some(labels::container_name(settings, &stamp.address, &made_by()?)));
    if let Some(usual) = usual.filter(|usual| usual != name) {
        drift.push(Drift { kind: DriftKind::Identity, detail: format!("it was renamed to {name}, from {usual}") });
    }
    if !drift.is_empty() && observed.is_up() {
        observed.repair = Some(Repair::Update);
    }
    observed.drift.extend(drift);
}

/// The attempt that made a container, which is in its name; a restart records another one.
fn made_by(found: &ContainerInspectResponse) -> Option<crate::model::OpId> {
    let labels = found.config.as_ref()?.labels.as_ref()?;
    Some(crate::model::OpId::new(labels.get(labels::OP)?.as_str()))
}

/// What an engine lets someone change while a container runs, as the fields have it.
fn limits(host: &HostConfig) -> [(&'static str, Option<String>); 3] {
    let memory = host.memory.filter(|memory| *memory > 0).map(|memory| memory.to_string());
    let cpus = host.nano_cpus.filter(|cpus| *cpus > 0).map(shown_cpus);
    let policy = host.restart_policy.as_ref();
    let retries = policy.and_then(|policy| policy.maximum_retry_count).filter(|most| *most > 0);
    let restart = match policy.and_then(|policy| policy.name) {
        Some(RestartPolicyNameEnum::ALWAYS) => "always".to_owned(),
        Some(RestartPolicyNameEnum::UNLESS_STOPPED) => "unless-stopped".to_owned(),
        Some(RestartPolicyNameEnum::ON_FAILURE) => {
            retries.map_or("on-failure".to_owned(), |most| format!("on-failure:{most}"))
        }
        _ => "no".to_owned(),
    };
    [("memory", memory), ("cpus", cpus), ("restart", Some(restart))]
}
