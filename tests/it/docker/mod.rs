//! Containers on a real Docker engine.

mod adopt;
mod inside;
mod lifecycle;
mod roundtrip;
mod smoke;
