//! Connections to an engine through the system's `ssh`, with the user's own configuration and keys.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{fmt, io};

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use openssh::{ControlPersist, KnownHosts, Session, SessionBuilder, Stdio};
use tokio::io::AsyncReadExt;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tower_service::Service;

/// How many channels a master carries: a stock server lets a connection have 10.
const CHANNELS: usize = 8;
/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(10);
/// How often the other side must show a sign of life; three misses end the connection.
const ALIVE: Duration = Duration::from_secs(15);
/// How long a master outlives an orch that was killed, in seconds without a channel.
const IDLE: NonZeroUsize = NonZeroUsize::new(60).expect("not zero");
/// How much of what the other side complains about is read, in bytes.
const COMPLAINT: u64 = 4096;
/// How long the other side may take to end after its connection did.
const COMPLAINING: Duration = Duration::from_secs(1);

/// Connects to one engine: each connection is a channel of a shared SSH connection, a master, in
/// which `docker system dial-stdio` runs.
#[derive(Clone)]
pub(super) struct SshConnector(Arc<Shared>);

struct Shared {
    destination: String,
    socket: Option<String>,
    masters: Mutex<Vec<Master>>,
    /// What the other side of the last connection complains about.
    complaint: Mutex<Option<JoinHandle<String>>>,
}

struct Master {
    session: Arc<Session>,
    channels: Arc<Semaphore>,
}

/// A connection to the engine.
pub(super) struct SshStream {
    stdin: Option<TokioIo<openssh::ChildStdin>>,
    stdout: TokioIo<openssh::ChildStdout>,
    _child: openssh::Child<Arc<Session>>,
    _channel: OwnedSemaphorePermit,
}

impl SshConnector {
    pub(super) fn new(destination: String, socket: Option<String>) -> Self {
        Self(Arc::new(Shared { destination, socket, masters: Mutex::default(), complaint: Mutex::default() }))
    }

    async fn connect(&self) -> Result<SshStream, SshError> {
        let (session, channel) = self.channel().await?;
        let mut command = session.clone().arc_command("docker");
        if let Some(socket) = &self.0.socket {
            command.arg("--host").arg(format!("unix://{socket}"));
        }
        command.arg("system").arg("dial-stdio");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().await.map_err(SshError)?;
        let lost = || SshError(openssh::Error::Disconnected);
        let stdin = TokioIo::new(child.stdin().take().ok_or_else(lost)?);
        let stdout = TokioIo::new(child.stdout().take().ok_or_else(lost)?);
        let stderr = child.stderr().take().ok_or_else(lost)?;
        *self.0.complaint.lock().await = Some(tokio::spawn(listen(stderr)));
        Ok(SshStream { stdin: Some(stdin), stdout, _child: child, _channel: channel })
    }

    /// What the other side said when the last connection ended, such as that it has no `docker`.
    pub(super) async fn complaint(&self) -> Option<String> {
        let listening = self.0.complaint.lock().await.take()?;
        let heard = tokio::time::timeout(COMPLAINING, listening).await.ok()?.ok()?;
        (!heard.is_empty()).then_some(heard)
    }

    /// A channel of a master that has one left, or of a new master. One at a time, since a server
    /// refuses many new connections at once.
    async fn channel(&self) -> Result<(Arc<Session>, OwnedSemaphorePermit), SshError> {
        let mut masters = self.0.masters.lock().await;
        let mut alive = Vec::new();
        for master in masters.drain(..) {
            if master.session.check().await.is_ok() {
                alive.push(master);
            }
        }
        *masters = alive;
        for master in masters.iter() {
            if let Ok(channel) = master.channels.clone().try_acquire_owned() {
                return Ok((master.session.clone(), channel));
            }
        }
        let mut builder = SessionBuilder::default();
        // A host that is not known is refused, since nobody is there to be asked.
        builder.known_hosts_check(KnownHosts::Strict).connect_timeout(CONNECT).server_alive_interval(ALIVE);
        builder.control_persist(ControlPersist::IdleFor(IDLE));
        let session = Arc::new(builder.connect(&self.0.destination).await.map_err(SshError)?);
        let channels = Arc::new(Semaphore::new(CHANNELS));
        let channel = channels.clone().try_acquire_owned().map_err(|_| SshError(openssh::Error::Disconnected))?;
        masters.push(Master { session: session.clone(), channels });
        Ok((session, channel))
    }
}

/// What the other side complains about, the last line of it.
async fn listen(stderr: openssh::ChildStderr) -> String {
    let mut text = Vec::new();
    let _ = stderr.take(COMPLAINT).read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).trim().lines().next_back().unwrap_or_default().to_owned()
}

/// Why there is no connection, with all its causes in one line.
#[derive(Debug)]
pub(super) struct SshError(openssh::Error);

impl fmt::Display for SshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(&self.0);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for SshError {}

impl Service<Uri> for SshConnector {
    type Response = SshStream;
    type Error = SshError;
    type Future = Pin<Box<dyn Future<Output = Result<SshStream, SshError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SshError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect().await })
    }
}

impl Connection for SshStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl SshStream {
    fn input(&mut self) -> io::Result<Pin<&mut TokioIo<openssh::ChildStdin>>> {
        self.stdin.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Read for SshStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl Write for SshStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().input()?.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().input()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.input()?.poll_shutdown(cx))?;
        // A pipe is shut down by closing it.
        this.stdin = None;
        Poll::Ready(Ok(()))
    }
}
