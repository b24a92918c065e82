//! Containers on a real Docker engine.

mod inside;
mod smoke;
