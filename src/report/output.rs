//! The streams and what they can show: the one place that touches stdout and stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::ProgressDrawTarget;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{ColorChoice, Human, Look, Ndjson, Progress, Sink, Verbosity};

/// How often the live progress is drawn at most, each second.
const REDRAWS: u8 = 12;

/// What the environment says about how output should look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Environment {
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set and neither empty nor `0`.
    pub color_forced: bool,
    /// `TERM` is `dumb`.
    pub dumb_terminal: bool,
    /// The locale (`LC_ALL`, `LC_CTYPE`, `LANG`, the first that is set) is not UTF-8.
    pub ascii_only: bool,
}

impl Environment {
    /// Takes what matters through a function that reads one variable.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| get(name).filter(|value| !value.is_empty());
        // Without any locale variable nothing is known; UTF-8 is what terminals of today show.
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
        Self {
            no_color: set("NO_COLOR").is_some(),
            color_forced: set("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
            dumb_terminal: set("TERM").is_some_and(|value| value == "dumb"),
            ascii_only: locale.is_some_and(|name| {
                let name = name.to_ascii_lowercase();
                !(name.contains("utf-8") || name.contains("utf8"))
            }),
        }
    }
}

/// A stream that may be written from several places; cheap to clone.
///
/// A reader that has gone away (`orch plan | head`) is no error: what is written after that is dropped.
#[derive(Clone)]
pub struct Stream(Arc<Mutex<Inner>>);

struct Inner {
    writer: Box<dyn Write + Send>,
    closed: bool,
}

impl Stream {
    /// A stream over a writer.
    #[must_use]
    pub fn new(writer: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(Inner { writer, closed: false })))
    }

    /// Whether the reader has gone away.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    fn with<T>(&self, nothing: T, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.closed {
            return Ok(nothing);
        }
        match write(&mut *inner.writer) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                inner.closed = true;
                Ok(nothing)
            }
            result => result,
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream(..)")
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(bytes.len(), |writer| writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with((), |writer| writer.flush())
    }
}

/// The two streams and what each can show.
#[derive(Debug, Clone)]
pub struct Output {
    /// Where results go.
    pub out: Stream,
    /// Where warnings, errors and questions go.
    pub err: Stream,
    /// How text on `out` may look.
    pub look: Look,
    /// How text on `err` may look.
    pub err_look: Look,
    /// Whether `out` is a terminal, so that live progress makes sense.
    pub is_terminal: bool,
}

impl Output {
    /// The process's own stdout and stderr.
    #[must_use]
    pub fn standard(color: ColorChoice, env: &Environment) -> Self {
        let (out_is_terminal, err_is_terminal) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let look = |is_terminal, size: Option<(usize, usize)>| Look {
            color: color.colored(is_terminal, env),
            width: size.map(|(columns, _)| columns).filter(|_| is_terminal),
            unicode: !env.ascii_only,
        };
        Self {
            out: Stream::new(Box::new(io::stdout())),
            err: Stream::new(Box::new(io::stderr())),
            look: look(out_is_terminal, terminal_size()),
            err_look: look(err_is_terminal, size_of(io::stderr())),
            is_terminal: out_is_terminal && !env.dumb_terminal,
        }
    }

    /// Both streams on writers of the caller's, for tests and embedding; no terminal, no colour.
    #[must_use]
    pub fn plain(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        let look = Look::plain();
        Self { out: Stream::new(out), err: Stream::new(err), look, err_look: look, is_terminal: false }
    }

    /// The same with results on `err` too, for a verb whose `out` is its command's.
    #[must_use]
    pub fn on_err(&self) -> Self {
        Self { out: self.err.clone(), look: self.err_look, is_terminal: false, ..self.clone() }
    }

    /// Where the events of a run go: NDJSON when it is asked for, live progress on a terminal, lines in a pipe.
    #[must_use]
    pub fn sink(&self, json: bool, verbosity: Verbosity, clock: fn() -> Timestamp) -> Box<dyn Sink> {
        let out = self.out.clone();
        match (json, self.is_terminal && verbosity > Verbosity::Quiet) {
            (true, _) => Box::new(Ndjson::new(out)),
            (false, true) => Box::new(Progress::new(self, verbosity, clock)),
            (false, false) => Box::new(Human::new(out, self.look, verbosity)),
        }
    }

    /// Whether stdout is a pipe that nobody reads any more, found out without writing to it.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        let stdout = io::stdout();
        let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
        poll(&mut polled, Some(&Timespec::default())).is_ok() && polled[0].revents().contains(PollFlags::ERR)
    }

    /// Writes text to `out` and flushes it.
    ///
    /// # Errors
    /// When the stream cannot be written, for another reason than that its reader has gone away.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes a sentence and a line break to `err`.
    ///
    /// # Errors
    /// When the stream cannot be written, for another reason than that its reader has gone away.
    pub fn note(&mut self, sentence: &str) -> io::Result<()> {
        self.err.write_all(format!("{sentence}\n").as_bytes())?;
        self.err.flush()
    }
}

/// Where live progress is drawn: stdout, so often at most that it does not flicker.
pub(super) fn draw_target() -> ProgressDrawTarget {
    ProgressDrawTarget::stdout_with_hz(REDRAWS)
}

/// The columns and rows of the terminal that stdout is; asked anew each time, for it can be resized.
#[must_use]
pub fn terminal_size() -> Option<(usize, usize)> {
    size_of(io::stdout())
}

fn size_of(stream: impl std::os::fd::AsFd) -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    // A terminal that does not know its size says 0.
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col.into(), size.ws_row.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pipe(io::ErrorKind);

    impl Write for Pipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_but_a_full_disk_is() {
        let mut output = Output::plain(Box::new(Pipe(io::ErrorKind::BrokenPipe)), Box::new(io::sink()));
        assert!(output.print("much\n").is_ok());
        assert!(output.print("more\n").is_ok());
        let mut output = Output::plain(Box::new(Pipe(io::ErrorKind::StorageFull)), Box::new(io::sink()));
        assert!(output.print("much\n").is_err());
    }

    #[test]
    fn the_environment_is_read_as_the_conventions_say() {
        let read = |pairs: &'static [(&str, &str)]| {
            Environment::read(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(read(&[("NO_COLOR", ""), ("CLICOLOR_FORCE", "0"), ("LANG", "C.UTF-8")]), Environment::default());
        assert!(read(&[("NO_COLOR", "1")]).no_color);
        assert!(read(&[("CLICOLOR_FORCE", "1")]).color_forced);
        assert!(read(&[("TERM", "dumb")]).dumb_terminal);
        assert!(read(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]).ascii_only);
    }
}
