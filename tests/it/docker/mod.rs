//! Containers on a real Docker engine.

mod smoke;
