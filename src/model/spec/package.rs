//! A package that is unpacked on a host as a release.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::process::{RestartPolicy, StopSignal};
use crate::model::field::{Effect, Fields};
use crate::model::{Digest, Place, Text};

/// A package on a host: `releases/<id>` and `current` below a folder of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSpec {
    /// Where.
    pub place: Place,
    /// Where the archive comes from.
    pub source: PackageSource,
    /// The sha256 of the archive; `None` while a local one does not exist or could not be read.
    pub sha256: Option<Digest>,
    /// The folder on the host that is all the package's own, absolute.
    pub install_path: String,
    /// How many releases stay, the current one included.
    pub keep: u32,
    /// Shell commands before the switch, run in the new release's folder.
    pub pre_install: Vec<Text>,
    /// Shell commands after the switch, run in the new release's folder.
    pub post_install: Vec<Text>,
    /// What the entry point runs with.
    pub env: BTreeMap<String, Text>,
    /// Arguments on top of the manifest's.
    pub args: Vec<Text>,
    /// The user that the entry point runs as; root, or the user who logs in without `sudo`.
    pub user: Option<String>,
    /// Whether the manifest's entry point is run as a service; `None`: where it names one.
    pub run: Option<bool>,
    /// The TCP ports of the host that it listens on.
    pub ports: Vec<u16>,
    /// The signal that asks the entry point to stop.
    pub stop_signal: StopSignal,
    /// How long the entry point may take to stop before all of it is killed.
    pub stop_timeout: Duration,
    /// What happens when the entry point exits by itself.
    pub restart: RestartPolicy,
}

/// Where the archive of a package comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageSource {
    /// A file of this machine, absolute.
    File(PathBuf),
    /// An `http://` or `https://` address.
    Url(Text),
}

impl PackageSpec {
    /// A package with nothing but its place, its archive and its folder, and the defaults of the file.
    #[must_use]
    pub fn new(place: Place, source: PackageSource, install_path: impl Into<String>) -> Self {
        Self {
            place,
            source,
            sha256: None,
            install_path: install_path.into(),
            keep: 5,
            pre_install: Vec::new(),
            post_install: Vec::new(),
            env: BTreeMap::new(),
            args: Vec::new(),
            user: None,
            run: None,
            ports: Vec::new(),
            stop_signal: StopSignal::default(),
            stop_timeout: Duration::from_secs(10),
            restart: RestartPolicy::default(),
        }
    }

    pub(super) fn each_text(&mut self, change: &mut dyn FnMut(&mut Text)) {
        self.args.iter_mut().chain(&mut self.pre_install).chain(&mut self.post_install).for_each(&mut *change);
        self.env.values_mut().for_each(change);
    }

    pub(in crate::model) fn fields(&self, fields: &mut Fields<'_>) {
        use Effect::{Record, Replace, Restart, Update};
        fields.plain("host", Replace, self.place.key());
        fields.plain("install_path", Replace, self.install_path.clone());
        // The name of the archive is no part of what is deployed.
        match &self.source {
            PackageSource::File(path) => fields.plain("package", Record, path.display().to_string()),
            PackageSource::Url(url) => fields.text("package", Record, url),
        }
        let sha256 = self.sha256.map_or_else(|| "(missing)".to_owned(), |sha256| sha256.to_string());
        fields.plain("sha256", Restart, sha256);
        fields.plain("keep", Update, self.keep.to_string());
        fields.texts("pre_install", Restart, &self.pre_install);
        fields.texts("post_install", Restart, &self.post_install);
        fields.texts("args", Restart, &self.args);
        for (name, value) in &self.env {
            fields.text(format!("env.{name}"), Restart, value);
        }
        if let Some(user) = &self.user {
            fields.plain("user", Restart, user.clone());
        }
        if let Some(run) = self.run {
            fields.plain("run", Restart, run.to_string());
        }
        if !self.ports.is_empty() {
            fields.plain("ports", Record, format!("{:?}", self.ports));
        }
        if self.stop_signal != StopSignal::default() {
            fields.plain("stop_signal", Restart, self.stop_signal.to_string());
        }
        fields.plain("stop_timeout", Restart, format!("{:?}", self.stop_timeout));
        fields.plain("restart.policy", Restart, self.restart.mode.to_string());
    }
}
