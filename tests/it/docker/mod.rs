//! Containers on a real Docker engine.

mod adopt;
mod changes;
mod connect;
mod endpoints;
mod faults;
mod images;
mod import;
mod inside;
mod lifecycle;
mod roundtrip;
mod smoke;
mod verbs;
