//! What a command reads: files, profiles, variables and where the state is.

use std::path::PathBuf;

use clap::Args;

use super::VarArg;

/// What a command reads.
#[derive(Debug, Clone, Default, Args)]
pub struct SourceArgs {
    /// The files.
    #[command(flatten)]
    pub file: FileArgs,
    /// What is put into them.
    #[command(flatten)]
    pub values: ValueArgs,
}

/// The files to read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Definition")]
pub struct FileArgs {
    /// Read this file or folder; give it again to merge several [default: orch.yaml] [env: ORCH_FILE].
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    pub files: Vec<PathBuf>,
}

/// The files to read, for the verb whose `-f` means something else.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Definition")]
pub struct LongFileArgs {
    /// Read this file or folder; -f before the verb does the same [default: orch.yaml] [env: ORCH_FILE].
    #[arg(long = "file", value_name = "PATH")]
    pub files: Vec<PathBuf>,
}

/// What is put into the files, and where the state is.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Definition")]
pub struct ValueArgs {
    /// Activate a profile; give it again or use commas for several [env: ORCH_PROFILES].
    #[arg(long = "profile", value_name = "NAME", value_delimiter = ',')]
    pub profiles: Vec<String>,
    /// Run services that have several backends on those of this deployment [env: ORCH_DEPLOYMENT].
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,
    /// Set a variable of the file; it wins over --var-file.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<VarArg>,
    /// Read variables from a YAML or TOML file; later files win.
    #[arg(long = "var-file", value_name = "PATH")]
    pub var_files: Vec<PathBuf>,
    /// Keep state, journal and lock in this folder instead of the one that the file names.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// What to read, from both sides of the verb and from the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The files and folders, in the order in which they were given; empty for the usual one.
    pub files: Vec<PathBuf>,
    /// The active profiles.
    pub profiles: Vec<String>,
    /// The deployment, if not the one that the file names.
    pub deployment: Option<String>,
    /// Variables, in the order in which they were given; later ones win.
    pub vars: Vec<VarArg>,
    /// Files of variables; later ones win.
    pub var_files: Vec<PathBuf>,
    /// Where the state is, if not where the file says.
    pub state_dir: Option<PathBuf>,
}

impl Source {
    pub(super) fn merge<'a>(
        places: impl Iterator<Item = (&'a [PathBuf], &'a ValueArgs)>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut source = Self::default();
        for (files, values) in places {
            source.files.extend_from_slice(files);
            source.profiles.extend_from_slice(&values.profiles);
            source.vars.extend_from_slice(&values.vars);
            source.var_files.extend_from_slice(&values.var_files);
            source.deployment = values.deployment.clone().or(source.deployment);
            source.state_dir = values.state_dir.clone().or(source.state_dir);
        }
        if source.files.is_empty() {
            source.files.extend(env("ORCH_FILE").filter(|path| !path.is_empty()).map(PathBuf::from));
        }
        if source.profiles.is_empty() {
            let names = env("ORCH_PROFILES").unwrap_or_default();
            source.profiles.extend(names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned));
        }
        source.deployment = source.deployment.or_else(|| env("ORCH_DEPLOYMENT").filter(|name| !name.is_empty()));
        source
    }
}
