//! Packages: the archive format in which a service travels to a host, its builder and its strict reader.
//!
//! A package is `NAME-VERSION.tar.gz` with `manifest.yaml` at its top. [`build`] packs a folder so that
//! the same content gives the same bytes. [`Archive::open`] reads a package from anywhere as a stream,
//! and takes only what is safe to unpack with any `tar`: whoever unpacks what passed there, after
//! comparing the archive's digest, need not check anything again.

mod archive;
mod build;
mod check;
mod entry;
mod hashing;
mod header;
mod limits;
mod manifest;
mod names;
mod pax;
mod problem;
mod source;

#[cfg(test)]
mod tests;

pub use archive::Archive;
pub use build::{Built, build};
pub use entry::{Contents, Entry, EntryKind, Script};
pub use limits::Limits;
pub use manifest::Manifest;
pub use problem::{Fault, PackageError, Problem, Problems};
