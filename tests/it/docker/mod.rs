//! Containers on a real Docker engine.

mod connect;
mod faults;
mod images;
mod inside;
mod lifecycle;
mod smoke;
mod verbs;
