//! The verbs that look and help: `init`, `validate`, `status`, `logs`, `exec`, `show`, `graph`, `history` ...

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{LongFileArgs, Since, SourceArgs, ValueArgs};
use crate::model::{Address, ServiceName};

/// `orch init`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orch init shop && orch -C shop apply")]
pub struct InitArgs {
    /// The folder to write orch.yaml to; it is made when it is not there.
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Write over an orch.yaml that is there already.
    #[arg(long)]
    pub force: bool,
}

/// `orch validate`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orch validate -f base.yaml -f production.yaml --var-file production.toml")]
pub struct ValidateArgs {
    /// Print the diagnostics as JSON.
    #[arg(long)]
    pub json: bool,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch status`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  orch status\n  orch status api web --json")]
pub struct StatusArgs {
    /// Only these services [default: all].
    #[arg(value_name = "SVC")]
    pub services: Vec<ServiceName>,
    /// Print the rows as JSON.
    #[arg(long)]
    pub json: bool,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch doctor`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orch doctor                                All of them, at the same time
  orch doctor web1 web2 --json

Looked at are: whether a host can be reached with its key known, root's rights, systemd, room on its disks, inodes, \
the clock, how many sessions a connection may have, and the programs that orch uses there. Nothing is changed. The \
exit code is 0 when all is well, and 1 when there is anything to do.")]
pub struct DoctorArgs {
    /// Only these hosts [default: all].
    #[arg(value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Print what was found as JSON.
    #[arg(long)]
    pub json: bool,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch logs`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orch logs api -f                           Follow it
  orch logs api --since 10m -n 100           The last 100 lines of the last ten minutes
  orch -f other.yaml logs api                Before the verb, -f is the file; after it, it follows")]
pub struct LogsArgs {
    /// The service, or one copy of it: `web`, `web[2]`.
    #[arg(value_name = "SVC")]
    pub service: Address,
    /// Go on as lines are written, until Ctrl-C.
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Only what was logged since: `10m` ago, or a moment such as `2026-11-21T05:32:10Z`.
    #[arg(long, value_name = "DUR|TIME")]
    pub since: Option<Since>,
    /// Only the last N lines.
    #[arg(short = 'n', long, value_name = "N")]
    pub lines: Option<usize>,
    /// Show when each line was written.
    #[arg(long)]
    pub timestamps: bool,
    /// The files.
    #[command(flatten)]
    pub file: LongFileArgs,
    /// What is put into them.
    #[command(flatten)]
    pub values: ValueArgs,
}

/// `orch exec`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orch exec db -- psql -U postgres           With a terminal, when this is one
  orch exec -T db -- pg_dump shop > dump     Without one, fit for a pipe
  orch exec -i -T db -- psql < dump          With standard input from a file
  orch exec web[1] -u root -- sh             In one of several copies

The exit code is that of the command; 127 when there is no such command in the container, and 126 when it \
cannot be started.")]
pub struct ExecArgs {
    /// The service, or one copy of it: `web`, `web[2]`.
    #[arg(value_name = "SVC")]
    pub service: Address,
    /// The command and its arguments; no shell is involved.
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true)]
    pub command: Vec<String>,
    /// Run as this user: a name or a number, or `USER:GROUP` [default: the container's].
    #[arg(short = 'u', long, value_name = "USER")]
    pub user: Option<String>,
    /// Run in this folder of the container [default: the container's].
    #[arg(short = 'w', long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Set a variable; `NAME` alone takes the value that it has here. Give it again for several.
    #[arg(short = 'e', long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Pass standard input on without a terminal too.
    #[arg(short = 'i', long)]
    pub interactive: bool,
    /// Give the command a terminal [default: when standard input and output are one].
    #[arg(short = 't', long, conflicts_with = "no_tty")]
    pub tty: bool,
    /// Give the command no terminal.
    #[arg(short = 'T', long)]
    pub no_tty: bool,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch show`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  orch show change.plan\n  orch show change.plan --markdown > comment.md")]
pub struct ShowArgs {
    /// A plan saved by `orch plan --out`; without one, what is recorded is shown.
    #[arg(value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// Print it as JSON.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print the plan as Markdown, fit for a comment on a pull request.
    #[arg(long, requires = "plan")]
    pub markdown: bool,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch graph`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  orch graph\n  orch graph --dot | dot -Tsvg > graph.svg\n  orch graph --mermaid --plan"
)]
pub struct GraphArgs {
    /// Print it for Graphviz.
    #[arg(long, conflicts_with = "mermaid")]
    pub dot: bool,
    /// Print it for Mermaid.
    #[arg(long)]
    pub mermaid: bool,
    /// Colour each service by what a plan would do to it.
    #[arg(long)]
    pub plan: bool,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only the last N runs.
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 20)]
    pub lines: usize,
    /// Print the runs as JSON.
    #[arg(long)]
    pub json: bool,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch unlock`
#[derive(Debug, Args)]
#[command(after_help = "\
A lock whose holder died on this machine is taken over without this. Make sure that the holder is gone: \
two runs at once can each undo what the other did.")]
pub struct UnlockArgs {
    /// The lock's id, as the message about it says, so that no newer lock is removed by mistake.
    #[arg(value_name = "ID")]
    pub id: String,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch schema`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orch schema config > orch.schema.json")]
pub struct SchemaArgs {
    /// The format: config, plan, state or event.
    #[arg(value_name = "FORMAT", value_enum, hide_possible_values = true)]
    pub format: SchemaKind,
}

/// A format with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaKind {
    /// The file.
    Config,
    /// A saved plan.
    Plan,
    /// The state file.
    State,
    /// A line of `--json` events.
    Event,
}

/// `orch completions`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orch completions bash > /etc/bash_completion.d/orch")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: clap_complete::Shell,
}
