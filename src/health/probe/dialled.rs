//! Connections to the machine that a service runs on: for checks of `localhost`, which is that machine, and of the
//! services of a cluster, which have names only there.

use std::future::{Ready, ready};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection as HttpConnection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

use super::cause;
use crate::backend::Connection;
use crate::health::Target;

/// Whether a host is whichever machine asks for it.
pub(super) fn is_own(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a host is a service of the cluster that asks for it.
fn is_of_cluster(host: &str) -> bool {
    host.ends_with(".svc")
}

/// A connection to a port of the machine that a service runs on, or of its cluster; `None` where orch connects by
/// itself: to another host, or where the machine is this one.
pub(super) async fn dial(target: Target<'_>, host: &str, port: u16) -> Result<Option<Connection>, String> {
    let Some((observer, object)) = target.filter(|_| is_own(host) || is_of_cluster(host)) else { return Ok(None) };
    observer.dial(object, host, port).await.map_err(|error| cause(&error))
}

/// Hands a client the one connection that was made for it.
#[derive(Clone)]
pub(super) struct Dialled(Arc<Mutex<Option<Connection>>>);

impl Dialled {
    pub(super) fn new(connection: Connection) -> Self {
        Self(Arc::new(Mutex::new(Some(connection))))
    }
}

impl Service<Uri> for Dialled {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        ready(connection.map(|connection| TokioIo::new(Stream(connection))).ok_or(io::ErrorKind::NotConnected.into()))
    }
}

/// A connection as a client takes it.
pub(super) struct Stream(Connection);

impl HttpConnection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
