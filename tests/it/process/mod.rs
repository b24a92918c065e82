//! The process backend with real processes.

mod bench;
mod crash;
#[cfg(feature = "failpoints")]
mod killed;
mod launch;
mod life;
mod observe;
mod speed;
