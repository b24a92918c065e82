//! Where services can be reached: what a file says of it, and what is known of it before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::{HostPort, Machine, NetworkUse, PortMapping, Protocol, Service, ServiceName, Spec, Text};

/// What a reference to an endpoint begins with, in a text of the model; `}` ends it. The character in it
/// stands in no text: what a file, a variable or a secret holds is never taken for one.
pub const SERVICE_REFERENCE: &str = "\u{fdd1}{service:";

/// The name of this machine for what runs on it.
const LOCALHOST: &str = "localhost";

/// A named place at which a service can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The port that the service listens on; of a container, the port inside it.
    pub port: u16,
    /// The path, from its `/` on; empty where there is none.
    pub path: String,
    /// The scheme of the URL.
    pub scheme: String,
    /// The host in the place of the one that the backend says.
    pub host: Option<String>,
    /// Which part of the service has the port, where its backend runs several: the name of a Compose service or of
    /// a Kubernetes service.
    pub part: Option<String>,
    /// How a port of this machine is forwarded to it, where it cannot be reached otherwise.
    pub port_forward: Option<PortForward>,
}

/// How a port of this machine is forwarded to an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortForward {
    /// What it leads to, in the words of the backend: `svc/api`. Default: what the endpoint names.
    pub to: Option<String>,
    /// The port of this machine. Default: one that is free.
    pub local_port: Option<u16>,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Reach {
    fn local(port: u16) -> Self {
        Self { host: LOCALHOST.to_owned(), port }
    }
}

impl fmt::Display for Reach {
    /// `HOST:PORT`, with brackets around an address that has colons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl Endpoint {
    /// An endpoint with nothing but its port.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self { port, path: String::new(), scheme: "http".to_owned(), host: None, part: None, port_forward: None }
    }

    /// Its URL, where this is where it is reached.
    #[must_use]
    pub fn url(&self, reach: &Reach) -> String {
        format!("{}://{reach}{}", self.scheme, self.path)
    }
}

/// From where an endpoint is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vantage {
    /// From this machine.
    Here,
    /// From a container on the same engine.
    Container,
}

/// Who wants to reach an endpoint.
#[derive(Debug, Clone, Copy)]
pub enum Viewer<'a> {
    /// What runs on this machine.
    Here,
    /// A container.
    Container {
        /// The address of its engine.
        engine: Option<&'a str>,
        /// The networks that it is in.
        networks: &'a [NetworkUse],
    },
    /// What runs on other machines.
    Machines(&'a [Arc<Machine>]),
}

impl<'a> Viewer<'a> {
    /// The program of a service.
    #[must_use]
    pub fn of(service: &'a Service) -> Self {
        match (&service.spec, &service.hosts) {
            (_, Some(machines)) => Self::Machines(machines),
            (Spec::Docker(spec), None) => Self::Container { engine: spec.host.as_deref(), networks: &spec.networks },
            (spec, None) => match spec.place().and_then(super::Place::machine) {
                Some(machine) => Self::Machines(std::slice::from_ref(machine)),
                None => Self::Here,
            },
        }
    }
}

/// What is known of an endpoint before its service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Where it will be.
    At(Reach),
    /// It is known once the service runs, and its backend is asked.
    Later(Vantage),
    /// It cannot be reached from there: why, and what to do.
    Never(&'static str, &'static str),
}

impl Service {
    /// What is known of an endpoint of this service before it runs. `engine_here` says whether the engine that the
    /// environment names is this machine's.
    #[must_use]
    pub fn known(&self, endpoint: &Endpoint, viewer: Viewer<'_>, engine_here: bool) -> Known {
        if let (Some(host), false) = (&endpoint.host, matches!(self.spec, Spec::Docker(_))) {
            return Known::At(Reach { host: host.clone(), port: endpoint.port });
        }
        let local = |port| match viewer {
            Viewer::Here => Known::At(Reach::local(port)),
            Viewer::Container { .. } => Known::Never(
                "it is on this machine, and `localhost` in a container is the container itself",
                "give the endpoint a `host` that the container reaches, such as `host.docker.internal`",
            ),
            Viewer::Machines(_) => Known::Never(
                "it is on this machine, which the other machine may not reach",
                "give the endpoint a `host` by which other machines reach it",
            ),
        };
        match (&self.spec, &self.hosts) {
            (_, Some(own)) => match viewer {
                Viewer::Machines(viewers) if viewers.iter().all(|viewer| own.contains(viewer)) => {
                    Known::At(Reach::local(endpoint.port))
                }
                _ => Known::Never(
                    "its service runs on several hosts",
                    "give the endpoint a `host` that stands for all of them, such as a load balancer's",
                ),
            },
            (Spec::Docker(spec), None) => {
                let published = published(&spec.ports, endpoint.port);
                if let (Some(host), Some(port)) = (&endpoint.host, published.and_then(PortMapping::fixed)) {
                    return Known::At(Reach { host: host.clone(), port });
                }
                let engine = engine_host(spec.host.as_deref(), engine_here);
                let fixed = published.and_then(|mapping| {
                    let own = mapping.address.filter(|address| !address.is_unspecified() && !address.is_loopback());
                    let host = engine.clone().map(|engine| own.map_or(engine, |own| own.to_string()));
                    Some(Reach { host: host?, port: mapping.fixed()? })
                });
                match (viewer, fixed) {
                    (Viewer::Container { engine, networks }, _) if engine == spec.host.as_deref() => {
                        let shared = |own: &NetworkUse| networks.iter().any(|other| other.name == own.name);
                        if spec.networks.iter().any(shared) {
                            Known::At(Reach { host: self.name.to_string(), port: endpoint.port })
                        } else if spec.networks.is_empty() && networks.is_empty() {
                            Known::Later(Vantage::Container)
                        } else {
                            Known::Never("the two containers share no network", "put both into one of `networks`")
                        }
                    }
                    (Viewer::Here, Some(reach)) => Known::At(reach),
                    (Viewer::Here, None) => Known::Later(Vantage::Here),
                    (_, Some(reach)) if reach.host != LOCALHOST => Known::At(reach),
                    (Viewer::Container { .. }, _) => Known::Never(
                        "the two containers are on different engines",
                        "give the endpoint a `host`, and publish its port",
                    ),
                    (Viewer::Machines(_), _) => local(endpoint.port),
                }
            }
            (spec, None) => match spec.place().and_then(super::Place::machine) {
                Some(machine) => Known::At(Reach { host: machine.address.clone(), port: endpoint.port }),
                None => local(endpoint.port),
            },
        }
    }

    /// What is known of one of its own endpoints, for its own program or check.
    #[must_use]
    pub fn known_to_itself(&self, endpoint: &Endpoint, seat: Seat, engine_here: bool) -> Known {
        match (seat, &self.spec) {
            (Seat::Probe, Spec::Docker(_)) => self.known(endpoint, Viewer::Here, engine_here),
            (Seat::Probe, Spec::External(_)) => self.known(endpoint, Viewer::Here, engine_here),
            _ => Known::At(Reach::local(endpoint.port)),
        }
    }
}

/// Where the host of an engine is; `None` where only a connection would tell.
fn engine_host(engine: Option<&str>, engine_here: bool) -> Option<String> {
    let Some(engine) = engine else { return engine_here.then(|| LOCALHOST.to_owned()) };
    match engine.split_once("://")? {
        ("unix", _) => Some(LOCALHOST.to_owned()),
        (_, rest) => {
            let authority = rest.split('/').next()?;
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            let host = match host.strip_prefix('[') {
                Some(rest) => rest.split(']').next()?,
                None => host.split(':').next()?,
            };
            Some(host.to_owned()).filter(|host| !host.is_empty())
        }
    }
}

fn published(ports: &[PortMapping], container: u16) -> Option<&PortMapping> {
    let same = |mapping: &&PortMapping| mapping.container == container && mapping.protocol == Protocol::Tcp;
    // A fixed one is worth more than one that the engine chooses.
    let rank = |mapping: &&PortMapping| matches!(mapping.host, HostPort::One(_));
    ports.iter().filter(same).max_by_key(rank)
}

/// Who reads a text of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// Its program, where that runs.
    Program,
    /// A probe of orch's.
    Probe,
}

/// A part of an endpoint that is known only once its service runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The service that has the endpoint.
    pub service: ServiceName,
    /// The name of the endpoint.
    pub endpoint: String,
    /// What of it.
    pub part: Part,
    /// From where it is to be reached.
    pub from: Vantage,
}

/// What of an endpoint a text wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Its URL.
    Url,
    /// Its host.
    Host,
    /// Its port.
    Port,
    /// Its host and port, `HOST:PORT`.
    Authority,
}

impl Part {
    /// Every part, with its name in a file.
    pub const ALL: [(&'static str, Self); 4] =
        [("url", Self::Url), ("host", Self::Host), ("port", Self::Port), ("authority", Self::Authority)];

    /// The part of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, part)| *part)
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, part)| *part == self).map_or("?", |(name, _)| name)
    }

    /// What this part of an endpoint is, where this is where it is reached.
    #[must_use]
    pub fn of(self, endpoint: &Endpoint, reach: &Reach) -> String {
        match self {
            Self::Url => endpoint.url(reach),
            Self::Host => reach.host.clone(),
            Self::Port => reach.port.to_string(),
            Self::Authority => reach.to_string(),
        }
    }
}

impl Reference {
    /// The reference as it stands in a text of the model until it is filled in.
    #[must_use]
    pub fn marker(&self) -> String {
        let Self { service, endpoint, part, from } = self;
        let from = if *from == Vantage::Container { "container" } else { "here" };
        format!("{SERVICE_REFERENCE}{service}/{endpoint}/{}/{from}}}", part.name())
    }

    fn parse(inner: &str) -> Option<Self> {
        let mut parts = inner.split('/');
        let reference = Self {
            service: ServiceName::new(parts.next()?).ok()?,
            endpoint: parts.next()?.to_owned(),
            part: Part::named(parts.next()?)?,
            from: if parts.next()? == "container" { Vantage::Container } else { Vantage::Here },
        };
        Some(reference)
    }
}

impl fmt::Display for Reference {
    /// As it stands in a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${{service:{}.{}.{}}}", self.service, self.endpoint, self.part.name())
    }
}

/// A text with each reference replaced by what `with` gives for what stands in it; what it has nothing for stays.
#[must_use]
pub fn replace_references(text: &str, mut with: impl FnMut(&str) -> Option<String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(SERVICE_REFERENCE) {
        filled.push_str(before);
        match after.split_once('}').and_then(|(inner, after)| Some((with(inner)?, after))) {
            Some((value, after)) => {
                filled.push_str(&value);
                rest = after;
            }
            None => {
                filled.push_str(SERVICE_REFERENCE);
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// A text as a person reads it: references as they stand in the file.
pub(super) fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains(SERVICE_REFERENCE) {
        return text.into();
    }
    replace_references(text, |inner| Some(Reference::parse(inner)?.to_string())).into()
}

impl Service {
    /// What its texts say of where services are reached that is known only once those run.
    #[must_use]
    pub fn references(&self) -> BTreeSet<Reference> {
        self.references_of(|_| true)
    }

    /// The same of what its program reads. What only its probes read may be about itself, and is known once it runs.
    #[must_use]
    pub fn references_of_program(&self) -> BTreeSet<Reference> {
        self.references_of(|seat| seat == Seat::Program)
    }

    fn references_of(&self, counts: impl Fn(Seat) -> bool) -> BTreeSet<Reference> {
        let mut found = BTreeSet::new();
        // The texts are only read; a change of the copy is nobody's.
        self.clone().each_text(&mut |text, seat| {
            drop(replace_references(text.reveal(), |inner| {
                found.extend(Reference::parse(inner).filter(|_| counts(seat)));
                None
            }));
        });
        found
    }

    /// The same service with these references filled in.
    #[must_use]
    pub fn filled(&self, values: &BTreeMap<Reference, String>) -> Self {
        let mut service = self.clone();
        service.each_text(&mut |text, _| {
            *text = map_text(text, |inner| values.get(&Reference::parse(inner)?).cloned());
        });
        service
    }
}

/// A text with its references replaced, as sensitive as it was.
#[must_use]
pub fn map_text(text: &Text, with: impl FnMut(&str) -> Option<String>) -> Text {
    if !text.reveal().contains(SERVICE_REFERENCE) {
        return text.clone();
    }
    let filled = replace_references(text.reveal(), with);
    if text.is_sensitive() { Text::sensitive(filled) } else { Text::plain(filled) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DockerSpec, ExternalSpec, ProcessSpec};

    fn service(name: &str, spec: Spec) -> Service {
        Service::new(ServiceName::new(name).unwrap(), spec)
    }

    fn mapping(host: HostPort) -> PortMapping {
        PortMapping { address: None, host, container: 80, protocol: Protocol::Tcp }
    }

    fn at(host: &str, port: u16) -> Known {
        Known::At(Reach { host: host.to_owned(), port })
    }

    #[test]
    fn what_runs_here_is_known_here_and_not_to_a_container() {
        let api = service("api", Spec::Process(Box::new(ProcessSpec::new(Text::plain("api"), "/".into()))));
        let endpoint = Endpoint::new(7670);
        assert_eq!(api.known(&endpoint, Viewer::Here, true), at("localhost", 7670));
        let container = Viewer::Container { engine: None, networks: &[] };
        assert!(matches!(api.known(&endpoint, container, true), Known::Never(..)));
        let named = Endpoint { host: Some("gateway".into()), ..endpoint };
        assert_eq!(api.known(&named, container, true), at("gateway", 7670));
    }

    #[test]
    fn a_container_is_known_by_its_fixed_port_by_its_network_or_later() {
        let mut spec = DockerSpec::new("api");
        let endpoint = Endpoint::new(80);
        let known = |spec: &DockerSpec, viewer, here| {
            service("api", Spec::Docker(Box::new(spec.clone()))).known(&endpoint, viewer, here)
        };
        let alone = Viewer::Container { engine: None, networks: &[] };
        assert_eq!(known(&spec, Viewer::Here, true), Known::Later(Vantage::Here));
        assert_eq!(known(&spec, alone, true), Known::Later(Vantage::Container));
        spec.ports = vec![mapping(HostPort::Any), mapping(HostPort::One(8080))];
        assert_eq!(known(&spec, Viewer::Here, true), at("localhost", 8080));
        assert_eq!(known(&spec, Viewer::Here, false), Known::Later(Vantage::Here));
        spec.networks = vec![NetworkUse { name: "net".into(), subnet: None, engine_name: None, aliases: Vec::new() }];
        assert!(matches!(known(&spec, alone, true), Known::Never(..)));
        let joined = Viewer::Container { engine: None, networks: &spec.networks };
        assert_eq!(known(&spec, joined, true), at("api", 80));
        for (engine, host) in [("ssh://me@far:2222/run/x", "far"), ("tcp://[fd00::1]:2375", "fd00::1")] {
            let spec = DockerSpec { host: Some(engine.into()), ..spec.clone() };
            assert_eq!(known(&spec, Viewer::Here, true), at(host, 8080));
        }
    }

    #[test]
    fn a_reference_is_shown_as_written_and_filled_in_where_it_is_known() {
        let of = |part| Reference {
            service: ServiceName::new("api.v2").unwrap(),
            endpoint: "http".into(),
            part,
            from: Vantage::Container,
        };
        let mut user = service("user", Spec::External(ExternalSpec {}));
        let url = format!("http://{}/v1", of(Part::Authority).marker());
        let probe = crate::model::Probe::Http {
            url: Text::sensitive(url.clone()),
            expected_status: crate::model::StatusMatch::Success,
            body: None,
            headers: Vec::new(),
        };
        user.checks = vec![crate::model::HealthCheck { probe, policy: Default::default() }];
        assert_eq!(shown(&url), "http://${service:api.v2.http.authority}/v1");
        assert_eq!(Vec::from_iter(user.references()), [of(Part::Authority)]);
        let reach = Reach { host: "::1".into(), port: 7 };
        let value = Part::Authority.of(&Endpoint::new(7), &reach);
        let filled = user.filled(&BTreeMap::from([(of(Part::Authority), value)]));
        let crate::model::Probe::Http { url, .. } = &filled.checks[0].probe else { panic!("another probe") };
        assert!(url.is_sensitive() && url.reveal() == "http://[::1]:7/v1");
        assert!(filled.references().is_empty());
    }
}
