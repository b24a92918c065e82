//! What is known of where services are reached before anything runs.

use std::sync::Arc;

use super::{
    Endpoint, HostPort, KubeCluster, Machine, NetworkUse, PortMapping, Protocol, Reach, Seat, Service, Spec, Vantage,
};

/// The name of this machine for what runs on it.
const LOCALHOST: &str = "localhost";

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
    /// A container of a Compose project, which is in networks of its own.
    Compose,
    /// A pod.
    Pod(&'a KubeCluster),
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
            (Spec::Compose(_), None) => Self::Compose,
            (Spec::Helm(spec), None) => Self::Pod(&spec.cluster),
            (Spec::Kubernetes(spec), None) => Self::Pod(&spec.cluster),
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
            Viewer::Here => Known::At(here(port)),
            Viewer::Container { .. } | Viewer::Compose => Known::Never(
                "it is on this machine, and `localhost` in a container is the container itself",
                "give the endpoint a `host` that the container reaches, such as `host.docker.internal`",
            ),
            Viewer::Machines(_) => Known::Never(
                "it is on this machine, which the other machine may not reach",
                "give the endpoint a `host` by which other machines reach it",
            ),
            Viewer::Pod(_) => Known::Never(
                "it is on this machine, which a pod may not reach",
                "give the endpoint a `host` by which the cluster reaches it",
            ),
        };
        let in_cluster = |cluster: &KubeCluster, namespace: &str| match viewer {
            Viewer::Pod(own) if own.key() == cluster.key() => {
                let name = endpoint.part.as_deref().unwrap_or(self.name.as_str());
                Known::At(Reach { host: format!("{name}.{namespace}.svc"), port: endpoint.port })
            }
            Viewer::Here => Known::Later(Vantage::Here),
            _ => Known::Never(
                "it is inside a Kubernetes cluster",
                "give the endpoint a `host`, such as that of an ingress or a load balancer",
            ),
        };
        match (&self.spec, &self.hosts) {
            (_, Some(own)) => match viewer {
                Viewer::Machines(viewers) if viewers.iter().all(|viewer| own.contains(viewer)) => {
                    Known::At(here(endpoint.port))
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
                    (Viewer::Compose, _) => Known::Never(
                        "the containers of a Compose project are in other networks",
                        "publish its port, and give the endpoint a `host` such as `host.docker.internal`",
                    ),
                    (Viewer::Machines(_) | Viewer::Pod(_), _) => local(endpoint.port),
                }
            }
            (Spec::Compose(_), None) => match viewer {
                Viewer::Here => Known::Later(Vantage::Here),
                Viewer::Container { .. } | Viewer::Compose => Known::Never(
                    "the containers of a Compose project are in networks of their own",
                    "publish its port, and give the endpoint a `host` such as `host.docker.internal`",
                ),
                Viewer::Machines(_) | Viewer::Pod(_) => local(endpoint.port),
            },
            (Spec::Helm(spec), None) => in_cluster(&spec.cluster, &spec.namespace),
            (Spec::Kubernetes(spec), None) => in_cluster(&spec.cluster, &spec.namespace),
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
            (Seat::Probe, Spec::Docker(_) | Spec::Compose(_) | Spec::External(_)) => {
                self.known(endpoint, Viewer::Here, engine_here)
            }
            // Its backend makes the connection, into the cluster.
            (Seat::Probe, Spec::Helm(_) | Spec::Kubernetes(_)) => self.known(endpoint, Viewer::of(self), engine_here),
            _ => Known::At(here(endpoint.port)),
        }
    }
}

fn here(port: u16) -> Reach {
    Reach { host: LOCALHOST.to_owned(), port }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DockerSpec, ProcessSpec, ServiceName, Text};

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
}
