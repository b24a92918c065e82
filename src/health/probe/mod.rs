//! One probe of one check: asks, and says in a line what the answer was.
//!
//! No detail holds a secret: of a text that may be one only `(sensitive)` is shown, of a URL neither
//! user information nor query, of a command neither arguments nor environment.

mod backend;
mod command;
mod dialled;
mod http;
mod inside;
mod net;
mod script;
mod tcp;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::Target;
use crate::model::{Probe, Service};
use crate::sys::base_environment;

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// Whether it is as the check wants it.
    pub healthy: bool,
    /// What was asked and answered, as a fragment: `tcp localhost:5432: connection refused`.
    pub detail: String,
}

impl ProbeAnswer {
    fn healthy(detail: impl Into<String>) -> Self {
        Self { healthy: true, detail: detail.into() }
    }

    fn unhealthy(detail: impl Into<String>) -> Self {
        Self { healthy: false, detail: detail.into() }
    }
}

/// What probes share; make one for a run and hand it to all of its gates.
pub struct ProbeEnv {
    base: BTreeMap<String, String>,
    http: http::HttpClients,
}

impl fmt::Debug for ProbeEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nobody knows what an environment holds.
        f.debug_struct("ProbeEnv").finish_non_exhaustive()
    }
}

impl ProbeEnv {
    /// Takes orch's environment, of which commands and scripts get the same small base below the
    /// environment of their service as the service itself does. Makes no connection yet.
    #[must_use]
    pub fn new(env: BTreeMap<String, String>) -> Self {
        Self { base: base_environment(env).into_iter().collect(), http: http::HttpClients::new() }
    }
}

/// Probes the checks of one service.
#[async_trait]
pub(super) trait Prober: Send + Sync {
    /// Probes a check, by its index, within its timeout.
    async fn probe(&self, check: usize) -> ProbeAnswer;
}

/// Probes for real.
pub(super) struct ServiceProber<'a> {
    pub(super) service: &'a Service,
    pub(super) target: Target<'a>,
    pub(super) env: &'a ProbeEnv,
}

#[async_trait]
impl Prober for ServiceProber<'_> {
    async fn probe(&self, check: usize) -> ProbeAnswer {
        let Some(check) = self.service.checks.get(check) else {
            return ProbeAnswer::unhealthy(format!("the service has no check {check}"));
        };
        let limit = check.policy.timeout;
        if let Some(answer) = inside::probe(self.target, self.service, &check.probe, limit).await {
            return answer;
        }
        match tokio::time::timeout(limit, self.ask(&check.probe, limit)).await {
            Ok(answer) => answer,
            Err(_) => ProbeAnswer::unhealthy(format!("{}: no answer within {limit:?}", label(&check.probe))),
        }
    }
}

impl ServiceProber<'_> {
    async fn ask(&self, probe: &Probe, limit: Duration) -> ProbeAnswer {
        let label = label(probe);
        match probe {
            Probe::Http { url, expected_status, body, headers } => {
                let wanted = http::Wanted { status: expected_status, body: body.as_ref() };
                http::probe(&self.env.http, self.target, &label, url, headers, wanted).await
            }
            Probe::Tcp { host, port } => tcp::probe(self.target, &label, host, *port).await,
            Probe::Command { command, args, expected_exit_code } => {
                let call = command::Call { label: &label, program: command.reveal().as_ref(), args };
                command::probe(&call, *expected_exit_code, self.service, &self.env.base).await
            }
            Probe::Script { path } => script::probe(&label, path, self.service, &self.env.base).await,
            Probe::Backend => backend::probe(self.target, self.service, limit).await,
        }
    }
}

/// What is asked, as the beginning of a detail.
fn label(probe: &Probe) -> String {
    match probe {
        Probe::Http { url, .. } => format!("GET {}", http::shown_url(url)),
        Probe::Tcp { host, port } => format!("tcp {}", net::shown(host, *port)),
        Probe::Command { command, .. } => command.shown().to_owned(),
        Probe::Script { path } => path.display().to_string(),
        Probe::Backend => "backend".to_owned(),
    }
}

/// The deepest cause of an error, without the number that the system adds: `connection refused`.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(below) = deepest.source() {
        deepest = below;
    }
    let text = deepest.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod fakes;
#[cfg(test)]
mod tests;
