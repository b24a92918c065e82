//! Containers on a real Docker engine.

mod faults;
mod inside;
mod lifecycle;
mod smoke;
