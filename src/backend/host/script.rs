//! Scripts that run on a machine, and what they answer.

use std::time::Duration;

use crate::model::Text;

/// How long a script may take where it does not say.
const USUAL: Duration = Duration::from_secs(60);

/// What a script says before its body runs. What stands before it is not the script's: a login shell
/// may print what it likes.
pub(super) const BEGINS: &str = "\u{2}orch begins";

/// What every script begins with: it goes on when the connection that started it is lost, and the words
/// of the programs that it runs are those of no country.
const PRELUDE: &str = "trap '' HUP PIPE\nLC_ALL=C\nexport LC_ALL";

/// A script for `/bin/sh`: constant text, and values that become its positional parameters. The whole goes
/// through standard input, so that no value is in a command line, neither here nor there.
#[derive(Clone)]
pub struct Script {
    body: String,
    /// The values, quoted, with spaces between.
    words: String,
    timeout: Duration,
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; 128 and more for a signal.
    pub code: i32,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// The last of what it complained about, a few lines at most.
    pub stderr: String,
}

impl Script {
    /// A script: `body` sees `values` as `$1`, `$2` ... byte for byte.
    ///
    /// The body runs in a function, without standard input, in the C locale, and goes on when the
    /// connection that started it is lost: what it began, it ends. Printing fails from then on, so under
    /// `set -e` it prints only where it may end.
    #[must_use]
    pub fn new<'v>(body: &str, values: impl IntoIterator<Item = &'v str>) -> Self {
        // Quoted by a library for a POSIX shell. A NUL cannot be in a word of any program, and config refuses it.
        let values: Vec<_> = values.into_iter().map(|value| value.replace('\0', "")).collect();
        let words = shlex::try_join(values.iter().map(String::as_str)).unwrap_or_default();
        Self { body: body.to_owned(), words, timeout: USUAL }
    }

    /// As [`new`](Self::new), with values of which some may be secret.
    #[must_use]
    pub fn with_texts<'v>(body: &str, values: impl IntoIterator<Item = &'v Text>) -> Self {
        Self::new(body, values.into_iter().map(Text::reveal))
    }

    /// The same script with another time limit.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What `sh -s` reads. It is one compound command: of a text that was cut off on its way nothing runs.
    pub(super) fn text(&self) -> String {
        let Self { body, words, .. } = self;
        format!("{{\n{PRELUDE}\nmain() {{\n{body}\n}}\necho '{BEGINS}'\nmain {words} </dev/null\nexit $?\n}}\n")
    }

    /// What [`FRAMED`](super::process::FRAMED) reads: the script, framed by its length, after which standard
    /// input is the script's own.
    pub(super) fn framed(&self) -> Vec<u8> {
        let Self { body, words, .. } = self;
        frame(&format!("{PRELUDE}\nmain() {{\n{body}\n}}\necho '{BEGINS}'\nmain {words}\nexit $?"))
    }

    /// As [`framed`](Self::framed), for a command of a person, whose signals and language are left to it.
    pub(super) fn framed_for_exec(&self) -> Vec<u8> {
        let Self { body, words, .. } = self;
        frame(&format!("main() {{\n{body}\n}}\necho '{BEGINS}'\nmain {words}\nexit $?"))
    }

    /// As [`framed`](Self::framed), for a script that ends with its standard input: with the connection.
    pub(super) fn framed_until_hangup(&self) -> Vec<u8> {
        let Self { body, words, .. } = self;
        // The shell ends with the body, since a `sudo` holds the output open as long as it lives. Whatever the body
        // started is in the same process group, and so may be a login shell, which nobody needs any more.
        let end = "body=$!\nexec 3<&0\n{ while read -r rest; do :; done; kill -TERM 0; } <&3 >/dev/null 2>&1 &\n\
                   wait $body\ncode=$?\nexec 2>/dev/null\nkill $!\nexit $code";
        frame(&format!(
            "LC_ALL=C\nexport LC_ALL\nmain() {{\n{body}\n}}\necho '{BEGINS}'\nmain {words} </dev/null &\n{end}"
        ))
    }
}

fn frame(text: &str) -> Vec<u8> {
    format!("{}\n{text}", text.len()).into_bytes()
}

impl Output {
    /// Whether it exited 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == 0
    }

    /// What it wrote, as text.
    #[must_use]
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }
}
