//! The planner against a simulated world: tables for single cases, properties for the whole.

mod cases;
mod docker;
mod fleet;
mod properties;
mod world;
