//! One service: everything that can be said without looking at the others.

use std::cell::RefCell;
use std::time::Duration;

use super::check::turns_off;
use super::draft::{Draft, DraftDependency, NETWORKS, PortClaim};
use super::endpoint;
use super::unit::usual_kind;
use super::{Lowering, Target, disk};
use crate::config::diagnostic::{Diagnostic, shorten};
use crate::config::field::{Field, Names, OneOrMany, given};
use crate::config::interpolate::absolute;
use crate::config::merge::Named;
use crate::config::raw::{RawBackend, RawCheck, RawLifecycle, RawService};
use crate::config::source::Span;
use crate::model::{
    BackendKind, ContentDigest, EngineCheck, ExternalSpec, HealthCheck, Kind, Lifecycle, Probe, Protocol, Service,
    ServiceName, Spec, Trigger,
};

/// How long a service without a check must keep running.
const SETTLE: Duration = Duration::from_millis(300);

/// The checks of a service, and what they say about it.
#[derive(Default)]
struct Checks {
    list: Vec<HealthCheck>,
    local_ports: Vec<(Span, u16)>,
    engine: Option<EngineCheck>,
}

impl Lowering<'_> {
    /// A service; `None` when its name is wrong.
    pub(crate) fn service(&self, named: &Named<RawService>) -> Option<Draft> {
        let name = match ServiceName::new(&named.name) {
            Ok(name) => name,
            Err(error) => {
                let message = format!("`{}` cannot be the name of a service: {error}", shorten(&named.name));
                self.report
                    .push(Diagnostic::error("config::bad_name", message).at(named.span).help("choose another name"));
                return None;
            }
        };
        self.not_a_network(named.span, &named.name);
        let mut draft = Draft {
            name,
            span: named.span,
            kind: None,
            has_check: false,
            profiles: Vec::new(),
            profiles_of_values: Vec::new(),
            active: true,
            dependencies: Vec::new(),
            ports: Vec::new(),
            network: None,
            networks: Vec::new(),
            container_name: None,
            target: Target::Here,
            slots: Vec::new(),
            replace_triggered_by: Vec::new(),
            renamed_from: None,
            references: Vec::new(),
            service: None,
        };
        // A service that could not be read still exists: what depends on it is not wrong for that.
        let Some(raw) = named.field.get() else { return Some(draft) };
        draft.kind = match (&raw.kind, raw.backend.get()) {
            (Some(kind), _) => kind.get().copied(),
            (None, Some(RawBackend::Systemd(unit))) => Some(usual_kind(unit)),
            (None, _) => Some(Kind::Permanent),
        };
        draft.profiles = given(raw.profiles.as_ref()).into_iter().flatten().filter_map(Field::get).cloned().collect();
        draft.active =
            draft.profiles.is_empty() || draft.profiles.iter().any(|profile| self.profiles.contains(profile));
        draft.dependencies = raw.dependencies.as_ref().and_then(Field::get).map_or_else(Vec::new, dependencies);
        draft.network = owned(raw.network.as_ref());
        let lifecycle = given(raw.lifecycle.as_ref());
        let replaced_by = lifecycle.and_then(|lifecycle| given(lifecycle.replace_triggered_by.as_ref()));
        draft.replace_triggered_by = replaced_by.into_iter().flatten().filter_map(|field| owned(Some(field))).collect();
        draft.renamed_from = self.renamed_from(raw);
        let target = match raw.backend.get() {
            Some(RawBackend::Ssh(ssh)) => self.ssh_target(ssh, raw.backend.span),
            Some(RawBackend::Systemd(unit)) => self.target(unit.host.as_ref(), unit.hosts.as_ref()),
            Some(RawBackend::Package(package)) => self.target(package.host.as_ref(), package.hosts.as_ref()),
            Some(
                RawBackend::Process(_)
                | RawBackend::Docker(_)
                | RawBackend::Compose(_)
                | RawBackend::Helm(_)
                | RawBackend::Kubernetes(_)
                | RawBackend::External(_),
            ) => Target::Here,
            // What runs it is not known, so nothing is said of what its texts may say.
            None => Target::Wrong,
        };
        let noted = RefCell::default();
        Lowering { target: &target, noted: &noted, ..*self }.build(raw, lifecycle, &mut draft);
        draft.references = noted.into_inner();
        draft.target = target;
        Some(draft)
    }

    fn renamed_from(&self, raw: &RawService) -> Option<(Span, ServiceName)> {
        let (span, text) = raw.renamed_from.as_ref().and_then(Field::located)?;
        match ServiceName::new(text) {
            Ok(name) => {
                self.not_a_network(span, text);
                Some((span, name))
            }
            Err(error) => {
                let message = format!("`{}` cannot have been the name of a service: {error}", shorten(text));
                self.report.push(Diagnostic::error("config::bad_name", message).at(span));
                None
            }
        }
    }

    /// Services of these names are made for the networks.
    fn not_a_network(&self, span: Span, name: &str) {
        if name.starts_with(NETWORKS) {
            let message =
                format!("`{}` cannot be the name of a service: `{NETWORKS}` starts those of networks", shorten(name));
            self.report.push(Diagnostic::error("config::bad_name", message).at(span).help("choose another name"));
        }
    }

    fn build(&self, raw: &RawService, lifecycle: Option<&RawLifecycle>, draft: &mut Draft) {
        let backend = raw.backend.get().map(RawBackend::kind);
        self.fits(raw, backend, draft.kind);
        let mut checks = self.checks(raw, backend, draft);
        let triggers = self.triggers(raw, draft.active);
        let replicas = self.replicas(raw, backend);
        let strategy = self.strategy(raw, backend);
        // Of several backends each takes what is for it.
        let only = backend.filter(|_| raw.backends.is_none());
        let endpoints = self.endpoints(raw.endpoints.as_ref(), only, draft.kind);
        let mut probed = std::mem::take(&mut checks.local_ports);
        let own = endpoints.iter().filter(|named| named.endpoint.host.is_none());
        probed.extend(own.map(|named| (named.span, named.endpoint.port)));
        let mut timeout = self.timeout(raw);
        let spec = raw.backend.get().and_then(|backend| match backend {
            RawBackend::Process(raw) => {
                let mut spec = self.process(raw, draft.kind, draft.active)?;
                spec.ports = self.ports(raw.ports.as_ref(), probed, draft);
                Some(Spec::Process(Box::new(spec)))
            }
            RawBackend::Docker(raw) => {
                let mut spec = self.docker(raw, replicas.unwrap_or(1), draft)?;
                spec.check = checks.engine;
                Some(Spec::Docker(Box::new(spec)))
            }
            RawBackend::Compose(compose) => {
                let named = (draft.name.as_str(), raw.backend.span);
                let mut spec = self.compose(compose, named, timeout, draft.active, &mut draft.slots)?;
                spec.settle = given(raw.settle.as_ref()).map_or(SETTLE, |delay| delay.0);
                self.compose_check(&spec, &mut checks.list);
                draft.has_check = true;
                timeout = timeout.max(spec.wait_timeout);
                Some(Spec::Compose(Box::new(spec)))
            }
            RawBackend::Ssh(raw) => {
                let mut spec = self.ssh(raw, draft.kind, draft.active)?;
                spec.ports = self.ports(raw.ports.as_ref(), probed, draft);
                Some(Spec::Ssh(Box::new(spec)))
            }
            RawBackend::Systemd(unit) => {
                let kind_span = raw.kind.as_ref().map_or(raw.backend.span, |kind| kind.span);
                let kind = draft.kind.map(|kind| (kind, kind_span));
                let service = (draft.name.as_str(), raw.backend.span);
                let mut spec = self.unit(unit, service, kind, draft.active, &mut draft.slots)?;
                spec.ports = self.ports(unit.ports.as_ref(), probed, draft);
                Some(Spec::Systemd(Box::new(spec)))
            }
            RawBackend::Package(raw) => {
                let mut spec = self.package(raw, draft.active, &mut draft.slots)?;
                spec.ports = self.ports(raw.ports.as_ref(), probed, draft);
                Some(Spec::Package(Box::new(spec)))
            }
            RawBackend::Helm(raw) => Some(Spec::Helm(Box::new(self.helm(raw, draft)?))),
            RawBackend::Kubernetes(raw) => Some(Spec::Kubernetes(Box::new(self.kubernetes(raw, draft)?))),
            RawBackend::External(_) => {
                self.external(raw, &checks.list);
                Some(Spec::External(ExternalSpec {}))
            }
        });
        let Some(spec) = spec else { return };
        let endpoints = endpoint::by_name(endpoints, &spec, &draft.name);
        let service = Service {
            name: draft.name.clone(),
            kind: draft.kind.unwrap_or(Kind::Permanent),
            spec,
            replicas,
            hosts: None,
            strategy,
            endpoints,
            dependencies: Vec::new(),
            checks: checks.list,
            lifecycle: lowered_lifecycle(lifecycle),
            triggers,
            renamed_from: draft.renamed_from.as_ref().map(|(_, name)| name.clone()),
            timeout,
            settle: given(raw.settle.as_ref()).map_or(SETTLE, |delay| delay.0),
        };
        draft.service = match self.target {
            Target::Here => Some(service),
            Target::One(machine) => Some(service.on(machine)),
            Target::Many(list) => Some(Service { hosts: Some(list.clone()), ..service }),
            Target::Wrong => None,
        };
    }

    /// How long a step may take: as long as the tool that does it may, where only that is given.
    fn timeout(&self, raw: &RawService) -> Duration {
        let of_tool = match raw.backend.get() {
            Some(RawBackend::Helm(helm)) => given(helm.timeout.as_ref()).map(|period| period.0),
            Some(RawBackend::Kubernetes(raw)) => given(raw.timeout.as_ref()).map(|period| period.0),
            _ => None,
        };
        let given = given(raw.timeout.as_ref()).map(|period| period.0);
        given.unwrap_or_else(|| of_tool.map_or(self.default_timeout, |of_tool| of_tool.max(self.default_timeout)))
    }

    /// Whether what runs a service can run one of its kind.
    fn fits(&self, raw: &RawService, backend: Option<BackendKind>, kind: Option<Kind>) {
        let (Some(field), Some(kind), Some(backend)) = (&raw.kind, kind, backend) else { return };
        let (message, help) = match (kind, backend) {
            (Kind::Job, BackendKind::External) => (
                "an external service cannot be a job".to_owned(),
                "orch does not run it and cannot see it end; use `backend: {type: process, ...}` for a job",
            ),
            (Kind::Job, BackendKind::Compose) => (
                "a Compose project cannot be a job".to_owned(),
                "services of it that run to their end are fine as they are; use `backend: {type: docker, ...}` for a job",
            ),
            (Kind::Job, BackendKind::Package) => (
                "a package cannot be a job".to_owned(),
                "use `post_install` for what runs once with each release, or `backend: {type: ssh, ...}` for a job",
            ),
            (Kind::Job, BackendKind::Helm) => (
                "a release of a chart cannot be a job".to_owned(),
                "take `kind` away: the gate waits until the jobs of the chart are done",
            ),
            (Kind::Job, BackendKind::Kubernetes) => (
                "manifests cannot be a job".to_owned(),
                "take `kind` away: the gate waits until each Job of the manifests is done",
            ),
            (Kind::Periodic, backend) if backend != BackendKind::Systemd => (
                format!("`periodic` needs a backend with a timer, and `{backend}` has none"),
                "use `backend: {type: systemd, schedule: ..., ...}`, or `job` for what runs once",
            ),
            _ => return,
        };
        self.error(field.span, message, help);
    }

    fn replicas(&self, raw: &RawService, backend: Option<BackendKind>) -> Option<u32> {
        let field = raw.replicas.as_ref()?;
        let count = self.in_range(Some(field), 1..=1000, 1);
        let help = match backend {
            None | Some(BackendKind::Docker) => None,
            Some(BackendKind::Ssh | BackendKind::Systemd | BackendKind::Package) => {
                Some("use `hosts` in the backend for a copy on each of several machines")
            }
            Some(BackendKind::Helm) => Some("take the key away, and say it in `values` as the chart has it"),
            Some(BackendKind::Kubernetes) => Some("take the key away, and say it in the manifests"),
            Some(BackendKind::Compose) => Some("use `deploy.replicas` in the Compose file"),
            Some(BackendKind::Process | BackendKind::Wireguard | BackendKind::External) => {
                Some("take the key away, or use `backend: {type: docker, ...}`")
            }
        };
        if let (Some(kind), Some(help)) = (backend, help) {
            self.error(field.span, format!("a service of the backend `{kind}` has no replicas"), help);
        }
        field.get().map(|_| count)
    }

    fn checks(&self, raw: &RawService, backend: Option<BackendKind>, draft: &mut Draft) -> Checks {
        let Some(field) = &raw.health_check else { return Checks::default() };
        let list = field.get().map_or(&[][..], |OneOrMany(list)| list);
        draft.has_check = field.get().is_none() || list.iter().any(|check| !check.get().is_some_and(turns_off));
        if draft.has_check && draft.kind == Some(Kind::Job) {
            let help = "a job passes its gate when it exits 0; take `health_check` away, or use `kind: permanent`";
            self.error(field.span, "a job has no health check", help);
        }
        let mut of_backend = list.iter().filter(|check| matches!(check.get(), Some(RawCheck::Backend(_))));
        if let Some(first) = of_backend.next() {
            for again in of_backend {
                let problem = Diagnostic::error("config::duplicate", "a service has one check of `type: backend`");
                let problem = problem.label(again.span, "again").label(first.span, "first");
                self.report.push(problem.help("keep one of the two"));
            }
        }
        let mut checks = Checks::default();
        for check in list.iter().filter_map(Field::get).filter_map(|check| self.check(check, backend, draft.active)) {
            checks.list.extend(check.check);
            checks.local_ports.extend(check.local_port);
            checks.engine = checks.engine.or(check.engine);
        }
        checks
    }

    /// What a service that orch does not run cannot have.
    fn external(&self, raw: &RawService, checks: &[HealthCheck]) {
        if let (true, Some(field)) = (checks.iter().any(|check| check.probe == Probe::Backend), &raw.health_check) {
            let help = "use an `http`, `tcp`, `command` or `script` check";
            self.error(field.span, "an external service has no backend that knows its health", help);
        }
    }

    /// The local ports of a program, where it runs: the declared ones, or those that its checks probe. They
    /// are put into the draft, for the checks that see the other services.
    fn ports(
        &self,
        declared: Option<&Field<Vec<Field<u16>>>>,
        probed: Vec<(Span, u16)>,
        draft: &mut Draft,
    ) -> Vec<u16> {
        let mut ports = match declared {
            Some(declared) => declared
                .get()
                .into_iter()
                .flatten()
                .filter_map(Field::located)
                .map(|(span, port)| (span, *port))
                .collect(),
            None => probed,
        };
        for (span, _) in ports.iter().filter(|(_, port)| *port == 0) {
            self.error(*span, "nothing listens on port 0", "use a port from 1 to 65535");
        }
        ports.sort_by_key(|(_, port)| *port);
        ports.dedup_by_key(|(_, port)| *port);
        let names: Vec<Option<String>> = match self.target {
            Target::Here => vec![None],
            elsewhere => elsewhere.machines().iter().map(|machine| Some(machine.name.clone())).collect(),
        };
        for machine in names {
            let claim = |(span, port): &(Span, u16)| PortClaim {
                machine: machine.clone(),
                ..PortClaim::new(*span, *port..=*port, Protocol::Tcp, None, None)
            };
            draft.ports.extend(ports.iter().map(claim));
        }
        ports.into_iter().map(|(_, port)| port).collect()
    }

    fn triggers(&self, raw: &RawService, active: bool) -> Vec<Trigger> {
        let mut triggers: Vec<Trigger> = Vec::new();
        if !active {
            return triggers;
        }
        for (span, path) in given(raw.triggers.as_ref()).into_iter().flatten().filter_map(Field::located) {
            let folder = self.sources.folder(span);
            let paths = if disk::is_pattern(path) { disk::expand(folder, path) } else { Ok(vec![path.clone()]) };
            let paths = paths.unwrap_or_else(|reason| {
                self.error(span, reason, "name fewer files");
                Vec::new()
            });
            if paths.is_empty() {
                let message = format!("no file matches the trigger `{}`", shorten(path));
                self.warn(span, "config::missing_trigger", message, "correct the pattern, or make the file");
            }
            for path in paths {
                match self.disk.sha256(&absolute(folder, &path)) {
                    Ok(content) => {
                        if content.is_none() {
                            let message = format!("the trigger `{}` does not exist", shorten(&path));
                            self.warn(span, "config::missing_trigger", message, "correct the path, or make the file");
                        }
                        triggers.push(Trigger { path, content: content.map(ContentDigest::from) });
                    }
                    Err(reason) => {
                        let message = format!("the trigger `{}` cannot be read: {reason}", shorten(&path));
                        self.error(span, message, "name files that this user can read, those of a folder with `/**`");
                    }
                }
            }
        }
        triggers.sort_by(|a, b| a.path.cmp(&b.path));
        triggers.dedup_by(|a, b| a.path == b.path);
        triggers
    }
}

fn owned(field: Option<&Field<String>>) -> Option<(Span, String)> {
    field.and_then(Field::located).map(|(span, text)| (span, text.clone()))
}

fn dependencies(raw: &Names<crate::config::raw::RawDependency>) -> Vec<DraftDependency> {
    match raw {
        Names::List(list) => {
            let named = list.iter().filter_map(|field| owned(Some(field)));
            named.map(|(span, name)| DraftDependency { name, span, condition: None, restart: false }).collect()
        }
        Names::Map(entries) => {
            let dependency = |(span, name, field): (Span, &str, &Field<Option<_>>)| {
                let raw = field.get().and_then(|raw: &Option<crate::config::raw::RawDependency>| raw.as_ref());
                let condition = raw.and_then(|raw| raw.condition.as_ref()).and_then(Field::located);
                DraftDependency {
                    name: name.to_owned(),
                    span,
                    condition: condition.map(|(span, condition)| (span, *condition)),
                    restart: raw.and_then(|raw| given(raw.restart.as_ref())).copied().unwrap_or(false),
                }
            };
            entries.iter().map(dependency).collect()
        }
    }
}

fn lowered_lifecycle(raw: Option<&RawLifecycle>) -> Lifecycle {
    let Some(raw) = raw else { return Lifecycle::default() };
    let flag = |field: &Option<Field<bool>>| given(field.as_ref()).copied().unwrap_or(false);
    let texts = |field: &Option<Field<Vec<Field<String>>>>| -> Vec<String> {
        given(field.as_ref()).into_iter().flatten().filter_map(Field::get).cloned().collect()
    };
    Lifecycle {
        prevent_destroy: flag(&raw.prevent_destroy),
        ignore_changes: texts(&raw.ignore_changes),
        // Names that no service has are reported with the other ties.
        replace_triggered_by: texts(&raw.replace_triggered_by)
            .iter()
            .filter_map(|name| ServiceName::new(name).ok())
            .collect(),
        create_before_destroy: given(raw.create_before_destroy.as_ref()).copied(),
    }
}
