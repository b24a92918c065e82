//! What two services cannot have at once: a port of a machine, a name on an engine, a unit or folder of a host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::config::diagnostic::{Diagnostic, Report, shorten};
use crate::config::lower::{Draft, PortClaim, Slot, SlotKind};
use crate::config::source::Span;
use crate::model::{Claim, Spec};

/// Reports two services that use one port of a machine.
pub(super) fn check(drafts: &[Draft], report: &Report) {
    let claims: Vec<(&Draft, &PortClaim)> = drafts
        .iter()
        .filter(|draft| draft.active)
        .flat_map(|draft| draft.ports.iter().map(move |claim| (draft, claim)))
        .collect();
    let mut owners: BTreeMap<(Option<&str>, u16), Vec<usize>> = BTreeMap::new();
    // Two services with ten hosts in common have one problem.
    let mut told = BTreeSet::new();
    for (index, (draft, claim)) in claims.iter().enumerate() {
        // Two ranges that overlap in a hundred ports are one problem.
        let mut reported = BTreeSet::new();
        for port in claim.ports.clone() {
            let owners = owners.entry((claim.machine.as_deref(), port)).or_default();
            for other in owners.iter().filter(|other| conflict(claims[**other].1, claim)) {
                let (owner, first) = claims[*other];
                if reported.insert(*other) && told.insert((first.span, claim.span)) {
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
    let is_container =
        |draft: &Draft| draft.service.as_ref().is_some_and(|service| matches!(service.spec, Spec::Docker(_)));
    let help = if !is_container(owner) || !is_container(draft) {
        "give one of them another port; where a program only probes a port that it does not listen on, write `ports: []` \
         (or the right ports) in its backend"
    } else {
        "give one of them another port of the host, or publish the container's port alone (`\"80\"`) on any free one"
    };
    let on_host = draft.target.machines().iter().find(|machine| Some(&machine.name) == claim.machine.as_ref());
    let on_host = on_host.map(|machine| format!(" of the host `{}`", shorten(&machine.name))).unwrap_or_default();
    let message = format!("the services `{}` and `{}` both use {port}{on_host}", owner.name, draft.name);
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

/// Reports two services that have one unit, folder or file of a machine, or one folder inside the other's.
pub(super) fn check_slots(drafts: &[Draft], report: &Report) {
    let mut owners: BTreeMap<(Option<&str>, SlotKind, &str), (&Draft, &Slot)> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for draft in drafts.iter().filter(|draft| draft.active && draft.service.is_some()) {
        let machines = draft.target.machines();
        let names: Vec<Option<&str>> = if machines.is_empty() {
            vec![None]
        } else {
            machines.iter().map(|machine| Some(&*machine.name)).collect()
        };
        for slot in &draft.slots {
            for machine in &names {
                if let Some((owner, first)) = owners.insert((*machine, slot.kind, &slot.name), (draft, slot))
                    && told.insert((first.span, slot.span))
                {
                    report.push(shared((owner, first), (draft, slot), *machine));
                }
            }
        }
    }
    for ((machine, kind, path), (draft, slot)) in
        owners.iter().filter(|((_, kind, _), _)| matches!(kind, SlotKind::File | SlotKind::Folder))
    {
        let above = std::path::Path::new(path).ancestors().skip(1).filter_map(std::path::Path::to_str);
        let owner = above.into_iter().find_map(|above| owners.get(&(*machine, SlotKind::Folder, above)));
        // What a service puts into its own folder is its own business.
        if let Some((owner, first)) = owner.filter(|(owner, _)| owner.name != draft.name || *kind == SlotKind::Folder)
            && told.insert((first.span, slot.span))
        {
            report.push(shared((owner, first), (draft, slot), *machine));
        }
    }
}

fn shared((owner, first): (&Draft, &Slot), (draft, slot): (&Draft, &Slot), machine: Option<&str>) -> Diagnostic {
    let on = match (slot.kind, machine) {
        (SlotKind::Release, _) => "of a cluster".to_owned(),
        (_, Some(name)) => format!("of the host `{}`", shorten(name)),
        (_, None) => "of this machine".to_owned(),
    };
    let (what, help) = match (slot.kind, first.kind) {
        (SlotKind::Release, _) => ("release", "give one of them another `release` or `namespace`"),
        (SlotKind::Compose, _) => ("Compose project", "give one of them another `project_name`"),
        (SlotKind::Unit, _) => ("unit", "give one of them another `unit`, or leave the key out"),
        (SlotKind::File, SlotKind::File) => ("file", "let one of them have the file, and the other one depend on it"),
        (SlotKind::File, _) => ("folder", "put the file outside of the package's folder"),
        (SlotKind::Folder, _) => ("folder", "give each package a folder of its own"),
    };
    let name = shorten(&first.name);
    let message = format!("the services `{}` and `{}` both have the {what} `{name}` {on}", owner.name, draft.name);
    let problem = Diagnostic::error("config::duplicate", message).label(slot.span, "again").label(first.span, "first");
    problem.help(help)
}
