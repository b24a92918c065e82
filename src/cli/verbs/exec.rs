//! `orch exec`

use std::io::{self, IsTerminal, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::Exit;
use crate::cli::args::ExecArgs;
use crate::cli::run::tell;
use crate::cli::session::{Session, block_on};
use crate::ops::{ExecRequest, Inside, OpError, Terminal};
use crate::report::{Stream, terminal_size};
use crate::sys::RawMode;

/// How much input is read at once, in bytes.
const BLOCK: usize = 8192;

/// What a shell gives for a command whose reader has gone away: 128 and the number of SIGPIPE.
const NOBODY_READS: u8 = 141;

/// The size of a terminal that does not say.
const USUAL_SIZE: (u16, u16) = (80, 24);

pub(super) fn run(args: &ExecArgs, session: &mut Session) -> Result<Exit, OpError> {
    let env = args.env.iter().map(|variable| of_variable(variable, session)).collect::<Result<Vec<_>, _>>()?;
    let project = session.project(None)?;
    let (from_terminal, to_terminal) = (io::stdin().is_terminal(), io::stdout().is_terminal());
    let tty = args.tty || (!args.no_tty && from_terminal && to_terminal);
    let passes_input = args.interactive || (tty && from_terminal);
    let name = args.service.to_string();
    let ended = block_on(async {
        let mut ends = Ends::listen().map_err(OpError::io("listen for", "signals"))?;
        let inside = tokio::select! {
            inside = Inside::find(&project, &name) => inside?,
            () = ends.any() => return Ok(None),
        };
        let raw = match tty && from_terminal {
            true => Some(RawMode::enter().map_err(OpError::io("set up", "the terminal"))?),
            false => None,
        };
        let terminal = match tty {
            true => Some(Terminal { size: follow_size().map_err(OpError::io("listen for", "signals"))? }),
            false => None,
        };
        let request = ExecRequest {
            argv: args.command.clone(),
            user: args.user.clone(),
            working_dir: args.workdir.clone(),
            env,
            stdin: passes_input.then(stdin),
            stdout: Box::pin(Out(session.output.out.clone())),
            stderr: Box::pin(Out(session.output.err.clone())),
            terminal,
        };
        let code = tokio::select! {
            code = inside.run(request) => Some(code),
            () = ends.any() => None,
        };
        // Before anything is said, so that it is said on a terminal that is as it was.
        drop(raw);
        code.transpose()
    })?;
    match ended {
        Ok(Some(code)) => Ok(Exit::OfCommand(u8::try_from(code).unwrap_or(u8::MAX))),
        Ok(None) => {
            tell(session, "Interrupted. The command may run on in the container.")?;
            Ok(Exit::Interrupted)
        }
        Err(_) if session.output.out.is_closed() => Ok(Exit::OfCommand(NOBODY_READS)),
        Err(error) => Err(error),
    }
}

/// `NAME=VALUE`, or `NAME` for the value that it has here.
fn of_variable(variable: &str, session: &Session) -> Result<(String, String), OpError> {
    let (name, value) = match variable.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => match session.variable(variable) {
            Some(value) => (variable, value.clone()),
            None => {
                return Err(OpError::Request {
                    message: format!("the environment has no variable `{variable}`"),
                    hint: format!("give its value: `-e {variable}=VALUE`"),
                });
            }
        },
    };
    if name.is_empty() {
        return Err(OpError::Request {
            message: format!("`{variable}` names no variable"),
            hint: "write `-e NAME=VALUE`".to_owned(),
        });
    }
    Ok((name.to_owned(), value))
}

/// The signals that end orch, each of which must leave the terminal as it was.
struct Ends([tokio::signal::unix::Signal; 4]);

impl Ends {
    fn listen() -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        let [interrupt, terminate, hangup, quit] = kinds.map(signal);
        Ok(Self([interrupt?, terminate?, hangup?, quit?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup, quit] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

/// The size of the terminal, and what it changes to.
fn follow_size() -> io::Result<watch::Receiver<(u16, u16)>> {
    let mut changes = signal(SignalKind::window_change())?;
    let now = || match terminal_size() {
        Some((columns, rows)) => (u16::try_from(columns).unwrap_or(u16::MAX), u16::try_from(rows).unwrap_or(u16::MAX)),
        None => USUAL_SIZE,
    };
    let (sender, receiver) = watch::channel(now());
    tokio::spawn(async move { while changes.recv().await.is_some() && sender.send(now()).is_ok() {} });
    Ok(receiver)
}

/// Standard input, read by a thread of its own: nothing else can wait for a terminal, a pipe and a file
/// alike. The thread is left to the end of the process.
fn stdin() -> Pin<Box<dyn AsyncRead + Send>> {
    let (mut sender, receiver) = tokio::io::duplex(BLOCK);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut block = vec![0; BLOCK];
        let mut stdin = io::stdin().lock();
        while let Ok(read @ 1..) = io::Read::read(&mut stdin, &mut block) {
            if runtime.block_on(sender.write_all(&block[..read])).is_err() {
                // Nobody reads it any more.
                break;
            }
        }
    });
    Box::pin(receiver)
}

/// One of orch's own streams. Both are written in the order in which the command wrote them.
struct Out(Stream);

impl AsyncWrite for Out {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.0.write_all(bytes).map(|()| bytes.len());
        Poll::Ready(if self.0.is_closed() { Err(io::ErrorKind::BrokenPipe.into()) } else { written })
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.0.flush();
        Poll::Ready(if self.0.is_closed() { Err(io::ErrorKind::BrokenPipe.into()) } else { flushed })
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
