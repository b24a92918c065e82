//! Kills the real orch at every boundary, and at random, and holds what is left against the file.

#[cfg(feature = "demo")]
mod compose;
#[cfg(feature = "demo")]
mod docker;
mod every;
#[cfg(feature = "demo")]
mod hosts;
mod random;
mod world;
