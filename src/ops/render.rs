//! What services are in full, where a tool of their backend says it: asked when a plan is made, and again when it
//! is applied.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{OpError, Project};
use crate::backend::{BackendError, Observers};
use crate::model::{BackendKind, Desired, Service};

/// What the file wants, with every service as its backend renders it.
///
/// # Errors
/// When a service cannot be rendered; all such services are named.
pub(super) async fn resolve<'p>(project: &'p Project, observers: &Observers) -> Result<Cow<'p, Desired>, OpError> {
    let desired = &project.loaded.desired;
    let mut by_backend: BTreeMap<BackendKind, Vec<&Service>> = BTreeMap::new();
    for service in desired.services.values() {
        by_backend.entry(service.spec.backend()).or_default().push(service);
    }
    let asked = by_backend.iter().filter_map(|(kind, services)| Some(observers.get(*kind)?.render(services)));
    let answers = futures_util::future::join_all(asked).await;
    let (mut rendered, mut failed) = (Vec::new(), Vec::new());
    for (name, answer) in answers.into_iter().flatten() {
        match answer {
            Ok(spec) => rendered.push((name, spec)),
            Err(error) => failed.push((name, error)),
        }
    }
    if !failed.is_empty() {
        let hint = failed.iter().find_map(|(_, error)| error.hint.clone());
        let told: Vec<String> = failed.iter().map(|(name, error)| format!("{name}: {error}")).collect();
        let source = BackendError { message: told.join("; "), hint, object: None };
        return Err(OpError::backend("finding out what services are in full", source));
    }
    if rendered.is_empty() {
        return Ok(Cow::Borrowed(desired));
    }
    let mut desired = desired.clone();
    for (name, spec) in rendered {
        if let Some(service) = desired.services.get_mut(&name) {
            *service = Arc::new(Service { spec, ..(**service).clone() });
        }
    }
    Ok(Cow::Owned(desired))
}
