//! What a registry says of an image, asked through the engine, so that an engine elsewhere sees the
//! registries that it sees.

use std::time::Duration;

use bollard::errors::Error;

use super::auth::Login;
use super::connect::Engine;
use super::error::{failed, status};
use super::reference::Reference;
use crate::backend::BackendError;

/// How long a registry may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The digest that a reference stands for in its registry: that of the list where there are
/// manifests for several platforms.
pub(super) async fn digest(engine: &Engine, reference: &Reference) -> Result<String, BackendError> {
    let login = engine.logins().of(&reference.domain).await;
    let doing = format!("ask the registry about {reference}");
    let asked = (**engine).clone().with_timeout(PATIENCE);
    match asked.inspect_registry_image(&reference.to_string(), login.credentials.clone()).await {
        Ok(found) => found
            .descriptor
            .digest
            .ok_or_else(|| BackendError::new(format!("cannot {doing}: the engine answered without a digest"))),
        Err(error) => Err(refused(&doing, &error, reference, &login)),
    }
}

/// An error of the engine while it talked to a registry.
pub(super) fn refused(doing: &str, error: &Error, reference: &Reference, login: &Login) -> BackendError {
    let told = failed(doing, error);
    let said = told.message.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    let domain = &reference.domain;
    if has(&["toomanyrequests", "too many requests"]) {
        return told
            .with_hint(format!("the registry limits how much is asked of it: `docker login {domain}`, or wait"));
    }
    let denied = ["unauthorized", "denied", "authentication required", "no basic auth", "incorrect username"];
    if has(&denied) || matches!(status(error), Some(401 | 403)) {
        return told.with_hint(match (&login.trouble, &login.credentials) {
            (Some(trouble), _) => format!("{trouble}; log in again with `docker login {domain}`"),
            (None, Some(_)) => format!("the credentials for {domain} do not open it: see its name, or log in again with `docker login {domain}`"),
            (None, None) => format!("see its name, and log in with `docker login {domain}` if it is not public"),
        });
    }
    if has(&["manifest unknown", "not found", "name unknown", "no such image"]) && !has(&["lookup", "no such host"]) {
        return told
            .with_hint(format!("see the name and the tag: the registry {domain} answers but has no such image"));
    }
    if has(&["server gave http response to https client"]) {
        return told.with_hint(format!(
            "{domain} speaks no TLS: name it in `insecure-registries` of the engine's daemon.json"
        ));
    }
    if has(&[
        "connection refused",
        "no such host",
        "timeout",
        "no route",
        "unreachable",
        "tls",
        "x509",
        "eof",
        "lookup",
    ]) {
        return told.with_hint(format!("see that the registry {domain} runs and that the engine reaches it"));
    }
    told
}
