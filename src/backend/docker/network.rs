//! The networks of the file on an engine.

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{
    Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest, NetworkInspect,
};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};

use super::error::{failed, is_missing, status};
use super::operate::Site;
use super::{DockerSettings, container, labels};
use crate::backend::{BackendError, OpContext};
use crate::model::{DockerSpec, Instance, NetworkSpec, ServiceName};

/// Every network with this project's labels.
pub(super) async fn list(engine: &Docker, settings: &DockerSettings) -> Result<Vec<NetworkInspect>, BackendError> {
    let label = vec![format!("{}={}", labels::SCOPE, settings.scope)];
    let options = ListNetworksOptionsBuilder::default().filters(&HashMap::from([("label", label)])).build();
    let found = engine.list_networks(Some(options)).await.map_err(|error| failed("list the networks", &error))?;
    let inspected = found.into_iter().map(|network| NetworkInspect {
        id: network.id,
        name: network.name,
        created: network.created,
        labels: network.labels,
        ..NetworkInspect::default()
    });
    Ok(inspected.collect())
}

/// One network; `None` when it is gone.
pub(super) async fn inspect(engine: &Docker, id: &str) -> Result<Option<NetworkInspect>, BackendError> {
    match engine.inspect_network(id, None::<InspectNetworkOptions>).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(failed("look at a network", &error)),
    }
}

/// Makes a network; its engine id. One that this attempt made already is taken as it is.
pub(super) async fn create(
    engine: &Docker,
    settings: &DockerSettings,
    spec: &NetworkSpec,
    op: &OpContext,
    instance: &Instance,
) -> Result<String, BackendError> {
    let name = labels::network_name(settings, &spec.name, spec.engine_name.as_deref());
    let doing = format!("make the network {name}");
    let subnet = spec.subnet.clone().map(|subnet| IpamConfig { subnet: Some(subnet), ..IpamConfig::default() });
    let request = NetworkCreateRequest {
        name: name.clone(),
        driver: Some("bridge".to_owned()),
        ipam: subnet.map(|config| Ipam { config: Some(vec![config]), ..Ipam::default() }),
        labels: Some(labels::of(settings, op, instance)),
        ..NetworkCreateRequest::default()
    };
    crate::crash_point!("docker.network.before");
    let made = match inspect(engine, &name).await? {
        Some(there)
            if there
                .labels
                .as_ref()
                .is_some_and(|found| found.get(labels::OP).map(String::as_str) == Some(op.op_id.as_str())) =>
        {
            there.id.unwrap_or_default()
        }
        Some(_) => {
            return Err(BackendError::new(format!(
                "cannot {doing}: the engine has one of that name, which is not orch's"
            ))
            .with_hint("remove it with `docker network rm`, or give the network another name in the file"));
        }
        None => {
            let made = engine.create_network(request).await;
            made.map_err(|error| overlap(failed(&doing, &error)))?.id
        }
    };
    crate::crash_point!("docker.network.made");
    Ok(made)
}

fn overlap(error: BackendError) -> BackendError {
    if error.message.contains("overlaps") {
        return error.with_hint("another network has a part of this subnet: `docker network ls` lists them");
    }
    error
}

/// Removes a network, after it took what is left of this project's in it out. One that is gone is
/// fine; one that others are still in stays, and the engine says so.
pub(super) async fn remove(site: Site<'_>, id: &str) -> Result<(), BackendError> {
    let engine = site.engine;
    let Some(found) = inspect(engine, id).await? else { return Ok(()) };
    let name = found.name.clone().unwrap_or_else(|| id.to_owned());
    for container in found.containers.unwrap_or_default().into_keys().collect::<std::collections::BTreeSet<_>>() {
        if !site.inspect(&container).await?.is_some_and(|found| site.is_own(&found)) {
            continue;
        }
        let request = NetworkDisconnectRequest { container: container.clone(), force: Some(true) };
        match engine.disconnect_network(id, request).await {
            Ok(()) => {}
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(failed(&format!("take {container} out of the network {name}"), &error)),
        }
    }
    crate::crash_point!("docker.network.emptied");
    match engine.remove_network(id).await {
        Ok(()) => {}
        Err(error) if is_missing(&error) => {}
        Err(error) => {
            return Err(failed(&format!("remove the network {name}"), &error)
                .with_hint(format!("`docker network inspect {name}` says what else is in it")));
        }
    }
    crate::crash_point!("docker.network.removed");
    Ok(())
}

/// Joins a container to those of its networks that it is not in. It may run.
pub(super) async fn join(
    engine: &Docker,
    settings: &DockerSettings,
    container: &str,
    spec: &DockerSpec,
    service: &ServiceName,
) -> Result<(), BackendError> {
    if spec.networks.is_empty() {
        return Ok(());
    }
    let found = engine.inspect_container(container, None).await;
    let found = found.map_err(|error| failed("look at the container", &error))?;
    let joined = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    for network in &spec.networks {
        let name = labels::network_name(settings, &network.name, network.engine_name.as_deref());
        if joined.contains_key(&name) {
            continue;
        }
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(container::endpoint(network, service)),
        };
        match engine.connect_network(&name, request).await {
            Ok(()) => {}
            // Someone joined it in between, which is what is wanted.
            Err(error) if status(&error) == Some(403) && error.to_string().contains("already exists") => {}
            Err(error) => return Err(failed(&format!("join the network {name}"), &error)),
        }
    }
    Ok(())
}
