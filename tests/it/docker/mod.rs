//! Containers on a real Docker engine.

mod connect;
mod images;
mod lifecycle;
mod smoke;
