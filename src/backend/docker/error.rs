//! What an engine refuses, in words that say what orch was doing and what can be done.

use bollard::errors::Error;

use crate::backend::BackendError;

/// An error of the engine while orch was `doing` something: `start the container shop-web-3f9a1c.2`.
pub(in crate::backend) fn failed(doing: &str, error: &Error) -> BackendError {
    let message = message(error);
    let told = BackendError::new(format!("cannot {doing}: {message}"));
    match hint(error, &message) {
        Some(hint) => told.with_hint(hint),
        None => told,
    }
}

/// The status that the engine answered with; `None` when it did not answer.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Whether what was asked for is not there.
pub(in crate::backend) fn is_missing(error: &Error) -> bool {
    status(error) == Some(404)
}

/// What the engine said, or the deepest cause of its silence.
fn message(error: &Error) -> String {
    if let Error::DockerResponseServerError { message, .. } = error {
        return message.trim().to_owned();
    }
    if let Error::DockerStreamError { error } = error {
        return error.trim().to_owned();
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(below) = deepest.source() {
        deepest = below;
    }
    let text = deepest.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    // What the system says begins with a capital letter, and an error is a fragment.
    match text.split_at_checked(1) {
        Some((first, rest)) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => first.to_lowercase() + rest,
        _ => text.to_owned(),
    }
}

fn hint(error: &Error, message: &str) -> Option<&'static str> {
    let lower = message.to_lowercase();
    let has = |part: &str| lower.contains(part);
    if has("no space left on device") {
        Some("make room on the engine's disk, `docker system df` says what uses it, and apply again")
    } else if has("port is already allocated") || has("address already in use") {
        Some("see who has the port with `ss -ltnp` or `docker ps`, or give the service another one")
    } else if status(error).is_none() && !matches!(error, Error::DockerStreamError { .. }) {
        Some("see that the engine runs and answers: `docker version`")
    } else {
        None
    }
}
