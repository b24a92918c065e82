//! Something that orch does not run but waits for.

/// A service that others run; its health checks are all there is to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExternalSpec {}
