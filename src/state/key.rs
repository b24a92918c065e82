//! The key under which values that may be secret are digested.

use std::path::Path;

use super::format::remove_if_exists;
use super::{StateError, hex, random_bytes, random_hex};
use crate::model::DigestKey;
use crate::sys::{Durability, beside, read_if_exists, sync_dir, write_atomic};

/// Reads a key; `None` when there is none yet.
pub(super) fn read(path: &Path) -> Result<Option<DigestKey>, StateError> {
    let Some(text) = read_if_exists(path).map_err(StateError::io("read", path))? else { return Ok(None) };
    let damaged = || StateError::KeyDamaged { path: path.to_owned() };
    let text = std::str::from_utf8(&text).map_err(|_| damaged())?.trim_ascii();
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(damaged());
    }
    let mut key = [0; 32];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| damaged())?;
    }
    Ok(Some(DigestKey::new(key)))
}

/// Reads the key, or makes one. Of several that make one at the same time all get the same: the
/// finished file takes its name by a link, which fails where the name is taken.
pub(super) fn ensure(path: &Path) -> Result<DigestKey, StateError> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    let temporary = beside(path, &random_hex::<4>()?);
    let text = hex(&random_bytes::<32>()?) + "\n";
    let linked = write_atomic(&temporary, text.as_bytes(), Durability::Durable)
        .and_then(|()| std::fs::hard_link(&temporary, path));
    let removed = remove_if_exists(&temporary);
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(StateError::io("write", path)(error));
        }
        _ => removed.map_err(StateError::io("remove", &temporary))?,
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    sync_dir(folder).map_err(StateError::io("sync", folder))?;
    read(path)?.ok_or_else(|| StateError::KeyDamaged { path: path.to_owned() })
}
