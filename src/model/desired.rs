//! What the file wants, as a whole.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::field::Fields;
use super::{
    Address, BackendKind, BodyMatch, ContentDigest, Digest, DigestKey, Effect, Field, FieldValue, LanHost, Machine,
    Probe, ProjectName, Service, ServiceName, StatusMatch, Text,
};

/// Everything that the file (or files) wants, with variables put in and defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// The project's name.
    pub project: ProjectName,
    /// Settings of the whole file.
    pub settings: Settings,
    /// The services of the active profiles, by name.
    pub services: BTreeMap<ServiceName, Arc<Service>>,
    /// The machines that the file names, by name.
    pub machines: BTreeMap<String, Arc<Machine>>,
    /// The hosts of active services whose names must stand for addresses in a subnet.
    pub lan_hosts: Vec<LanHost>,
    /// Services that the file has but the active profiles leave out.
    pub inactive: Vec<ServiceName>,
    /// What the definition was read from, sorted.
    pub sources: Vec<Source>,
}

/// Settings of the whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where state, journal, lock and runs live; absolute.
    pub state_dir: PathBuf,
    /// How many steps run at once.
    pub max_parallel: usize,
    /// How long a step may take where the service does not say.
    pub default_timeout: Duration,
    /// What happens when a step fails.
    pub on_failure: OnFailure,
}

/// What happens when a step fails or misses its gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The service goes back to its last healthy version; independent branches run on.
    #[default]
    Rollback,
    /// Nothing new is started; the service is left as it is.
    Halt,
    /// The service is left as it is; independent branches run on.
    Continue,
}

/// Where a part of the definition came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// A configuration file.
    Config,
    /// A variable, from `--var`, a variable file or `ORCH_VAR_*`.
    Variable,
    /// An environment variable that the file reads.
    Environment,
    /// A file whose content the file reads, or a trigger.
    File,
    /// The active profiles.
    Profiles,
    /// The deployment that was chosen.
    Deployment,
}

/// One thing that the definition was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it came from.
    pub kind: InputKind,
    /// Its name: a path (relative to the first file's folder where it is below it), a variable.
    pub name: String,
    /// Its content; `None` when it is absent (an unset variable with a default).
    pub content: Option<ContentDigest>,
}

impl Desired {
    /// The inputs as a plan holds them: digests under the state's key.
    #[must_use]
    pub fn inputs(&self, key: &DigestKey) -> Vec<Input> {
        let keyed = |source: &Source| Input {
            kind: source.kind,
            name: source.name.clone(),
            digest: source.content.map(|content| content.keyed(key)),
        };
        self.sources.iter().map(keyed).collect()
    }

    /// The instances that the file wants, in the order of their addresses.
    #[must_use]
    pub fn instances(&self, pins: &Pins, key: &DigestKey) -> Vec<Instance> {
        let of = |service: &Arc<Service>| {
            let pin = pins.get(&service.name).cloned();
            if let Some(machines) = &service.hosts {
                let on = |machine: &Arc<Machine>| {
                    let address = Address::on(service.name.clone(), &machine.name);
                    Instance::new(address, Arc::new(service.on(machine)), pin.clone(), key)
                };
                return machines.iter().map(on).collect();
            }
            match service.replicas {
                None => vec![Instance::new(Address::only(service.name.clone()), service.clone(), pin, key)],
                Some(count) => (0..count)
                    .map(|index| {
                        let address = Address::replica(service.name.clone(), index);
                        Instance::new(address, Arc::new(service.replica(index)), pin.clone(), key)
                    })
                    .collect(),
            }
        };
        self.services.values().flat_map(of).collect()
    }
}

/// What the image of each service stood for when the plan was made, `sha256:` and 64 digits: the
/// digest in the registry, or the engine's image id for an image that no registry has.
pub type Pins = BTreeMap<ServiceName, String>;

/// One input of a plan and its keyed digest: apply refuses, naming it, when the digest differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Input {
    /// Where it came from.
    pub kind: InputKind,
    /// Its name: a path, the name of a variable.
    pub name: String,
    /// The keyed digest of its content; `None` when it is absent (an unset variable with a default).
    pub digest: Option<Digest>,
}

/// One instance that the file wants, ready to be compared.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its address.
    pub address: Address,
    /// The service that it is a copy of.
    pub service: Arc<Service>,
    /// What its image stands for, where it has one and that is known.
    pub pin: Option<String>,
    /// Its definition as fields, sorted by path; secrets are digests.
    pub fields: Vec<Field>,
    /// The keyed digest of the fields that define the workload; stamped into the object.
    pub revision: Digest,
}

impl Instance {
    /// Lays out a service's definition as fields and digests it.
    #[must_use]
    pub fn new(address: Address, service: Arc<Service>, pin: Option<String>, key: &DigestKey) -> Self {
        let mut fields = Fields::new(key);
        if let Some(pin) = &pin {
            fields.plain(IMAGE_PIN, Effect::Replace, pin.clone());
        }
        fields.plain("backend", Effect::Replace, service.spec.backend().to_string());
        fields.plain("kind", Effect::Replace, service.kind.to_string());
        service.spec.fields(&mut fields);
        for dependency in &service.dependencies {
            fields.plain(
                format!("dependencies.{}", dependency.service),
                Effect::Record,
                dependency.condition.to_string(),
            );
        }
        for trigger in &service.triggers {
            let content = trigger.content.map_or_else(|| "(missing)".to_owned(), |content| content.keyed(key).short());
            fields.plain(format!("triggers.{}", trigger.path), Effect::Restart, content);
        }
        check_fields(&service, &mut fields);
        if service.lifecycle.prevent_destroy {
            fields.plain("lifecycle.prevent_destroy", Effect::Record, "true");
        }
        let fields = fields.finish();
        let revision = revision(&fields, key);
        Self { address, service, pin, fields, revision }
    }

    /// The same instance with the recorded value in every field that `lifecycle.ignore_changes`
    /// names, so that a change there is neither a change nor another revision.
    #[must_use]
    pub fn ignoring(mut self, recorded: &BTreeMap<String, FieldValue>, key: &DigestKey) -> Self {
        let service = self.service.clone();
        let ignored = |path: &str| service.lifecycle.ignore_changes.iter().any(|start| is_under(path, start));
        let before = self.fields.len();
        self.fields.retain(|field| !ignored(&field.path) || recorded.contains_key(field.path.as_ref()));
        let mut changed = self.fields.len() != before;
        for (path, value) in recorded.iter().filter(|(path, _)| ignored(path)) {
            match self.fields.iter_mut().find(|field| field.path == *path) {
                Some(field) if field.value == *value => {}
                Some(field) => field.value = value.clone(),
                None => self.fields.push(Field {
                    path: Cow::Owned(path.clone()),
                    value: value.clone(),
                    effect: effect_of(service.spec.backend(), path),
                }),
            }
            changed = true;
        }
        if changed {
            self.fields.sort_by(|a, b| a.path.cmp(&b.path));
            self.revision = revision(&self.fields, key);
        }
        self
    }
}

impl Instance {
    /// The same instance with what is recorded in the place of what the file says.
    #[must_use]
    pub fn as_recorded(self, recorded: &BTreeMap<String, FieldValue>, revision: Digest) -> Self {
        let backend = self.service.spec.backend();
        let field = |(path, value): (&String, &FieldValue)| Field {
            path: Cow::Owned(path.clone()),
            value: value.clone(),
            effect: effect_of(backend, path),
        };
        Self { fields: recorded.iter().map(field).collect(), revision, ..self }
    }
}

/// Whether a path is `start` itself or stands below it: `env.PORT` is under `env`, as are
/// `health_check[0].url` under `health_check` and `a.b` under `a`.
fn is_under(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The path of the field that holds what an image stood for.
pub const IMAGE_PIN: &str = "image.digest";

/// What changing a field asks for, when only its path is left of it: the file no longer has it.
#[must_use]
pub fn effect_of(backend: BackendKind, path: &str) -> Effect {
    let first = path.split(['.', '[']).next().unwrap_or(path);
    match (backend, first) {
        (_, "dependencies" | "lifecycle") => Effect::Record,
        (_, "health_check") => Effect::Update,
        (_, "triggers") => Effect::Restart,
        (BackendKind::Process, "ports") => Effect::Record,
        (BackendKind::Process, "stop_signal" | "stop_timeout" | "log" | "restart") => Effect::Update,
        (BackendKind::Docker, _) if path == "image" => Effect::Record,
        (BackendKind::Docker, "pull_policy" | "remove_volumes") => Effect::Record,
        (BackendKind::Docker, "memory" | "cpus" | "restart") => Effect::Update,
        (BackendKind::Compose, "project_name") => Effect::Replace,
        (
            BackendKind::Compose,
            "files" | "env_file" | "profiles" | "only" | "gate" | "build" | "pull" | "remove_orphans"
            | "remove_volumes",
        ) => Effect::Record,
        (BackendKind::Ssh, "host") => Effect::Replace,
        (BackendKind::Ssh, "ports") => Effect::Record,
        (BackendKind::Systemd, "host" | "unit" | "scope") => Effect::Replace,
        (BackendKind::Systemd, "ports") => Effect::Record,
        (BackendKind::Systemd, "enable") => Effect::Update,
        (BackendKind::Package, "host" | "install_path") => Effect::Replace,
        (BackendKind::Package, "package" | "ports") => Effect::Record,
        (BackendKind::Package, "keep") => Effect::Update,
        (BackendKind::Helm, "release" | "namespace" | "cluster") => Effect::Replace,
        (
            BackendKind::Helm,
            "chart" | "version" | "create_namespace" | "kube_context" | "kubeconfig" | "timeout" | "history_max",
        ) => Effect::Record,
        (BackendKind::Helm, "adopted_revision") => Effect::Update,
        (BackendKind::Helm, "values_files") if path.ends_with(".path") => Effect::Record,
        (BackendKind::Kubernetes, "cluster" | "namespace") => Effect::Replace,
        (BackendKind::Kubernetes, "kubeconfig" | "kube_context" | "prune" | "server_side" | "force_conflicts") => {
            Effect::Record
        }
        (BackendKind::Wireguard, "interface") => Effect::Replace,
        (BackendKind::Wireguard, "config") => Effect::Record,
        (_, "backend" | "kind") => Effect::Replace,
        (backend, _) if backend.is_slot() => Effect::Restart,
        _ => Effect::Replace,
    }
}

/// The keyed digest over the fields that define a workload.
fn revision(fields: &[Field], key: &DigestKey) -> Digest {
    let mut secrets = Vec::new();
    for field in fields {
        secrets.push(match &field.value {
            FieldValue::Secret(digest) => Some(digest.to_string()),
            FieldValue::Plain(_) => None,
        });
    }
    let parts =
        fields.iter().zip(&secrets).filter(|(field, _)| field.effect.defines_revision()).flat_map(|(field, secret)| {
            let value = match (&field.value, secret) {
                (FieldValue::Plain(value), _) => value.as_bytes(),
                (_, Some(digest)) => digest.as_bytes(),
                _ => b"",
            };
            [field.path.as_bytes(), value]
        });
    key.digest(parts)
}

fn check_fields(service: &Service, fields: &mut Fields<'_>) {
    for (index, check) in service.checks.iter().enumerate() {
        let at = |name: &str| format!("health_check[{index}].{name}");
        let effect = Effect::Update;
        match &check.probe {
            Probe::Http { url, expected_status, body, headers } => {
                fields.text(at("url"), effect, url);
                if let StatusMatch::OneOf(list) = expected_status {
                    fields.plain(at("expected_status"), effect, format!("{list:?}"));
                }
                match body {
                    Some(BodyMatch::Contains(text)) => fields.plain(at("body.contains"), effect, text.clone()),
                    Some(BodyMatch::Equals(text)) => fields.plain(at("body.equals"), effect, text.clone()),
                    None => {}
                }
                for (name, value) in headers {
                    fields.text(at(&format!("headers.{name}")), effect, value);
                }
            }
            Probe::Tcp { host, port } => {
                fields.text(at("tcp"), effect, &Text::plain(format!("{host}:{port}")));
            }
            Probe::Command { command, args, expected_exit_code } => {
                fields.text(at("command"), effect, command);
                fields.texts(at("args"), effect, args);
                if *expected_exit_code != 0 {
                    fields.plain(at("expected_exit_code"), effect, expected_exit_code.to_string());
                }
            }
            Probe::Script { path } => fields.plain(at("script"), effect, path.display().to_string()),
            Probe::Backend => fields.plain(at("type"), effect, "backend"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExternalSpec, Spec};

    fn external(name: &str) -> Arc<Service> {
        Arc::new(Service::new(ServiceName::new(name).expect("a name"), Spec::External(ExternalSpec {})))
    }

    #[test]
    fn a_field_that_went_asks_for_what_it_asked_for() {
        let mut service = (*external("db")).clone();
        service.spec = Spec::Process(Box::new(crate::model::ProcessSpec {
            binary: Text::plain("/bin/x"),
            args: vec![Text::plain("a")],
            env: BTreeMap::from([("A".to_owned(), Text::plain("1"))]),
            working_dir: "/".into(),
            user: Some("nobody".into()),
            ports: vec![1],
            stop_signal: crate::model::StopSignal::SigInt,
            stop_timeout: Duration::from_secs(1),
            log: crate::model::LogPolicy { max_size: 1, keep: 1 },
            restart: crate::model::RestartPolicy { max_restarts: 1, ..Default::default() },
        }));
        service.checks = vec![crate::model::HealthCheck { probe: Probe::Backend, policy: Default::default() }];
        service.lifecycle.prevent_destroy = true;
        let address = Address::only(service.name.clone());
        let backend = service.spec.backend();
        for field in Instance::new(address, Arc::new(service), None, &DigestKey::new([0; 32])).fields {
            assert_eq!(effect_of(backend, &field.path), field.effect, "{}", field.path);
        }
    }

    #[test]
    fn an_ignored_change_keeps_the_revision() {
        let key = DigestKey::new([1; 32]);
        let mut service = (*external("db")).clone();
        service.triggers = vec![crate::model::Trigger { path: "x".into(), content: None }];
        let old = Instance::new(Address::only(service.name.clone()), Arc::new(service.clone()), None, &key);
        let recorded = old.fields.iter().map(|f| (f.path.to_string(), f.value.clone())).collect();
        service.triggers.clear();
        service.lifecycle.ignore_changes = vec!["triggers".into()];
        let new = Instance::new(old.address.clone(), Arc::new(service), None, &key);
        assert_ne!(new.revision, old.revision);
        assert_eq!(new.ignoring(&recorded, &key).revision, old.revision);
    }

    #[test]
    fn the_revision_is_keyed_and_repeatable() {
        let service = external("db");
        let address = Address::only(service.name.clone());
        let make = |byte| Instance::new(address.clone(), service.clone(), None, &DigestKey::new([byte; 32])).revision;
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }
}
