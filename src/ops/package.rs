//! `orch package`: build, inspect and verify packages.

use std::path::Path;

use super::OpError;
use crate::model::Digest;
use crate::package::{self, Archive, Built, Contents, Fault, Limits, PackageError};

/// Makes a package of a folder, at `output` or under its own name in `cwd`.
///
/// # Errors
/// When the folder cannot be packed, or a file cannot be read or written.
pub fn build_package(folder: &Path, output: Option<&Path>, cwd: &Path) -> Result<Built, OpError> {
    Ok(package::build(folder, output, cwd, &Limits::default())?)
}

/// What is in a package.
///
/// # Errors
/// When it cannot be read, or anything is wrong with it.
pub fn inspect_package(path: &Path) -> Result<Contents, OpError> {
    Ok(Archive::open(path, &Limits::default())?)
}

/// Checks a package, and that it is the very one that is expected.
///
/// # Errors
/// When it cannot be read, is another one, or anything is wrong with it; every problem is in the error.
pub fn verify_package(path: &Path, expected: Option<Digest>) -> Result<Contents, PackageError> {
    let opened = Archive::open(path, &Limits::default());
    let Some(expected) = expected else { return opened };
    match opened {
        Ok(contents) if contents.sha256 == expected => Ok(contents),
        Ok(contents) => Err(PackageError::refused(path, Fault::Sha256 { expected, found: contents.sha256 })),
        Err(error @ PackageError::Refused { .. }) => {
            let found = Archive::sha256(path)?;
            Err(if found == expected { error } else { error.and(Fault::Sha256 { expected, found }) })
        }
        Err(error) => Err(error),
    }
}
