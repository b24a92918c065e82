//! Kills the real orch at every boundary, and at random, and holds what is left against the file.

mod docker;
mod every;
mod random;
mod world;
