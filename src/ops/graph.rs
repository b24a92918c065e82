//! `orch graph`: the services and what each needs, with the actions of a plan if one is asked for.

use std::collections::BTreeMap;

use super::{OpError, PlanOptions, Project, make_plan};
use crate::model::ServiceName;
use crate::plan::Action;
use crate::report::GraphNode;

/// The nodes of the file's graph, by name.
///
/// # Errors
/// As [`make_plan`], when the actions are asked for.
pub async fn graph(project: &Project, with_plan: bool) -> Result<Vec<GraphNode>, OpError> {
    let mut actions: BTreeMap<ServiceName, Action> = BTreeMap::new();
    if with_plan {
        let planned = make_plan(project, &PlanOptions::default()).await?;
        actions.extend(planned.plan.steps.into_iter().map(|step| (step.address.service, step.action)));
    }
    let node = |service: &std::sync::Arc<crate::model::Service>| GraphNode {
        name: service.name.clone(),
        deps: service.dependencies.iter().map(|dependency| dependency.service.clone()).collect(),
        action: actions.get(&service.name).copied(),
        backend: service.spec.backend(),
    };
    Ok(project.loaded.desired.services.values().map(node).collect())
}
