//! Containers on a real Docker engine.

mod inside;
mod lifecycle;
mod smoke;
