//! The networks that hosts are reached through: subnets that they must be in, tunnels that come first.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::networks::{depend, service_name};
use crate::config::diagnostic::{Diagnostic, shorten};
use crate::config::field::Field;
use crate::config::interpolate::absolute;
use crate::config::lower::{Draft, Lowering, start_of};
use crate::config::merge::Named;
use crate::config::raw::{RawNetwork, RawWireguard};
use crate::config::source::Span;
use crate::model::{CheckPolicy, Condition, HealthCheck, LanHost, Machine, Probe, Service, Spec, Text, WireguardSpec};

/// The longest name that the kernel gives an interface.
const MAX_INTERFACE: usize = 15;

/// Checks the networks of services that are no containers, and makes a service of each tunnel that an
/// active one is in; and the hosts of active services whose names must stand for addresses in a subnet.
pub(super) fn networks(
    drafts: &mut [Draft],
    networks: &[Named<RawNetwork>],
    lowering: &Lowering<'_>,
) -> (Vec<Service>, Vec<LanHost>) {
    let mut lan_hosts = Vec::new();
    let by_name: BTreeMap<&str, &Named<RawNetwork>> =
        networks.iter().map(|network| (network.name.as_str(), network)).collect();
    let mut tunnels: BTreeMap<&str, Option<Service>> = BTreeMap::new();
    for draft in drafts {
        let Some((span, name)) = draft.network.clone() else { continue };
        let Some(named) = by_name.get(name.as_str()) else { continue };
        match named.field.get() {
            Some(RawNetwork::Lan(lan)) => {
                if let Some((subnet_span, subnet)) = lan.subnet.as_ref().and_then(Field::located) {
                    inside(draft, span, &name, (subnet_span, subnet), lowering);
                    lan_hosts.extend(by_name_only(draft, &name, subnet));
                }
            }
            Some(RawNetwork::Wireguard(raw)) => {
                let Some(service) = draft.service.as_mut().filter(|_| draft.active) else { continue };
                let tunnel = tunnels.entry(&named.name).or_insert_with(|| tunnel(named, raw, lowering));
                if let Some(tunnel) = tunnel {
                    depend(service, &tunnel.name, Condition::Healthy);
                }
            }
            // What is wrong with it was reported.
            None => {}
        }
    }
    same_interface(&tunnels, &by_name, lowering);
    (tunnels.into_values().flatten().collect(), lan_hosts)
}

/// The hosts of an active service that have a name in the place of an address.
fn by_name_only(draft: &Draft, network: &str, subnet: &str) -> Vec<LanHost> {
    let machines = if draft.active { draft.target.machines() } else { &[] };
    let named = machines.iter().filter(|machine| machine.address.parse::<IpAddr>().is_err());
    let host = |machine: &Arc<Machine>| LanHost {
        service: draft.name.clone(),
        network: network.to_owned(),
        subnet: subnet.to_owned(),
        machine: machine.clone(),
    };
    named.map(host).collect()
}

/// Reports each host of a service whose address is not in the subnet of its network. What a host name
/// stands for is asked when a plan is made.
fn inside(draft: &Draft, span: Span, name: &str, (subnet_span, subnet): (Span, &str), lowering: &Lowering<'_>) {
    let Some((_, length)) = subnet.split_once('/').filter(|_| start_of(subnet).is_some()) else { return };
    for machine in draft.target.machines() {
        let Ok(address) = machine.address.parse::<IpAddr>() else { continue };
        // A subnet of the other version gives another start, or none.
        if start_of(&format!("{address}/{length}")).or_else(|| Some(String::new())) == start_of(subnet) {
            continue;
        }
        let message = format!(
            "the host {} of `{}` is not in the network `{}`, {}",
            shorten(&machine.to_string()),
            draft.name,
            shorten(name),
            shorten(subnet)
        );
        let problem = Diagnostic::error("config::network", message).at(span).label(subnet_span, "the subnet");
        lowering.report.push(problem.help("correct the address or the subnet, or take the network away"));
    }
}

/// The service that stands for a tunnel; `None` when its name or file is wrong.
fn tunnel(named: &Named<RawNetwork>, raw: &RawWireguard, lowering: &Lowering<'_>) -> Option<Service> {
    let name = service_name(named, lowering.report);
    let (span, path) = raw.config.located()?;
    let config = absolute(lowering.sources.folder(span), path);
    let interface = interface(&config);
    if interface.is_none() {
        let message = format!("`{}` names no interface", shorten(path));
        let help = format!(
            "name the file like the interface, `wg0.conf`: letters, digits, `_`, `=`, `+`, `.` and `-`, at most {MAX_INTERFACE}"
        );
        lowering.report.push(Diagnostic::error("config::network", message).at(span).help(help));
    }
    let content = lowering.scope.optional_content(&config).unwrap_or_else(|reason| {
        let message = format!("the WireGuard configuration `{}` cannot be read: {reason}", shorten(path));
        let problem = Diagnostic::warning("config::unreadable", message).at(span);
        lowering.report.push(problem.help("its interface needs root anyway; apply as root"));
        None
    });
    let spec = WireguardSpec {
        name: named.name.clone(),
        interface: interface?,
        config: config.display().to_string(),
        content: content.map(Text::sensitive),
    };
    let service = Service::new(name?, Spec::Wireguard(Box::new(spec)));
    // An interface tries a handshake again after 5 s.
    let policy = CheckPolicy { interval: Duration::from_secs(5), retries: 2, ..CheckPolicy::default() };
    let checks = vec![HealthCheck { probe: Probe::Backend, policy }];
    Some(Service { timeout: lowering.default_timeout, settle: Duration::ZERO, checks, ..service })
}

/// The interface that a configuration file is of, as `wg-quick` takes it.
fn interface(config: &Path) -> Option<String> {
    let name = config.file_name()?.to_str()?.strip_suffix(".conf")?;
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '=' | '+' | '.' | '-');
    let fits = !matches!(name, "" | "." | "..") && name.len() <= MAX_INTERFACE && name.chars().all(part);
    (fits && !name.starts_with('-')).then(|| name.to_owned())
}

/// Reports two tunnels of one interface.
fn same_interface(
    tunnels: &BTreeMap<&str, Option<Service>>,
    networks: &BTreeMap<&str, &Named<RawNetwork>>,
    lowering: &Lowering<'_>,
) {
    let mut owners: BTreeMap<&str, Span> = BTreeMap::new();
    for (name, service) in tunnels {
        let Some(Spec::Wireguard(spec)) = service.as_ref().map(|service| &service.spec) else {
            continue;
        };
        let Some(span) = networks.get(name).map(|named| named.span) else { continue };
        if let Some(first) = owners.insert(&spec.interface, span) {
            let message = format!("two networks have the interface `{}`", spec.interface);
            let problem = Diagnostic::error("config::duplicate", message).label(span, "again").label(first, "first");
            lowering.report.push(problem.help("use one network for both, or files of other names"));
        }
    }
}
