//! Containers on a real Docker engine.

mod lifecycle;
mod smoke;
