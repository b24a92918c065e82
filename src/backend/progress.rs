//! How a backend says how far it is with what takes long.

use std::fmt;
use std::sync::Arc;

use crate::event::Progress;

/// Takes [`Progress`]; cheap to clone. The default one lets it go.
#[derive(Clone, Default)]
pub struct ProgressSink(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl ProgressSink {
    /// Hands every progress to a function.
    #[must_use]
    pub fn new(take: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(take)))
    }

    /// Says how far something is.
    pub fn tell(&self, progress: Progress) {
        if let Some(take) = &self.0 {
            take(progress);
        }
    }
}

impl fmt::Debug for ProgressSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProgressSink")
    }
}
