//! The command line: clap types, one file for each verb, exit codes.

pub mod args;
mod errors;
mod exit;
mod run;
mod session;
mod signals;
mod verbs;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Parser as _;

use args::Cli;
pub use exit::Exit;

/// What the process was started with.
#[derive(Debug, Clone)]
pub struct Started {
    /// The command line, the program's name first.
    pub args: Vec<OsString>,
    /// The environment; variables that are not text are left out.
    pub env: BTreeMap<String, String>,
    /// The current folder.
    pub cwd: PathBuf,
    /// The orch binary itself.
    pub exe: PathBuf,
}

impl Started {
    /// How this process was started.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
    pub fn now(args: Vec<OsString>) -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self {
            args,
            env: std::env::vars_os().filter_map(text).collect(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            exe: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("orch")),
        }
    }
}

/// Parses the command line, does what it says, and says how it ended.
#[must_use]
pub fn main(started: Started) -> Exit {
    let cli = match Cli::try_parse_from(&started.args) {
        Ok(cli) => cli,
        Err(error) => {
            // Where not even an error can be printed, the exit code still says what happened.
            let _ = error.print();
            return Exit::of_clap(&error);
        }
    };
    match session::Session::new(&cli, started) {
        Ok(mut session) => match verbs::dispatch(cli.verb, &mut session) {
            Ok(exit) => exit,
            Err(error) => errors::report(&mut session.output, &error),
        },
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "Error: {message}");
            Exit::Error
        }
    }
}
