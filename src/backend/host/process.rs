//! A shell that runs, here or on another machine: its pipes and its end.

use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::sync::Arc;

use openssh::Session;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::task::JoinHandle;

use super::master::Channel;
use super::script::BEGINS;
use super::{Output, Rights, Script};
use crate::backend::BackendError;

/// How much of what a script complains about is kept, in bytes.
const COMPLAINT: usize = 2000;
/// How much is read at once, in bytes.
const BLOCK: usize = 64 * 1024;

/// The standard input of a shell.
pub(super) type Input = Pin<Box<dyn AsyncWrite + Send>>;
/// What a shell writes.
pub(super) type Written = Pin<Box<dyn AsyncRead + Send>>;

/// How a shell takes its script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intake {
    /// Its whole standard input is the script.
    Whole,
    /// A line with a length, that many bytes of script, and then whatever the script reads.
    Framed,
}

/// The command of a shell: constant words, which mean the same to every login shell, also to one that is
/// no POSIX shell.
///
/// `dd` takes exactly the bytes of the script: a shell that reads a script itself may read further.
pub(super) fn command(rights: Rights, user_is_root: bool, intake: Intake) -> &'static str {
    match (rights, intake) {
        (Rights::Login, Intake::Whole) => "/bin/sh -s",
        (Rights::Root, Intake::Whole) if user_is_root => "/bin/sh -s",
        (Rights::Root, Intake::Whole) => {
            "/bin/sh -c 'if test \"$(id -u)\" = 0; then exec /bin/sh -s; else exec sudo -n /bin/sh -s; fi'"
        }
        (Rights::Root, Intake::Framed) if !user_is_root => {
            "/bin/sh -c 'if test \"$(id -u)\" = 0; then exec /bin/sh -c \"$0\"; else exec sudo -n /bin/sh -c \"$0\"; fi' \
             'read -r n; eval \"$(dd bs=1 count=$n 2>/dev/null)\"'"
        }
        (Rights::Login | Rights::Root, Intake::Framed) => FRAMED,
    }
}

/// A shell that takes its script from a frame.
const FRAMED: &str = "/bin/sh -c 'read -r n; eval \"$(dd bs=1 count=$n 2>/dev/null)\"'";

/// A shell that was started and has not been told its script yet.
pub(super) struct Process {
    /// What it reads; closed when dropped.
    pub(super) stdin: Option<Input>,
    pub(super) stdout: BufReader<Written>,
    pub(super) stderr: Written,
    pub(super) ending: Ending,
}

/// How the end of a shell becomes known. A dropped one goes on.
pub(super) enum Ending {
    /// It is a child, or the `ssh` that started it is.
    Child(tokio::process::Child),
    /// It is behind a channel of a shared connection.
    Channel {
        child: openssh::Child<Arc<Session>>,
        /// Its place among the channels of the connection.
        channel: Channel,
    },
}

/// What a shell has yet to say while its output is read, and its end.
///
/// The master of a connection tells that a shell ended as soon as it hears of it, which may be before the last of what
/// the shell wrote has come, and drops what has not come when whoever asked for the shell is gone. So all that a shell
/// says is heard before its end is asked for.
pub(super) struct Rest {
    said: JoinHandle<String>,
    ending: Ending,
}

/// Why the end of a shell is not known.
#[derive(Debug)]
pub(super) enum Lost {
    /// The connection ended, with what `ssh` said of it.
    Gone(Option<String>),
    /// The connection lives, so that a signal ended the shell.
    Killed,
    /// Something else.
    Failed(String),
}

/// How far a shell came.
pub(super) struct Ran {
    /// Its exit code, when it is known.
    pub(super) code: Result<i32, Lost>,
    /// Whether it ran its script: it then said so.
    pub(super) has_begun: bool,
    pub(super) output: Output,
}

impl Process {
    pub(super) fn of(mut child: tokio::process::Child) -> Option<Self> {
        let (stdin, stdout, stderr) = (child.stdin.take()?, child.stdout.take()?, child.stderr.take()?);
        Some(Self {
            stdin: Some(Box::pin(stdin)),
            stdout: BufReader::new(Box::pin(stdout)),
            stderr: Box::pin(stderr),
            ending: Ending::Child(child),
        })
    }

    /// Runs a script that is all that the shell reads, to its end.
    pub(super) async fn run(self, script: &Script) -> Ran {
        let Self { stdin, mut stdout, stderr, ending } = self;
        let mut written = Vec::new();
        let write = async {
            if let Some(mut stdin) = stdin {
                // A shell that ended early does not read all of it; how it ended says more than that.
                let _ = stdin.write_all(script.text().as_bytes()).await;
                let _ = stdin.shutdown().await;
            }
        };
        let (_, read, stderr) = tokio::join!(write, stdout.read_to_end(&mut written), complaint(stderr));
        let code = match read {
            Ok(_) => ending.wait().await,
            Err(error) => Err(Lost::Failed(error.to_string())),
        };
        let body = after_beginning(&written);
        let has_begun = body.is_some();
        let stdout = body.map(<[u8]>::to_vec).unwrap_or_default();
        Ran { code, has_begun, output: Output { code: 0, stdout, stderr } }
    }

    /// Waits until the shell says that its script begins; whether it did. What a login shell printed is gone then.
    pub(super) async fn begins(&mut self) -> bool {
        let mut line = Vec::new();
        while matches!(self.stdout.read_until(b'\n', &mut line).await, Ok(1..)) {
            if line.strip_suffix(b"\n").is_some_and(|line| line.ends_with(BEGINS.as_bytes())) {
                return true;
            }
            line.clear();
        }
        false
    }
}

impl Rest {
    pub(super) fn of(stderr: Written, ending: Ending) -> Self {
        Self { said: tokio::spawn(complaint(stderr)), ending }
    }

    /// Waits for the end; gives it, and the last of what the shell complained about.
    pub(super) async fn end(self) -> (Result<i32, Lost>, String) {
        let said = self.said.await.unwrap_or_default();
        (self.ending.wait().await, said)
    }
}

impl Ending {
    pub(super) async fn wait(self) -> Result<i32, Lost> {
        let (child, channel) = match self {
            Self::Child(mut child) => {
                let status = child.wait().await.map_err(|error| Lost::Failed(error.to_string()))?;
                return Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
            }
            Self::Channel { child, channel } => (child, channel),
        };
        match child.wait().await {
            Ok(status) => status.code().ok_or_else(|| channel.lost()),
            // The crate's word for exit code 127.
            Err(openssh::Error::Remote(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(127),
            Err(openssh::Error::RemoteProcessTerminated | openssh::Error::Disconnected) => Err(channel.lost()),
            Err(error) => Err(Lost::Failed(error.to_string())),
        }
    }
}

/// The end of what a shell complains about, once it complains no more.
async fn complaint(mut stderr: Written) -> String {
    let mut kept = Vec::new();
    let mut block = vec![0; BLOCK];
    while let Ok(read @ 1..) = stderr.read(&mut block).await {
        kept.extend_from_slice(&block[..read]);
        kept.drain(..kept.len().saturating_sub(COMPLAINT));
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

/// What follows the line that says that the script begins.
fn after_beginning(written: &[u8]) -> Option<&[u8]> {
    let mark = format!("{BEGINS}\n");
    let at = written.windows(mark.len()).position(|window| window == mark.as_bytes())?;
    Some(&written[at + mark.len()..])
}

/// Why a shell that never ran its script did not.
pub(super) fn refusal(place: &dyn std::fmt::Display, rights: Rights, code: Option<i32>, said: &str) -> BackendError {
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let is_sudo = rights == Rights::Root && (said.contains("sudo") || code == Some(127));
    if is_sudo {
        let cause = said.lines().map(str::trim).rfind(|line| line.contains("sudo")).unwrap_or(last);
        let cause = cause.strip_prefix("sudo: ").unwrap_or(cause);
        return BackendError::new(format!("cannot become root on {place} with `sudo -n`: {cause}")).with_hint(
            "let the user have it without a password (a `NOPASSWD: ALL` rule in /etc/sudoers.d), log in as root, \
             or say `sudo: false` on the host to do without root",
        );
    }
    let told = match (last, code) {
        ("", Some(code)) => format!("its login shell exited {code} without starting /bin/sh"),
        ("", None) => "its login shell ended without starting /bin/sh".to_owned(),
        (last, _) => last.to_owned(),
    };
    BackendError::new(format!("cannot run a script on {place}: {told}"))
        .with_hint("see that the user has a login shell, and that `ssh HOST /bin/sh -c true` works")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_login_shell_prints_is_not_the_scripts() {
        let written = format!("welcome\nto the machine{BEGINS}\nanswer\n");
        assert_eq!(after_beginning(written.as_bytes()), Some(b"answer\n".as_slice()));
        assert_eq!(after_beginning(b"welcome\n"), None);
    }

    #[test]
    fn a_refused_sudo_says_what_can_be_done() {
        let said = "plain is not in the sudoers file.\nsudo: a password is required";
        let error = refusal(&"web1", Rights::Root, Some(1), said);
        assert_eq!(error.message, "cannot become root on web1 with `sudo -n`: a password is required");
        assert!(error.hint.unwrap().contains("NOPASSWD"));
        let error = refusal(&"web1", Rights::Login, Some(1), "This account is currently not available.");
        assert_eq!(error.message, "cannot run a script on web1: This account is currently not available.");
    }
}
