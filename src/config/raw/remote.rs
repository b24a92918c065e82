//! A program or a package on a host, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Delay, RawRestart, Signal};
use crate::config::field::{Entries, Field, OneOrMany, RawText, Short};
use crate::model::RestartMode;

/// A program on a host that is reached over SSH.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSsh {
    /// The machine that it runs on: a name of `hosts`, an address, or `user@address:port`. One of `host`
    /// and `hosts` is required.
    #[serde(default)]
    pub(crate) host: Option<Field<String>>,
    /// The machines that it runs on, one copy on each: names of machines and groups of `hosts`, or labels
    /// that a machine must have (`"role=web,zone=a"`); one or a list.
    #[serde(default)]
    pub(crate) hosts: Option<Field<OneOrMany<String>>>,
    /// The user to log in as, where `host` is an address. Default: what `ssh` finds.
    #[serde(default)]
    pub(crate) user: Option<Field<String>>,
    /// The port of the SSH server, where `host` is an address. Default: what `ssh` finds, usually 22.
    #[serde(default)]
    pub(crate) port: Option<Field<u16>>,
    /// The private key, relative to this file, where `host` is an address; `~/` is the home folder.
    /// Default: what `ssh` finds.
    #[serde(default)]
    pub(crate) key_file: Option<Field<String>>,
    /// The program on the host: an absolute path, or a bare name that is looked up in `PATH` there.
    pub(crate) binary: Field<RawText>,
    /// A file of this machine, relative to this file, that is uploaded and becomes `binary`, which then is
    /// an absolute path.
    #[serde(default)]
    pub(crate) upload: Option<Field<String>>,
    /// Its arguments; no shell is involved.
    #[serde(default)]
    pub(crate) args: Option<Field<Vec<Field<RawText>>>>,
    /// Its environment, on top of what a service gets there. A value whose name looks secret (`PASSWORD`,
    /// `TOKEN`, ...) is never shown or recorded.
    #[serde(default)]
    pub(crate) env: Option<Field<Entries<RawText>>>,
    /// The folder of the host that it runs in, absolute. Default: `/`, or the home folder without root.
    #[serde(default)]
    pub(crate) working_dir: Option<Field<String>>,
    /// The user of the host that it runs as. Default: root, or the user who logs in where that one may not
    /// use `sudo`.
    #[serde(default)]
    pub(crate) run_as: Option<Field<String>>,
    /// The TCP ports of the host that it listens on, so that two services with one port are found. Default:
    /// the ports of `localhost` that its health checks probe.
    #[serde(default)]
    pub(crate) ports: Option<Field<Vec<Field<u16>>>>,
    /// The signal that asks it to stop: SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 or SIGKILL.
    /// Default: SIGTERM.
    #[serde(default)]
    pub(crate) stop_signal: Option<Field<Signal>>,
    /// How long it may take to stop before it is killed: seconds or a duration. Default: 10 seconds.
    #[serde(default)]
    pub(crate) stop_timeout: Option<Field<Delay>>,
    /// What happens when it exits by itself: `always`, `on-failure` or `never`, or a map with more.
    /// Default: `on-failure`; for a job `never`.
    #[serde(default)]
    pub(crate) restart: Option<Field<Short<RestartMode, RawRestart>>>,
}

/// A package that is unpacked on a host as a release.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPackage {
    /// The machine that it goes to: a name of `hosts`, an address, or `user@address:port`. Default: this
    /// machine.
    #[serde(default)]
    pub(crate) host: Option<Field<String>>,
    /// The machines that it goes to, one copy on each: names of machines and groups of `hosts`, or labels
    /// that a machine must have (`"role=web,zone=a"`); one or a list.
    #[serde(default)]
    pub(crate) hosts: Option<Field<OneOrMany<String>>>,
    /// The archive: a path, relative to this file, or an `http://` or `https://` address.
    pub(crate) package: Field<RawText>,
    /// The sha256 of the archive, 64 hexadecimal digits; required for an address. Default: that of the file.
    #[serde(default)]
    pub(crate) sha256: Option<Field<String>>,
    /// The folder of the host that is all the package's own, absolute; `releases` and `current` are made in
    /// it.
    pub(crate) install_path: Field<String>,
    /// How many releases are kept, the current one included, 2 to 1000. Default: 5.
    #[serde(default)]
    pub(crate) keep: Option<Field<u32>>,
    /// Shell commands that run on the host in the new release's folder, before it becomes the current one.
    #[serde(default)]
    pub(crate) pre_install: Option<Field<Vec<Field<RawText>>>>,
    /// Shell commands that run on the host in the new release's folder, after it became the current one.
    #[serde(default)]
    pub(crate) post_install: Option<Field<Vec<Field<RawText>>>>,
    /// The environment of the entry point. A value whose name looks secret (`PASSWORD`, `TOKEN`, ...) is
    /// never shown or recorded.
    #[serde(default)]
    pub(crate) env: Option<Field<Entries<RawText>>>,
    /// Arguments of the entry point, after those of the manifest; no shell is involved.
    #[serde(default)]
    pub(crate) args: Option<Field<Vec<Field<RawText>>>>,
    /// The user of the host that the entry point runs as. Default: root, or the user who logs in where that
    /// one may not use `sudo`.
    #[serde(default)]
    pub(crate) run_as: Option<Field<String>>,
    /// Whether the entry point of the manifest runs as a service. Default: where the manifest names one.
    #[serde(default)]
    pub(crate) run: Option<Field<bool>>,
    /// The TCP ports of the host that it listens on, so that two services with one port are found. Default:
    /// the ports of `localhost` that its health checks probe.
    #[serde(default)]
    pub(crate) ports: Option<Field<Vec<Field<u16>>>>,
    /// The signal that asks it to stop: SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 or SIGKILL.
    /// Default: SIGTERM.
    #[serde(default)]
    pub(crate) stop_signal: Option<Field<Signal>>,
    /// How long it may take to stop before it is killed: seconds or a duration. Default: 10 seconds.
    #[serde(default)]
    pub(crate) stop_timeout: Option<Field<Delay>>,
    /// What happens when it exits by itself: `always`, `on-failure` or `never`, or a map with more.
    /// Default: `on-failure`.
    #[serde(default)]
    pub(crate) restart: Option<Field<Short<RestartMode, RawRestart>>>,
}
