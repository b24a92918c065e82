//! Commands that run where an object runs, and logs that a backend streams.

use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

use super::BackendError;
use crate::model::Text;

/// A command that probes an object from inside.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    /// The program, looked up where it runs.
    pub program: &'a Text,
    /// Its arguments; no shell is involved.
    pub args: &'a [Text],
    /// How long it may take.
    pub timeout: Duration,
}

/// How a command that probed an object ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its exit code.
    pub exit_code: i32,
    /// What it said last, a few lines at most.
    pub output: String,
}

/// A command to run where an object runs.
pub struct ExecRequest {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The user it runs as; the object's where it is not given.
    pub user: Option<String>,
    /// The folder it runs in; the object's where it is not given.
    pub working_dir: Option<String>,
    /// Variables on top of the object's environment.
    pub env: Vec<(String, String)>,
    /// What its standard input is; nothing where it is not given.
    pub stdin: Option<Pin<Box<dyn AsyncRead + Send>>>,
    /// Where its standard output goes.
    pub stdout: Pin<Box<dyn AsyncWrite + Send>>,
    /// Where its standard error goes; with a terminal both are one.
    pub stderr: Pin<Box<dyn AsyncWrite + Send>>,
    /// The terminal that it gets; none where it is not given.
    pub terminal: Option<Terminal>,
}

/// The terminal of a command.
#[derive(Debug)]
pub struct Terminal {
    /// Its size, columns and rows, whenever that changes; the first one at once.
    pub size: tokio::sync::watch::Receiver<(u16, u16)>,
}

/// Which part of a log.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogQuery {
    /// Only the last lines.
    pub lines: Option<usize>,
    /// Only lines from then on.
    pub since: Option<Timestamp>,
    /// Whether to wait for more.
    pub follow: bool,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written; `None` for a line that carries no time.
    pub at: Option<Timestamp>,
    /// What was written.
    pub text: String,
}

/// Bytes both ways.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection to a port, as from the machine that something runs on.
pub type Connection = Box<dyn Wire>;

/// Lines of a log as they come.
pub type LogStream = Pin<Box<dyn Stream<Item = Result<LogLine, BackendError>> + Send>>;
