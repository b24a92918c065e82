//! `orch state`: look at and repair what is recorded.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{SourceArgs, values};
use crate::model::Address;

/// `orch state`
#[derive(Debug, Args)]
#[command(after_help = "These change only what orch remembers; what runs is left alone.")]
pub struct StateArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: StateCommand,
}

/// What to do with what is recorded.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List the recorded instances.
    List(StateListArgs),
    /// Show all that is recorded of one instance.
    Show(StateShowArgs),
    /// Record an instance under another address.
    Mv(StateMvArgs),
    /// Forget instances; what runs goes on running, unmanaged.
    Rm(StateRmArgs),
    /// Print the state file.
    Pull(StatePullArgs),
    /// Put a state file in the place of the recorded one.
    Push(StatePushArgs),
}

impl StateCommand {
    pub(super) fn source(&self) -> &SourceArgs {
        match self {
            Self::List(args) => &args.source,
            Self::Show(args) => &args.source,
            Self::Mv(args) => &args.source,
            Self::Rm(args) => &args.source,
            Self::Pull(args) => &args.source,
            Self::Push(args) => &args.source,
        }
    }
}

/// `orch state list`
#[derive(Debug, Args)]
pub struct StateListArgs {
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch state show`
#[derive(Debug, Args)]
pub struct StateShowArgs {
    /// The instance: `web`, `web[2]`, `web@host1`.
    #[arg(value_name = "ADDRESS")]
    pub address: Address,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch state mv`
#[derive(Debug, Args)]
#[command(after_help = "`renamed_from` in the file does the same for everybody who applies it.")]
pub struct StateMvArgs {
    /// The address it has.
    #[arg(value_name = "FROM")]
    pub from: Address,
    /// The address it gets; nothing may be recorded there.
    #[arg(value_name = "TO")]
    pub to: Address,
    /// Wait so long for the lock instead of failing at once: `30s`, `5m`.
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub lock_timeout: Option<Duration>,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch state rm`
#[derive(Debug, Args)]
pub struct StateRmArgs {
    /// The instances to forget.
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<Address>,
    /// Wait so long for the lock instead of failing at once: `30s`, `5m`.
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub lock_timeout: Option<Duration>,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch state pull`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orch state pull > backup.json")]
pub struct StatePullArgs {
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch state push`
#[derive(Debug, Args)]
pub struct StatePushArgs {
    /// The state file, as `orch state pull` printed it.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Push it even though it is of another lineage or older than what is recorded.
    #[arg(long)]
    pub force: bool,
    /// Wait so long for the lock instead of failing at once: `30s`, `5m`.
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub lock_timeout: Option<Duration>,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}
