//! Probes that answer from a script.

use std::sync::Mutex;
use std::time::Duration;

use super::*;

/// Answers from a script for each check; the last answer is given for ever. `+text` passes, `-text`
/// fails, `~` never answers.
pub(in crate::health) struct Scripted(Mutex<Vec<Vec<String>>>);

impl Scripted {
    /// A script for each check, its answers in order.
    pub(in crate::health) fn new(checks: &[&[&str]]) -> Self {
        Self(Mutex::new(checks.iter().map(|script| script.iter().rev().map(ToString::to_string).collect()).collect()))
    }

    /// One answer for each check.
    pub(in crate::health) fn once(checks: &[&str]) -> Self {
        Self(Mutex::new(checks.iter().map(|answer| vec![answer.to_string()]).collect()))
    }
}

#[async_trait]
impl Prober for Scripted {
    async fn probe(&self, check: usize) -> ProbeAnswer {
        let answer = {
            let script = &mut self.0.lock().unwrap()[check];
            if script.len() > 1 { script.pop().unwrap() } else { script[0].clone() }
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
        match answer.split_at(1) {
            ("+", text) => ProbeAnswer::healthy(text),
            ("-", text) => ProbeAnswer::unhealthy(text),
            _ => std::future::pending().await,
        }
    }
}
