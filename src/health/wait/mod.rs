//! Drives a gate with the clock, the probes and a backend's observer.

use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use super::Target;
use super::gate::{Decision, Gate, GatePolicy, Look};
use super::in_flight::InFlight;
use super::probe::{ProbeAnswer, ProbeEnv, Prober, ServiceProber};
use crate::model::{Instance, ObservedObject};

/// One answer of one check while a gate waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// Which of the service's checks, from 0.
    pub check: usize,
    /// Which probe of this check in this gate, from 1.
    pub attempt: u32,
    /// Whether it passed.
    pub healthy: bool,
    /// The answer, as a fragment: `GET http://localhost:8080/health: 503 (want 2xx)`.
    pub detail: String,
    /// When it answered, since the gate began.
    pub at: Duration,
}

/// A gate was passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatePassed {
    /// How many probes were answered.
    pub probes: u32,
    /// How long it took.
    pub took: Duration,
}

/// A gate was missed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct GateMissed {
    /// Why, as a fragment.
    pub reason: String,
    /// The last answer of each check that answered, in the order of the checks.
    pub probes: Vec<ProbeReport>,
    /// How long it took.
    pub took: Duration,
}

/// Waits until an instance is well, by the rules of [`Gate`].
///
/// With a target, its object must carry `instance.revision`: to wait for an older version, pass an
/// instance with the revision of that version. Every answer is handed to `on_probe`. When the future
/// is dropped, probes under way are cancelled, commands with all that they started.
///
/// # Errors
/// When the gate is missed; what runs is left as it is.
pub async fn gate(
    instance: &Instance,
    target: Target<'_>,
    env: &ProbeEnv,
    on_probe: &mut (dyn FnMut(ProbeReport) + Send),
) -> Result<GatePassed, GateMissed> {
    let prober = ServiceProber { service: &instance.service, target, env };
    drive(Gate::new(GatePolicy::of(instance, target.is_some())), target, &prober, on_probe).await
}

/// What came back from the world.
enum Seen {
    Probe(usize, ProbeAnswer),
    Object(Look),
}

async fn drive(
    mut gate: Gate,
    target: Target<'_>,
    prober: &dyn Prober,
    on_probe: &mut (dyn FnMut(ProbeReport) + Send),
) -> Result<GatePassed, GateMissed> {
    let began = Instant::now();
    let mut in_flight = InFlight::new();
    let mut last: Vec<ProbeReport> = Vec::new();
    let mut count: u32 = 0;
    loop {
        let until = match gate.next(began.elapsed()) {
            Decision::ProbeNow(checks) => {
                for check in checks {
                    in_flight.push(async move { Seen::Probe(check, prober.probe(check).await) });
                }
                continue;
            }
            Decision::LookNow => {
                in_flight.push(async move { Seen::Object(look(target).await) });
                continue;
            }
            Decision::WaitUntil(until) => until,
            Decision::Passed => return Ok(GatePassed { probes: count, took: began.elapsed() }),
            Decision::Missed(reason) => return Err(GateMissed { reason, probes: last, took: began.elapsed() }),
        };
        tokio::select! {
            seen = in_flight.next() => {
                let at = began.elapsed();
                match seen {
                    Seen::Object(look) => gate.looked(look, at),
                    Seen::Probe(check, answer) => {
                        gate.probed(check, &answer, at);
                        count += 1;
                        on_probe(note(&mut last, check, answer, at));
                    }
                }
            }
            () = tokio::time::sleep(until.saturating_sub(began.elapsed())) => {}
        }
    }
}

/// Keeps an answer as the last one of its check.
fn note(last: &mut Vec<ProbeReport>, check: usize, answer: ProbeAnswer, at: Duration) -> ProbeReport {
    let ProbeAnswer { healthy, detail } = answer;
    let mut report = ProbeReport { check, attempt: 1, healthy, detail, at };
    match last.binary_search_by_key(&check, |report| report.check) {
        Ok(index) => {
            report.attempt += last[index].attempt;
            last[index] = report.clone();
        }
        Err(index) => last.insert(index, report.clone()),
    }
    report
}

async fn look(target: Target<'_>) -> Look {
    let Some((observer, id)) = target else { return Look::Gone };
    match observer.inspect(id).await {
        Ok(Some(object)) => Look::Object { lasted: lasted(&object), object: Box::new(object) },
        Ok(None) => Look::Gone,
        Err(error) => Look::Unknown(error.to_string()),
    }
}

/// How long an object has been in its state. A clock that was set back makes it unknown.
fn lasted(object: &ObservedObject) -> Option<Duration> {
    crate::sys::now().duration_since(object.since?).try_into().ok()
}

#[cfg(test)]
mod tests;
