//! `orch import`: what another tool has, as a file of orch's.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `orch import`
#[derive(Debug, Args)]
#[command(after_help = "\
What cannot be carried over is named on stderr and in the file, with its place in the source. Secrets are
not copied: the file takes them from the environment. docs/import.md says what becomes of what.")]
pub struct ImportArgs {
    /// From what.
    #[command(subcommand)]
    pub command: ImportCommand,
}

/// From what to import.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Write each service of a Compose project as a container of orch's.
    Compose(ImportComposeArgs),
    /// Write each process of a Procfile as a local process.
    Procfile(ImportProcfileArgs),
    /// Write units of systemd as units that orch writes.
    Systemd(ImportSystemdArgs),
}

/// Where the file goes.
#[derive(Debug, Clone, Args)]
pub struct ImportOutput {
    /// Write the file here [default: stdout]; its relative paths are of that folder.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// `orch import compose`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orch import compose -o orch.yaml                  The Compose file of this folder, with its override
  orch import compose a.yaml b.yaml -o orch.yaml    Several files, later ones over earlier ones
  orch adopt                                        Then take over what Compose has running")]
pub struct ImportComposeArgs {
    /// The Compose files; later ones change earlier ones [default: as Compose finds them].
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The name of the project, as `docker compose -p` has it.
    #[arg(short, long, value_name = "NAME")]
    pub project_name: Option<String>,
    /// Read this in the place of `.env`; give it again for several.
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// Where the file goes.
    #[command(flatten)]
    pub output: ImportOutput,
}

/// `orch import procfile`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orch import procfile Procfile -o orch.yaml")]
pub struct ImportProcfileArgs {
    /// The Procfile; the `.env` beside it is read too.
    #[arg(value_name = "FILE", default_value = "Procfile")]
    pub file: PathBuf,
    /// Where the file goes.
    #[command(flatten)]
    pub output: ImportOutput,
}

/// `orch import systemd`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orch import systemd web.service backup.service backup.timer
  orch import systemd ./units/web@a.service ./units/web@b.service -o orch.yaml")]
pub struct ImportSystemdArgs {
    /// Units by name, which `systemctl` is asked about, or by file.
    #[arg(value_name = "UNIT|FILE", required = true)]
    pub units: Vec<String>,
    /// The units are of this user's own manager.
    #[arg(long)]
    pub user: bool,
    /// Where the file goes.
    #[command(flatten)]
    pub output: ImportOutput,
}
