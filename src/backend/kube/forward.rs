//! A port of this machine that leads to a port of an object, through `kubectl port-forward`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio::process::{ChildStderr, ChildStdout};

use super::tool::{Kept, Tool};
use super::trouble::trouble;
use crate::backend::{BackendError, Held};

/// How long kubectl may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A forwarded port; it is open for as long as this is kept, and no longer than orch runs.
pub struct Forward {
    kept: Kept,
    port: u16,
    doing: String,
    /// What kubectl complained of last.
    complaint: Arc<Mutex<String>>,
}

impl Forward {
    /// Forwards a port to `port` of an object, from `local` or else one that is free.
    pub(super) async fn start(
        tool: &Tool,
        flags: &[String],
        namespace: &str,
        object: &str,
        (local, port): (Option<u16>, u16),
    ) -> Result<Self, BackendError> {
        let doing = format!("forward a port to {object}");
        let mut args = flags.to_vec();
        args.extend([format!("--namespace={namespace}"), "port-forward".to_owned(), "--address=127.0.0.1".to_owned()]);
        let local = local.map(|local| local.to_string()).unwrap_or_default();
        args.extend([object.to_owned(), format!("{local}:{port}")]);
        let mut kept = Kept::start(tool, &args, None)?;
        let pipes = kept.child().and_then(|child| Some((child.stdout.take()?, child.stderr.take()?)));
        let Some((stdout, stderr)) = pipes else { return Err(BackendError::new("kubectl has no pipes")) };
        let complaint = Arc::new(Mutex::default());
        let complaining = tokio::spawn(listen(stderr, complaint.clone()));
        let mut output = BufReader::new(stdout);
        let Ok(Some(port)) = tokio::time::timeout(PATIENCE, listening(&mut output)).await else {
            drop(kept);
            // It has said all once it has ended.
            let _ = tokio::time::timeout(Duration::from_secs(1), complaining).await;
            return Err(trouble(&doing, &complaint.lock().unwrap_or_else(PoisonError::into_inner)));
        };
        // It tells of each connection; a pipe that nobody reads would stop it.
        tokio::spawn(async move { tokio::io::copy(&mut output, &mut tokio::io::sink()).await });
        Ok(Self { kept, port, doing, complaint })
    }

    /// The port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it still is open: kubectl ends when the pod behind it does.
    pub fn is_open(&mut self) -> bool {
        self.kept.child().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// A connection through it, with which it ends.
    pub(super) async fn connect(self) -> io::Result<Connected> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        Ok(Connected { stream, _forward: self })
    }
}

impl From<Forward> for crate::backend::Forward {
    fn from(forward: Forward) -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, forward.port));
        Self { local, held: Box::new(forward) }
    }
}

#[async_trait]
impl Held for Forward {
    async fn ended(&mut self) -> BackendError {
        if let Some(child) = self.kept.child() {
            let _ = child.wait().await;
        }
        trouble(&self.doing, &self.complaint.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Keeps the last line of what is complained of.
async fn listen(stderr: ChildStderr, complaint: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        *complaint.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
}

/// The port on which kubectl listens, once it does; `None` where it ended.
async fn listening(output: &mut BufReader<ChildStdout>) -> Option<u16> {
    let mut line = String::new();
    while output.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        if let Some(port) = local_port(&line) {
            return Some(port);
        }
        line.clear();
    }
    None
}

/// The port in `Forwarding from 127.0.0.1:41234 -> 80`.
fn local_port(line: &str) -> Option<u16> {
    line.strip_prefix("Forwarding from 127.0.0.1:")?.split(' ').next()?.parse().ok()
}

/// A connection through a forwarded port of its own.
pub(super) struct Connected {
    stream: TcpStream,
    _forward: Forward,
}

impl AsyncRead for Connected {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connected {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_what_kubectl_says() {
        assert_eq!(local_port("Forwarding from 127.0.0.1:41234 -> 80\n"), Some(41234));
        assert_eq!(local_port("Handling connection for 41234\n"), None);
    }
}
