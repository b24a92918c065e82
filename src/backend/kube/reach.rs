//! Where a port of a cluster is reached: through a forwarded port, a node's port or a load balancer.

use serde_json::Value;

use super::{Forward, Kube, flags};
use crate::backend::{BackendError, Connection};
use crate::model::{Endpoint, KubeCluster, KubeId, Reach};

impl Kube {
    /// Forwards a local port, by default a free one, to a port of an object, `service/web`, for as long as the answer
    /// is kept.
    ///
    /// # Errors
    /// When kubectl cannot run, or refuses.
    pub async fn port_forward(
        &self,
        cluster: &KubeCluster,
        namespace: &str,
        object: &str,
        ports: (Option<u16>, u16),
    ) -> Result<Forward, BackendError> {
        Forward::start(self.tool().await?, &flags(cluster), namespace, object, ports).await
    }

    /// Forwards a port to an endpoint, as that says.
    pub(in crate::backend) async fn forward(
        &self,
        cluster: &KubeCluster,
        namespace: &str,
        endpoint: &Endpoint,
    ) -> Result<Option<crate::backend::Forward>, BackendError> {
        let Some(wanted) = &endpoint.port_forward else { return Ok(None) };
        let object = match &wanted.to {
            Some(object) => object.clone(),
            None => format!("service/{}", service_of(endpoint)?),
        };
        let ports = (wanted.local_port, endpoint.port);
        Ok(Some(self.port_forward(cluster, namespace, &object, ports).await?.into()))
    }

    /// A connection to a service of the cluster, `web.shop.svc`; `None` for any other host, which is reached from here
    /// or not at all.
    pub(in crate::backend) async fn dial(
        &self,
        cluster: &KubeCluster,
        host: &str,
        port: u16,
    ) -> Result<Option<Connection>, BackendError> {
        let Some((name, namespace)) = host.strip_suffix(".svc").and_then(|host| host.split_once('.')) else {
            return Ok(None);
        };
        let object = format!("service/{name}");
        let forward = self.port_forward(cluster, namespace, &object, (None, port)).await?;
        let connected = forward.connect().await;
        let failed = |error| BackendError::new(format!("cannot connect to the port forwarded to {object}: {error}"));
        Ok(Some(Box::new(connected.map_err(failed)?)))
    }

    /// Where an endpoint is reached from outside the cluster, without a forwarded port.
    pub(in crate::backend) async fn locate(
        &self,
        cluster: &KubeCluster,
        namespace: &str,
        endpoint: &Endpoint,
    ) -> Result<Reach, BackendError> {
        let name = service_of(endpoint)?;
        let api = self.api(cluster).await?;
        let id = KubeId {
            api_version: "v1".into(),
            kind: "Service".into(),
            namespace: Some(namespace.into()),
            name: name.into(),
        };
        let Some(service) = api.object(&id).await? else {
            return Err(BackendError::new(format!("there is no service {name} in the namespace {namespace}"))
                .with_hint("name the one that has the port: `service: NAME` in the endpoint"));
        };
        let Some(mapping) = mapping(&service, endpoint.port) else {
            return Err(BackendError::new(format!("the service {name} has no port {}", endpoint.port))
                .with_hint(format!("it has {}", ports(&service).join(", "))));
        };
        if let Some(host) = balancer(&service) {
            return Ok(Reach { host, port: endpoint.port });
        }
        let inside = || {
            BackendError::new(format!("the service {name} is reached only from inside its cluster"))
                .with_hint("add `port_forward: true` to the endpoint, or a `host` by which it is reached")
        };
        let node_port = number(mapping, "nodePort").ok_or_else(inside)?;
        let nodes = api.list("/api/v1/nodes").await?;
        let host = nodes.iter().find_map(address).ok_or_else(inside)?;
        Ok(Reach { host, port: node_port })
    }
}

fn service_of(endpoint: &Endpoint) -> Result<&str, BackendError> {
    endpoint.part.as_deref().ok_or_else(|| {
        BackendError::new("nothing says which service of the cluster has the port")
            .with_hint("name it: `service: NAME` in the endpoint")
    })
}

fn number(value: &Value, key: &str) -> Option<u16> {
    value.get(key).and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0)
}

fn mappings(service: &Value) -> &[Value] {
    service.pointer("/spec/ports").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn mapping(service: &Value, port: u16) -> Option<&Value> {
    mappings(service).iter().find(|mapping| number(mapping, "port") == Some(port))
}

fn ports(service: &Value) -> Vec<String> {
    mappings(service).iter().filter_map(|mapping| Some(number(mapping, "port")?.to_string())).collect()
}

/// The address of the load balancer in front of a service.
fn balancer(service: &Value) -> Option<String> {
    let ingress = service.pointer("/status/loadBalancer/ingress/0")?;
    let text = |key: &str| ingress.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("ip").or_else(|| text("hostname")).map(str::to_owned)
}

/// The address of a node: one for the outside, where it has one.
fn address(node: &Value) -> Option<String> {
    let addresses = node.pointer("/status/addresses").and_then(Value::as_array)?;
    let of = |kind: &str| {
        let is = |entry: &&Value| entry.get("type").and_then(Value::as_str) == Some(kind);
        addresses.iter().find(is).and_then(|entry| entry.get("address").and_then(Value::as_str))
    };
    of("ExternalIP").or_else(|| of("InternalIP")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_load_balancer_and_a_nodes_outer_address_come_first() {
        let service = json!({
            "spec": {"ports": [{"port": 80, "nodePort": 30080}, {"port": 443}]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}},
        });
        assert_eq!(balancer(&service).as_deref(), Some("lb.example"));
        assert_eq!(mapping(&service, 80).and_then(|mapping| number(mapping, "nodePort")), Some(30080));
        assert!(mapping(&service, 81).is_none());
        assert_eq!(ports(&service), ["80", "443"]);
        let entry = |kind: &str, address: &str| json!({"type": kind, "address": address});
        let inner = json!({"status": {"addresses": [entry("Hostname", "n1"), entry("InternalIP", "10.0.0.1")]}});
        assert_eq!(address(&inner).as_deref(), Some("10.0.0.1"));
        let both = json!({"status": {"addresses": [entry("InternalIP", "10.0.0.1"), entry("ExternalIP", "8.0.0.1")]}});
        assert_eq!(address(&both).as_deref(), Some("8.0.0.1"));
        assert_eq!(balancer(&json!({"status": {"loadBalancer": {}}})), None);
    }
}
