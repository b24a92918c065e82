//! A service on its way: what the checks that see the other services need to know of it.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::Target;
use super::unit::scoped;
use crate::config::source::Span;
use crate::model::{Condition, Kind, NETWORK_PREFIX, Protocol, Service, ServiceName, UnitScope};

/// The start of the names of the services that orch makes for the file's networks.
pub(crate) const NETWORKS: &str = NETWORK_PREFIX;

/// A service whose ties to other services are not checked yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) name: ServiceName,
    /// Where its name stands.
    pub(crate) span: Span,
    /// `None` when the file gives one that is wrong.
    pub(crate) kind: Option<Kind>,
    /// Whether it has a check, be it a wrong one.
    pub(crate) has_check: bool,
    pub(crate) profiles: Vec<String>,
    /// Profiles that it has values for, without being a part of them.
    pub(crate) profiles_of_values: Vec<String>,
    /// Whether the active profiles leave it in.
    pub(crate) active: bool,
    pub(crate) dependencies: Vec<DraftDependency>,
    /// What it takes of the ports of a machine.
    pub(crate) ports: Vec<PortClaim>,
    /// The network of a service that is no container.
    pub(crate) network: Option<(Span, String)>,
    /// The networks that a container is in, sorted.
    pub(crate) networks: Vec<Join>,
    /// The name that a container must have on its engine.
    pub(crate) container_name: Option<(Span, String)>,
    /// Where it runs.
    pub(crate) target: Target,
    /// What it has of a host that only one service can have.
    pub(crate) slots: Vec<Slot>,
    pub(crate) replace_triggered_by: Vec<(Span, String)>,
    pub(crate) renamed_from: Option<(Span, ServiceName)>,
    /// What its texts say of where services are reached, with the places.
    pub(crate) references: Vec<(Span, String)>,
    /// The service, its dependencies still empty; `None` when its backend is wrong.
    pub(crate) service: Option<Service>,
}

/// A network that a container is in.
#[derive(Debug)]
pub(crate) struct Join {
    /// Where the network is named.
    pub(crate) span: Span,
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
}

/// A unit, a folder or a file of a host, which only one service can have.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) span: Span,
    pub(crate) kind: SlotKind,
    pub(crate) name: String,
}

/// What is at a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SlotKind {
    /// A unit of systemd.
    Unit,
    /// A folder, and what is below it.
    Folder,
    /// A file.
    File,
    /// A release of a chart.
    Release,
    /// A Compose project of an engine.
    Compose,
}

impl Slot {
    pub(super) fn unit(span: Span, scope: UnitScope, name: String) -> Self {
        Self { span, kind: SlotKind::Unit, name: scoped(scope, &name) }
    }

    pub(super) fn folder(span: Span, name: String) -> Self {
        Self { span, kind: SlotKind::Folder, name }
    }

    pub(super) fn release(span: Span, name: String) -> Self {
        Self { span, kind: SlotKind::Release, name }
    }

    pub(super) fn compose(span: Span, name: String) -> Self {
        Self { span, kind: SlotKind::Compose, name }
    }

    pub(super) fn file(span: Span, name: String) -> Self {
        Self { span, kind: SlotKind::File, name }
    }
}

/// Ports of a machine that only one service can have.
#[derive(Debug, Clone)]
pub(crate) struct PortClaim {
    pub(crate) span: Span,
    pub(crate) ports: RangeInclusive<u16>,
    pub(crate) protocol: Protocol,
    /// The machine's address; all of them where it is not given.
    pub(crate) address: Option<IpAddr>,
    /// The machine, by the address of its engine or by its name; `None` for this one.
    pub(crate) machine: Option<String>,
}

impl PortClaim {
    pub(crate) fn new(
        span: Span,
        ports: RangeInclusive<u16>,
        protocol: Protocol,
        address: Option<IpAddr>,
        engine: Option<&str>,
    ) -> Self {
        let machine = engine.filter(|engine| !engine.starts_with("unix://")).map(str::to_owned);
        Self { span, ports, protocol, address, machine }
    }
}

/// A dependency whose target is not looked up yet.
#[derive(Debug)]
pub(crate) struct DraftDependency {
    pub(crate) name: String,
    /// Where its name stands.
    pub(crate) span: Span,
    /// The condition that the file gives, with its place.
    pub(crate) condition: Option<(Span, Condition)>,
    pub(crate) restart: bool,
}
