//! What a container may use and when it is started again.

use bollard::models::RestartPolicyNameEnum;

use super::{Inverse, in_order};
use crate::model::{Gpus, RestartRule, Ulimit};

/// The size of `/dev/shm` where nobody says, in bytes.
const SHM_SIZE: u64 = 64 << 20;

impl Inverse<'_> {
    pub(super) fn memory(&self) -> Option<u64> {
        positive(self.host.memory)
    }

    /// As a number of processors, or as a share of the time, which was the way before.
    pub(super) fn nano_cpus(&self) -> Option<i64> {
        let share = || {
            let (quota, period) = (positive(self.host.cpu_quota)?, positive(self.host.cpu_period).unwrap_or(100_000));
            i64::try_from(u128::from(quota) * 1_000_000_000 / u128::from(period)).ok()
        };
        self.host.nano_cpus.filter(|cpus| *cpus > 0).or_else(share)
    }

    pub(super) fn shm_size(&self) -> Option<u64> {
        let found = positive(self.host.shm_size).unwrap_or(SHM_SIZE);
        match self.wanted.shm_size {
            None if found == SHM_SIZE => None,
            _ => Some(found),
        }
    }

    pub(super) fn ulimits(&self) -> Vec<Ulimit> {
        let found = self.host.ulimits.iter().flatten().map(|limit| Ulimit {
            name: limit.name.clone().unwrap_or_default(),
            soft: limit.soft.unwrap_or(0),
            hard: limit.hard.unwrap_or(0),
        });
        in_order(&self.wanted.ulimits, found.collect(), PartialEq::eq, |found| found)
    }

    pub(super) fn gpus(&self) -> Option<Gpus> {
        let requests = self.host.device_requests.as_deref().unwrap_or_default();
        let has_gpu = |all: &Vec<Vec<String>>| all.iter().flatten().any(|capability| capability == "gpu");
        let request = requests.iter().find(|request| request.capabilities.as_ref().is_some_and(has_gpu))?;
        Some(match (request.device_ids.as_deref().unwrap_or_default(), request.count) {
            ([], Some(count)) if count >= 0 => Gpus::Count(u32::try_from(count).unwrap_or(u32::MAX)),
            ([], _) => Gpus::All,
            (ids, _) => {
                let wanted = match &self.wanted.gpus {
                    Some(Gpus::Ids(ids)) => ids.as_slice(),
                    _ => &[],
                };
                Gpus::Ids(in_order(wanted, ids.to_vec(), PartialEq::eq, |found| found))
            }
        })
    }

    pub(super) fn extra_hosts(&self) -> Vec<String> {
        let found = self.host.extra_hosts.clone().unwrap_or_default();
        // Some clients write `NAME=ADDRESS`.
        let found = found.into_iter().map(|line| match line.split_once([':', '=']) {
            Some((name, address)) => format!("{name}:{address}"),
            None => line,
        });
        in_order(&self.wanted.extra_hosts, found.collect(), PartialEq::eq, |found| found)
    }

    pub(super) fn restart(&self) -> RestartRule {
        let policy = self.host.restart_policy.as_ref();
        let most = policy.and_then(|policy| policy.maximum_retry_count).and_then(|most| u32::try_from(most).ok());
        match policy.and_then(|policy| policy.name) {
            Some(RestartPolicyNameEnum::ALWAYS) => RestartRule::Always,
            Some(RestartPolicyNameEnum::UNLESS_STOPPED) => RestartRule::UnlessStopped,
            Some(RestartPolicyNameEnum::ON_FAILURE) => RestartRule::OnFailure(most.unwrap_or(0)),
            Some(RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY) | None => RestartRule::No,
        }
    }
}

/// What an engine writes as 0 where nobody says.
fn positive(value: Option<i64>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0)
}
