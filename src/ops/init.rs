//! `orch init`: a first file that validates and applies as it is.

use std::path::{Path, PathBuf};

use super::OpError;
use crate::sys::{self, Durability};

/// The file that `orch init` writes.
pub const TEMPLATE: &str = include_str!("init.yaml");

/// Writes `orch.yaml` into a folder, which is made if it is not there. Gives the file's path.
///
/// # Errors
/// When there is one already and `force` is not given, or it cannot be written.
pub fn init(folder: &Path, force: bool) -> Result<PathBuf, OpError> {
    std::fs::create_dir_all(folder).map_err(OpError::io("make", folder))?;
    let path = folder.join("orch.yaml");
    let there = ["orch.yaml", "orch.yml"].map(|name| folder.join(name)).into_iter().find(|path| path.exists());
    if let Some(there) = there.filter(|_| !force) {
        return Err(OpError::request(
            format!("{} is there already", there.display()),
            "edit it, or let `orch init --force` write it anew",
        ));
    }
    sys::write_atomic(&path, TEMPLATE.as_bytes(), Durability::Durable).map_err(OpError::io("write", &path))?;
    Ok(path)
}
