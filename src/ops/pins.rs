//! What the images of the services stand for: asked when a plan is made, kept when it is applied.

use std::collections::BTreeMap;

use super::{OpError, Project};
use crate::backend::{BackendError, Observers};
use crate::model::{BackendKind, FieldValue, IMAGE_PIN, Pins, Service, ServiceName, Spec};
use crate::plan::Warning;
use crate::state::{Record, State};

/// What is recorded of each service's image.
pub(super) fn recorded(state: &State) -> Pins {
    let pin = |(address, record): (&crate::model::Address, &Record)| match record.fields.get(IMAGE_PIN) {
        Some(FieldValue::Plain(pin)) => Some((address.service.clone(), pin.clone())),
        _ => None,
    };
    state.records.iter().filter_map(pin).collect()
}

/// Asks what the image of each service stands for now. Where that cannot be found out, what is
/// recorded for the same image stays, with a warning.
///
/// # Errors
/// When it cannot be found out for an image that is not recorded; all such services are named.
pub(super) async fn resolve(
    project: &Project,
    observers: &Observers,
    state: &State,
) -> Result<(Pins, Vec<Warning>), OpError> {
    let services: Vec<&Service> = project
        .loaded
        .desired
        .services
        .values()
        .map(AsRef::as_ref)
        .filter(|service| matches!(service.spec, Spec::Docker(_)))
        .collect();
    let (Some(engine), false) = (observers.get(BackendKind::Docker), services.is_empty()) else {
        return Ok(Default::default());
    };
    let before = recorded(state);
    let (mut pins, mut warnings, mut failed) = (Pins::new(), Vec::new(), Vec::new());
    for (service, answer) in engine.pins(&services, &before).await {
        match (answer, before.get(&service)) {
            (Ok(pin), _) => {
                pins.insert(service, pin);
            }
            (Err(error), Some(pin)) if names_the_same(project, state, &service) => {
                let message = format!("{error}; it stays with the image that runs");
                warnings.push(Warning { address: Some(service.clone().into()), message });
                pins.insert(service, pin.clone());
            }
            (Err(error), _) => failed.push((service, error)),
        }
    }
    match failed.is_empty() {
        true => Ok((pins, warnings)),
        false => Err(all_failed(failed)),
    }
}

/// Whether the file names the image as it was applied.
fn names_the_same(project: &Project, state: &State, service: &ServiceName) -> bool {
    let wanted = project.loaded.desired.services.get(service).map(|service| &service.spec);
    let Some(Spec::Docker(spec)) = wanted else { return false };
    let mut records = state.records.iter().filter(|(address, _)| address.service == *service);
    records.any(|(_, record)| record.fields.get("image") == Some(&FieldValue::Plain(spec.image.clone())))
}

/// One error for all, said once where several have the same.
fn all_failed(failed: Vec<(ServiceName, BackendError)>) -> OpError {
    let hint = failed.iter().find_map(|(_, error)| error.hint.clone());
    let mut by_message: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (service, error) in failed {
        by_message.entry(error.message).or_default().push(service.to_string());
    }
    let told: Vec<String> =
        by_message.into_iter().map(|(message, services)| format!("{}: {message}", services.join(", "))).collect();
    let source = BackendError { message: told.join("; "), hint, object: None };
    OpError::backend("finding out which images to run", source)
}
