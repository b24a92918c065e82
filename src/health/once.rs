//! Every check probed once, for plans and `orch status`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Target;
use super::in_flight::InFlight;
use super::probe::{ProbeAnswer, ProbeEnv, Prober, ServiceProber};
use crate::model::{Health, Instance};

/// How many instances are probed at a time.
const AT_A_TIME: usize = 64;

/// How long to wait before a failed check is asked again, and once more.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(300)];

/// Probes the checks of an instance once, all at the same time; `None` when it has none.
///
/// One answer is all there is: `retries`, `start_period` and `success_threshold` are for gates. The
/// target is the object that is up, for the checks that ask its backend or run inside it.
pub async fn check_once(instance: &Instance, target: Target<'_>, env: &ProbeEnv) -> Option<Health> {
    let prober = ServiceProber { service: &instance.service, target, env };
    probe_all(0..instance.service.checks.len(), &prober).await
}

/// Probes the checks of many instances once, a bounded number of them at a time. The answers are in
/// the order of the instances.
pub async fn check_many(instances: &[(&Instance, Target<'_>)], env: &ProbeEnv) -> Vec<Option<Health>> {
    let mut waiting = instances.iter().enumerate();
    let mut in_flight = InFlight::new();
    let mut found = vec![None; instances.len()];
    loop {
        for (index, (instance, target)) in waiting.by_ref().take(AT_A_TIME - in_flight.len()) {
            in_flight.push(async move { (index, check_once(instance, *target, env).await) });
        }
        if in_flight.len() == 0 {
            return found;
        }
        let (index, health) = in_flight.next().await;
        found[index] = health;
    }
}

/// Probes the checks of many instances; one that fails is asked again, twice, before it counts as
/// unhealthy. A plan restarts what is unhealthy, and one answer that got lost is no reason for that.
pub async fn check_settled(instances: &[(&Instance, Target<'_>)], env: &ProbeEnv) -> Vec<Option<Health>> {
    let mut found = check_many(instances, env).await;
    for wait in AGAIN_AFTER {
        let failed = |index: &usize| found[*index].as_ref().is_some_and(|health| !health.healthy);
        let doubted: Vec<usize> = (0..found.len()).filter(failed).collect();
        if doubted.is_empty() {
            break;
        }
        tokio::time::sleep(wait).await;
        let again: Vec<_> = doubted.iter().map(|index| instances[*index]).collect();
        for (index, health) in doubted.into_iter().zip(check_many(&again, env).await) {
            found[index] = health;
        }
    }
    found
}

async fn probe_all(checks: impl Iterator<Item = usize>, prober: &dyn Prober) -> Option<Health> {
    let mut in_flight = InFlight::new();
    for check in checks {
        in_flight.push(async move { (check, prober.probe(check).await) });
    }
    let mut answers: BTreeMap<usize, ProbeAnswer> = BTreeMap::new();
    while in_flight.len() > 0 {
        let (check, answer) = in_flight.next().await;
        answers.insert(check, answer);
    }
    let failed = answers.values().find(|answer| !answer.healthy);
    let told = failed.or_else(|| answers.values().next_back())?;
    Some(Health { healthy: told.healthy, detail: told.detail.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::probe::fakes::Scripted;

    #[tokio::test]
    async fn the_first_failure_is_told_and_else_the_last_pass() {
        let health = async |script: &[&str]| probe_all(0..script.len(), &Scripted::once(script)).await;
        assert_eq!(health(&[]).await, None);
        let told = health(&["+one", "-two", "-three"]).await.unwrap();
        assert_eq!((told.healthy, told.detail.as_str()), (false, "two"));
        let told = health(&["+one", "+two"]).await.unwrap();
        assert_eq!((told.healthy, told.detail.as_str()), (true, "two"));
    }
}
