//! A local process under a supervisor.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Text;
use crate::model::field::{Effect, Fields};

/// A local process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSpec {
    /// The program: an absolute path, or a bare name that is looked up in `PATH` at the start.
    pub binary: Text,
    /// Its arguments, byte for byte; no shell is involved.
    pub args: Vec<Text>,
    /// Its environment, on top of a small base (`PATH`, `HOME`, `USER`, `LANG`, `TZ`, `TMPDIR`).
    pub env: BTreeMap<String, Text>,
    /// The folder it runs in, absolute.
    pub working_dir: PathBuf,
    /// The user it runs as; needs root.
    pub user: Option<String>,
    /// The local TCP ports it listens on: declared, or taken from its checks.
    pub ports: Vec<u16>,
    /// The signal that asks it to stop.
    pub stop_signal: StopSignal,
    /// How long it may take to stop before the whole group is killed.
    pub stop_timeout: Duration,
    /// Log rotation.
    pub log: LogPolicy,
    /// What happens when it exits by itself.
    pub restart: RestartPolicy,
}

impl ProcessSpec {
    /// A process with nothing but its program and its folder, and the defaults of the file.
    #[must_use]
    pub fn new(binary: Text, working_dir: PathBuf) -> Self {
        Self {
            binary,
            args: Vec::new(),
            env: BTreeMap::new(),
            working_dir,
            user: None,
            ports: Vec::new(),
            stop_signal: StopSignal::default(),
            stop_timeout: Duration::from_secs(10),
            log: LogPolicy::default(),
            restart: RestartPolicy::default(),
        }
    }

    pub(super) fn each_text(&mut self, change: &mut dyn FnMut(&mut Text)) {
        change(&mut self.binary);
        self.args.iter_mut().for_each(&mut *change);
        self.env.values_mut().for_each(change);
    }

    pub(in crate::model) fn fields(&self, fields: &mut Fields<'_>) {
        use Effect::{Record, Replace, Update};
        fields.text("binary", Replace, &self.binary);
        fields.texts("args", Replace, &self.args);
        for (name, value) in &self.env {
            fields.text(format!("env.{name}"), Replace, value);
        }
        fields.plain("working_dir", Replace, self.working_dir.display().to_string());
        if let Some(user) = &self.user {
            fields.plain("user", Replace, user.clone());
        }
        if !self.ports.is_empty() {
            fields.plain("ports", Record, format!("{:?}", self.ports));
        }
        if self.stop_signal != StopSignal::default() {
            fields.plain("stop_signal", Update, self.stop_signal.to_string());
        }
        fields.plain("stop_timeout", Update, format!("{:?}", self.stop_timeout));
        if self.log != LogPolicy::default() {
            fields.plain("log", Update, format!("{} bytes x {}", self.log.max_size, self.log.keep));
        }
        let restart = &self.restart;
        fields.plain("restart.policy", Update, restart.mode.to_string());
        let usual = RestartPolicy { mode: restart.mode, ..RestartPolicy::default() };
        if *restart != usual {
            fields.plain("restart.delay", Update, format!("{:?}..{:?}", restart.delay, restart.max_delay));
            fields.plain("restart.max_restarts", Update, restart.max_restarts.to_string());
            fields.plain("restart.reset_after", Update, format!("{:?}", restart.reset_after));
        }
    }
}

/// How a service's log is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPolicy {
    /// The size, in bytes, at which a log file is rotated.
    pub max_size: u64,
    /// How many rotated files are kept.
    pub keep: u32,
}

impl Default for LogPolicy {
    /// 50 MB and 10 files, as supervisord.
    fn default() -> Self {
        Self { max_size: 50_000_000, keep: 10 }
    }
}

/// When a process that exits by itself is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartMode {
    /// Whatever its exit code.
    Always,
    /// When its exit code is not 0 or a signal ended it.
    OnFailure,
    /// Never.
    Never,
}

impl fmt::Display for RestartMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::OnFailure => "on-failure",
            Self::Never => "never",
        })
    }
}

/// What happens when a process exits by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// When it is started again.
    pub mode: RestartMode,
    /// The wait before the first restart; it doubles with each restart in a row.
    pub delay: Duration,
    /// The longest wait.
    pub max_delay: Duration,
    /// How many restarts in a row make a crash loop, after which it stays down.
    pub max_restarts: u32,
    /// How long it must run for the count to start again at zero.
    pub reset_after: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            mode: RestartMode::OnFailure,
            delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(30),
            max_restarts: 5,
            reset_after: Duration::from_secs(10),
        }
    }
}

/// A signal that may ask a process to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum StopSignal {
    #[default]
    SigTerm,
    SigInt,
    SigQuit,
    SigHup,
    SigUsr1,
    SigUsr2,
    SigKill,
}

impl StopSignal {
    /// Every signal, with its name.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::SigTerm, "SIGTERM"),
        (Self::SigInt, "SIGINT"),
        (Self::SigQuit, "SIGQUIT"),
        (Self::SigHup, "SIGHUP"),
        (Self::SigUsr1, "SIGUSR1"),
        (Self::SigUsr2, "SIGUSR2"),
        (Self::SigKill, "SIGKILL"),
    ];
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(signal, _)| signal == self).map_or("?", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for StopSignal {
    type Err = String;

    /// Takes `SIGTERM`, `TERM` or `term`.
    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        let wanted = upper.strip_prefix("SIG").unwrap_or(&upper);
        Self::ALL.iter().find(|(_, name)| &name[3..] == wanted).map(|(signal, _)| *signal).ok_or_else(|| {
            format!(
                "`{text}` is not a stop signal: use one of SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGKILL"
            )
        })
    }
}
