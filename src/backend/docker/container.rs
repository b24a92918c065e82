//! A container's definition as the engine's API takes it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, DeviceRequest, EndpointSettings, HealthConfig, HostConfig,
    Mount as EngineMount, MountType, MountVolumeOptions, NetworkingConfig, PortBinding, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum,
};

use super::{DockerSettings, labels};
use crate::model::{
    DockerSpec, EngineCheck, Gpus, HostPort, Mount, MountSource, NetworkUse, PortMapping, RestartRule, ServiceName,
    Text,
};

/// The container of a service, from an image that the engine has.
pub(super) fn body(
    settings: &DockerSettings,
    spec: &DockerSpec,
    service: &ServiceName,
    image: String,
    stamps: HashMap<String, String>,
) -> ContainerCreateBody {
    let reveal = |text: &Text| text.reveal().to_owned();
    let list = |texts: &Vec<Text>| texts.iter().map(reveal).collect::<Vec<String>>();
    let mut labels: HashMap<String, String> =
        spec.labels.iter().map(|(name, value)| (name.clone(), reveal(value))).collect();
    labels.extend(stamps);
    let env = spec.env.iter().map(|(name, value)| format!("{name}={}", value.reveal())).collect();
    let exposed = spec.ports.iter().map(port_key).collect();
    let anonymous = spec.mounts.iter().filter(|mount| mount.source == MountSource::Anonymous);
    ContainerCreateBody {
        image: Some(image),
        cmd: spec.command.as_ref().map(list),
        entrypoint: spec.entrypoint.as_ref().map(list),
        env: Some(env),
        labels: Some(labels),
        exposed_ports: Some(exposed),
        volumes: Some(anonymous.map(|mount| mount.target.clone()).collect()),
        user: spec.user.clone(),
        working_dir: spec.working_dir.clone(),
        hostname: spec.hostname.clone(),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: Some(seconds(spec.stop_timeout)),
        healthcheck: spec.check.as_ref().map(health),
        host_config: Some(host_config(settings, spec)),
        // Engines before API 1.44 take one network here; the others are joined before the start.
        networking_config: spec.networks.first().map(|network| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(
                labels::network_name(settings, &network.name, network.engine_name.as_deref()),
                endpoint(network, service),
            )])),
        }),
        ..ContainerCreateBody::default()
    }
}

fn host_config(settings: &DockerSettings, spec: &DockerSpec) -> HostConfig {
    let first = spec.networks.first();
    let network = first.map(|network| labels::network_name(settings, &network.name, network.engine_name.as_deref()));
    let limits = update(spec);
    HostConfig {
        port_bindings: Some(bindings(&spec.ports)),
        mounts: Some(spec.mounts.iter().filter_map(|mount| engine_mount(settings, mount)).collect()),
        tmpfs: Some(spec.tmpfs.clone().into_iter().collect()),
        network_mode: network,
        init: spec.init.then_some(true),
        readonly_rootfs: Some(spec.read_only),
        cap_add: Some(spec.cap_add.clone()),
        cap_drop: Some(spec.cap_drop.clone()),
        ulimits: Some(spec.ulimits.iter().map(ulimit).collect()),
        device_requests: spec.gpus.as_ref().map(|gpus| vec![device_request(gpus)]),
        shm_size: spec.shm_size.map(whole),
        extra_hosts: Some(spec.extra_hosts.clone()),
        memory: limits.memory,
        memory_swap: limits.memory_swap,
        nano_cpus: limits.nano_cpus,
        restart_policy: limits.restart_policy,
        ..HostConfig::default()
    }
}

/// What of a container can change while it runs.
pub(super) fn update(spec: &DockerSpec) -> ContainerUpdateBody {
    ContainerUpdateBody {
        memory: spec.memory.map(whole),
        // As much swap again, which is the engine's default; an update must say it, or a larger limit
        // would stand against the swap limit that the smaller one gave.
        memory_swap: spec.memory.map(|memory| whole(memory.saturating_mul(2))),
        nano_cpus: spec.nano_cpus,
        restart_policy: Some(restart_policy(spec.restart)),
        ..ContainerUpdateBody::default()
    }
}

pub(super) fn restart_policy(rule: RestartRule) -> RestartPolicy {
    let (name, retries) = match rule {
        RestartRule::No => (RestartPolicyNameEnum::NO, 0),
        RestartRule::Always => (RestartPolicyNameEnum::ALWAYS, 0),
        RestartRule::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, 0),
        RestartRule::OnFailure(most) => (RestartPolicyNameEnum::ON_FAILURE, i64::from(most)),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: Some(retries) }
}

/// How a container takes part in a network: found there by the service's name.
pub(super) fn endpoint(network: &NetworkUse, service: &ServiceName) -> EndpointSettings {
    let mut aliases = vec![service.to_string()];
    aliases.extend(network.aliases.iter().filter(|alias| alias.as_str() != service.as_str()).cloned());
    EndpointSettings { aliases: Some(aliases), ..EndpointSettings::default() }
}

/// `80/tcp`, as the engine names a port of a container.
fn port_key(port: &PortMapping) -> String {
    format!("{}/{}", port.container, port.protocol)
}

fn bindings(ports: &[PortMapping]) -> HashMap<String, Option<Vec<PortBinding>>> {
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in ports {
        let host_port = match port.host {
            HostPort::Any => String::new(),
            HostPort::One(port) => port.to_string(),
            HostPort::Range(first, last) => format!("{first}-{last}"),
        };
        let binding = PortBinding {
            host_ip: Some(port.address.as_ref().map(IpAddr::to_string).unwrap_or_default()),
            host_port: Some(host_port),
        };
        bindings.entry(port_key(port)).or_default().get_or_insert_default().push(binding);
    }
    bindings
}

fn engine_mount(settings: &DockerSettings, mount: &Mount) -> Option<EngineMount> {
    let (typ, source, volume_options) = match &mount.source {
        MountSource::Bind(path) => (MountType::BIND, path.display().to_string(), None),
        MountSource::Volume { name, external: true } => (MountType::VOLUME, name.clone(), None),
        MountSource::Volume { name, external: false } => {
            let options = MountVolumeOptions { labels: Some(labels::owner(settings)), ..MountVolumeOptions::default() };
            (MountType::VOLUME, labels::shared_name(settings, name), Some(options))
        }
        MountSource::Anonymous => return None,
    };
    Some(EngineMount {
        typ: Some(typ),
        source: Some(source),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        volume_options,
        ..EngineMount::default()
    })
}

fn ulimit(limit: &crate::model::Ulimit) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(limit.name.clone()), soft: Some(limit.soft), hard: Some(limit.hard) }
}

fn device_request(gpus: &Gpus) -> DeviceRequest {
    let (count, device_ids) = match gpus {
        Gpus::All => (Some(-1), None),
        Gpus::Count(count) => (Some(i64::from(*count)), None),
        Gpus::Ids(ids) => (None, Some(ids.clone())),
    };
    DeviceRequest { count, device_ids, capabilities: Some(vec![vec!["gpu".to_owned()]]), ..DeviceRequest::default() }
}

pub(super) fn health(check: &EngineCheck) -> HealthConfig {
    let nanos = |duration: Duration| Some(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
    HealthConfig {
        test: Some(check.test.iter().map(|text| text.reveal().to_owned()).collect()),
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        retries: Some(i64::from(check.retries)),
        start_period: nanos(check.start_period),
        start_interval: None,
    }
}

/// Whole seconds, which is all that the engine takes; a part of one counts as one.
pub(super) fn seconds(duration: Duration) -> i64 {
    let whole = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    whole.saturating_add(i64::from(duration.subsec_nanos() > 0))
}

fn whole(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
