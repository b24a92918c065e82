//! One service: everything that can be said without looking at the others.

use std::time::Duration;

use super::{Lowering, disk};
use crate::config::diagnostic::{Diagnostic, shorten};
use crate::config::field::{Field, Names, OneOrMany, given};
use crate::config::interpolate::absolute;
use crate::config::merge::Named;
use crate::config::raw::{RawBackend, RawLifecycle, RawProcess, RawService};
use crate::config::source::Span;
use crate::model::{Condition, ExternalSpec, HealthCheck, Kind, Lifecycle, Probe, Service, ServiceName, Spec, Trigger};

/// How long a service without a check must keep running.
const SETTLE: Duration = Duration::from_millis(300);

/// A service whose ties to other services are not checked yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) name: ServiceName,
    /// Where its name stands.
    pub(crate) span: Span,
    /// `None` when the file gives one that is wrong.
    pub(crate) kind: Option<Kind>,
    /// Whether it has a check, be it a wrong one.
    pub(crate) has_check: bool,
    pub(crate) profiles: Vec<String>,
    /// Whether the active profiles leave it in.
    pub(crate) active: bool,
    pub(crate) dependencies: Vec<DraftDependency>,
    pub(crate) ports: Vec<(Span, u16)>,
    pub(crate) network: Option<(Span, String)>,
    pub(crate) replace_triggered_by: Vec<(Span, String)>,
    pub(crate) renamed_from: Option<(Span, ServiceName)>,
    /// The service, its dependencies still empty; `None` when its backend is wrong.
    pub(crate) service: Option<Service>,
}

/// A dependency whose target is not looked up yet.
#[derive(Debug)]
pub(crate) struct DraftDependency {
    pub(crate) name: String,
    /// Where its name stands.
    pub(crate) span: Span,
    /// The condition that the file gives, with its place.
    pub(crate) condition: Option<(Span, Condition)>,
    pub(crate) restart: bool,
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
        let mut draft = Draft {
            name,
            span: named.span,
            kind: None,
            has_check: false,
            profiles: Vec::new(),
            active: true,
            dependencies: Vec::new(),
            ports: Vec::new(),
            network: None,
            replace_triggered_by: Vec::new(),
            renamed_from: None,
            service: None,
        };
        // A service that could not be read still exists: what depends on it is not wrong for that.
        let Some(raw) = named.field.get() else { return Some(draft) };
        draft.kind = match &raw.kind {
            Some(kind) => kind.get().copied(),
            None => Some(Kind::Permanent),
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
        self.build(raw, lifecycle, &mut draft);
        Some(draft)
    }

    fn renamed_from(&self, raw: &RawService) -> Option<(Span, ServiceName)> {
        let (span, text) = raw.renamed_from.as_ref().and_then(Field::located)?;
        match ServiceName::new(text) {
            Ok(name) => Some((span, name)),
            Err(error) => {
                let message = format!("`{}` cannot have been the name of a service: {error}", shorten(text));
                self.report.push(Diagnostic::error("config::bad_name", message).at(span));
                None
            }
        }
    }

    fn build(&self, raw: &RawService, lifecycle: Option<&RawLifecycle>, draft: &mut Draft) {
        let (checks, check_ports) = self.checks(raw, draft);
        let triggers = self.triggers(raw, draft.active);
        let mut spec = raw.backend.get().and_then(|backend| match backend {
            RawBackend::Process(raw) => self.process(raw, draft.kind, draft.active).map(Box::new).map(Spec::Process),
            RawBackend::External(_) => Some(Spec::External(ExternalSpec {})),
        });
        match (raw.backend.get(), &mut spec) {
            (Some(RawBackend::Process(raw)), Some(Spec::Process(spec))) => {
                draft.ports = self.ports(raw, check_ports);
                spec.ports = draft.ports.iter().map(|(_, port)| *port).collect();
            }
            (Some(RawBackend::External(_)), _) => self.external(raw, draft, &checks),
            _ => {}
        }
        let Some(spec) = spec else { return };
        draft.service = Some(Service {
            name: draft.name.clone(),
            kind: draft.kind.unwrap_or(Kind::Permanent),
            spec,
            replicas: None,
            dependencies: Vec::new(),
            checks,
            lifecycle: lowered_lifecycle(lifecycle),
            triggers,
            renamed_from: draft.renamed_from.as_ref().map(|(_, name)| name.clone()),
            timeout: given(raw.timeout.as_ref()).map_or(self.default_timeout, |period| period.0),
            settle: given(raw.settle.as_ref()).map_or(SETTLE, |delay| delay.0),
        });
    }

    fn checks(&self, raw: &RawService, draft: &mut Draft) -> (Vec<HealthCheck>, Vec<(Span, u16)>) {
        let Some(field) = &raw.health_check else { return Default::default() };
        let list = field.get().map_or(&[][..], |OneOrMany(list)| list);
        draft.has_check = field.get().is_none() || !list.is_empty();
        if draft.has_check && draft.kind == Some(Kind::Job) {
            let help = "a job passes its gate when it exits 0; take `health_check` away, or use `kind: permanent`";
            self.error(field.span, "a job has no health check", help);
        }
        let lowered = list.iter().filter_map(Field::get).filter_map(|check| self.check(check, draft.active));
        let (mut checks, mut ports) = (Vec::with_capacity(list.len()), Vec::new());
        for check in lowered {
            checks.push(check.check);
            ports.extend(check.local_port);
        }
        (checks, ports)
    }

    /// What a service that orch does not run cannot have.
    fn external(&self, raw: &RawService, draft: &Draft, checks: &[HealthCheck]) {
        if let (Some(Kind::Job), Some(kind)) = (draft.kind, &raw.kind) {
            let help = "orch does not run it and cannot see it end; use `backend: {type: process, ...}` for a job";
            self.error(kind.span, "an external service cannot be a job", help);
        }
        if let (true, Some(field)) = (checks.iter().any(|check| check.probe == Probe::Backend), &raw.health_check) {
            let help = "use an `http`, `tcp`, `command` or `script` check";
            self.error(field.span, "an external service has no backend that knows its health", help);
        }
    }

    /// The local ports of a process: the declared ones, or those that its checks probe.
    fn ports(&self, raw: &RawProcess, from_checks: Vec<(Span, u16)>) -> Vec<(Span, u16)> {
        let mut ports = match &raw.ports {
            Some(declared) => declared
                .get()
                .into_iter()
                .flatten()
                .filter_map(Field::located)
                .map(|(span, port)| (span, *port))
                .collect(),
            None => from_checks,
        };
        for (span, _) in ports.iter().filter(|(_, port)| *port == 0) {
            self.error(*span, "nothing listens on port 0", "use a port from 1 to 65535");
        }
        ports.sort_by_key(|(_, port)| *port);
        ports.dedup_by_key(|(_, port)| *port);
        ports
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
                match self.disk.digest(&absolute(folder, &path)) {
                    Ok(content) => {
                        if content.is_none() {
                            let message = format!("the trigger `{}` does not exist", shorten(&path));
                            self.warn(span, "config::missing_trigger", message, "correct the path, or make the file");
                        }
                        triggers.push(Trigger { path, content });
                    }
                    Err(reason) => {
                        let message = format!("the trigger `{}` cannot be read: {reason}", shorten(&path));
                        self.error(span, message, "name files that this user can read");
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
