//! The planner against a simulated world: tables for single cases, properties for the whole.

mod cases;
mod properties;
mod world;
