//! What the executor needs of the journal: to say what it is about to do, and how it ended.

use async_trait::async_trait;

use super::{End, Pending, StateError};
use crate::model::Address;

/// Keeps the intents of a run. Both methods return once what they were given survives `kill -9` and
/// a power cut; concurrent calls share one sync.
#[async_trait]
pub trait Intents: Send + Sync {
    /// Keeps that a step is about to touch its instance. The backend may be called after this.
    ///
    /// # Errors
    /// When it cannot be kept; then the step must not begin, and no other one will be able to.
    async fn begin(&self, step: u32, address: &Address, pending: Pending) -> Result<(), StateError>;

    /// Keeps how a step ended. A dependent may begin after this. A step that was cancelled has no
    /// end: its intent stays, and the next plan looks at what it left.
    ///
    /// # Errors
    /// When it cannot be kept; then the step counts as interrupted, and the next plan looks at what it left.
    async fn end(&self, end: End) -> Result<(), StateError>;
}
