//! What two services cannot have at once: a port of a machine, a name on an engine.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::config::diagnostic::{Diagnostic, Report, shorten};
use crate::config::lower::{Draft, PortClaim};
use crate::config::source::Span;
use crate::model::{Claim, Spec};

/// Reports two services that use one port of a machine.
pub(super) fn check(drafts: &[Draft], report: &Report) {
    let claims: Vec<(&Draft, &PortClaim)> = drafts
        .iter()
        .filter(|draft| draft.active)
        .flat_map(|draft| draft.ports.iter().map(move |claim| (draft, claim)))
        .collect();
    let mut owners: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (index, (draft, claim)) in claims.iter().enumerate() {
        // Two ranges that overlap in a hundred ports are one problem.
        let mut reported = BTreeSet::new();
        for port in claim.ports.clone() {
            let owners = owners.entry(port).or_default();
            for other in owners.iter().filter(|other| conflict(claims[**other].1, claim)) {
                if reported.insert(*other) {
                    let (owner, first) = claims[*other];
                    report.push(problem(port, (owner, first.span), (draft, claim)));
                }
            }
            // A second owner would only repeat what was reported.
            if !owners.iter().any(|other| conflict(claims[*other].1, claim)) {
                owners.push(index);
            }
        }
    }
}

fn conflict(one: &PortClaim, two: &PortClaim) -> bool {
    let all = |address: IpAddr| address.is_unspecified();
    let meet = match (one.address, two.address) {
        (None, _) | (_, None) => true,
        (Some(one), Some(two)) => one == two || (one.is_ipv4() == two.is_ipv4() && (all(one) || all(two))),
    };
    meet && one.protocol == two.protocol && one.machine == two.machine
}

fn problem(port: u16, (owner, first): (&Draft, Span), (draft, claim): (&Draft, &PortClaim)) -> Diagnostic {
    let port = Claim::Port { port, protocol: claim.protocol };
    if owner.name == draft.name {
        let problem = Diagnostic::error("config::port_conflict", format!("the {port} of the host is published twice"));
        let problem = problem.label(claim.span, "again").label(first, "first");
        return problem.help("give one of them another port of the host, or an address of its own");
    }
    let is_process =
        |draft: &Draft| draft.service.as_ref().is_some_and(|service| matches!(service.spec, Spec::Process(_)));
    let help = if is_process(owner) || is_process(draft) {
        "give one of them another port; where a process only probes a port that it does not listen on, write `ports: []` \
         (or the right ports) in its backend"
    } else {
        "give one of them another port of the host, or publish the container's port alone (`\"80\"`) on any free one"
    };
    let message = format!("the services `{}` and `{}` both use {port}", owner.name, draft.name);
    Diagnostic::error("config::port_conflict", message)
        .label(claim.span, format!("`{}` uses it", draft.name))
        .label(first, format!("`{}` uses it", owner.name))
        .help(help)
}

/// Reports two containers that must have one name on one engine.
pub(super) fn check_names(drafts: &[Draft], report: &Report) {
    let mut owners: BTreeMap<(Option<&str>, &str), (&Draft, Span)> = BTreeMap::new();
    for draft in drafts.iter().filter(|draft| draft.active) {
        let Some((span, name)) = &draft.container_name else { continue };
        let host = draft.service.as_ref().and_then(|service| match &service.spec {
            Spec::Docker(spec) => spec.host.as_deref(),
            _ => None,
        });
        let Some((owner, first)) = owners.insert((host, name), (draft, *span)) else { continue };
        let message =
            format!("the containers of `{}` and `{}` are both named `{}`", owner.name, draft.name, shorten(name));
        let problem = Diagnostic::error("config::duplicate", message).label(*span, "again").label(first, "first");
        report.push(problem.help("give one of them another name, or leave `container_name` out"));
    }
}
