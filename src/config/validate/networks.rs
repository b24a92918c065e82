//! The networks that services are in become services of their own, which come first and go last.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reach;
use crate::config::diagnostic::{Diagnostic, Report, shorten};
use crate::config::field::{Field, given};
use crate::config::lower::{Draft, Join, Lowering, NETWORKS};
use crate::config::merge::Named;
use crate::config::raw::RawNetwork;
use crate::config::source::Span;
use crate::model::{Condition, Dependency, LanHost, NetworkSpec, Service, ServiceName, Spec};

/// What networks come to.
pub(crate) struct Networks {
    /// The services that stand for them.
    pub(crate) services: Vec<Service>,
    /// The hosts whose names must stand for addresses in a subnet.
    pub(crate) lan_hosts: Vec<LanHost>,
}

/// What is known of a network that a container is in.
struct Used {
    /// The name of its service; `None` when there can be none, which is then reported.
    name: Option<ServiceName>,
    subnet: Option<String>,
    engine_name: Option<String>,
    /// Whether it is not orch's to make.
    external: bool,
    /// Its first container: where it names the network, and on which engine it is.
    span: Span,
    service: ServiceName,
    host: Option<String>,
}

/// Makes a service of each network that an active service needs to be there, and ties to it what is in it.
/// Names that no network has were reported before.
pub(crate) fn networks(drafts: &mut [Draft], networks: &[Named<RawNetwork>], lowering: &Lowering<'_>) -> Networks {
    let (report, timeout) = (lowering.report, lowering.default_timeout);
    let (tunnels, lan_hosts) = reach::networks(drafts, networks, lowering);
    let by_name: BTreeMap<&str, &Named<RawNetwork>> =
        networks.iter().map(|network| (network.name.as_str(), network)).collect();
    let mut used: BTreeMap<&str, Used> = BTreeMap::new();
    for draft in drafts {
        for join in std::mem::take(&mut draft.networks) {
            let Some(named) = by_name.get(join.name.as_str()) else { continue };
            let lan = match named.field.get() {
                Some(RawNetwork::Lan(lan)) => lan,
                Some(RawNetwork::Wireguard(_)) => {
                    report.push(not_a_lan(&join, named.span));
                    continue;
                }
                // What is wrong with it was reported.
                None => continue,
            };
            let Some(service) = draft.service.as_mut().filter(|_| draft.active) else { continue };
            let Spec::Docker(spec) = &mut service.spec else { continue };
            let external = given(lan.external.as_ref()).copied().unwrap_or(false);
            let own_name = || external.then(|| named.name.clone());
            let network = used.entry(&named.name).or_insert_with(|| Used {
                name: if external { None } else { service_name(named, report) },
                engine_name: given(lan.name.as_ref()).cloned().or_else(own_name),
                external,
                subnet: lan.subnet.as_ref().and_then(Field::get).cloned(),
                span: join.span,
                service: draft.name.clone(),
                host: spec.host.clone(),
            });
            if network.host != spec.host {
                report.push(two_engines(&join, &draft.name, network));
            }
            for part in spec.networks.iter_mut().filter(|part| part.name == join.name) {
                part.subnet.clone_from(&network.subnet);
                part.engine_name.clone_from(&network.engine_name);
            }
            if let Some(name) = &network.name {
                tie(service, name);
            }
        }
    }
    let made = used.into_iter().filter(|(_, used)| !used.external);
    let made = made.filter_map(|(name, Used { name: service, subnet, engine_name, host, .. })| {
        let spec = Spec::Network(NetworkSpec { name: name.to_owned(), engine_name, host, subnet });
        Some(Service { timeout, settle: Duration::ZERO, ..Service::new(service?, spec) })
    });
    Networks { services: made.chain(tunnels).collect(), lan_hosts }
}

/// A container needs its network, and is made anew with it: an engine removes no network that a container
/// is in.
fn tie(service: &mut Service, network: &ServiceName) {
    depend(service, network, Condition::Started);
    service.lifecycle.replace_triggered_by.push(network.clone());
}

/// A service needs its network to be there.
pub(super) fn depend(service: &mut Service, network: &ServiceName, condition: Condition) {
    let tie = Dependency { service: network.clone(), condition, restart: false };
    service.dependencies.push(tie);
    service.dependencies.sort_by(|a, b| a.service.cmp(&b.service));
}

/// The name of the service that stands for a network.
pub(super) fn service_name(named: &Named<RawNetwork>, report: &Report) -> Option<ServiceName> {
    let name = format!("{NETWORKS}{}", named.name);
    match ServiceName::new(&name) {
        // The name after the prefix is a name by itself, too.
        Ok(name) if ServiceName::new(&named.name).is_ok() => Some(name),
        Ok(_) | Err(_) => {
            let message = format!("`{}` cannot be the name of a network that services are in", shorten(&named.name));
            let help = format!(
                "use letters, digits, `_`, `-` and `.`, at most {}, and start with a letter or digit",
                63 - NETWORKS.len()
            );
            report.push(Diagnostic::error("config::bad_name", message).at(named.span).help(help));
            None
        }
    }
}

fn not_a_lan(join: &Join, network: Span) -> Diagnostic {
    let message = format!("a container cannot be in the network `{}` of type `wireguard`", shorten(&join.name));
    Diagnostic::error("config::network", message)
        .at(join.span)
        .label(network, "it is declared here")
        .help("put the container into a network of `type: lan`")
}

fn two_engines(join: &Join, service: &ServiceName, first: &Used) -> Diagnostic {
    let message = format!("the network `{}` cannot reach over two engines", shorten(&join.name));
    let shown = |host: &Option<String>| host.as_deref().map_or("the usual engine".to_owned(), shorten);
    Diagnostic::error("config::network", message)
        .at(join.span)
        .label(first.span, format!("`{}` is on {}", first.service, shown(&first.host)))
        .help(format!("give `{service}` the same `host`, or a network of its own"))
}
