//! A Compose project: its files, and what they come to once Compose has read them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Claim;
use super::container::Protocol;
use crate::model::field::{Effect, Fields};
use crate::model::{ContentDigest, DigestKey, Text};

/// A Compose project that is brought up as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeSpec {
    /// The Compose files, absolute; later ones go before earlier ones.
    pub files: Vec<PathBuf>,
    /// The folder that their relative paths start at, absolute.
    pub folder: PathBuf,
    /// The project's name on the engine.
    pub project_name: String,
    /// The profiles of the Compose file that are on, sorted.
    pub profiles: Vec<String>,
    /// The files with values for the variables of the Compose file, absolute.
    pub env_files: Vec<PathBuf>,
    /// Values for the variables of the Compose file, before those of orch's own environment.
    pub env: BTreeMap<String, Text>,
    /// Whether images are built at each change, or never; `None` when they are missing.
    pub build: Option<bool>,
    /// When images are pulled; `None` as the Compose file says.
    pub pull: Option<ComposePull>,
    /// The Compose services that are brought up, sorted, with what they need; all where it is empty.
    pub services: Vec<String>,
    /// The Compose services that must be well for the project to be, sorted; all where it is empty.
    pub gate: Vec<String>,
    /// Whether containers of services that the file no longer has are removed.
    pub remove_orphans: bool,
    /// Whether the project's volumes are removed, with what they hold, when it is deleted.
    pub remove_volumes: bool,
    /// How long it may take to be well.
    pub wait_timeout: Duration,
    /// How long a container without a health check must run to count as well.
    pub settle: Duration,
    /// What the files come to; `None` where Compose was not asked.
    pub rendered: Option<Arc<ComposeProject>>,
}

/// When Compose pulls images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ComposePull {
    /// At each change.
    Always,
    /// Where the engine does not have them.
    Missing,
    /// Never.
    Never,
}

impl ComposePull {
    /// The word, as Compose takes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Missing => "missing",
            Self::Never => "never",
        }
    }
}

/// What the files of a Compose project come to, with every variable put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeProject {
    /// The whole in Compose's own canonical form, which Compose reads again; it holds every secret.
    pub definition: Text,
    /// Its services, by name.
    pub services: BTreeMap<String, ComposeService>,
    /// Its networks, volumes and the like, by kind and name: `volumes.data`.
    pub shared: BTreeMap<String, Text>,
}

/// One service of a Compose project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComposeService {
    /// What its containers are made from, by path: `image`, `environment.PORT`.
    pub made_from: BTreeMap<String, Text>,
    /// What else the file says of it, which no container has in it: `depends_on`, `build.context`.
    pub beside: BTreeMap<String, Text>,
    /// The content of the files that are mounted into it, by where they are; `None` for one that is not there.
    pub files: BTreeMap<String, Option<ContentDigest>>,
    /// The fixed ports of the host that it publishes.
    pub ports: BTreeSet<(u16, Protocol)>,
}

impl ComposeService {
    /// What tells that a container is made from this definition: twelve digits of a keyed digest.
    #[must_use]
    pub fn digest(&self, key: &DigestKey) -> String {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for (path, value) in &self.made_from {
            parts.extend([path.clone().into_bytes(), value.reveal().as_bytes().to_vec()]);
        }
        for (path, content) in &self.files {
            let content = content.map(|content| content.keyed(key).to_string()).unwrap_or_default();
            parts.extend([path.clone().into_bytes(), content.into_bytes()]);
        }
        key.digest(parts.iter().map(Vec::as_slice)).short()
    }
}

/// The path of the field that holds the digest of a Compose service.
#[must_use]
pub fn compose_digest_field(service: &str) -> String {
    format!("digests.{service}")
}

impl ComposeSpec {
    /// The Compose services that are to be up, as far as Compose was asked.
    #[must_use]
    pub fn wanted(&self) -> BTreeMap<&str, &ComposeService> {
        let all = self.rendered.iter().flat_map(|project| &project.services);
        all.map(|(name, service)| (name.as_str(), service)).collect()
    }

    pub(super) fn ports(&self) -> Vec<u16> {
        let ports = self.wanted().into_values().flat_map(|service| &service.ports);
        ports.filter(|(_, protocol)| *protocol == Protocol::Tcp).map(|(port, _)| *port).collect()
    }

    pub(super) fn claims(&self) -> Vec<Claim> {
        let ports: BTreeSet<_> = self.wanted().into_values().flat_map(|service| &service.ports).collect();
        let ports = ports.into_iter().map(|&(port, protocol)| Claim::Port { port, protocol });
        std::iter::once(Claim::Name(self.project_name.clone())).chain(ports).collect()
    }

    pub(in crate::model) fn fields(&self, fields: &mut Fields<'_>) {
        use Effect::{Record, Replace, Restart};
        let list = |values: &[String]| format!("{values:?}");
        let paths =
            |paths: &[PathBuf]| -> Vec<String> { paths.iter().map(|path| path.display().to_string()).collect() };
        fields.plain("project_name", Replace, self.project_name.clone());
        fields.plain("files", Record, list(&paths(&self.files)));
        if !self.env_files.is_empty() {
            fields.plain("env_file", Record, list(&paths(&self.env_files)));
        }
        let lists = [("profiles", &self.profiles), ("only", &self.services), ("gate", &self.gate)];
        for (name, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
            fields.plain(name, Record, list(values));
        }
        if let Some(build) = self.build {
            fields.plain("build", Record, build.to_string());
        }
        if let Some(pull) = self.pull {
            fields.plain("pull", Record, pull.word());
        }
        fields.plain("remove_orphans", Record, self.remove_orphans.to_string());
        if self.remove_volumes {
            fields.plain("remove_volumes", Record, "true");
        }
        let Some(project) = &self.rendered else { return };
        for (path, value) in &project.shared {
            fields.text(path.clone(), Restart, value);
        }
        let key = fields.key();
        for (name, service) in &project.services {
            for (path, value) in service.made_from.iter().chain(&service.beside) {
                fields.text(format!("services.{name}.{path}"), Restart, value);
            }
            for (path, content) in &service.files {
                let content = content.map_or_else(|| "(missing)".to_owned(), |content| content.keyed(key).short());
                fields.plain(format!("services.{name}.files.{path}"), Restart, content);
            }
            fields.plain(compose_digest_field(name), Restart, service.digest(key));
        }
    }
}
