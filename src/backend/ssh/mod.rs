//! Programs on hosts that are reached over SSH.

pub mod detached;
