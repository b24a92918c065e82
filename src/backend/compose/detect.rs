//! Which container stands for a service of a Compose project, and what is in a project's way.

use bollard::models::ContainerSummary;

use super::look::{COMPOSE_PROJECT, COMPOSE_SERVICE};
use super::{ComposeBackend, stamp};
use crate::backend::docker::{names, ports};
use crate::backend::ports::held;
use crate::model::{ComposeService, ComposeSpec, Conflict, Protocol};

/// The label by which a container that Compose did not make says which service of which project it stands for:
/// `PROJECT/SERVICE`.
const CUSTOM: &str = "orch.compose.service";

/// How a container was found to stand for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FoundBy {
    /// Compose's own labels.
    ComposeLabels,
    /// Its name.
    Name,
    /// A label that was put on it for that.
    CustomLabel,
    /// A port of the host that the service publishes.
    Port,
}

/// The container that stands for a service: by Compose's labels, else by its name, else by a label for that, else
/// by a port that it publishes.
pub(super) fn find<'c>(
    project: &str,
    name: &str,
    service: Option<&ComposeService>,
    all: &'c [ContainerSummary],
) -> Option<(FoundBy, &'c ContainerSummary)> {
    let label = |container: &ContainerSummary, label: &str| container.labels.as_ref()?.get(label).cloned();
    let fixed =
        service.and_then(|service| service.made_from.get("container_name")).map(|name| name.reveal().to_owned());
    let usual = [Some(format!("{project}-{name}-1")), Some(format!("{project}_{name}_1")), fixed];
    let by = |container: &ContainerSummary| {
        if label(container, COMPOSE_PROJECT).as_deref() == Some(project)
            && label(container, COMPOSE_SERVICE).as_deref() == Some(name)
        {
            return Some(FoundBy::ComposeLabels);
        }
        let is_named = usual.iter().flatten().any(|usual| names(container).any(|own| own == usual));
        let is_labelled = || label(container, CUSTOM) == Some(format!("{project}/{name}"));
        let publishes = || service.is_some_and(|service| ports(container).any(|port| service.ports.contains(&port)));
        match (is_named, is_labelled()) {
            (true, _) => Some(FoundBy::Name),
            (false, true) => Some(FoundBy::CustomLabel),
            (false, false) => publishes().then_some(FoundBy::Port),
        }
    };
    all.iter().filter_map(|container| Some((by(container)?, container))).min_by_key(|(by, _)| *by)
}

impl ComposeBackend {
    /// What a project that is not up would meet: one of its name, containers that stand for its services, and
    /// programs that have its ports.
    pub(super) fn in_the_way(&self, spec: &ComposeSpec, all: &[ContainerSummary], local: bool) -> Vec<Conflict> {
        let project = spec.project_name.as_str();
        let of_project = |container: &&ContainerSummary| {
            container.labels.as_ref().and_then(|labels| labels.get(COMPOSE_PROJECT)).map(String::as_str)
                == Some(project)
        };
        let mine: Vec<&ContainerSummary> = all.iter().filter(of_project).collect();
        let labelled = |container: &&ContainerSummary| {
            container.labels.as_ref().is_some_and(|labels| stamp::is_own(&self.settings, labels))
        };
        let owned = self.known(project).is_some() || mine.iter().any(labelled);
        let mut conflicts = Vec::new();
        if let (false, Some(first)) = (owned, mine.first()) {
            let what = format!("the Compose project {project}");
            conflicts.push(Conflict { what, holder: format!("containers such as {}", shown(first)) });
        }
        let mut ports_told = Vec::new();
        for (name, service) in spec.wanted() {
            if let Some((by, container)) = find(project, name, Some(service), all)
                && by != FoundBy::ComposeLabels
            {
                let what = match by {
                    FoundBy::Port => "a port that it publishes",
                    _ => "its container's name",
                };
                conflicts.push(Conflict { what: format!("{name}: {what}"), holder: shown(container) });
                ports_told.extend(ports(container).map(|(port, _)| port));
            }
        }
        if local {
            let wanted = spec.wanted().into_values().flat_map(|service| &service.ports);
            let published: Vec<u16> =
                mine.iter().flat_map(|container| ports(container)).map(|(port, _)| port).collect();
            let wanted = wanted.filter(|(port, protocol)| *protocol == Protocol::Tcp && !published.contains(port));
            let wanted = wanted.map(|(port, _)| *port).filter(|port| !ports_told.contains(port)).collect();
            let others = held(&wanted).into_iter().filter(|held| !held.is_published());
            conflicts
                .extend(others.map(|held| Conflict { what: format!("port {}", held.port()), holder: held.holder() }));
        }
        conflicts.sort();
        conflicts.dedup();
        conflicts
    }
}

fn shown(container: &ContainerSummary) -> String {
    format!("the container {}", names(container).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use bollard::models::PortSummary;

    use super::*;

    fn container(name: &str, labels: &[(&str, &str)], port: Option<u16>) -> ContainerSummary {
        let labels: HashMap<String, String> =
            labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        let ports = port.map(|port| vec![PortSummary { public_port: Some(port), ..PortSummary::default() }]);
        ContainerSummary {
            names: Some(vec![format!("/{name}")]),
            labels: Some(labels),
            ports,
            ..ContainerSummary::default()
        }
    }

    #[test]
    fn labels_go_before_names_and_these_before_ports() {
        let service = ComposeService { ports: BTreeSet::from([(8080, Protocol::Tcp)]), ..ComposeService::default() };
        let mut all = vec![
            container("proxy", &[], Some(8080)),
            container("other", &[(CUSTOM, "p/web")], None),
            container("p-web-1", &[], None),
            container("x", &[(COMPOSE_PROJECT, "p"), (COMPOSE_SERVICE, "web")], None),
        ];
        for wanted in [FoundBy::ComposeLabels, FoundBy::Name, FoundBy::CustomLabel, FoundBy::Port] {
            let (by, container) = find("p", "web", Some(&service), &all).unwrap();
            assert_eq!((by, container.names.as_ref()), (wanted, all.last().unwrap().names.as_ref()));
            all.pop();
        }
        assert!(find("p", "web", Some(&service), &all).is_none());
        assert!(find("p", "web", None, &[container("web", &[], Some(8080))]).is_none(), "a part of a name is no name");
    }
}
