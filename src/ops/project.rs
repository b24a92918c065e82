//! A project: its file, its state folder and its backends, opened for one operation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::OpError;
use super::places::places;
use crate::backend::compose::{ComposeBackend, ComposeSettings};
use crate::backend::docker::{DockerBackend, DockerSettings, Known};
use crate::backend::host::Hosts;
use crate::backend::package::{PackageBackend, PackageSettings};
use crate::backend::process::ProcessBackend;
use crate::backend::ssh::SshBackend;
use crate::backend::systemd::{SystemdBackend, SystemdSettings};
use crate::backend::wireguard::WireguardBackend;
use crate::backend::{Observers, Operator, Operators};
use crate::config::{self, Diagnostics, LoadOptions, Loaded};
use crate::health::ProbeEnv;
use crate::model::{
    Address, BackendKind, Desired, DigestKey, FieldValue, Instance, ObjectId, Pins, Service, ServiceName, Spec,
};
use crate::plan::PlanSource;
use crate::state::{Record, State, Store};
use crate::sys;

/// What an operation is started with, from the command line and the environment.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the file is read with.
    pub load: LoadOptions,
    /// The state folder, where the file's own is not to be used.
    pub state_dir: Option<PathBuf>,
    /// How many steps run at once, where the file's number is not to be used.
    pub max_parallel: Option<usize>,
    /// How many steps run at once, where neither the command line nor the file says.
    pub default_max_parallel: Option<usize>,
    /// The orch binary, which is also each process's supervisor.
    pub exe: PathBuf,
}

/// A project, opened.
pub struct Project {
    /// The file, read and checked.
    pub loaded: Loaded,
    /// The state folder.
    pub store: Store,
    /// The machines that it reaches; connections are shared by all that looks and changes.
    hosts: Hosts,
    options: Options,
}

impl Project {
    /// Reads the file; touches nothing.
    ///
    /// # Errors
    /// When the file has errors; they are all in the error.
    pub fn open(options: Options) -> Result<Self, OpError> {
        let loaded = config::load(&options.load).map_err(|diagnostics| OpError::Config(Box::new(diagnostics)))?;
        let state_dir = match &options.state_dir {
            Some(folder) => options.load.cwd.join(folder),
            None => loaded.desired.settings.state_dir.clone(),
        };
        Ok(Self { store: Store::at(state_dir), loaded, hosts: Hosts::default(), options })
    }

    /// What the file is fine with but the user should know.
    #[must_use]
    pub fn warnings(&self) -> &Diagnostics {
        &self.loaded.warnings
    }

    /// The key for digests: the stored one, or one for this call only where nothing is stored yet.
    pub(super) fn key(&self) -> Result<DigestKey, OpError> {
        if let Some(key) = self.store.key()? {
            return Ok(key);
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| {
            OpError::request(format!("the system has no random bytes: {error}"), "check that /dev/urandom is there")
        })?;
        Ok(DigestKey::new(bytes))
    }

    /// The instances that the file wants, by address, with ignored changes taken back.
    pub(super) fn instances(&self, key: &DigestKey, recorded: &State, pins: &Pins) -> BTreeMap<Address, Instance> {
        instances(&self.loaded.desired, key, recorded, pins)
    }

    pub(super) fn inactive(&self) -> BTreeSet<ServiceName> {
        self.loaded.desired.inactive.iter().cloned().collect()
    }

    pub(super) fn max_parallel(&self) -> usize {
        let default = self.options.default_max_parallel.filter(|_| !self.loaded.max_parallel_given);
        self.options.max_parallel.or(default).unwrap_or(self.loaded.desired.settings.max_parallel)
    }

    /// Whether the command line, the user's defaults or the file say how many steps run at once.
    pub(super) fn max_parallel_given(&self) -> bool {
        let Options { max_parallel, default_max_parallel, .. } = &self.options;
        max_parallel.is_some() || default_max_parallel.is_some() || self.loaded.max_parallel_given
    }

    /// The backends, to look with.
    pub(super) fn observers(&self, key: &DigestKey, recorded: &State) -> Observers {
        let docker = Arc::new(DockerBackend::new(self.docker(key, recorded)));
        let observers =
            Observers::default().with(BackendKind::Process, self.process()).with(BackendKind::Docker, docker);
        let on_hosts = self.on_hosts(key, recorded).into_iter();
        on_hosts.fold(observers, |observers, (kind, backend)| observers.with(kind, backend))
    }

    /// The backends, to change with.
    pub(super) fn operators(&self, key: &DigestKey, recorded: &State) -> Operators {
        let docker = Arc::new(DockerBackend::new(self.docker(key, recorded)));
        let operators =
            Operators::default().with(BackendKind::Process, self.process()).with(BackendKind::Docker, docker);
        let on_hosts = self.on_hosts(key, recorded).into_iter();
        on_hosts.fold(operators, |operators, (kind, backend)| operators.with(kind, backend))
    }

    /// The backends of what is on machines, as far as the file or the records have anything of theirs.
    fn on_hosts(&self, key: &DigestKey, recorded: &State) -> Vec<(BackendKind, Arc<dyn Operator>)> {
        let desired = &self.loaded.desired;
        let project = desired.project.clone();
        let scope = key.digest([b"host scope".as_slice()]).short();
        let mut backends: Vec<(BackendKind, Arc<dyn Operator>)> = Vec::new();
        for kind in [BackendKind::Ssh, BackendKind::Systemd, BackendKind::Package] {
            let (project, scope, hosts) = (project.clone(), scope.clone(), self.hosts.clone());
            let places = places(kind, desired, recorded);
            if places.is_empty() {
                continue;
            }
            backends.push((
                kind,
                match kind {
                    BackendKind::Ssh => Arc::new(SshBackend::new(SystemdSettings { project, scope, places, hosts })),
                    BackendKind::Systemd => {
                        Arc::new(SystemdBackend::new(SystemdSettings { project, scope, places, hosts }))
                    }
                    _ => {
                        let cache = self.store.dir().join("packages");
                        Arc::new(PackageBackend::new(PackageSettings {
                            project,
                            scope,
                            places,
                            hosts,
                            cache,
                            store: None,
                        }))
                    }
                },
            ));
        }
        if let Some(wireguard) = self.wireguard(recorded) {
            backends.push((BackendKind::Wireguard, wireguard));
        }
        if let Some(compose) = self.compose(key, recorded) {
            backends.push((BackendKind::Compose, compose));
        }
        backends
    }

    /// The backend of Compose projects, where the file or the records have one.
    fn compose(&self, key: &DigestKey, recorded: &State) -> Option<Arc<ComposeBackend>> {
        let known = known(BackendKind::Compose, recorded);
        let wanted = self.loaded.desired.services.values().filter_map(|service| match &service.spec {
            Spec::Compose(spec) => Some(spec.project_name.clone()),
            _ => None,
        });
        let of_record = |known: &Known| match known.fields.get("project_name") {
            Some(FieldValue::Plain(name)) => Some(name.clone()),
            _ => None,
        };
        let names: BTreeSet<String> = wanted.chain(known.values().filter_map(of_record)).collect();
        let pending = recorded.pending.values().any(|pending| pending.backend == BackendKind::Compose);
        (pending || !names.is_empty()).then(|| {
            Arc::new(ComposeBackend::new(ComposeSettings {
                project: self.loaded.desired.project.clone(),
                scope: key.digest([b"compose scope".as_slice()]).short(),
                key: key.clone(),
                env: self.options.load.env.clone(),
                dir: self.store.dir().join("compose"),
                names,
                known,
                pending: recorded.pending.iter().map(|(at, pending)| (at.clone(), pending.op_id.clone())).collect(),
            }))
        })
    }

    fn docker(&self, key: &DigestKey, recorded: &State) -> DockerSettings {
        let known = known(BackendKind::Docker, recorded);
        let host = |service: &Arc<Service>| match &service.spec {
            Spec::Docker(spec) => Some(spec.host.clone()),
            Spec::Network(spec) => Some(spec.host.clone()),
            _ => None,
        };
        let begun = recorded.pending.iter().map(|(at, pending)| (at.clone(), pending.op_id.clone())).collect();
        let pending = recorded.pending.values().any(|pending| pending.backend == BackendKind::Docker);
        let wanted = self.loaded.desired.services.values().filter_map(host);
        let recorded = known.values().map(|known| match known.fields.get("host") {
            Some(FieldValue::Plain(host)) => Some(host.clone()),
            _ => None,
        });
        DockerSettings {
            project: self.loaded.desired.project.clone(),
            scope: key.digest([b"docker scope".as_slice()]).short(),
            env: self.options.load.env.clone(),
            hosts: wanted.chain(recorded).chain(pending.then_some(None)).collect(),
            known,
            pending: begun,
        }
    }

    fn process(&self) -> Arc<ProcessBackend> {
        let folder = self.store.dir().join("process");
        Arc::new(ProcessBackend::new(folder, self.options.exe.clone(), self.options.load.env.clone()))
    }

    /// The backend of WireGuard interfaces, where the file or the records have one.
    fn wireguard(&self, recorded: &State) -> Option<Arc<WireguardBackend>> {
        let wanted = self.loaded.desired.services.values().map(|service| service.spec.backend());
        let records = recorded.records.values().map(|record| record.backend);
        let pending = recorded.pending.values().map(|pending| pending.backend);
        wanted.chain(records).chain(pending).find(|kind| *kind == BackendKind::Wireguard)?;
        let folder = self.store.dir().join("wireguard");
        Some(Arc::new(WireguardBackend::new(folder, &self.hosts, &self.options.load.env)))
    }

    pub(super) fn probe_env(&self) -> ProbeEnv {
        ProbeEnv::new(self.options.load.env.clone())
    }

    /// What apply needs to read the definition again; sensitive variables are left out.
    pub(super) fn source(&self) -> PlanSource {
        let load = &self.options.load;
        let text = |path: &PathBuf| path.display().to_string();
        let shown = |(name, _): &&(String, String)| !self.loaded.sensitive_vars.contains(name);
        PlanSource {
            files: load.files.iter().map(text).collect(),
            profiles: load.profiles.clone(),
            var_files: load.var_files.iter().map(text).collect(),
            vars: load.vars.iter().filter(shown).cloned().collect(),
            state_dir: self.options.state_dir.as_ref().map(text),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        sys::now()
    }
}

/// What is recorded about the objects of a backend that keeps little of it in them.
fn known(backend: BackendKind, recorded: &State) -> BTreeMap<ObjectId, Known> {
    let of_record = |(address, record): (&Address, &Record)| {
        let known = Known {
            address: address.clone(),
            op_id: record.op_id.clone(),
            revision: record.revision,
            fields: record.fields.clone(),
        };
        Some((record.object.clone().filter(|_| record.backend == backend)?, known))
    };
    recorded.records.iter().filter_map(of_record).collect()
}

/// The instances that are wanted, by address, with ignored changes taken back.
pub(super) fn instances(
    desired: &Desired,
    key: &DigestKey,
    recorded: &State,
    pins: &Pins,
) -> BTreeMap<Address, Instance> {
    let settled =
        desired.instances(pins, key).into_iter().map(|instance| match recorded.records.get(&instance.address) {
            Some(record) if !instance.service.lifecycle.ignore_changes.is_empty() => {
                instance.ignoring(&record.fields, key)
            }
            _ => instance,
        });
    settled.map(|instance| (instance.address.clone(), instance)).collect()
}
