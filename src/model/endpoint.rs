//! Where services can be reached: what a file says of it, and what texts say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Service, ServiceName, Text};

/// What a reference to an endpoint begins with, in a text of the model; `}` ends it. The character in it
/// stands in no text: what a file, a variable or a secret holds is never taken for one.
pub const SERVICE_REFERENCE: &str = "\u{fdd1}{service:";

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

    /// The same service with its references as they stand in the file, for a person.
    #[must_use]
    pub fn as_written(&self) -> Self {
        let mut service = self.clone();
        service.each_text(&mut |text, _| *text = map_text(text, |inner| Some(Reference::parse(inner)?.to_string())));
        service
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
    use crate::model::{ExternalSpec, Spec};

    fn service(name: &str, spec: Spec) -> Service {
        Service::new(ServiceName::new(name).unwrap(), spec)
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
