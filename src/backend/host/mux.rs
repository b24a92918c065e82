//! What the `openssh` crate leaves out of the protocol between a client and the master that shares its
//! connection: a stream to a port of the other side, and the end of the master. OpenSSH's `PROTOCOL.mux`
//! describes it.

use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::{self, Receiver, Sender};

const HELLO: u32 = 0x0000_0001;
const TERMINATE: u32 = 0x1000_0005;
const NEW_STDIO_FORWARD: u32 = 0x1000_0008;
const PERMISSION_DENIED: u32 = 0x8000_0002;
const FAILURE: u32 = 0x8000_0003;
const SESSION_OPENED: u32 = 0x8000_0006;
/// The version of the protocol, as of OpenSSH 5.
const VERSION: u32 = 4;
/// Every connection has one request only.
const REQUEST: u32 = 0;
/// No answer of a master is longer, in bytes.
const LONGEST: u32 = 16 * 1024;

/// A stream to a port of the other side.
pub(super) struct Forward {
    /// `None` once it is shut down, which for a pipe means closed.
    input: Option<Sender>,
    output: Receiver,
    /// The master ends the stream with this connection.
    _control: UnixStream,
}

impl AsyncRead for Forward {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buf)
    }
}

impl Forward {
    fn input(&mut self) -> io::Result<Pin<&mut Sender>> {
        self.input.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl AsyncWrite for Forward {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().input()?.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().input()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().input = None;
        Poll::Ready(Ok(()))
    }
}

/// Why there is no stream.
#[derive(Debug)]
pub(super) enum NoForward {
    /// The master did not answer.
    Master(io::Error),
    /// The other side did not connect, in the words of the master.
    Refused(String),
}

impl From<io::Error> for NoForward {
    fn from(error: io::Error) -> Self {
        Self::Master(error)
    }
}

/// Connects to a port as seen from the other side.
pub(super) async fn forward(socket: &Path, host: &str, port: u16) -> Result<Forward, NoForward> {
    let mut control = UnixStream::connect(socket).await?;
    control.write_all(&hello()).await?;
    let mut message = Message::new(NEW_STDIO_FORWARD);
    message.number(REQUEST).text("").text(host).number(port.into());
    control.write_all(&message.done()).await?;
    let (input, their_input) = pipe::pipe()?;
    let (their_output, output) = pipe::pipe()?;
    // The master takes both for its own, and makes them what it needs.
    for end in [their_input.into_blocking_fd()?, their_output.into_blocking_fd()?] {
        control.async_io(Interest::WRITABLE, || pass(control.as_fd(), end.as_fd())).await?;
    }
    loop {
        let (kind, body) = answer(&mut control).await?;
        match kind {
            HELLO => {}
            SESSION_OPENED => return Ok(Forward { input: Some(input), output, _control: control }),
            FAILURE | PERMISSION_DENIED => return Err(NoForward::Refused(reason(&body))),
            kind => return Err(NoForward::Refused(format!("an answer of kind {kind:#x}"))),
        }
    }
}

/// A master that was told to end.
#[derive(Debug)]
pub(super) struct Ending(std::os::unix::net::UnixStream);

/// Tells a master to end, and with it whatever goes through it; it does, if what this gives lives until it answers.
///
/// # Errors
/// When there is no master.
pub(super) fn terminate(socket: &Path) -> io::Result<Ending> {
    let mut control = std::os::unix::net::UnixStream::connect(socket)?;
    let mut message = Message::new(TERMINATE);
    message.number(REQUEST);
    control.write_all(&[hello(), message.done()].concat())?;
    Ok(Ending(control))
}

impl Ending {
    /// Waits until the master has answered. One whose greeting finds nobody there forgets what it was told.
    pub(super) fn wait(mut self, most: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(most.max(Duration::from_millis(1))))?;
        loop {
            let mut head = [0; 8];
            self.0.read_exact(&mut head)?;
            let [a, b, c, d, e, f, g, h] = head;
            if u32::from_be_bytes([e, f, g, h]) != HELLO {
                return Ok(());
            }
            let rest = u32::from_be_bytes([a, b, c, d]).saturating_sub(4).min(LONGEST);
            io::copy(&mut Read::by_ref(&mut self.0).take(rest.into()), &mut io::sink())?;
        }
    }
}

/// Whether a master listens there.
pub(super) fn listens(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_ok()
}

fn hello() -> Vec<u8> {
    let mut message = Message::new(HELLO);
    message.number(VERSION);
    message.done()
}

/// Passes a descriptor, with the one byte that must go with it.
fn pass(to: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(to, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

async fn answer(control: &mut UnixStream) -> io::Result<(u32, Vec<u8>)> {
    let length = control.read_u32().await?;
    if !(4..=LONGEST).contains(&length) {
        return Err(io::Error::other("not an answer of an ssh master"));
    }
    let kind = control.read_u32().await?;
    let mut body = vec![0; length as usize - 4];
    control.read_exact(&mut body).await?;
    Ok((kind, body))
}

/// The reason in a refusal, which follows the request's number and its own length.
fn reason(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(8..).unwrap_or_default()).into_owned()
}

/// A message, framed by its length.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u32) -> Self {
        Self(kind.to_be_bytes().to_vec())
    }

    fn number(&mut self, number: u32) -> &mut Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        // A host name or nothing: always shorter.
        self.number(u32::try_from(text.len()).unwrap_or(u32::MAX)).0.extend_from_slice(text.as_bytes());
        self
    }

    fn done(&self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        [&length.to_be_bytes(), self.0.as_slice()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed_as_the_protocol_says() {
        let mut message = Message::new(NEW_STDIO_FORWARD);
        message.number(7).text("").text("ab").number(80);
        let wanted = [0, 0, 0, 22, 0x10, 0, 0, 8, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, b'a', b'b', 0, 0, 0, 80];
        assert_eq!(message.done(), wanted);
        assert_eq!(reason(&[0, 0, 0, 0, 0, 0, 0, 2, b'n', b'o']), "no");
    }
}
