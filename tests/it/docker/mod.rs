//! Containers on a real Docker engine.

mod images;
mod lifecycle;
mod smoke;
