//! From a container back to the definition that would make it.
//!
//! The rule for each part: where what the file wants would make what the container has, the answer
//! is the file's own text, so that there is nothing to tell; else it is what the container has beyond
//! its image and the engine's defaults. What the file does not have at all may be secret.

mod command;
mod limits;
mod places;

use std::collections::BTreeMap;

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, HostConfig, ImageConfig, ImageInspect, NetworkInspect,
};

use super::DockerSettings;
use super::local::LocalImage;
use super::reference::Reference;
use crate::model::{DockerSpec, ServiceName, Text};

pub(super) use places::{FOREIGN_NETWORK, subnet_of};

/// A container, what it was made from, and what the file wants in its place.
pub(super) struct Inverse<'a> {
    settings: &'a DockerSettings,
    wanted: &'a DockerSpec,
    service: &'a ServiceName,
    found: &'a ContainerInspectResponse,
    config: ContainerConfig,
    host: HostConfig,
    image: ImageConfig,
    networks: &'a BTreeMap<String, NetworkInspect>,
}

impl<'a> Inverse<'a> {
    /// Takes what the engine says. An image that is gone gives no defaults; of `networks` only those
    /// count that the file gives a subnet.
    pub(super) fn new(
        settings: &'a DockerSettings,
        (service, wanted): (&'a ServiceName, &'a DockerSpec),
        found: &'a ContainerInspectResponse,
        image: Option<&ImageInspect>,
        networks: &'a BTreeMap<String, NetworkInspect>,
    ) -> Self {
        Self {
            settings,
            wanted,
            service,
            found,
            config: found.config.clone().unwrap_or_default(),
            host: found.host_config.clone().unwrap_or_default(),
            image: image.and_then(|image| image.config.clone()).unwrap_or_default(),
            networks,
        }
    }

    /// The definition. What cannot be read back (where the engine is, when to pull, what goes with it) is
    /// taken as it is wanted; `same_image` says whether the image is, under whatever name.
    pub(super) fn spec(&self, same_image: bool) -> DockerSpec {
        let wanted = self.wanted;
        let (entrypoint, command) = self.argv();
        DockerSpec {
            host: wanted.host.clone(),
            image: self.reference(same_image),
            pull_policy: wanted.pull_policy,
            container_name: wanted.container_name.as_ref().map(|_| self.name().to_owned()),
            command,
            entrypoint,
            env: self.env(),
            labels: self.labels(),
            ports: self.ports(),
            mounts: self.mounts(),
            tmpfs: self.tmpfs(),
            networks: self.network_uses(),
            user: self.user(),
            working_dir: self.working_dir(),
            hostname: self.hostname(),
            init: self.host.init == Some(true),
            read_only: self.host.readonly_rootfs == Some(true),
            cap_add: capabilities(&wanted.cap_add, self.host.cap_add.as_deref()),
            cap_drop: capabilities(&wanted.cap_drop, self.host.cap_drop.as_deref()),
            ulimits: self.ulimits(),
            memory: self.memory(),
            nano_cpus: self.nano_cpus(),
            gpus: self.gpus(),
            shm_size: self.shm_size(),
            extra_hosts: self.extra_hosts(),
            restart: self.restart(),
            stop_signal: self.stop_signal(),
            stop_timeout: self.stop_timeout(),
            check: self.check(),
            remove_volumes: wanted.remove_volumes,
        }
    }

    fn name(&self) -> &str {
        self.found.name.as_deref().unwrap_or_default().trim_start_matches('/')
    }

    /// The start of its id, which an engine makes its host name and an alias of.
    fn short_id(&self) -> Option<&str> {
        self.found.id.as_deref()?.get(..12)
    }

    fn reference(&self, same_image: bool) -> String {
        let made_from = self.config.image.as_deref().unwrap_or_default();
        let wanted = Reference::parse(&self.wanted.image);
        let same_name = wanted.is_ok() && wanted == Reference::parse(made_from);
        if same_image || same_name { self.wanted.image.clone() } else { made_from.to_owned() }
    }
}

/// What a container's image is pinned by: as it is wanted where that is the same image, else by the
/// digest in the registry of the wanted name, or by its id.
pub(super) fn pin(wanted: Option<&str>, reference: &str, id: &str, image: Option<&LocalImage>) -> String {
    let Some(image) = image else { return id.to_owned() };
    match (wanted, Reference::parse(reference)) {
        (Some(wanted), _) if image.is(wanted) => wanted.to_owned(),
        (_, Ok(reference)) => image.pin(&reference).to_owned(),
        (_, Err(_)) => id.to_owned(),
    }
}

/// What a container has that a file cannot say, so that a new container would not have it.
pub(super) fn beyond(found: &ContainerInspectResponse) -> Vec<&'static str> {
    let host = found.host_config.clone().unwrap_or_default();
    let config = found.config.clone().unwrap_or_default();
    let any = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty() && text != "private");
    let features = [
        ("privileged", host.privileged == Some(true)),
        ("devices", host.devices.as_ref().is_some_and(|list| !list.is_empty())),
        ("pid", set(&host.pid_mode)),
        ("ipc", set(&host.ipc_mode.clone().filter(|mode| mode != "shareable"))),
        ("userns_mode", set(&host.userns_mode)),
        ("security_opt", any(&host.security_opt)),
        ("sysctls", host.sysctls.as_ref().is_some_and(|all| !all.is_empty())),
        ("dns", any(&host.dns)),
        ("group_add", any(&host.group_add)),
        ("links", any(&host.links)),
        ("volumes_from", any(&host.volumes_from)),
        ("domainname", set(&config.domainname)),
        ("tty", config.tty == Some(true)),
        ("cpuset", set(&host.cpuset_cpus)),
        ("pids_limit", host.pids_limit.is_some_and(|most| most > 0)),
    ];
    features.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

/// What a container has, in the words and the order of the file where it is the same; the rest after it.
fn in_order<W: Clone, O: Ord>(
    wanted: &[W],
    mut observed: Vec<O>,
    same: impl Fn(&W, &O) -> bool,
    other: impl Fn(O) -> W,
) -> Vec<W> {
    let mut ordered = Vec::with_capacity(observed.len());
    for one in wanted {
        if let Some(place) = observed.iter().position(|found| same(one, found)) {
            observed.swap_remove(place);
            ordered.push(one.clone());
        }
    }
    observed.sort();
    ordered.extend(observed.into_iter().map(other));
    ordered
}

/// Capabilities are the same with and without `CAP_`, in any case.
fn capabilities(wanted: &[String], observed: Option<&[String]>) -> Vec<String> {
    let plain = |name: &str| name.to_uppercase().trim_start_matches("CAP_").to_owned();
    in_order(wanted, observed.unwrap_or_default().to_vec(), |a, b| plain(a) == plain(b), |found| found)
}

/// A text in the place of one that the file has: as secret as that one.
fn text(wanted: Option<&Text>, observed: &str) -> Text {
    match wanted {
        Some(wanted) if wanted.reveal() == observed => wanted.clone(),
        Some(wanted) if !wanted.is_sensitive() => Text::plain(observed),
        _ => Text::sensitive(observed),
    }
}

/// A list of texts, as [`text`].
fn texts(wanted: Option<&[Text]>, observed: &[String]) -> Vec<Text> {
    match wanted {
        Some(wanted) if wanted.iter().map(Text::reveal).eq(observed.iter().map(String::as_str)) => wanted.to_vec(),
        Some(wanted) if !wanted.iter().any(Text::is_sensitive) => {
            observed.iter().map(|text| Text::plain(text.as_str())).collect()
        }
        _ => observed.iter().map(|text| Text::sensitive(text.as_str())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::DeviceRequest;

    use super::*;
    use crate::model::{Gpus, NetworkUse, ProjectName};

    fn settings() -> DockerSettings {
        DockerSettings {
            project: ProjectName::new("shop").expect("a name"),
            scope: "here".to_owned(),
            env: BTreeMap::new(),
            hosts: Default::default(),
            known: BTreeMap::new(),
            pending: BTreeMap::new(),
        }
    }

    /// What is read of a container where the file wants only an image.
    fn read(wanted: &DockerSpec, found: &ContainerInspectResponse) -> DockerSpec {
        let (settings, service) = (settings(), ServiceName::new("web").expect("a name"));
        Inverse::new(&settings, (&service, wanted), found, None, &BTreeMap::new()).spec(true)
    }

    #[test]
    fn graphics_processors_are_read_from_any_clients_request() {
        let gpus = |count, ids: &[&str]| {
            let request = DeviceRequest {
                driver: Some("nvidia".to_owned()),
                count,
                device_ids: Some(ids.iter().map(|id| (*id).to_owned()).collect()),
                capabilities: Some(vec![vec!["gpu".to_owned(), "utility".to_owned()]]),
                ..DeviceRequest::default()
            };
            let host = HostConfig { device_requests: Some(vec![request]), ..HostConfig::default() };
            let found = ContainerInspectResponse { host_config: Some(host), ..ContainerInspectResponse::default() };
            let ids = vec!["b".to_owned(), "a".to_owned()];
            read(&DockerSpec { gpus: Some(Gpus::Ids(ids)), ..DockerSpec::new("x") }, &found).gpus
        };
        assert_eq!(gpus(Some(-1), &[]), Some(Gpus::All));
        assert_eq!(gpus(Some(2), &[]), Some(Gpus::Count(2)));
        assert_eq!(gpus(None, &["a", "b"]), Some(Gpus::Ids(vec!["b".to_owned(), "a".to_owned()])));
        assert_eq!(read(&DockerSpec::new("x"), &ContainerInspectResponse::default()).gpus, None);
    }

    #[test]
    fn other_clients_ways_of_saying_the_same_are_read_as_the_same() {
        let host = HostConfig {
            cpu_quota: Some(50_000),
            cpu_period: Some(100_000),
            extra_hosts: Some(vec!["db=10.0.0.1".to_owned()]),
            network_mode: Some("container:abc".to_owned()),
            ..HostConfig::default()
        };
        let found = ContainerInspectResponse { host_config: Some(host), ..ContainerInspectResponse::default() };
        let spec = read(&DockerSpec::new("x"), &found);
        assert_eq!((spec.nano_cpus, spec.extra_hosts), (Some(500_000_000), vec!["db:10.0.0.1".to_owned()]));
        let foreign = NetworkUse {
            name: "container:abc".to_owned(),
            engine_name: None,
            subnet: Some(FOREIGN_NETWORK.to_owned()),
            aliases: Vec::new(),
        };
        assert_eq!(spec.networks, [foreign]);
    }

    #[test]
    fn what_the_file_does_not_have_may_be_secret() {
        let config = ContainerConfig {
            env: Some(vec!["PASS=hunter22".to_owned()]),
            cmd: Some(vec!["--key=hunter22".to_owned()]),
            labels: Some([("auth".to_owned(), "hunter22".to_owned())].into()),
            ..ContainerConfig::default()
        };
        let found = ContainerInspectResponse { config: Some(config), ..ContainerInspectResponse::default() };
        let spec = read(&DockerSpec::new("x"), &found);
        assert!(spec.env["PASS"].is_sensitive() && spec.labels["auth"].is_sensitive());
        assert!(spec.command.is_some_and(|list| list.iter().all(Text::is_sensitive)));
    }
}
