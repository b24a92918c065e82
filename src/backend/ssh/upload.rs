//! The binary of a program, where it comes from this machine.
//!
//! It goes up before anything is switched, into the slot's folder under the name of its digest. The script that
//! switches then puts a copy where the file wants it, as it does with every other file of the slot.

use std::path::PathBuf;

use crate::backend::systemd::units::UnitSlot;
use crate::backend::{BackendError, ProgressSink};
use crate::model::{Digest, RemoteSpec};

/// A file of this machine that becomes a program on a host.
pub(super) struct Binary {
    pub(super) path: PathBuf,
    pub(super) sha256: Digest,
}

/// What is uploaded, where anything is.
pub(super) fn binary(spec: &RemoteSpec) -> Result<Option<Binary>, BackendError> {
    let Some(upload) = &spec.upload else { return Ok(None) };
    let sha256 = upload.content.ok_or_else(|| {
        BackendError::new(format!("cannot upload {}: it does not exist", upload.path.display()))
            .with_hint("build it before `orch apply`")
    })?;
    Ok(Some(Binary { path: upload.path.clone(), sha256 }))
}

/// Where an uploaded file waits to be put in place.
pub(super) fn path(unit: &UnitSlot, sha256: &Digest) -> String {
    format!("{}/uploads/{sha256}", unit.folder())
}

/// Sees that the program is on the machine, in its place or waiting for it.
pub(super) async fn ensure(unit: &UnitSlot, spec: &RemoteSpec, progress: &ProgressSink) -> Result<(), BackendError> {
    let Some(binary) = binary(spec)? else { return Ok(()) };
    unit.upload(&binary.path, binary.sha256, spec.binary.reveal(), progress).await
}
