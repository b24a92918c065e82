//! Definitions of other tools as orch's own: text in, an `orch.yaml` and what it could not hold out.
//!
//! Nothing here reads a file or the environment by itself: [`Files`] and maps are given. What cannot be
//! carried over is never left out silently; it is a [`Finding`] with its place in the source.

mod compose;
mod document;
mod finding;
mod procfile;
mod secret;
mod systemd;
mod words;
mod yaml;

use std::path::Path;

pub use compose::{Compose, compose, relative};
pub use finding::{Finding, FindingKind, Place};
pub use procfile::{Procfile, procfile};
pub use systemd::{Unit, systemd};

/// What an import came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The file.
    pub text: String,
    /// How many services it has.
    pub services: usize,
    /// What was lost, what is to be set, what is good to know; in the order of the source.
    pub findings: Vec<Finding>,
}

/// The files that a definition may name.
pub trait Files {
    /// What a file holds.
    ///
    /// # Errors
    /// Why it cannot be read, as a fragment.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// Whether a file is there.
    fn is_there(&self, path: &Path) -> bool;
}

/// Why nothing could be imported.
#[derive(Debug)]
pub enum ImportError {
    /// What is wrong, with its places in the source.
    Source(Box<crate::config::Diagnostics>),
    /// What is wrong with what was asked for.
    Request {
        /// Why, as a fragment.
        message: String,
        /// What the user can do about it.
        hint: String,
    },
}

impl ImportError {
    pub(crate) fn request(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Request { message: message.into(), hint: hint.into() }
    }
}
