//! YAML text to model: source spans, interpolation, diagnostics that point at the line.
//!
//! A file is parsed to a `tree`, decoded with variables put in (`de`, `field`, `interpolate`) to `raw`
//! types, `merge`d with the other files, `lower`ed to the model and `validate`d as a whole. Every part
//! reports what it finds and goes on, so all errors of all files come at once.

mod cycle;
mod de;
mod deployment;
mod diagnostic;
mod field;
mod files;
mod interpolate;
mod load;
mod lower;
mod merge;
mod raw;
mod references;
mod render;
mod secret;
mod source;
mod toml_file;
mod tree;
mod user;
mod validate;
mod variables;

#[cfg(test)]
mod tests;

pub use diagnostic::{Diagnostic, DiagnosticData, Diagnostics, Label, PlaceData, Severity};
pub(crate) use diagnostic::{Report, shorten};
pub use load::{LoadOptions, Loaded, load};
pub(crate) use lower::env_lines;
pub(crate) use raw::Ports;
pub use raw::schema;
pub(crate) use secret::{has_password, is_secret_name};
pub(crate) use tree::{NodeId, Tree, Value};

pub use source::{Position, SourceFile, Sources, Span};
pub use user::{ColorChoice, UserConfig, load_user_config};
