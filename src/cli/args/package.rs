//! `orch package`: make packages, and look into them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values;
use crate::model::Digest;

/// `orch package`
#[derive(Debug, Args)]
#[command(after_help = "docs/packages.md describes the format.")]
pub struct PackageArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PackageCommand,
}

/// What to do with packages.
#[derive(Debug, Subcommand)]
pub enum PackageCommand {
    /// Make a package of a folder: the same content gives the same bytes.
    Build(PackageBuildArgs),
    /// Show what a package says about itself and what is in it.
    Inspect(PackageInspectArgs),
    /// Check a package: whether it is whole, safe to unpack, and what its manifest says.
    Verify(PackageVerifyArgs),
}

/// `orch package build`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  orch package build hello\n  orch package build hello --output releases/hello.tar.gz"
)]
pub struct PackageBuildArgs {
    /// The folder to pack, with `manifest.yaml` at its top.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Write the package here [default: NAME-VERSION.tar.gz in the current folder].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print what was made as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `orch package inspect`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  orch package inspect hello-1.0.0.tar.gz")]
pub struct PackageInspectArgs {
    /// The package.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print it as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `orch package verify`
#[derive(Debug, Args)]
#[command(after_help = "\
Exits 0 when nothing is wrong, and 1 with every problem named.

Example:
  orch package verify hello-1.0.0.tar.gz --sha256 $(cat hello-1.0.0.tar.gz.sha256)")]
pub struct PackageVerifyArgs {
    /// The package.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The digest that the archive must have: 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = values::sha256)]
    pub sha256: Option<Digest>,
    /// Print what was found as JSON.
    #[arg(long)]
    pub json: bool,
}
