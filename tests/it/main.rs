//! The integration tests: one binary that drives the library and the real orch.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]
#![expect(clippy::disallowed_methods, reason = "tests run orch and write its files as a user does")]

mod architecture;
#[cfg(feature = "demo")]
mod bad_input;
#[cfg(feature = "failpoints")]
mod campaign;
#[cfg(feature = "demo")]
mod cli;
#[cfg(feature = "demo")]
mod cluster;
#[cfg(feature = "demo")]
mod compose;
#[cfg(feature = "demo")]
mod docker;
#[cfg(feature = "demo")]
mod helm;
#[cfg(feature = "demo")]
mod hosts;
#[cfg(feature = "demo")]
mod import;
#[cfg(feature = "demo")]
mod kubernetes;
mod process;
#[cfg(feature = "demo")]
mod secrets;
#[cfg(feature = "demo")]
mod support;
mod transcripts;
