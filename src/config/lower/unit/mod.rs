//! What runs a service: a unit of systemd.

mod exec;
mod files;
mod names;

use super::{Lowering, Slot};
use crate::config::diagnostic::{Diagnostic, shorten};
use crate::config::field::{Field, OneOrMany, Shaped, given};
use crate::config::raw::{RawSchedule, RawSystemd, ServiceType, UnitRestart};
use crate::config::secret::masked;
use crate::config::source::Span;
use crate::model::{Kind, Place, Text, UnitDefinition, UnitScope, UnitSource, UnitSpec, UnitTimer};

use names::{is_template, kind_of};

/// What defines a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// The keys of the file.
    Keys,
    /// A unit file.
    File,
    /// Someone else.
    Others,
}

/// How long a service with a unit is meant to run, where the file does not say it: a schedule says it.
pub(super) fn usual_kind(raw: &RawSystemd) -> Kind {
    if raw.schedule.is_some() { Kind::Periodic } else { Kind::Permanent }
}

impl Lowering<'_> {
    /// A unit, its place still this machine and its ports still empty; `None` when what it runs is wrong.
    pub(super) fn unit(
        &self,
        raw: &RawSystemd,
        (service, span): (&str, Span),
        kind: Option<(Kind, Span)>,
        active: bool,
        slots: &mut Vec<Slot>,
    ) -> Option<UnitSpec> {
        let scope = given(raw.scope.as_ref()).copied().unwrap_or_default();
        let by = self.defined_by(raw, span)?;
        let name = self.unit_name(raw, service, by);
        let name_span = raw.unit.as_ref().map_or(span, |unit| unit.span);
        let timer = given(raw.schedule.as_ref()).and_then(timer);
        self.check_schedule(raw);
        self.check_scope(raw, scope);
        self.check_kind(raw, by, &name, kind);
        let source = match by {
            By::Keys => {
                let definition = self.definition(raw, kind.map(|(kind, _)| kind));
                definition.map(|definition| UnitSource::Written(Box::new(definition)))
            }
            By::File => self.unit_file(raw, active),
            By::Others => Some(UnitSource::Others),
        };
        let instances = self.instances(raw, by, &name, name_span);
        let drop_ins = self.drop_ins(raw);
        let files = self.unit_files(raw, active, slots);
        slots.push(Slot::unit(name_span, scope, name.clone()));
        let job = matches!(kind, Some((Kind::Job, _)));
        let usual = UnitSpec::new(Place::Here, name, source?);
        Some(UnitSpec {
            scope,
            instances,
            drop_ins,
            timer,
            files,
            env: self.host_env(raw.env.as_ref()),
            enable: given(raw.enable.as_ref()).copied().unwrap_or(!job && by != By::Others),
            stop_timeout: given(raw.stop_timeout.as_ref()).map_or(usual.stop_timeout, |delay| delay.0),
            ..usual
        })
    }

    fn defined_by(&self, raw: &RawSystemd, span: Span) -> Option<By> {
        match (&raw.exec, &raw.unit_file) {
            (Some(exec), Some(file)) => {
                let problem = Diagnostic::error("config::unit", "both `exec` and `unit_file` are given");
                let problem = problem.label(file.span, "this").label(exec.span, "and this");
                self.report.push(
                    problem.help("keep `exec` for a unit that orch writes, or `unit_file` for one that is there"),
                );
                None
            }
            (Some(_), None) => Some(By::Keys),
            (None, Some(_)) => {
                self.refuse_keys(raw, "is said by the unit file", "write it there, or in `drop_ins`");
                Some(By::File)
            }
            (None, None) if raw.drop_ins.is_none() => {
                let problem = Diagnostic::error("config::missing_key", "nothing says what the unit runs").at(span);
                let help = "add `exec: ...`, `unit_file: PATH`, or `unit: NAME` and `drop_ins: ...` for a unit that others own";
                self.report.push(problem.help(help));
                None
            }
            (None, None) => {
                let help = "add `exec` for a unit that orch writes, or say it in `drop_ins`";
                self.refuse_keys(raw, "is said by those who own the unit", help);
                if let Some(unit) = raw.enable.as_ref() {
                    self.not_here(unit.span, "enable", "is said by those who own the unit", "take the key away");
                }
                if raw.unit.is_none() {
                    let problem = Diagnostic::error("config::missing_key", "the key `unit` is missing").at(span);
                    self.report.push(problem.help("add `unit: NAME`, the unit that gets the drop-ins; or `exec`"));
                }
                Some(By::Others)
            }
        }
    }

    fn not_here(&self, span: Span, key: &str, message: &str, help: &str) {
        let problem = Diagnostic::error("config::unit", format!("`{key}` {message}"));
        self.report.push(problem.at(span).help(help));
    }

    /// Reports the keys that only a unit has that orch writes.
    fn refuse_keys(&self, raw: &RawSystemd, message: &str, help: &str) {
        let keys = [
            ("description", raw.description.as_ref().map(|field| field.span)),
            ("exec_start_pre", raw.exec_start_pre.as_ref().map(|field| field.span)),
            ("exec_start_post", raw.exec_start_post.as_ref().map(|field| field.span)),
            ("exec_reload", raw.exec_reload.as_ref().map(|field| field.span)),
            ("service_type", raw.service_type.as_ref().map(|field| field.span)),
            ("user", raw.user.as_ref().map(|field| field.span)),
            ("group", raw.group.as_ref().map(|field| field.span)),
            ("working_dir", raw.working_dir.as_ref().map(|field| field.span)),
            ("restart", raw.restart.as_ref().map(|field| field.span)),
            ("restart_delay", raw.restart_delay.as_ref().map(|field| field.span)),
            ("after", raw.after.as_ref().map(|field| field.span)),
            ("requires", raw.requires.as_ref().map(|field| field.span)),
            ("wants", raw.wants.as_ref().map(|field| field.span)),
            ("options", raw.options.as_ref().map(|field| field.span)),
        ];
        for (key, span) in keys.into_iter().filter_map(|(key, span)| Some((key, span?))) {
            self.not_here(span, key, message, help);
        }
    }

    /// Checks that the kind fits what there is to run, and when.
    fn check_kind(&self, raw: &RawSystemd, by: By, name: &str, kind: Option<(Kind, Span)>) {
        let Some((kind, span)) = kind else { return };
        match (kind, &raw.schedule) {
            (Kind::Periodic, None) => {
                self.error(
                    span,
                    "a periodic service needs a `schedule`",
                    "add `schedule: daily`, or another calendar expression",
                );
            }
            (Kind::Permanent | Kind::Job, Some(schedule)) => {
                let message = format!("a service of `kind: {kind}` has no schedule");
                let problem = Diagnostic::error("config::unit", message).label(schedule.span, "this makes it periodic");
                self.report.push(
                    problem.label(span, "and this does not").help("write `kind: periodic`, or take one of them away"),
                );
            }
            (Kind::Periodic, Some(schedule)) => {
                if by == By::Others || kind_of(name) != Some("service") {
                    let message = "only a service that orch writes, or has a unit file for, has a schedule of orch's";
                    self.error(schedule.span, message, "add `exec` or `unit_file`, and a `unit` of type `.service`");
                }
            }
            (Kind::Job, None) if by != By::Keys => {
                let help = "add `exec`, for a unit that orch writes and that ends; or use `kind: permanent`";
                self.error(span, "only a unit that orch writes can be a job", help);
            }
            (Kind::Permanent | Kind::Job, None) => {}
        }
    }

    fn unit_name(&self, raw: &RawSystemd, service: &str, by: By) -> String {
        let at = if raw.instances.is_some() { "@" } else { "" };
        let Some((span, text)) = raw.unit.as_ref().and_then(Field::located) else {
            return format!("orch-{}-{service}{at}.service", self.project.as_str());
        };
        let name = self.typed(span, text);
        if by == By::Keys && kind_of(&name) != Some("service") {
            let message = format!("`{}` is not a service, and `exec` makes one", shorten(&name));
            self.error(span, message, "end the name in `.service`, or use `unit_file`");
        }
        name
    }

    fn instances(&self, raw: &RawSystemd, by: By, name: &str, name_span: Span) -> Vec<String> {
        let template = is_template(name);
        let Some((span, list)) = raw.instances.as_ref().and_then(Field::located) else {
            if template && by != By::Others && raw.instances.is_none() {
                let message = format!("`{}` is a template, of which nothing runs by itself", shorten(name));
                self.error(name_span, message, "add `instances: [NAME, ...]`, or take the `@` out of the name");
            }
            return Vec::new();
        };
        if by == By::Others {
            let help = "orch only adds drop-ins to it; take the key away, or add `exec` or `unit_file`";
            self.not_here(span, "instances", "are started by those who own the unit", help);
        } else if !template {
            let message = format!("`{}` is no template, and only a template has instances", shorten(name));
            let (stem, kind) = name.rsplit_once('.').unwrap_or((name, "service"));
            self.error(name_span, message, format!("write `unit: {}@.{kind}`", shorten(stem)));
        }
        if list.is_empty() {
            self.error(
                span,
                "the template has no instance",
                "name at least one, or take the `@` out of the unit's name",
            );
        }
        let mut instances: Vec<String> = Vec::new();
        for (span, instance) in list.iter().filter_map(Field::located) {
            self.instance_name(span, instance);
            if instances.contains(instance) {
                let message = format!("the instance `{}` stands here twice", shorten(instance));
                self.report.push(Diagnostic::error("config::duplicate", message).at(span).help("keep one of the two"));
                continue;
            }
            instances.push(instance.clone());
        }
        instances
    }

    /// A unit that orch writes; `None` when what it runs is wrong.
    fn definition(&self, raw: &RawSystemd, kind: Option<Kind>) -> Option<UnitDefinition> {
        let runs_once = matches!(kind, Some(Kind::Job | Kind::Periodic));
        let exec = raw.exec.as_ref().and_then(|exec| self.exec(exec));
        let service_type = given(raw.service_type.as_ref()).copied();
        let service_type = service_type.unwrap_or(if runs_once { ServiceType::Oneshot } else { ServiceType::Exec });
        if let (Some(Kind::Job), Some(field), true) = (kind, &raw.service_type, service_type != ServiceType::Oneshot) {
            let message = format!("a job is done when it ends, which `{service_type}` does not wait for");
            self.error(field.span, message, "use `oneshot`, which is also the default here");
        }
        let restart = given(raw.restart.as_ref()).copied();
        let restart = restart.unwrap_or(if runs_once { UnitRestart::No } else { UnitRestart::OnFailure });
        if let (ServiceType::Oneshot, UnitRestart::Always | UnitRestart::OnSuccess, Some(field)) =
            (service_type, restart, &raw.restart)
        {
            let message = format!("systemd does not start a `oneshot` again `{restart}`");
            self.error(field.span, message, "use `on-failure` or `no`");
        }
        let description = raw.description.as_ref().and_then(Field::located).map(|(span, text)| {
            self.setting(span, text);
            text.clone()
        });
        let working_dir = raw.working_dir.as_ref().and_then(Field::located).map(|(span, dir)| {
            if dir != "~" {
                self.setting(span, dir);
                self.host_path(span, dir);
            }
            dir.clone()
        });
        let lines = |field: &Option<Field<Vec<Field<_>>>>| {
            given(field.as_ref()).into_iter().flatten().filter_map(|exec| self.exec(exec)).collect::<Vec<_>>()
        };
        let (exec_start_pre, exec_start_post) = (lines(&raw.exec_start_pre), lines(&raw.exec_start_post));
        let exec_reload = raw.exec_reload.as_ref().and_then(|exec| self.exec(exec));
        let options = self.options(raw);
        let units = [&raw.after, &raw.requires, &raw.wants].map(|field| self.units(field.as_ref()));
        let [after, requires, wants] = units;
        Some(UnitDefinition {
            description,
            exec_start_pre,
            exec_start_post,
            exec_reload,
            service_type: service_type.to_string(),
            user: self.user_name(raw.user.as_ref()),
            group: self.user_name(raw.group.as_ref()),
            working_dir,
            restart: restart.to_string(),
            restart_delay: given(raw.restart_delay.as_ref()).map(|delay| delay.0),
            after,
            requires,
            wants,
            options,
            ..UnitDefinition::new(exec?)
        })
    }

    fn unit_file(&self, raw: &RawSystemd, active: bool) -> Option<UnitSource> {
        let (span, path) = raw.unit_file.as_ref().and_then(Field::located)?;
        // What an inactive service would read need not be there.
        let content = if active { self.scope.content(path, span)? } else { "".into() };
        if active && !content.lines().any(|line| line.trim_start().starts_with('[')) {
            let message = format!("`{}` is no unit file: it has no section", shorten(path));
            self.error(span, message, "name a file with `[Service]` and the like");
        }
        // Only what looks secret is kept out of plans: a unit file is read by everyone on its host.
        let secret = masked(&content) != *content;
        let content = if secret { Text::sensitive(content) } else { Text::plain(content) };
        Some(UnitSource::File { path: path.clone(), content })
    }

    /// Checks that a unit of a user's manager asks for nothing that only the machine's can give.
    fn check_scope(&self, raw: &RawSystemd, scope: UnitScope) {
        let keys = [("user", raw.user.as_ref()), ("group", raw.group.as_ref())];
        for (key, field) in keys.into_iter().filter_map(|(key, field)| Some((key, field?))) {
            if scope == UnitScope::User {
                let help = "take the key away, or use `scope: system`";
                self.not_here(
                    field.span,
                    key,
                    "cannot be chosen with `scope: user`, where all units are of that user",
                    help,
                );
            }
        }
    }

    /// Checks the calendar expressions of a schedule.
    fn check_schedule(&self, raw: &RawSystemd) {
        let Some((span, schedule)) = raw.schedule.as_ref().and_then(Field::located) else { return };
        let (span, list): (Span, Vec<(Span, &String)>) = match schedule {
            Shaped::One(text) => (span, vec![(span, text)]),
            Shaped::List(list) => (span, list.iter().filter_map(Field::located).collect()),
            Shaped::Full(full) => {
                let Some((span, OneOrMany(list))) = full.on_calendar.located() else { return };
                (span, list.iter().filter_map(Field::located).collect())
            }
        };
        let help = "write a calendar expression such as `daily`, `Mon *-*-* 03:00` or `*:0/15`; `systemd-analyze calendar` \
                    explains one";
        if list.is_empty() {
            self.error(span, "the schedule never comes", help);
        }
        for (span, text) in list {
            let part = |c: char| c.is_ascii_alphanumeric() || " *:/,.~+-_".contains(c);
            if text.trim().is_empty() || !text.chars().all(part) {
                self.error(span, format!("`{}` is no calendar expression", shorten(text)), help);
            }
        }
    }
}

/// When a unit runs; what is wrong with it is said elsewhere.
fn timer(raw: &Shaped<String, String, RawSchedule>) -> Option<UnitTimer> {
    let usual = UnitTimer { on_calendar: Vec::new(), persistent: true, random_delay: None };
    let lines = |list: &[Field<String>]| list.iter().filter_map(Field::get).cloned().collect();
    Some(match raw {
        Shaped::One(text) => UnitTimer { on_calendar: vec![text.clone()], ..usual },
        Shaped::List(list) => UnitTimer { on_calendar: lines(list), ..usual },
        Shaped::Full(full) => UnitTimer {
            on_calendar: full.on_calendar.get().map(|OneOrMany(list)| lines(list))?,
            persistent: given(full.persistent.as_ref()).copied().unwrap_or(true),
            random_delay: given(full.random_delay.as_ref()).map(|delay| delay.0),
        },
    })
}

/// The scope as a part of what a slot is named.
pub(super) fn scoped(scope: UnitScope, name: &str) -> String {
    match scope {
        UnitScope::System => name.to_owned(),
        UnitScope::User => format!("{name} (user)"),
    }
}
