//! Scripts that run on a machine, and what they answer.

use std::time::Duration;

use crate::model::Text;

/// How long a script may take where it does not say.
const USUAL: Duration = Duration::from_secs(60);

/// A script for `/bin/sh`: constant text, and values that become its positional parameters. The whole goes
/// through standard input, so that no value is in a command line, neither here nor there.
#[derive(Clone)]
pub struct Script {
    text: String,
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
    /// The body runs in a function, without standard input, and goes on when the connection that started
    /// it is lost: what it began, it ends.
    #[must_use]
    pub fn new<'v>(body: &str, values: impl IntoIterator<Item = &'v str>) -> Self {
        // Quoted by a library for a POSIX shell; only a NUL could not be, and no value can hold one.
        let quoted: Vec<_> = values
            .into_iter()
            .map(|value| shlex::try_quote(value).unwrap_or_else(|_| value.replace('\0', "").into()))
            .collect();
        let text = format!("trap '' HUP PIPE\nmain() {{\n{body}\n}}\nmain {} </dev/null\n", quoted.join(" "));
        Self { text, timeout: USUAL }
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

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
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
