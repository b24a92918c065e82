//! Where a port of a container is reached.

use bollard::models::{ContainerInspectResponse, PortBinding};

use crate::model::{Reach, Vantage};

/// Where a port of a container is reached: by the port that it is published under, else, where the engine is this
/// machine's or the viewer is a container, by the container's own address. `engine` is the engine's host.
pub(super) fn locate(
    found: &ContainerInspectResponse,
    port: u16,
    from: Vantage,
    engine: Option<&str>,
) -> Option<Reach> {
    let settings = found.network_settings.as_ref()?;
    let own = || {
        let networks = settings.networks.as_ref()?;
        // Of several networks always the same one.
        let named = networks.iter().min_by(|a, b| a.0.cmp(b.0));
        let host = named?.1.ip_address.clone().filter(|address| !address.is_empty())?;
        Some(Reach { host, port })
    };
    if from == Vantage::Container {
        return own();
    }
    published(found, port, engine).or_else(|| own().filter(|_| engine.is_none()))
}

/// Where a port of a container is published.
pub(in crate::backend) fn published(
    found: &ContainerInspectResponse,
    port: u16,
    engine: Option<&str>,
) -> Option<Reach> {
    let ports = found.network_settings.as_ref()?.ports.as_ref()?;
    let bindings = ports.get(&format!("{port}/tcp"))?.as_ref()?;
    let mut bindings: Vec<Reach> = bindings.iter().filter_map(|binding| bound(binding, engine)).collect();
    bindings.sort();
    // What listens on every address is at `localhost` or at the engine's host.
    bindings.sort_by_key(|reach| reach.host != engine.unwrap_or("localhost"));
    bindings.into_iter().next()
}

fn bound(binding: &PortBinding, engine: Option<&str>) -> Option<Reach> {
    let port = binding.host_port.as_ref()?.parse().ok()?;
    let address = binding.host_ip.as_ref().and_then(|address| address.parse::<std::net::IpAddr>().ok());
    let own = address.filter(|address| !address.is_unspecified() && !address.is_loopback());
    let host = own.map_or_else(|| engine.unwrap_or("localhost").to_owned(), |own| own.to_string());
    Some(Reach { host, port })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bollard::models::{EndpointSettings, NetworkSettings};

    use super::*;

    fn container(ports: &[(&str, &[(&str, &str)])]) -> ContainerInspectResponse {
        let binding = |(ip, port): &(&str, &str)| PortBinding {
            host_ip: Some((*ip).to_owned()),
            host_port: Some((*port).to_owned()),
        };
        let ports = ports.iter().map(|(name, list)| ((*name).to_owned(), Some(list.iter().map(binding).collect())));
        let network = EndpointSettings { ip_address: Some("172.17.0.5".into()), ..EndpointSettings::default() };
        let settings = NetworkSettings {
            ports: Some(ports.collect()),
            networks: Some(HashMap::from([("bridge".into(), network)])),
            ..NetworkSettings::default()
        };
        ContainerInspectResponse { network_settings: Some(settings), ..ContainerInspectResponse::default() }
    }

    #[test]
    fn a_published_port_goes_before_the_containers_own_address() {
        let at = |host: &str, port| Some(Reach { host: host.into(), port });
        let both = container(&[("80/tcp", &[("::", "32769"), ("0.0.0.0", "32769")]), ("80/udp", &[("0.0.0.0", "1")])]);
        assert_eq!(locate(&both, 80, Vantage::Here, None), at("localhost", 32769));
        assert_eq!(locate(&both, 80, Vantage::Here, Some("far")), at("far", 32769));
        assert_eq!(locate(&both, 80, Vantage::Container, None), at("172.17.0.5", 80));
        assert_eq!(locate(&both, 81, Vantage::Here, None), at("172.17.0.5", 81));
        assert_eq!(locate(&both, 81, Vantage::Here, Some("far")), None);
        let bound = container(&[("80/tcp", &[("10.0.0.7", "8080")])]);
        assert_eq!(locate(&bound, 80, Vantage::Here, None), at("10.0.0.7", 8080));
    }
}
