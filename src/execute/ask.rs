//! How a run asks a person whether to go on.

use async_trait::async_trait;

/// Answers what a run asks between two batches.
#[async_trait]
pub trait Ask: Send + Sync {
    /// Whether to go on. The question was told as an event before.
    async fn go_on(&self, question: &str) -> bool;
}

/// Goes on, as where the plan was approved as a whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct GoOn;

#[async_trait]
impl Ask for GoOn {
    async fn go_on(&self, _: &str) -> bool {
        true
    }
}
