//! Where ports of a project are reached.

use std::collections::BTreeMap;

use bollard::query_parameters::InspectContainerOptions;

use super::ComposeBackend;
use super::look::{self, Container};
use crate::backend::BackendError;
use crate::backend::docker::{failed, is_missing, published};
use crate::model::{Endpoint, Reach};

impl ComposeBackend {
    /// Where a port is published: by the Compose service that the endpoint names, else by the only one that does.
    pub(super) async fn published(&self, project: &str, endpoint: &Endpoint) -> Result<Reach, BackendError> {
        let engine = self.engine().await?;
        let host = self.engines.far_host(None);
        let containers = look::of_project(&engine, project).await?;
        let wanted = |container: &&Container| {
            container.is_up() && endpoint.part.as_ref().is_none_or(|part| *part == container.service)
        };
        let mut found: BTreeMap<&str, Reach> = BTreeMap::new();
        for container in containers.iter().filter(wanted) {
            let inspected = engine.inspect_container(&container.id, None::<InspectContainerOptions>).await;
            let reach = match inspected {
                Ok(inspected) => published(&inspected, endpoint.port, host.as_deref()),
                Err(error) if is_missing(&error) => None,
                Err(error) => return Err(failed("look at a container", &error)),
            };
            if let Some(reach) = reach {
                // Of several containers of a service always the first.
                found.entry(&container.service).or_insert(reach);
            }
        }
        let port = endpoint.port;
        let services: Vec<&str> = found.keys().copied().collect();
        match (&endpoint.part, services.len()) {
            (_, 1) => {}
            (Some(part), _) => {
                return Err(BackendError::new(format!(
                    "the Compose service {part} of the project {project} does not run, or does not publish its port {port}"
                ))
                .with_hint(format!("add `ports: [\"{port}\"]` to it in the Compose file")));
            }
            (None, 0) => {
                return Err(BackendError::new(format!(
                    "no service of the project {project} that runs publishes its port {port}"
                ))
                .with_hint(format!("add `ports: [\"{port}\"]` to the one that has it in the Compose file")));
            }
            (None, _) => {
                return Err(BackendError::new(format!(
                    "several services of the project {project} publish their port {port}: {}",
                    services.join(", ")
                ))
                .with_hint("name one: `service: NAME` in the endpoint"));
            }
        }
        let reach = found.into_values().next();
        reach.ok_or_else(|| BackendError::new(format!("the port {port} of {project} cannot be reached")))
    }
}
