//! What the connections of one orch share: the folder of their control sockets, and how many logins may be under
//! way at the same time.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::mux;
use crate::model::Machine;

/// How many logins are under way at the same time.
const LOGINS: usize = 16;
/// How many of them go through the same first jump host: a stock server begins to drop some from 10 on
/// (`MaxStartups 10:30:100`), and may have others to serve.
const THROUGH_ONE: usize = 5;
/// What the folders are called, before the number of the process and a random one.
const PREFIX: &str = "orch-ssh-";
/// How old a folder is that was left, at least.
const LEFT: Duration = Duration::from_secs(600);
/// How long masters may take to say that they end. One that does not ends by itself, but later.
const ENDING: Duration = Duration::from_millis(500);
/// The longest folder: a socket's path has 107 bytes at most, and ssh first gives it a longer name.
const LONGEST: usize = 70;

/// What the connections of one orch share.
pub(super) struct Control {
    inner: Mutex<Inner>,
    logins: Arc<Semaphore>,
}

#[derive(Default)]
struct Inner {
    folder: Option<PathBuf>,
    sockets: u32,
    jumps: BTreeMap<String, Arc<Semaphore>>,
    ending: Vec<mux::Ending>,
}

/// Leave to log in.
pub(super) struct Turn {
    _all: Option<OwnedSemaphorePermit>,
    _jump: Option<OwnedSemaphorePermit>,
}

impl Default for Control {
    fn default() -> Self {
        Self { inner: Mutex::default(), logins: Arc::new(Semaphore::new(LOGINS)) }
    }
}

impl Control {
    /// The path of a socket that no other connection has, in a folder that only this user may enter.
    pub(super) fn socket(&self) -> io::Result<PathBuf> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.folder.is_none() {
            inner.folder = Some(make_folder()?);
        }
        inner.sockets += 1;
        let name = inner.sockets.to_string();
        Ok(inner.folder.iter().map(|folder| folder.join(&name)).collect())
    }

    /// Ends the master of a socket. That it heard so is waited for later, of all masters at once.
    pub(super) fn end(&self, socket: &Path) {
        if let Ok(ending) = mux::terminate(socket) {
            self.inner.lock().unwrap_or_else(PoisonError::into_inner).ending.push(ending);
        }
    }

    /// Waits until a login may begin. Logins through the same jump host wait for each other first, so that they
    /// do not keep others waiting.
    pub(super) async fn turn(&self, machine: &Machine) -> Turn {
        let jump = machine.jump.first().map(|jump| {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.jumps.entry(jump.clone()).or_insert_with(|| Arc::new(Semaphore::new(THROUGH_ONE))).clone()
        });
        let jump = match jump {
            Some(jump) => jump.acquire_owned().await.ok(),
            None => None,
        };
        Turn { _all: self.logins.clone().acquire_owned().await.ok(), _jump: jump }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        for ending in inner.ending.drain(..) {
            let _ = ending.wait(ENDING.saturating_sub(began.elapsed()));
        }
        if let Some(folder) = &inner.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn make_folder() -> io::Result<PathBuf> {
    let mut base = std::env::temp_dir();
    if base.as_os_str().len() > LONGEST - PREFIX.len() - 24 {
        base = PathBuf::from("/tmp");
    }
    sweep(&base);
    let mut random = [0; 6];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = base.join(format!("{PREFIX}{}-{random}", std::process::id()));
    // Not one that is there already: whose would it be?
    DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

/// Removes the folders that killed ones left: of this user, of a process that is gone, and with no master listening
/// any more: the process may only be in another container.
fn sweep(base: &Path) {
    let own = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        let Some(process) = process else { continue };
        let is_old = entry.metadata().is_ok_and(|metadata| {
            let age = metadata.modified().ok().and_then(|made| made.elapsed().ok());
            metadata.is_dir() && metadata.uid() == own && age.is_some_and(|age| age > LEFT)
        });
        if !is_old || Path::new("/proc").join(process.to_string()).exists() {
            continue;
        }
        let folder = entry.path();
        let mut files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        if !files.any(|file| mux::listens(&file.path())) {
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}
