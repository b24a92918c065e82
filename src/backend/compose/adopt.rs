//! Projects that run without being orch's: what could be taken over as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::look::{self, COMPOSE_PROJECT, Container};
use super::render;
use super::state::Expected;
use super::tool::Tool;
use super::{ComposeBackend, object_id};
use crate::backend::{BackendError, Candidate, Candidates};
use crate::model::{Address, ComposeProject, ComposeService, ComposeSpec, Instance, Spec, Text};

/// The digests that Compose makes of the services of a definition, as on the containers that it makes.
pub(super) async fn hashes(spec: &ComposeSpec, tool: &Tool) -> Result<BTreeMap<String, String>, BackendError> {
    let Some(project) = &spec.rendered else { return Ok(BTreeMap::new()) };
    let call = render::call_with(spec, tool, project.definition.reveal().to_owned());
    let doing = format!("compare the Compose project {}", spec.project_name);
    let text = tool.output(&call.with(["config", "--hash", "*"]), &doing).await?;
    let line = |line: &str| line.split_once(' ').map(|(name, hash)| (name.to_owned(), hash.trim().to_owned()));
    Ok(text.lines().filter_map(line).collect())
}

impl ComposeBackend {
    /// The projects of these names that are there and not orch's.
    pub(super) async fn adoptable(
        &self,
        instances: &[&Instance],
        named: &BTreeMap<Address, String>,
    ) -> Result<Candidates, BackendError> {
        let engine = self.engine().await?;
        let mut found = Vec::new();
        for instance in instances {
            let Spec::Compose(spec) = &instance.service.spec else { continue };
            let name = &spec.project_name;
            if let Some(other) = named.get(&instance.address).filter(|other| *other != name) {
                return Err(BackendError::new(format!(
                    "cannot take the Compose project {other} over as {}: its `project_name` is {name}",
                    instance.address
                ))
                .with_hint(format!("write `project_name: {other}` in its backend, and adopt it then")));
            }
            let containers = look::of_project(&engine, name).await?;
            let is_there = containers.iter().any(Container::is_up) && !self.is_own(name, &containers);
            if !is_there {
                if named.contains_key(&instance.address) {
                    return Err(BackendError::new(format!(
                        "cannot take the Compose project {name} over: nothing of it runs"
                    ))
                    .with_hint("see what there is with `docker compose ls`"));
                }
                continue;
            }
            found.push(self.candidate(instance, spec, &containers).await?);
        }
        Ok(Candidates { found, unclear: Vec::new() })
    }

    async fn candidate(
        &self,
        instance: &Instance,
        spec: &ComposeSpec,
        containers: &[Container],
    ) -> Result<Candidate, BackendError> {
        let hashes = hashes(spec, &self.tool).await?;
        let mut services = BTreeMap::new();
        let rendered = spec.rendered.as_deref();
        for (name, service) in rendered.iter().flat_map(|project| &project.services) {
            let own: Vec<&Container> = containers.iter().filter(|container| container.service == *name).collect();
            if own.is_empty() {
                continue;
            }
            let same = own.iter().all(|container| container.hash() == hashes.get(name).map(String::as_str));
            services.insert(name.clone(), if same { service.clone() } else { other(&own) });
        }
        let known: BTreeSet<&str> =
            rendered.iter().flat_map(|project| project.services.keys().map(String::as_str)).collect();
        let orphan = |container: &&Container| !known.contains(container.service.as_str());
        let beyond = containers.iter().filter(orphan).map(|container| format!("container {}", container.name));
        let project = rendered.map(|project| Arc::new(ComposeProject { services, ..project.clone() }));
        let id = object_id(&spec.project_name);
        let seen = super::state::sum_up(&Expected::default(), containers, None);
        Ok(Candidate {
            address: instance.address.clone(),
            matched_by: format!("label {COMPOSE_PROJECT}={}", spec.project_name),
            name: format!("Compose project {}", spec.project_name),
            id,
            incarnation: seen.incarnation,
            spec: Spec::Compose(Box::new(ComposeSpec { rendered: project, ..spec.clone() })),
            pin: None,
            beyond: beyond.collect(),
        })
    }
}

/// A service whose containers were made from another definition than the file's: of that only the image is known,
/// and what Compose made of the rest.
fn other(containers: &[&Container]) -> ComposeService {
    let image = containers.iter().map(|container| container.image_name.clone()).next().unwrap_or_default();
    let hash = containers.iter().filter_map(|container| container.hash()).collect::<Vec<_>>().join(" ");
    ComposeService {
        made_from: BTreeMap::from([
            ("image".to_owned(), Text::plain(image)),
            // It is made from values that may be secret.
            ("config_hash".to_owned(), Text::sensitive(hash)),
        ]),
        ..ComposeService::default()
    }
}
