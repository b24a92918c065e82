//! Containers and networks that are not orch's and could be its instances.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum as State, ImageInspect, NetworkInspect,
    PortSummaryTypeEnum,
};

use super::error::{failed, is_missing};
use super::inverse::{self, Inverse, subnet_of};
use super::local::LocalImage;
use super::matching::{Matches, Seeker, View, matches};
use super::object::{Object, ObjectKind};
use super::operate::Site;
use super::{DockerBackend, labels, network};
use crate::backend::{BackendError, Candidate, Candidates, Unclear};
use crate::model::{Address, DockerSpec, Instance, NetworkSpec, Protocol, Spec};

impl DockerBackend {
    /// As [`Observer::candidates`](crate::backend::Observer::candidates) says, engine by engine.
    pub(super) async fn adoptable(
        &self,
        instances: &[&Instance],
        named: &BTreeMap<Address, String>,
    ) -> Result<Candidates, BackendError> {
        let mut by_host: BTreeMap<Option<&str>, Vec<&Instance>> = BTreeMap::new();
        for instance in instances {
            match &instance.service.spec {
                Spec::Docker(spec) => by_host.entry(spec.host.as_deref()).or_default().push(instance),
                Spec::Network(spec) => by_host.entry(spec.host.as_deref()).or_default().push(instance),
                _ => {}
            }
        }
        let mut all = Candidates::default();
        for (host, instances) in by_host {
            let engine = self.engines.get(host).await?;
            let site = Site { engine: &engine, settings: &self.settings };
            let search = Search { site, host, networks: site.networks(&instances).await? };
            let Candidates { found, unclear } = search.run(&instances, named).await?;
            all.found.extend(found);
            all.unclear.extend(unclear);
        }
        Ok(all)
    }
}

impl Site<'_> {
    /// The engine's networks that have the names of these instances' networks, by name.
    async fn networks(self, instances: &[&Instance]) -> Result<BTreeMap<String, NetworkInspect>, BackendError> {
        let named = instances.iter().flat_map(|instance| match &instance.service.spec {
            Spec::Docker(spec) => {
                spec.networks.iter().map(|network| (network.name.as_str(), network.engine_name.as_deref())).collect()
            }
            Spec::Network(spec) => vec![(spec.name.as_str(), spec.engine_name.as_deref())],
            _ => Vec::new(),
        });
        let names: BTreeSet<String> = named.map(|(name, own)| labels::network_name(self.settings, name, own)).collect();
        let mut networks = BTreeMap::new();
        for name in names {
            if let Some(found) = network::inspect(self.engine, &name).await? {
                networks.insert(name, found);
            }
        }
        Ok(networks)
    }

    /// The image of a container; `None` when it is gone.
    async fn image(self, id: &str) -> Result<Option<ImageInspect>, BackendError> {
        match self.engine.inspect_image(id).await {
            Ok(image) => Ok(Some(image)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed("look at an image", &error)),
        }
    }

    /// Whether labels, or what is recorded, say that something is this state folder's.
    fn is_orchs(self, host: Option<&str>, kind: ObjectKind, id: &str, found: Option<&HashMap<String, String>>) -> bool {
        let object = Object { host: host.map(str::to_owned), kind, id: id.to_owned() };
        found.is_some_and(|found| labels::is_own(self.settings, found))
            || self.settings.known.contains_key(&object.object_id())
    }
}

/// A search on one engine.
struct Search<'a> {
    site: Site<'a>,
    host: Option<&'a str>,
    networks: BTreeMap<String, NetworkInspect>,
}

impl Search<'_> {
    async fn run(
        &self,
        instances: &[&Instance],
        named: &BTreeMap<Address, String>,
    ) -> Result<Candidates, BackendError> {
        let mut all = Candidates::default();
        let mut given = BTreeSet::new();
        for instance in instances {
            match (&instance.service.spec, named.get(&instance.address)) {
                (Spec::Network(spec), _) => all.found.extend(self.network(instance, spec)),
                (Spec::Docker(spec), Some(name)) => {
                    let found = self.named(name).await?;
                    let id = found.id.clone().unwrap_or_default();
                    if !given.insert(id) {
                        return Err(BackendError::new(format!("the container {name} is named twice"))
                            .with_hint("a container becomes one instance"));
                    }
                    all.found.push(self.candidate(instance, spec, &found, "named by you".to_owned()).await?);
                }
                _ => {}
            }
        }
        let seekers: Vec<(&Instance, &DockerSpec)> = instances
            .iter()
            .filter(|instance| !named.contains_key(&instance.address))
            .filter_map(|instance| match &instance.service.spec {
                Spec::Docker(spec) => Some((*instance, spec.as_ref())),
                _ => None,
            })
            .collect();
        if seekers.is_empty() {
            return Ok(all);
        }
        let mut views = self.views().await?;
        views.retain(|view| !given.contains(&view.id));
        let wanted: Vec<Seeker<'_>> =
            seekers.iter().map(|(instance, spec)| Seeker { address: &instance.address, spec }).collect();
        let Matches { found, unclear } = matches(&self.site.settings.project, &wanted, &views);
        for (instance, spec) in seekers {
            if let Some((place, by)) = found.get(&instance.address) {
                // One that ended in the meantime is no candidate any more.
                if let Some(inspected) = self.site.inspect(&views[*place].id).await? {
                    all.found.push(self.candidate(instance, spec, &inspected, by.clone()).await?);
                }
            }
        }
        all.unclear = unclear
            .into_iter()
            .map(|(address, (matched_by, places))| {
                let names = places.into_iter().map(|place| views[place].name.clone()).collect();
                Unclear { address, matched_by, names }
            })
            .collect();
        Ok(all)
    }

    /// Every container that is up and nobody's yet.
    async fn views(&self) -> Result<Vec<View>, BackendError> {
        let all =
            self.site.engine.list_containers(None).await.map_err(|error| failed("list the containers", &error))?;
        let mut views = Vec::new();
        for container in all {
            let is_up = matches!(container.state, Some(State::RUNNING | State::PAUSED | State::RESTARTING));
            let id = container.id.as_deref().unwrap_or_default();
            if !is_up || self.site.is_orchs(self.host, ObjectKind::Container, id, container.labels.as_ref()) {
                continue;
            }
            let mut view = view(&container);
            // The list has an image's id where its name has moved on to another image.
            if view.image.starts_with("sha256:")
                || container.image_id.as_deref().is_some_and(|id| id.contains(&view.image))
            {
                let found = self.site.inspect(id).await?;
                view.image = found.and_then(|found| found.config?.image).unwrap_or(view.image);
            }
            views.push(view);
        }
        views.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(views)
    }

    /// A container that the user named, by its name or its id.
    async fn named(&self, name: &str) -> Result<ContainerInspectResponse, BackendError> {
        let Some(found) = self.site.inspect(name).await? else {
            return Err(BackendError::new(format!("there is no container {name}"))
                .with_hint("`docker ps` lists the containers that run"));
        };
        let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
        let id = found.id.as_deref().unwrap_or_default();
        let project = labels.and_then(|labels| labels.get(labels::PROJECT));
        if self.site.is_orchs(self.host, ObjectKind::Container, id, labels) {
            return Err(BackendError::new(format!("the container {name} is orch's already"))
                .with_hint("`orch status` shows what it is"));
        }
        if let Some(project) = project.filter(|project| *project != self.site.settings.project.as_str()) {
            return Err(BackendError::new(format!("the container {name} is of orch's project {project}"))
                .with_hint(format!("let go of it there first: `orch state rm`, in the project {project}")));
        }
        if found.state.as_ref().and_then(|state| state.running) != Some(true) {
            return Err(BackendError::new(format!("the container {name} does not run"))
                .with_hint(format!("`docker start {name}` starts it; what does not run is better made anew")));
        }
        Ok(found)
    }

    async fn candidate(
        &self,
        instance: &Instance,
        spec: &DockerSpec,
        found: &ContainerInspectResponse,
        matched_by: String,
    ) -> Result<Candidate, BackendError> {
        let image_id = found.image.as_deref().unwrap_or_default();
        let image = self.site.image(image_id).await?;
        let local = image.clone().map(LocalImage::read);
        let pin = inverse::pin(instance.pin.as_deref(), &spec.image, image_id, local.as_ref());
        let wanted = (&instance.address.service, spec);
        let inverse = Inverse::new(self.site.settings, wanted, found, image.as_ref(), &self.networks);
        let id = found.id.clone().unwrap_or_default();
        let started = found.state.as_ref().and_then(|state| state.started_at.clone());
        Ok(Candidate {
            address: instance.address.clone(),
            matched_by,
            name: found.name.as_deref().unwrap_or_default().trim_start_matches('/').to_owned(),
            incarnation: started,
            spec: Spec::Docker(Box::new(inverse.spec(instance.pin.as_ref() == Some(&pin)))),
            pin: Some(pin),
            beyond: inverse::beyond(found).into_iter().map(str::to_owned).collect(),
            id: self.object(ObjectKind::Container, id).object_id(),
        })
    }

    /// The engine's network of the name that the file's network has there.
    fn network(&self, instance: &Instance, spec: &NetworkSpec) -> Option<Candidate> {
        let name = labels::network_name(self.site.settings, &spec.name, spec.engine_name.as_deref());
        let found = self.networks.get(&name)?;
        let id = found.id.clone()?;
        let of = found.labels.as_ref().and_then(|labels| labels.get(labels::PROJECT));
        let others = of.is_some_and(|of| of != self.site.settings.project.as_str());
        let is_bridge = found.driver.as_deref() == Some("bridge");
        if others || !is_bridge || self.site.is_orchs(self.host, ObjectKind::Network, &id, found.labels.as_ref()) {
            return None;
        }
        let parts = found.ipam.as_ref().and_then(|ipam| ipam.config.as_deref()).unwrap_or_default();
        let subnet = subnet_of(spec.subnet.clone(), parts);
        Some(Candidate {
            address: instance.address.clone(),
            matched_by: format!("name {name}"),
            name,
            incarnation: Some(id.clone()),
            spec: Spec::Network(NetworkSpec { subnet, ..spec.clone() }),
            pin: None,
            beyond: if found.internal == Some(true) { vec!["internal".to_owned()] } else { Vec::new() },
            id: self.object(ObjectKind::Network, id).object_id(),
        })
    }

    fn object(&self, kind: ObjectKind, id: String) -> Object {
        Object { host: self.host.map(str::to_owned), kind, id }
    }
}

fn view(container: &ContainerSummary) -> View {
    let port = |port: &bollard::models::PortSummary| {
        let protocol = match port.typ {
            Some(PortSummaryTypeEnum::UDP) => Protocol::Udp,
            Some(PortSummaryTypeEnum::SCTP) => Protocol::Sctp,
            _ => Protocol::Tcp,
        };
        Some((port.public_port?, protocol))
    };
    let name = container.names.iter().flatten().find(|name| name.matches('/').count() == 1);
    View {
        id: container.id.clone().unwrap_or_default(),
        name: name.map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default(),
        image: container.image.clone().unwrap_or_default(),
        labels: container.labels.clone().unwrap_or_default().into_iter().collect(),
        ports: container.ports.iter().flatten().filter_map(port).collect(),
    }
}
