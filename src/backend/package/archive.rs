//! The archives on this machine: read and checked before anything of them goes anywhere.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::fetch;
use crate::backend::{BackendError, ProgressSink};
use crate::model::{Digest, PackageSource, PackageSpec};
use crate::package::{Archive, Contents, EntryKind, Limits};

/// An archive that was read, and found to be safe and the one that was planned.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) path: PathBuf,
    pub(super) contents: Arc<Contents>,
}

/// What tells that a file is still the one that was read.
type Version = (u64, u64, u64, i64, i64);

/// What an archive holds, once it was read; locked while it is.
type Known = tokio::sync::Mutex<Option<(Version, Arc<Contents>)>>;

/// The archives that were read, each once for as long as it does not change.
#[derive(Debug)]
pub(super) struct Archives {
    cache: PathBuf,
    /// By path. Several hosts want the same one at the same time: the first reads it, the others wait for that.
    known: Mutex<BTreeMap<PathBuf, Arc<Known>>>,
    /// One download of an archive at a time: several hosts want the same one.
    fetching: tokio::sync::Mutex<()>,
}

impl Archives {
    pub(super) fn new(cache: PathBuf) -> Self {
        Self { cache, known: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// The archive of a package, which is downloaded where it is not on this machine.
    pub(super) async fn get(
        self: &Archives,
        spec: &PackageSpec,
        progress: &ProgressSink,
    ) -> Result<Checked, BackendError> {
        let missing = |path: &Path| {
            BackendError::new(format!("there is no package {}", path.display()))
                .with_hint("build it with `orch package build`, and plan again")
        };
        match &spec.source {
            PackageSource::File(path) => {
                let Some(sha256) = spec.sha256 else { return Err(missing(path)) };
                if !path.exists() {
                    return Err(missing(path));
                }
                self.read(path, sha256, "it changed since it was planned").await
            }
            PackageSource::Url(url) => {
                let sha256 = spec.sha256.ok_or_else(|| {
                    BackendError::new("the package has no sha256, which a package from elsewhere is checked against")
                        .with_hint("give its `sha256`")
                })?;
                let path = self.cache.join(format!("{sha256}.tar.gz"));
                let _one = self.fetching.lock().await;
                if path.exists() {
                    match self.read(&path, sha256, "the downloaded one was damaged").await {
                        Ok(checked) => return Ok(checked),
                        // What is damaged is fetched again; what is refused for its content is so again.
                        Err(_) if digest_of(&path).await != Some(sha256) => {}
                        Err(error) => return Err(error),
                    }
                }
                fetch::fetch(url, &path, sha256, Limits::default().unpacked, progress).await?;
                self.read(&path, sha256, "it is not what was downloaded").await
            }
        }
    }

    async fn read(&self, path: &Path, sha256: Digest, otherwise: &str) -> Result<Checked, BackendError> {
        let shown = path.display();
        let unreadable = |error: io::Error| BackendError::new(format!("cannot read the package {shown}: {error}"));
        let checked = |contents: Arc<Contents>| match contents.sha256 == sha256 {
            true => Ok(Checked { path: path.to_owned(), contents }),
            false => Err(BackendError::new(format!(
                "the package {shown} has the sha256 {}, not {}: {otherwise}",
                contents.sha256.short(),
                sha256.short()
            ))
            .with_hint("plan again, and see that it is the one that is meant")),
        };
        let before = version(path).map_err(unreadable)?;
        let known =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_default().clone();
        let mut known = known.lock().await;
        if let Some((version, contents)) = known.as_ref()
            && *version == before
        {
            return checked(contents.clone());
        }
        let at = path.to_owned();
        let read = tokio::task::spawn_blocking(move || Archive::open(&at, &Limits::default())).await;
        let read = read.map_err(|error| BackendError::new(format!("cannot read the package {shown}: {error}")))?;
        let contents = Arc::new(read.map_err(|error| BackendError {
            message: error.to_string(),
            hint: error.hint(),
            object: None,
        })?);
        *known = Some((before, contents.clone()));
        checked(contents)
    }
}

async fn digest_of(path: &Path) -> Option<Digest> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || Archive::sha256(&path).ok()).await.ok().flatten()
}

fn version(path: &Path) -> io::Result<Version> {
    let meta = std::fs::metadata(path)?;
    Ok((meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

/// What a host is told of a package, to hold what it unpacked against.
pub(super) struct Lists {
    /// For `sha256sum -c`.
    pub(super) sums: String,
    /// `./PATH -> TARGET`, a line each.
    pub(super) links: String,
    /// How many files there are.
    pub(super) files: usize,
}

impl Lists {
    pub(super) fn of(contents: &Contents) -> Self {
        let (mut sums, mut links, mut files) = (String::new(), String::new(), 0);
        for entry in &contents.entries {
            match &entry.kind {
                EntryKind::Folder => continue,
                EntryKind::Symlink { target } => {
                    links.push_str(&format!("./{} -> {target}\n", entry.path));
                    continue;
                }
                EntryKind::File | EntryKind::HardLink { .. } => files += 1,
            }
            let original = match &entry.kind {
                EntryKind::HardLink { target } => contents.entry(target),
                _ => Some(entry),
            };
            if let Some(sha256) = original.and_then(|entry| entry.sha256) {
                sums.push_str(&format!("{sha256}  {}\n", entry.path));
            }
        }
        Self { sums, links, files }
    }
}

/// The name of a release, of letters that no shell minds: `NAME-VERSION-DIGEST`.
pub(super) fn release(contents: &Contents) -> String {
    let clean = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '_' }).collect()
    };
    format!("{}-{}-{}", clean(&contents.manifest.name), clean(&contents.manifest.version), contents.sha256.short())
}
