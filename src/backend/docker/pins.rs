//! What images stand for now.

use super::connect::Engines;
use crate::backend::{BackendError, PinAnswers};
use crate::model::{Pins, Service, Spec};

/// Asks for each service, as [`Observer::pins`](crate::backend::Observer::pins) says.
pub(super) async fn pins(engines: &Engines, services: &[&Service], _recorded: &Pins) -> PinAnswers {
    let mut answers = PinAnswers::new();
    for service in services {
        let Spec::Docker(spec) = &service.spec else { continue };
        let engine = match engines.get(spec.host.as_deref()).await {
            Ok(engine) => engine,
            Err(error) => {
                answers.insert(service.name.clone(), Err(error));
                continue;
            }
        };
        let found = engine.inspect_image(&spec.image).await.map(|image| image.id.unwrap_or_default());
        let error = |_| BackendError::new(format!("the engine does not have the image {}", spec.image));
        answers.insert(service.name.clone(), found.map_err(error));
    }
    answers
}
