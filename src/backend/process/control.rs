//! Asking a supervisor for something.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::folder::{Anchor, Folder, Held, Lock, SOCKET};
use super::wire::{self, Reply, Request};
use crate::backend::BackendError;

/// How long a supervisor may take to open its socket or to end, and to answer what it can answer at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What came of a request.
#[derive(Debug)]
pub(super) enum Asked {
    /// The supervisor answered.
    Answered(Reply),
    /// Nobody supervises the object. Its lock is held now, so nobody will meanwhile.
    Unsupervised(Held),
    /// There is no such object.
    Gone,
}

/// Asks the supervisor of an object for something and waits for the answer, at most `patience` once
/// it was asked. `sent` is called when it was.
///
/// A supervisor that ends before it answers is asked again, or found gone: every request may be
/// made twice.
pub(super) fn ask(
    folder: &Folder,
    request: &Request,
    patience: Duration,
    sent: impl Fn(),
) -> Result<Asked, BackendError> {
    let start = Instant::now();
    loop {
        // First the socket, since a supervisor that lives answers there; then the lock, which is the proof.
        if let Ok(mut stream) = connect(folder) {
            if let Some(reply) = talk(&mut stream, request, patience, &sent).map_err(|error| silent(folder, &error))? {
                return Ok(Asked::Answered(reply));
            }
        } else {
            match folder.lock().map_err(|error| unreadable(folder, &error))? {
                Lock::Free(held) => return Ok(Asked::Unsupervised(held)),
                Lock::Absent => return Ok(Asked::Gone),
                Lock::Supervised => {}
            }
        }
        if start.elapsed() > PATIENCE.saturating_add(patience) {
            return Err(silent(folder, &"it does not listen"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// An error about a folder that cannot be read or written.
pub(super) fn unreadable(folder: &Folder, error: &dyn std::fmt::Display) -> BackendError {
    BackendError::new(format!("cannot use {}: {error}", folder.path().display()))
        .with_hint("check the owner, the permissions and the free space of the state folder")
}

fn connect(folder: &Folder) -> std::io::Result<UnixStream> {
    let anchor = Anchor::open(folder.path())?;
    UnixStream::connect(anchor.path().join(SOCKET))
}

/// `None` when the supervisor ended before it answered.
fn talk(
    stream: &mut UnixStream,
    request: &Request,
    patience: Duration,
    sent: &impl Fn(),
) -> std::io::Result<Option<Reply>> {
    stream.set_read_timeout(Some(patience))?;
    if stream.write_all(&wire::line(request)?).is_err() {
        return Ok(None);
    }
    sent();
    let mut answer = Vec::new();
    match BufReader::new(stream).read_until(b'\n', &mut answer) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(None),
        Err(error) => Err(error),
        Ok(_) if answer.last() == Some(&b'\n') => Ok(Some(serde_json::from_slice(&answer)?)),
        Ok(_) => Ok(None),
    }
}

fn silent(folder: &Folder, error: &dyn std::fmt::Display) -> BackendError {
    let pid = folder.status().ok().flatten().map_or_else(|| "?".to_owned(), |s| s.supervisor.pid.to_string());
    BackendError::new(format!("its supervisor (pid {pid}) does not answer: {error}"))
        .with_hint(format!("see whether it is suspended (`kill -CONT {pid}` resumes it), then apply again"))
}
