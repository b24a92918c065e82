//! A program that runs as a service on a host that is reached over SSH.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::process::{RestartPolicy, StopSignal};
use crate::model::field::{Effect, Fields};
use crate::model::{Digest, Place, Text};

/// A program on a host. Where the host has systemd it runs as a unit, else detached under a keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSpec {
    /// The host.
    pub place: Place,
    /// The program on the host: an absolute path, or a bare name that is looked up in `PATH` there.
    pub binary: Text,
    /// The file of this machine that becomes the program, where it is uploaded.
    pub upload: Option<Upload>,
    /// Its arguments, byte for byte; no shell is involved.
    pub args: Vec<Text>,
    /// Its environment, on top of what a service gets there.
    pub env: BTreeMap<String, Text>,
    /// The folder it runs in, absolute on the host; the host's `/` (for a user's unit the home) where it is not given.
    pub working_dir: Option<String>,
    /// The user it runs as; root, or the user who logs in without `sudo`, where it is not given.
    pub user: Option<String>,
    /// The TCP ports of the host that it listens on.
    pub ports: Vec<u16>,
    /// The signal that asks it to stop.
    pub stop_signal: StopSignal,
    /// How long it may take to stop before all of it is killed.
    pub stop_timeout: Duration,
    /// What happens when it exits by itself.
    pub restart: RestartPolicy,
}

/// A file of this machine that goes to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The file here, absolute.
    pub path: PathBuf,
    /// Its content; `None` while the file does not exist.
    pub content: Option<Digest>,
}

impl RemoteSpec {
    /// A program with nothing but its host and its name, and the defaults of the file.
    #[must_use]
    pub fn new(place: Place, binary: Text) -> Self {
        Self {
            place,
            binary,
            upload: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            working_dir: None,
            user: None,
            ports: Vec::new(),
            stop_signal: StopSignal::default(),
            stop_timeout: Duration::from_secs(10),
            restart: RestartPolicy::default(),
        }
    }

    pub(super) fn each_text(&mut self, change: &mut dyn FnMut(&mut Text)) {
        change(&mut self.binary);
        self.args.iter_mut().for_each(&mut *change);
        self.env.values_mut().for_each(change);
    }

    pub(in crate::model) fn fields(&self, fields: &mut Fields<'_>) {
        use Effect::{Record, Replace, Restart};
        fields.plain("host", Replace, self.place.key());
        fields.text("binary", Restart, &self.binary);
        if let Some(upload) = &self.upload {
            let content = upload.content.map_or_else(|| "(missing)".to_owned(), |content| content.to_string());
            fields.plain("upload", Restart, content);
        }
        fields.texts("args", Restart, &self.args);
        for (name, value) in &self.env {
            fields.text(format!("env.{name}"), Restart, value);
        }
        if let Some(folder) = &self.working_dir {
            fields.plain("working_dir", Restart, folder.clone());
        }
        if let Some(user) = &self.user {
            fields.plain("user", Restart, user.clone());
        }
        if !self.ports.is_empty() {
            fields.plain("ports", Record, format!("{:?}", self.ports));
        }
        if self.stop_signal != StopSignal::default() {
            fields.plain("stop_signal", Restart, self.stop_signal.to_string());
        }
        fields.plain("stop_timeout", Restart, format!("{:?}", self.stop_timeout));
        let restart = &self.restart;
        fields.plain("restart.policy", Restart, restart.mode.to_string());
        if *restart != (RestartPolicy { mode: restart.mode, ..RestartPolicy::default() }) {
            let more = format!("{:?}..{:?}, {} in a row", restart.delay, restart.max_delay, restart.max_restarts);
            fields.plain("restart.limits", Restart, more);
        }
    }
}
