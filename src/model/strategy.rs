//! How a change goes over the copies of a service.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a change goes over the copies of a service, on hosts or as replicas: in batches, each of which
/// has to be well before the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strategy {
    /// The sizes of the batches in order; the last one repeats.
    pub max_parallel: Vec<Amount>,
    /// How many copies go first, as a batch of their own.
    pub canary: u32,
    /// How long a copy must stay well after its gate.
    pub min_healthy_time: Duration,
    /// How many copies may fail before the roll stops.
    pub max_failures: Amount,
    /// What happens between two batches.
    pub pause: Option<Pause>,
    /// What happens to the copies that were changed already when the roll stops.
    pub on_failure: Option<RollFailure>,
    /// How long a host waits, after a change, for a fresh connection that confirms it; then it goes back
    /// by itself.
    pub confirm: Option<Duration>,
}

impl Default for Strategy {
    /// One after the other, and the first that fails stops the roll.
    fn default() -> Self {
        Self {
            max_parallel: vec![Amount::Count(1)],
            canary: 0,
            min_healthy_time: Duration::ZERO,
            max_failures: Amount::Count(0),
            pause: None,
            on_failure: None,
            confirm: None,
        }
    }
}

/// A number of copies, or a part of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// This many.
    Count(u32),
    /// This many of a hundred.
    Percent(u8),
}

impl Amount {
    /// How many of `all` these are, rounded down.
    #[must_use]
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::Percent(percent) => all * usize::from(percent) / 100,
        }
    }
}

/// What happens between two batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// A person is asked.
    Ask,
    /// A wait, in milliseconds.
    Millis(u64),
}

/// What happens to the copies that were changed already when a roll stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RollFailure {
    /// They are put back.
    Rollback,
    /// They stay as they are.
    Halt,
}

impl Strategy {
    /// The sizes of the batches over `count` copies, at least 1 each; they add up to `count`.
    #[must_use]
    pub fn batches(&self, count: usize) -> Vec<usize> {
        let mut left = count;
        let mut batches = Vec::new();
        let mut take = |size: usize, left: &mut usize| {
            let size = size.max(1).min(*left);
            *left -= size;
            batches.push(size);
        };
        if self.canary > 0 && left > 0 {
            take(Amount::Count(self.canary).of(count), &mut left);
        }
        let mut sizes = self.max_parallel.iter().map(|amount| amount.of(count));
        let mut size = 1;
        while left > 0 {
            size = sizes.next().unwrap_or(size);
            take(size, &mut left);
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(max_parallel: &[Amount], canary: u32, count: usize) -> Vec<usize> {
        Strategy { max_parallel: max_parallel.to_vec(), canary, ..Strategy::default() }.batches(count)
    }

    #[test]
    fn batches_cover_every_copy_once() {
        use Amount::{Count, Percent};
        assert_eq!(batches(&[Count(1)], 0, 3), [1, 1, 1]);
        assert_eq!(batches(&[Percent(25)], 0, 10), [2, 2, 2, 2, 2]);
        assert_eq!(batches(&[Count(1), Count(5), Percent(20)], 0, 20), [1, 5, 4, 4, 4, 2]);
        assert_eq!(batches(&[Count(4)], 1, 6), [1, 4, 1]);
        assert_eq!(batches(&[Percent(1)], 0, 2), [1, 1]);
        assert_eq!(batches(&[Count(9)], 2, 1), [1]);
        assert_eq!(batches(&[Count(9)], 2, 0), [0; 0]);
    }
}
