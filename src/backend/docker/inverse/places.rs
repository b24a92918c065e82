//! Where a container is: its ports, what it sees of the disk, the networks that it is in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use bollard::models::{EndpointSettings, IpamConfig, MountPoint};

use super::{Inverse, in_order};
use crate::backend::docker::labels;
use crate::backend::docker::matching::COMPOSE_SERVICE;
use crate::model::{HostPort, Mount, MountSource, NetworkUse, PortMapping, Protocol};

/// What is recorded in the place of the subnet of a network that the file does not have.
pub(in crate::backend::docker) const FOREIGN_NETWORK: &str = "not of this project";

impl Inverse<'_> {
    pub(super) fn ports(&self) -> Vec<PortMapping> {
        let mut found: Vec<PortMapping> = Vec::new();
        for (key, bindings) in self.host.port_bindings.iter().flatten() {
            let Some((container, protocol)) = port_key(key) else { continue };
            for binding in bindings.iter().flatten() {
                let address = binding.host_ip.as_deref().unwrap_or_default().parse().ok();
                let host = host_port(binding.host_port.as_deref().unwrap_or_default());
                found.push(PortMapping { address, host, container, protocol });
            }
        }
        if self.host.publish_all_ports == Some(true) {
            let exposed = self.config.exposed_ports.iter().flatten().filter_map(|key| port_key(key));
            for (container, protocol) in exposed {
                if !found.iter().any(|port| port.container == container && port.protocol == protocol) {
                    found.push(PortMapping { address: None, host: HostPort::Any, container, protocol });
                }
            }
        }
        in_order(&self.wanted.ports, found, PartialEq::eq, |found| found)
    }

    pub(super) fn mounts(&self) -> Vec<Mount> {
        let found = self.found.mounts.iter().flatten().filter_map(|point| self.mount(point));
        let same = |wanted: &Mount, found: &Mount| {
            let source = match (&wanted.source, &found.source) {
                (MountSource::Bind(wanted), MountSource::Bind(found)) => plain_path(wanted) == plain_path(found),
                (wanted, found) => wanted == found,
            };
            source && wanted.read_only == found.read_only && same_path(&wanted.target, &found.target)
        };
        in_order(&self.wanted.mounts, found.collect(), same, |found| found)
    }

    fn mount(&self, point: &MountPoint) -> Option<Mount> {
        let target = point.destination.clone()?;
        let wanted = self.wanted.mounts.iter().find(|mount| same_path(&mount.target, &target));
        let name = point.name.clone().unwrap_or_default();
        let is_unnamed = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let source = match (point.typ.as_deref(), wanted.map(|mount| &mount.source)) {
            (Some("bind"), _) => MountSource::Bind(PathBuf::from(point.source.clone()?)),
            (Some("volume"), Some(MountSource::Volume { name: own, external }))
                if self.volume(own, *external) == name =>
            {
                MountSource::Volume { name: own.clone(), external: *external }
            }
            (Some("volume"), Some(MountSource::Anonymous)) if is_unnamed => MountSource::Anonymous,
            // An image asks for volumes of its own.
            (Some("volume"), _)
                if is_unnamed && self.image.volumes.iter().flatten().any(|of| same_path(of, &target)) =>
            {
                return None;
            }
            (Some("volume"), _) if is_unnamed => MountSource::Anonymous,
            (Some("volume"), _) => match name.strip_prefix(&self.volume("", false)) {
                Some(own) => MountSource::Volume { name: own.to_owned(), external: false },
                None => MountSource::Volume { name, external: true },
            },
            _ => return None,
        };
        Some(Mount { source, target, read_only: point.rw == Some(false) })
    }

    /// What the engine calls a volume of the file.
    fn volume(&self, name: &str, external: bool) -> String {
        if external { name.to_owned() } else { labels::shared_name(self.settings, name) }
    }

    pub(super) fn tmpfs(&self) -> BTreeMap<String, String> {
        let mounted = self.found.mounts.iter().flatten().filter(|point| point.typ.as_deref() == Some("tmpfs"));
        let mounted = mounted.filter_map(|point| Some((point.destination.clone()?, String::new())));
        let listed = self.host.tmpfs.clone().unwrap_or_default();
        mounted.chain(listed).collect()
    }

    /// The networks, by the file's names where the engine's are those that the file's have on it.
    pub(super) fn network_uses(&self) -> Vec<NetworkUse> {
        let settings = self.found.network_settings.as_ref();
        let joined: BTreeMap<&String, &EndpointSettings> =
            settings.and_then(|settings| settings.networks.as_ref()).into_iter().flatten().collect();
        let foreign = |name: &str| NetworkUse {
            name: name.to_owned(),
            engine_name: None,
            subnet: Some(FOREIGN_NETWORK.to_owned()),
            aliases: Vec::new(),
        };
        let mut found: Vec<NetworkUse> = Vec::new();
        let wanted = |engine_name: &str| {
            let is = |network: &&NetworkUse| network.engine_name.as_deref() == Some(engine_name);
            self.wanted.networks.iter().find(is).map(|network| network.name.as_str())
        };
        for (engine_name, endpoint) in joined {
            // A network that has a name of its own in the file is none by its usual name.
            let usual = engine_name.strip_prefix(&labels::shared_name(self.settings, ""));
            let named = |name: &str| self.wanted.networks.iter().any(|of| of.name == name && of.engine_name.is_some());
            match wanted(engine_name).or_else(|| usual.filter(|name| !named(name))) {
                Some(name) => found.push(self.network_use(name, engine_name, endpoint)),
                // Where the file names no network, this is where a container is.
                None if engine_name == "bridge" && self.wanted.networks.is_empty() => {}
                None => found.push(foreign(engine_name)),
            }
        }
        let mode = self.host.network_mode.as_deref().unwrap_or_default();
        if mode.starts_with("container:") {
            found.push(foreign(mode));
        }
        let same = |wanted: &NetworkUse, found: &NetworkUse| wanted == found;
        in_order(&self.wanted.networks, found, same, |found| found)
    }

    fn network_use(&self, name: &str, engine_name: &str, endpoint: &EndpointSettings) -> NetworkUse {
        let wanted = self.wanted.networks.iter().find(|network| network.name == name);
        let aliases: BTreeSet<String> = endpoint.aliases.iter().flatten().cloned().collect();
        let compose = self.config.labels.as_ref().and_then(|labels| labels.get(COMPOSE_SERVICE));
        let hostname = self.config.hostname.as_ref();
        let given = |alias: &String| {
            let usual = hostname == Some(alias)
                || alias == self.name()
                || Some(alias.as_str()) == self.short_id()
                || compose == Some(alias);
            !usual && alias != self.service.as_str()
        };
        let wanted_aliases = wanted.map(|network| network.aliases.as_slice()).unwrap_or_default();
        let own = aliases.iter().filter(|alias| wanted_aliases.contains(alias) || given(alias)).cloned();
        let own = in_order(wanted_aliases, own.collect(), PartialEq::eq, |found| found);
        let subnet = wanted.and_then(|network| network.subnet.clone()).and_then(|subnet| {
            let ipam = self.networks.get(engine_name).and_then(|network| network.ipam.as_ref());
            let parts = ipam.and_then(|ipam| ipam.config.as_deref()).unwrap_or_default();
            subnet_of(Some(subnet), parts)
        });
        let is_named = self.name() == self.service.as_str() || aliases.contains(self.service.as_str());
        let subnet = match (is_named, subnet) {
            (true, subnet) => subnet,
            (false, subnet) => {
                Some(format!("{}, but not as {}", subnet.as_deref().unwrap_or("any subnet"), self.service))
            }
        };
        let engine_name = wanted.and_then(|network| network.engine_name.clone());
        NetworkUse { name: name.to_owned(), engine_name, subnet, aliases: own }
    }
}

/// The subnet of a network: the wanted one where it has that, else its first.
pub(in crate::backend::docker) fn subnet_of(wanted: Option<String>, parts: &[IpamConfig]) -> Option<String> {
    let mut all = parts.iter().filter_map(|part| part.subnet.clone());
    let wanted = wanted?;
    if all.clone().any(|subnet| subnet == wanted) { Some(wanted) } else { all.next() }
}

/// `80/tcp`, as the engine names a port of a container.
fn port_key(key: &str) -> Option<(u16, Protocol)> {
    let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return None,
    };
    Some((port.parse().ok()?, protocol))
}

fn host_port(text: &str) -> HostPort {
    let range = || {
        let (first, last) = text.split_once('-')?;
        Some(HostPort::Range(first.parse().ok()?, last.parse().ok()?))
    };
    match text.parse() {
        Ok(port @ 1..) => HostPort::One(port),
        _ => range().unwrap_or(HostPort::Any),
    }
}

/// A path without `.`, `..` and doubled slashes.
fn plain_path(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

fn same_path(a: &str, b: &str) -> bool {
    plain_path(Path::new(a)) == plain_path(Path::new(b))
}
