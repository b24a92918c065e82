//! The labels of what orch makes on an engine, and the names.

use std::collections::HashMap;

use super::DockerSettings;
use crate::backend::OpContext;
use crate::model::{Address, Digest, Instance, OpId};

/// The project.
pub(super) const PROJECT: &str = "orch.project";
/// What tells state folders with a project of the same name apart.
pub(super) const SCOPE: &str = "orch.scope";
/// The address.
pub(super) const ADDRESS: &str = "orch.address";
/// The service, for people and for `docker ps --filter`.
pub(super) const SERVICE: &str = "orch.service";
/// The attempt.
pub(super) const OP: &str = "orch.op";
/// The revision.
pub(super) const REVISION: &str = "orch.revision";
/// How long it is meant to run.
pub(super) const KIND: &str = "orch.kind";

/// What the labels of an object say.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    pub(super) address: Address,
    pub(super) op_id: OpId,
    pub(super) revision: Digest,
}

/// The labels that tell that something is this state folder's.
pub(super) fn owner(settings: &DockerSettings) -> HashMap<String, String> {
    HashMap::from([(PROJECT.to_owned(), settings.project.to_string()), (SCOPE.to_owned(), settings.scope.clone())])
}

/// The labels of a new object.
pub(super) fn of(settings: &DockerSettings, op: &OpContext, instance: &Instance) -> HashMap<String, String> {
    let mut labels = owner(settings);
    labels.extend([
        (ADDRESS.to_owned(), op.address.to_string()),
        (SERVICE.to_owned(), op.address.service.to_string()),
        (OP.to_owned(), op.op_id.to_string()),
        (REVISION.to_owned(), instance.revision.to_string()),
        (KIND.to_owned(), instance.service.kind.to_string()),
    ]);
    labels
}

/// Whether labels say that something is this state folder's.
pub(super) fn is_own(settings: &DockerSettings, labels: &HashMap<String, String>) -> bool {
    labels.get(SCOPE) == Some(&settings.scope)
        && labels.get(PROJECT).map(String::as_str) == Some(settings.project.as_str())
}

/// What labels say; `None` when one is missing or cannot be read.
pub(super) fn stamp(labels: &HashMap<String, String>) -> Option<Stamp> {
    Some(Stamp {
        address: labels.get(ADDRESS)?.parse().ok()?,
        op_id: OpId::new(labels.get(OP)?.as_str()),
        revision: labels.get(REVISION)?.parse().ok()?,
    })
}

/// The name of a container without one of its own: the same attempt always makes the same name, so
/// that the engine itself refuses to make it twice, and no other attempt is ever in its way.
pub(super) fn container_name(settings: &DockerSettings, address: &Address, op_id: &OpId) -> String {
    let address = address.to_string().replace(['[', '@'], "-").replace(']', "");
    format!("{}-{address}-{}", settings.project, attempt(op_id))
}

/// The end of an op-id, which tells attempts apart: `3f9a1c.2`.
pub(super) fn attempt(op_id: &OpId) -> &str {
    op_id.as_str().rsplit('-').next().unwrap_or_default()
}

/// What the engine calls a network.
pub(super) fn network_name(settings: &DockerSettings, name: &str, own: Option<&str>) -> String {
    own.map_or_else(|| shared_name(settings, name), str::to_owned)
}

/// What the engine calls a volume of the file, and a network without a name of its own.
pub(super) fn shared_name(settings: &DockerSettings, name: &str) -> String {
    format!("{}_{name}", settings.project)
}
