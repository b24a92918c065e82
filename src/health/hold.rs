//! Whether an instance that passed its gate stays well for a while.

use std::time::Duration;

use tokio::time::Instant;

use super::{GateMissed, ProbeEnv, ProbeReport, Target, check_once};
use crate::model::Instance;

/// How often an instance is looked at that has no check, or one with a long interval.
const LOOK: Duration = Duration::from_secs(1);

/// Watches an instance for a time: it must stay the same incarnation, up, and its checks must not fail
/// more often in a row than they may.
///
/// # Errors
/// When it did not stay well; what runs is left as it is.
pub async fn hold(
    instance: &Instance,
    target: Target<'_>,
    env: &ProbeEnv,
    time: Duration,
    on_probe: &mut (dyn FnMut(ProbeReport) + Send),
) -> Result<(), GateMissed> {
    let began = Instant::now();
    let policies = || instance.service.checks.iter().map(|check| check.policy);
    let pace = policies().map(|policy| policy.interval).min().unwrap_or(LOOK).min(LOOK);
    let retries = policies().map(|policy| policy.retries).min().unwrap_or(1).max(1);
    let missed = |reason: String, probes: Vec<ProbeReport>| GateMissed {
        reason: format!("did not stay well for {time:?}: {reason}"),
        probes,
        took: began.elapsed(),
    };
    let mut first = None;
    let (mut failed, mut attempt) = (0, 0);
    loop {
        if let Some((observer, id)) = target {
            match observer.inspect(id).await {
                Ok(Some(object)) if !object.is_up() => return Err(missed(object.state.to_string(), Vec::new())),
                Ok(Some(object)) => {
                    let known = first.get_or_insert_with(|| object.incarnation.clone());
                    if *known != object.incarnation {
                        return Err(missed("it was started again".to_owned(), Vec::new()));
                    }
                }
                Ok(None) => return Err(missed("it is gone".to_owned(), Vec::new())),
                // A machine that cannot be asked for a moment says nothing about the instance.
                Err(_) => {}
            }
        }
        if let Some(health) = check_once(instance, target, env).await {
            attempt += 1;
            failed = if health.healthy { 0 } else { failed + 1 };
            let report =
                ProbeReport { check: 0, attempt, healthy: health.healthy, detail: health.detail, at: began.elapsed() };
            on_probe(report.clone());
            if failed >= retries {
                return Err(missed(report.detail.clone(), vec![report]));
            }
        }
        let left = time.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(left.min(pace)).await;
    }
}
