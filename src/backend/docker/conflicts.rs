//! What is not orch's and stands in the way of containers that are to be made: a name, a port.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::{ContainerSummary, PortSummaryTypeEnum};

use super::labels;
use super::operate::Site;
use crate::backend::BackendError;
use crate::backend::ports::held;
use crate::model::{Address, Claim, Conflict, Instance, Protocol};

impl Site<'_> {
    /// The conflicts of these instances on this engine. `local` is whether it runs on this machine,
    /// whose listeners are then looked at too.
    pub(super) async fn conflicts(
        self,
        instances: &[&Instance],
        all: &[ContainerSummary],
        local: bool,
    ) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        let (own, foreign): (Vec<_>, Vec<_>) = all.iter().partition(|container| self.owns(container));
        let by_own: BTreeSet<u16> = own.iter().flat_map(|container| ports(container)).map(|(port, _)| port).collect();
        let wanted = instances.iter().flat_map(|instance| instance.service.spec.ports());
        let wanted: BTreeSet<u16> = wanted.filter(|port| !by_own.contains(port)).collect();
        let listening = if local { held(&wanted) } else { Vec::new() };
        let mut found = BTreeMap::new();
        for instance in instances {
            let mut conflicts = BTreeSet::new();
            for claim in instance.service.spec.claims() {
                let holder = match &claim {
                    Claim::Volume(_) | Claim::At { .. } => None,
                    Claim::Name(name) => foreign.iter().find(|container| names(container).any(|other| other == name)),
                    Claim::Port { port, protocol } => {
                        foreign.iter().find(|container| ports(container).any(|other| other == (*port, *protocol)))
                    }
                };
                if let Some(holder) = holder {
                    conflicts.insert(Conflict { what: claim.to_string(), holder: shown(holder) });
                } else if let Claim::Port { port, protocol: Protocol::Tcp } = claim {
                    // What the engine itself listens on for a container was told above.
                    let others = listening.iter().filter(|held| held.port() == port && !held.is_published());
                    conflicts.extend(others.map(|held| Conflict { what: claim.to_string(), holder: held.holder() }));
                }
            }
            if !conflicts.is_empty() {
                found.insert(instance.address.clone(), conflicts.into_iter().collect());
            }
        }
        Ok(found)
    }

    fn owns(self, container: &ContainerSummary) -> bool {
        let labelled = container.labels.as_ref().is_some_and(|found| labels::is_own(self.settings, found));
        let id = container.id.as_deref().unwrap_or_default();
        labelled || self.settings.known.keys().any(|known| known.as_str().ends_with(&format!("container/{id}")))
    }
}

/// The ports of its host that a container has.
pub(in crate::backend) fn ports(container: &ContainerSummary) -> impl Iterator<Item = (u16, Protocol)> {
    container.ports.iter().flatten().filter_map(|port| {
        let protocol = match port.typ {
            Some(PortSummaryTypeEnum::UDP) => Protocol::Udp,
            Some(PortSummaryTypeEnum::SCTP) => Protocol::Sctp,
            _ => Protocol::Tcp,
        };
        Some((port.public_port?, protocol))
    })
}

/// The names of a container.
pub(in crate::backend) fn names(container: &ContainerSummary) -> impl Iterator<Item = &str> {
    container.names.iter().flatten().map(|name| name.trim_start_matches('/'))
}

fn shown(container: &ContainerSummary) -> String {
    let name = names(container).next().unwrap_or_default();
    format!("the container {name} ({})", container.image.as_deref().unwrap_or_default())
}
