//! Containers, with a real engine.

mod inside;
