//! A project: its file, its state folder and its backends, opened for one operation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::OpError;
use super::managed;
use super::places::{clusters, places};
use crate::backend::compose::{ComposeBackend, ComposeSettings};
use crate::backend::docker::{DockerBackend, DockerSettings, Known};
use crate::backend::helm::{Helm, HelmBackend, HelmSettings, Known as KnownRelease};
use crate::backend::host::Hosts;
use crate::backend::kube::Kube;
use crate::backend::kubernetes::{KubernetesBackend, KubernetesSettings};
use crate::backend::package::{PackageBackend, PackageSettings};
use crate::backend::process::ProcessBackend;
use crate::backend::ssh::SshBackend;
use crate::backend::systemd::{SystemdBackend, SystemdSettings};
use crate::backend::wireguard::WireguardBackend;
use crate::backend::{Observers, Operator, Operators};
use crate::config::{self, Diagnostics, LoadOptions, Loaded};
use crate::health::ProbeEnv;
use crate::model::{
    ADOPTED_REVISION, Address, BackendKind, Desired, DigestKey, FieldValue, Instance, KubeCluster, ObjectId, Pins,
    Service, ServiceName, Spec,
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
    /// The clusters that it reaches, likewise.
    kube: Arc<Kube>,
    helm: Arc<Helm>,
    options: Options,
}

impl Project {
    /// Reads the file; touches nothing.
    ///
    /// # Errors
    /// When the file has errors; they are all in the error.
    pub fn open(options: Options) -> Result<Self, OpError> {
        let mut options = options;
        let managed = match &options.state_dir {
            Some(folder) => managed::project_of(&options.load.cwd.join(folder))?,
            None => None,
        };
        if managed.is_some() {
            options.load.project.clone_from(&managed);
        }
        let loaded = config::load(&options.load).map_err(|diagnostics| OpError::Config(Box::new(diagnostics)))?;
        let mut loaded = loaded;
        if managed.is_some() {
            // What a run started goes with it, whatever the file says of what is there to stay.
            for service in loaded.desired.services.values_mut().filter(|it| it.lifecycle.prevent_destroy) {
                Arc::make_mut(service).lifecycle.prevent_destroy = false;
            }
        }
        let state_dir = match &options.state_dir {
            Some(folder) => options.load.cwd.join(folder),
            None => loaded.desired.settings.state_dir.clone(),
        };
        let kube = Arc::new(Kube::new(options.load.env.clone()));
        let helm = Arc::new(Helm::new(options.load.env.clone()));
        Ok(Self { store: Store::at(state_dir), loaded, hosts: Hosts::default(), kube, helm, options })
    }

    /// What it was opened with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
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
        if let Some(helm) = self.helm(key, recorded) {
            backends.push((BackendKind::Helm, helm));
        }
        let places = clusters(desired, recorded);
        if !places.is_empty() {
            let scope = key.digest([b"kubernetes scope".as_slice()]).short();
            let settings = KubernetesSettings { project, scope, places };
            backends.push((BackendKind::Kubernetes, Arc::new(KubernetesBackend::new(self.kube.clone(), settings))));
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

    /// The backend of releases, where the file or the records have one.
    fn helm(&self, key: &DigestKey, recorded: &State) -> Option<Arc<HelmBackend>> {
        let desired = &self.loaded.desired;
        let releases = || recorded.records.iter().filter(|(_, record)| record.backend == BackendKind::Helm);
        let mut places: BTreeSet<(KubeCluster, Option<String>)> = BTreeSet::new();
        for service in desired.services.values() {
            if let Spec::Helm(spec) = &service.spec {
                places.insert((spec.cluster.clone(), Some(spec.namespace.clone())));
            }
        }
        let wanted: BTreeSet<KubeCluster> = places.iter().map(|(cluster, _)| cluster.clone()).collect();
        let of_record = |record: &Record| {
            let text = |name: &str| match record.fields.get(name) {
                Some(FieldValue::Plain(text)) => Some(text.clone()),
                _ => None,
            };
            (KubeCluster { kubeconfig: text("kubeconfig"), context: text("kube_context") }, text("namespace"))
        };
        places.extend(releases().map(|(_, record)| of_record(record)));
        // What a killed run began may have no record yet, and the file may no longer say where it is.
        let begun = recorded.pending.iter().filter(|(_, pending)| pending.backend == BackendKind::Helm);
        let mut unknown =
            begun.filter(|(at, _)| !recorded.records.contains_key(*at) && !desired.services.contains_key(&at.service));
        if unknown.next().is_some() {
            let all = if wanted.is_empty() { BTreeSet::from([KubeCluster::default()]) } else { wanted };
            places.extend(all.into_iter().map(|cluster| (cluster, None)));
        }
        if places.is_empty() {
            return None;
        }
        let known = releases().filter_map(|(address, record)| {
            let adopted = match record.fields.get(ADOPTED_REVISION) {
                Some(FieldValue::Plain(number)) => number.parse().ok(),
                _ => None,
            };
            let (address, op_id) = (address.clone(), record.op_id.clone());
            Some((record.object.clone()?, KnownRelease { address, op_id, revision: record.revision, adopted }))
        });
        let settings = HelmSettings {
            project: desired.project.clone(),
            scope: key.digest([b"helm scope".as_slice()]).short(),
            folder: self.store.dir().join("helm"),
            places,
            known: known.collect(),
        };
        Some(Arc::new(HelmBackend::new(settings, self.kube.clone(), self.helm.clone())))
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
            deployment: load.deployment.clone(),
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
