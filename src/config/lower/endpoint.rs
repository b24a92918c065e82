//! Where a service can be reached.

use std::collections::BTreeMap;

use super::Lowering;
use super::check::is_host;
use crate::config::diagnostic::shorten;
use crate::config::field::{Entries, Field, Short, given};
use crate::config::raw::{RawEndpoint, RawPortForward};
use crate::config::source::Span;
use crate::model::{BackendKind, Endpoint, Kind, PortForward, ServiceName, Spec};

/// An endpoint with its name, and where its port stands.
pub(super) struct Named {
    pub(super) span: Span,
    pub(super) name: String,
    pub(super) endpoint: Endpoint,
}

/// Endpoints by name. In a cluster, ports are those of a service of it, which usually is called as the whole.
pub(super) fn by_name(endpoints: Vec<Named>, spec: &Spec, service: &ServiceName) -> BTreeMap<String, Endpoint> {
    let usual_part = match spec {
        Spec::Helm(spec) => Some(spec.release.clone()),
        Spec::Kubernetes(_) => Some(service.to_string()),
        _ => None,
    };
    let with_part = |endpoint: Endpoint| Endpoint { part: endpoint.part.or_else(|| usual_part.clone()), ..endpoint };
    endpoints.into_iter().map(|named| (named.name, with_part(named.endpoint))).collect()
}

type Raw = Field<Entries<Short<u16, RawEndpoint>>>;

impl Lowering<'_> {
    /// The endpoints of a service; those of which the name or the port is wrong are left out.
    pub(super) fn endpoints(&self, raw: Option<&Raw>, backend: Option<BackendKind>, kind: Option<Kind>) -> Vec<Named> {
        if let (Some(field), Some(Kind::Job)) = (raw, kind) {
            self.error(
                field.span,
                "a job has no endpoints",
                "it ends; take `endpoints` away, or use `kind: permanent`",
            );
        }
        let mut found = Vec::new();
        for (span, name, field) in given(raw).into_iter().flat_map(Entries::iter) {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let known = crate::model::Part::named(name).is_some();
            if known
                || name.len() > 63
                || !name.starts_with(|c: char| c.is_ascii_alphabetic())
                || !name.chars().all(fits)
            {
                let message = format!("`{}` cannot be the name of an endpoint", shorten(name));
                let help = "a name starts with a letter, has letters, digits, `-` and `_`, and is none of `url`, `host`, \
                            `port` and `authority`";
                self.error(span, message, help);
                continue;
            }
            let lowered = match field.located() {
                Some((span, Short::Short(port))) => Some((span, Endpoint::new(*port))),
                Some((_, Short::Full(raw))) => self.endpoint(raw, backend),
                None => None,
            };
            let Some((span, endpoint)) = lowered else { continue };
            if endpoint.port == 0 {
                self.error(span, "nothing listens on port 0", "use a port from 1 to 65535");
            }
            found.push(Named { span, name: name.to_owned(), endpoint });
        }
        found
    }

    fn endpoint(&self, raw: &RawEndpoint, backend: Option<BackendKind>) -> Option<(Span, Endpoint)> {
        let (span, port) = raw.port.located()?;
        let mut endpoint = Endpoint::new(*port);
        if let Some((span, path)) = raw.path.as_ref().and_then(Field::located) {
            if path.contains(|c: char| c.is_whitespace() || c.is_control()) {
                self.error(
                    span,
                    format!("`{}` is no path of a URL", shorten(path)),
                    "write it as `/v1`, spaces as `%20`",
                );
            }
            let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
            endpoint.path = format!("{slash}{path}");
        }
        if let Some((span, scheme)) = raw.scheme.as_ref().and_then(Field::located) {
            let fits = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
            if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(fits) {
                let message = format!("`{}` is no scheme of a URL", shorten(scheme));
                self.error(span, message, "write it without `://`, such as `https` or `postgresql`");
            }
            endpoint.scheme.clone_from(scheme);
        }
        if let Some((span, host)) = raw.host.as_ref().and_then(Field::located) {
            if !is_host(host) {
                let message = format!("`{}` is not a host name or address", shorten(host));
                self.error(span, message, "write it without scheme and port, such as `localhost` or `10.0.0.1`");
            }
            endpoint.host = Some(host.clone());
        }
        endpoint.part = given(raw.service.as_ref()).cloned();
        endpoint.port_forward = match raw.port_forward.as_ref().and_then(Field::located) {
            None | Some((_, Short::Short(false))) => None,
            Some((span, forward)) => {
                if let Some(backend) = backend.filter(|it| !matches!(it, BackendKind::Helm | BackendKind::Kubernetes)) {
                    let message = format!("a service of the backend `{backend}` needs no forwarded port");
                    self.error(span, message, "take `port_forward` away: it is for services in a Kubernetes cluster");
                }
                match forward {
                    Short::Short(_) => Some(PortForward::default()),
                    Short::Full(RawPortForward { to, local_port }) => Some(PortForward {
                        to: given(to.as_ref()).cloned(),
                        local_port: given(local_port.as_ref()).copied().filter(|port| *port > 0),
                    }),
                }
            }
        };
        Some((span, endpoint))
    }
}
