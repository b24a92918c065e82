//! The verbs about where services are reached: `url` and `run`.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;

use super::{SourceArgs, values};
use crate::model::Address;

/// `orch url`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  curl \"$(orch url api http)/health\"         Use it in a command
  orch url api                               Every endpoint, where there are several

Where a port is forwarded (`port_forward`), it goes on until Ctrl-C.")]
pub struct UrlArgs {
    /// The service, or one copy of it: `web`, `web[2]`.
    #[arg(value_name = "SVC")]
    pub service: Address,
    /// The endpoint [default: all of them].
    #[arg(value_name = "NAME")]
    pub endpoint: Option<String>,
    /// Print as JSON, with host and port.
    #[arg(long)]
    pub json: bool,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// `orch run`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  orch run -- pytest tests/                  Services up, healthy; then the tests; then all of it down
  orch run --deployment helm -- ./bench      The same command on another deployment
  orch run --reuse -- ./bench                Use what is healthy already, and leave it up
  orch run --keep -- ./bench                 Leave everything up, to look at it

CMD finds each endpoint in its environment: ORCH_API_HTTP_URL, ORCH_API_HTTP_HOST, ORCH_API_HTTP_PORT for \
the endpoint http of the service api. The exit code is that of CMD: 127 where it is not found, 126 where it \
may not be run, 128 and the number of the signal that ended it. Where the services do not come up it is \
that of `orch apply`.

Ctrl-C and SIGTERM are passed on to CMD, and what was started is taken down; the second one kills CMD. Each \
run has a project name and a state of its own, so that several run beside each other. What a killed run \
left is taken down by the next one.")]
pub struct RunArgs {
    /// Leave what was started up, and say how to take it down.
    #[arg(long)]
    pub keep: bool,
    /// Use the project's own services where they are healthy, and leave those alone and up.
    #[arg(long)]
    pub reuse: bool,
    /// Build what can be built before it is started.
    #[arg(long, overrides_with = "no_build")]
    pub build: bool,
    /// Build nothing.
    #[arg(long, overrides_with = "build")]
    pub no_build: bool,
    /// How many steps run at once [default: what the file says].
    #[arg(long, value_name = "N")]
    pub max_parallel: Option<NonZeroUsize>,
    /// With --reuse: wait so long for the lock instead of failing at once: `30s`, `5m`.
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub lock_timeout: Option<Duration>,
    /// The command and its arguments; no shell is involved.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
    /// What is read.
    #[command(flatten)]
    pub source: SourceArgs,
}

impl RunArgs {
    /// Whether what can be built is built; `None` for what the file says.
    pub fn builds(&self) -> Option<bool> {
        match (self.build, self.no_build) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}
