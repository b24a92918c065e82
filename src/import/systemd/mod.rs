//! Units of systemd as units that orch writes, under the names that they have.

mod parse;

use std::collections::{BTreeMap, BTreeSet};

use super::document::Document;
use super::secret::{Names, is_secret};
use super::words::Words;
use super::yaml::{Entry, Yaml};
use super::{Finding, FindingKind, ImportError, Imported, Place};
use crate::config::{has_password, shorten};
use crate::model::ServiceName;
use parse::{Setting, Settings, assignments};

/// A unit that is to be imported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// Its name with its type: `web.service`, `web@.service`, `web@a.service`.
    pub name: String,
    /// Its file and its drop-ins in their order, each with its name.
    pub fragments: Vec<(String, String)>,
    /// The file as orch's file names it, for a unit that is taken whole.
    pub path: Option<String>,
    /// Whether it is of a user's manager.
    pub user: bool,
}

/// The name of the drop-in that holds what has no key of orch's.
const DROP_IN: &str = "50-imported.conf";

/// Settings of `[Unit]` that have a key.
const ENABLED_BY: [&str; 2] = ["multi-user.target", "default.target"];

/// One service of orch's: a unit, its instances, its timer.
struct Group<'u> {
    unit: &'u Unit,
    /// The unit's name, a template's without its instance.
    name: String,
    instances: Vec<String>,
    timer: Option<&'u Unit>,
}

/// Imports units.
///
/// # Errors
/// When there is nothing to run in them, or a template has no instance.
pub fn systemd(units: &[Unit]) -> Result<Imported, ImportError> {
    let groups = groups(units)?;
    let known: BTreeMap<String, String> =
        groups.iter().map(|group| (group.name.clone(), service_name(&group.name))).collect();
    let mut translation = Translation { known: &known, findings: Vec::new(), names: Names::default() };
    let mut services = Vec::new();
    let mut seen = BTreeSet::new();
    for group in &groups {
        let name = service_name(&group.name);
        if ServiceName::new(&name).is_err() || !seen.insert(name.clone()) {
            let message = format!("`{}` cannot be a service of its own", shorten(&group.name));
            return Err(ImportError::request(message, "import it into a file of its own"));
        }
        services.push(Entry::new(name.clone(), Yaml::Map(translation.service(group, &name)?)));
    }
    let Translation { mut findings, .. } = translation;
    let message = "orch takes no unit over that it did not write: disable and remove the old ones before the first apply, \
                   or give these other names with `unit`";
    findings.push(Finding { kind: FindingKind::Note, place: None, service: None, message: message.to_owned() });
    let from: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
    Ok(Document { from: from.join(", "), services, ..Document::default() }.imported(findings))
}

fn groups(units: &[Unit]) -> Result<Vec<Group<'_>>, ImportError> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut timers: Vec<(&Unit, String)> = Vec::new();
    for unit in units {
        if let Some(stem) = unit.name.strip_suffix(".timer") {
            let mut settings = Settings::of(&unit.fragments);
            let target =
                settings.take_last("Timer", "Unit").map_or_else(|| format!("{stem}.service"), |unit| unit.value);
            timers.push((unit, target));
            continue;
        }
        let (stem, kind) = unit.name.rsplit_once('.').unwrap_or((&unit.name, "service"));
        let (name, instance) = match stem.split_once('@') {
            Some((stem, instance)) => (format!("{stem}@.{kind}"), (!instance.is_empty()).then(|| instance.to_owned())),
            None => (unit.name.clone(), None),
        };
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.instances.extend(instance),
            None => groups.push(Group { unit, name, instances: instance.into_iter().collect(), timer: None }),
        }
    }
    for (timer, target) in timers {
        let Some(group) = groups.iter_mut().find(|group| group.name == target) else {
            let message = format!("{} starts {target}, which is not among the units", timer.name);
            return Err(ImportError::request(message, format!("name {target} too")));
        };
        group.timer = Some(timer);
    }
    for group in groups.iter_mut().filter(|group| group.name.contains("@.") && group.instances.is_empty()) {
        let default = Settings::of(&group.unit.fragments).take_last("Install", "DefaultInstance");
        let Some(default) = default else {
            let message = format!("{} is a template, of which nothing runs by itself", group.name);
            let (stem, kind) = group.name.split_once("@.").unwrap_or((&group.name, "service"));
            return Err(ImportError::request(message, format!("name its instances: `{stem}@NAME.{kind}`")));
        };
        group.instances.push(default.value);
    }
    if groups.is_empty() {
        return Err(ImportError::request("there is no unit to import", "name one, such as `web.service`"));
    }
    Ok(groups)
}

/// `web@.service` is `web`; a unit of another type keeps it: `web-socket`.
fn service_name(unit: &str) -> String {
    let (stem, kind) = unit.rsplit_once('.').unwrap_or((unit, "service"));
    let stem: String = stem
        .trim_end_matches('@')
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '-' })
        .collect();
    let stem = stem.trim_start_matches(['-', '.', '_']).to_owned();
    if kind == "service" { stem } else { format!("{stem}-{kind}") }
}

struct Translation<'k> {
    /// The units that are imported, with the services that they become.
    known: &'k BTreeMap<String, String>,
    findings: Vec<Finding>,
    names: Names,
}

impl Translation<'_> {
    fn find(&mut self, kind: FindingKind, service: &str, place: Option<Place>, message: String) {
        self.findings.push(Finding { kind, place, service: Some(service.to_owned()), message });
    }

    fn lost(&mut self, service: &str, setting: &Setting, why: &str) {
        let message = format!("`{}=` of [{}]{why}", setting.name, setting.section);
        self.find(FindingKind::Lost, service, Some(setting.place.clone()), message);
    }

    fn service(&mut self, group: &Group<'_>, name: &str) -> Result<Vec<Entry>, ImportError> {
        let mut settings = Settings::of(&group.unit.fragments);
        let mut backend =
            vec![Entry::new("type", Yaml::text("systemd")), Entry::new("unit", Yaml::text(group.name.clone()))];
        if group.unit.user {
            backend.push(Entry::new("scope", Yaml::text("user")));
        }
        if !group.instances.is_empty() {
            backend.push(Entry::new("instances", Yaml::texts(group.instances.clone())));
        }
        if !group.name.ends_with(".service") {
            let Some(path) = &group.unit.path else {
                let message = format!("{} is no service, and its file is not known", group.name);
                return Err(ImportError::request(message, "name the unit's file"));
            };
            backend.push(Entry::new("unit_file", Yaml::text(path.clone())));
            return Ok(vec![Entry::new("backend", Yaml::Map(backend))]);
        }
        let mut drop_in: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let timer = group.timer.map(|timer| self.schedule(timer, name));
        let kind = settings.take_last("Service", "Type");
        let oneshot = kind.as_ref().is_some_and(|kind| kind.value == "oneshot");
        let stays = settings.take_last("Service", "RemainAfterExit");
        let remains = stays.as_ref().is_some_and(|stays| ["yes", "true", "on", "1"].contains(&stays.value.as_str()));
        let scheduled = timer.as_ref().is_some_and(Option::is_some);
        let job = oneshot && !remains && !scheduled && group.instances.is_empty();

        self.commands(&mut settings, &mut backend, name, &group.name)?;
        if let Some(kind) = kind.filter(|_| !(job || oneshot && scheduled)) {
            backend.push(Entry::new("service_type", Yaml::text(kind.value)));
        }
        for (from, to) in [("User", "user"), ("Group", "group"), ("WorkingDirectory", "working_dir")] {
            if let Some(setting) = settings.take_last("Service", from) {
                self.plain(setting, to, &mut backend, &mut drop_in, name);
            }
        }
        self.environment(&mut settings, &mut backend, &mut drop_in, name);
        let restart = settings.take_last("Service", "Restart").map_or_else(|| "no".to_owned(), |restart| restart.value);
        // What orch takes where nothing is said is another one than systemd's.
        let usual = if job || scheduled { "no" } else { "on-failure" };
        if restart != usual && !(oneshot && ["always", "on-success"].contains(&restart.as_str())) {
            backend.push(Entry::new("restart", Yaml::text(restart)));
        }
        self.times(&mut settings, &mut backend, name);
        let mut needed = self.relations(&mut settings, &mut backend);
        needed.remove(name);
        self.installed(&mut settings, &mut backend, name, job);
        if let Some(Some(schedule)) = timer {
            backend.push(Entry::new("schedule", Yaml::short(schedule)));
        }
        let mut options: Vec<(String, Vec<String>)> = Vec::new();
        if remains {
            options.push(("RemainAfterExit".to_owned(), vec!["yes".to_owned()]));
        }
        for setting in settings.take_section("Service") {
            let hidden = self.hidden(name, &setting);
            match options.iter_mut().find(|(of, _)| *of == setting.name) {
                Some((_, values)) => values.push(hidden),
                None => options.push((setting.name, vec![hidden])),
            }
        }
        if !options.is_empty() {
            let option = |(name, mut values): (String, Vec<String>)| match (values.pop(), values.is_empty()) {
                (Some(one), true) => (name, Yaml::text(one)),
                (last, _) => (name, Yaml::texts(values.into_iter().chain(last))),
            };
            backend.push(Entry::new("options", Yaml::map(options.into_iter().map(option))));
        }
        for setting in settings.take_section("Unit") {
            drop_in.entry("Unit").or_default().push(format!("{}={}", setting.name, setting.value.replace("${", "$${")));
        }
        for setting in settings.rest() {
            self.lost(name, &setting, "");
        }
        if !drop_in.is_empty() {
            // [Unit] comes first, as in a unit.
            let section = |(section, lines): (&str, Vec<String>)| format!("[{section}]\n{}\n", lines.join("\n"));
            let text: String = drop_in.into_iter().rev().map(section).collect();
            backend.push(Entry::new("drop_ins", Yaml::map([(DROP_IN, Yaml::text(text))])));
        }
        let mut service = Vec::new();
        if job {
            service.push(Entry::new("kind", Yaml::text("job")));
        }
        service.push(Entry::new("backend", Yaml::Map(backend)));
        if !needed.is_empty() {
            service.push(Entry::new("dependencies", Yaml::texts(needed)));
        }
        Ok(service)
    }

    /// A setting of one value; one with a specifier stays systemd's.
    fn plain(
        &mut self,
        setting: Setting,
        key: &str,
        backend: &mut Vec<Entry>,
        drop_in: &mut BTreeMap<&str, Vec<String>>,
        name: &str,
    ) {
        if setting.value.contains('%') || (key == "working_dir" && setting.value.starts_with('-')) {
            drop_in.entry("Service").or_default().push(format!("{}={}", setting.name, setting.value));
            let message = format!("`{}=` is in `drop_ins`, since it is systemd's to read", setting.name);
            self.find(FindingKind::Note, name, Some(setting.place), message);
        } else {
            backend.push(Entry::new(key, Yaml::text(setting.value)));
        }
    }

    /// A value as orch's file has it, what looks secret hidden.
    fn hidden(&mut self, name: &str, setting: &Setting) -> String {
        let (words, secrets) = self.names.hide(name, &setting.name, Words::literal(setting.value.clone()));
        self.ask_for(name, &setting.place, secrets);
        words.written()
    }

    fn ask_for(&mut self, name: &str, place: &Place, secrets: Vec<String>) {
        for secret in secrets {
            let message = format!("`{secret}` is a secret, and is taken from the environment; its value stands there");
            self.find(FindingKind::ToSet, name, Some(place.clone()), message);
        }
    }

    fn commands(
        &mut self,
        settings: &mut Settings,
        backend: &mut Vec<Entry>,
        name: &str,
        unit: &str,
    ) -> Result<(), ImportError> {
        if let Some(description) = settings.take_last("Unit", "Description") {
            backend.push(Entry::new("description", Yaml::text(description.value.replace("${", "$${"))));
        }
        let mut starts = settings.take("Service", "ExecStart");
        let Some(last) = starts.pop() else {
            let message = format!("{unit} has no `ExecStart=`");
            return Err(ImportError::request(message, "name the unit that runs something"));
        };
        let exec = self.command(name, &last);
        backend.push(Entry::new("exec", Yaml::text(exec)));
        let mut before: Vec<String> = Vec::new();
        for setting in settings.take("Service", "ExecStartPre") {
            before.push(self.command(name, &setting));
        }
        if let Some(first) = starts.first() {
            let message = "several `ExecStart=`: all but the last run as `exec_start_pre`".to_owned();
            self.find(FindingKind::Note, name, Some(first.place.clone()), message);
        }
        for setting in &starts {
            before.push(self.command(name, setting));
        }
        let mut after = Vec::new();
        for setting in settings.take("Service", "ExecStartPost") {
            after.push(self.command(name, &setting));
        }
        for (key, list) in [("exec_start_pre", before), ("exec_start_post", after)] {
            if !list.is_empty() {
                backend.push(Entry::new(key, Yaml::texts(list)));
            }
        }
        let mut reloads = settings.take("Service", "ExecReload");
        if let Some(reload) = reloads.pop() {
            let reload = self.command(name, &reload);
            backend.push(Entry::new("exec_reload", Yaml::text(reload)));
        }
        for reload in reloads {
            self.lost(name, &reload, ": orch has one; make it a script");
        }
        Ok(())
    }

    /// A command line. One whose program is looked up is given to `env`, which looks it up.
    fn command(&mut self, name: &str, setting: &Setting) -> String {
        let hidden = {
            let (words, secrets) = self.names.hide(name, "COMMAND", Words::literal(setting.value.clone()));
            self.ask_for(name, &setting.place, secrets);
            words.written()
        };
        let program = hidden.trim_start_matches(['@', '-', ':', '+', '!', '|']);
        if program.starts_with('/') || program.starts_with(['"', '\'']) {
            return hidden;
        }
        let prefix = &hidden[..hidden.len() - program.len()];
        let message = format!("`{}=`: `/usr/bin/env` looks the program up, as systemd did", setting.name);
        self.find(FindingKind::Note, name, Some(setting.place.clone()), message);
        format!("{prefix}/usr/bin/env {program}")
    }

    fn environment(
        &mut self,
        settings: &mut Settings,
        backend: &mut Vec<Entry>,
        drop_in: &mut BTreeMap<&str, Vec<String>>,
        name: &str,
    ) {
        let mut env: Vec<(String, Yaml)> = Vec::new();
        for setting in settings.take("Service", "Environment") {
            let Some(pairs) = assignments(&setting.value) else {
                self.lost(name, &setting, ": its quotes cannot be read");
                continue;
            };
            for (key, value) in pairs {
                let plain = value.replace("%%", "");
                // What has a specifier means something to systemd alone.
                if plain.contains('%') && !is_secret(&key, &value) && !has_password(&value) {
                    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${");
                    drop_in.entry("Service").or_default().push(format!("Environment=\"{key}={quoted}\""));
                    continue;
                }
                let (words, secrets) = self.names.hide(name, &key, Words::literal(value.replace("%%", "%")));
                self.ask_for(name, &setting.place, secrets);
                env.retain(|(of, _)| *of != key);
                env.push((key, Yaml::text(words.written())));
            }
        }
        if !env.is_empty() {
            backend.push(Entry::new("env", Yaml::map(env)));
        }
        for setting in settings.take("Service", "EnvironmentFile") {
            drop_in.entry("Service").or_default().push(format!("EnvironmentFile={}", setting.value));
        }
    }

    fn times(&mut self, settings: &mut Settings, backend: &mut Vec<Entry>, name: &str) {
        let both = settings.take_last("Service", "TimeoutSec");
        let stop = settings.take_last("Service", "TimeoutStopSec").or(both);
        let times = [(settings.take_last("Service", "RestartSec"), "restart_delay"), (stop, "stop_timeout")];
        for (setting, key) in times {
            let Some(setting) = setting else { continue };
            match span(&setting.value) {
                Some(time) => backend.push(Entry::new(key, Yaml::text(time))),
                None => self.lost(name, &setting, ": orch cannot read the time"),
            }
        }
    }

    /// What it is ordered after and needs, which stays for the start of the machine; those of the units that
    /// are imported too are its dependencies.
    fn relations(&mut self, settings: &mut Settings, backend: &mut Vec<Entry>) -> BTreeSet<String> {
        let mut needed = BTreeSet::new();
        for (from, to) in [("After", "after"), ("Requires", "requires"), ("Wants", "wants")] {
            let units = settings.take_words("Unit", from);
            needed.extend(units.iter().filter_map(|unit| {
                let template =
                    unit.split_once('@').and_then(|(stem, rest)| Some(format!("{stem}@.{}", rest.rsplit_once('.')?.1)));
                self.known.get(unit).or_else(|| self.known.get(&template?)).cloned()
            }));
            if !units.is_empty() {
                backend.push(Entry::new(to, Yaml::texts(units)));
            }
        }
        needed
    }

    fn installed(&mut self, settings: &mut Settings, backend: &mut Vec<Entry>, name: &str, job: bool) {
        let mut enabled = false;
        for key in ["WantedBy", "RequiredBy", "UpheldBy"] {
            for setting in settings.take("Install", key) {
                enabled = true;
                if !setting.value.split_whitespace().all(|by| ENABLED_BY.contains(&by)) {
                    self.lost(name, &setting, ": orch starts it with the machine");
                }
            }
        }
        settings.take("Install", "DefaultInstance");
        for setting in settings.take_section("Install") {
            self.lost(name, &setting, "");
        }
        if enabled == job {
            backend.push(Entry::new("enable", Yaml::Bare(enabled.to_string())));
        }
    }

    fn schedule(&mut self, timer: &Unit, name: &str) -> Option<Vec<(&'static str, Yaml)>> {
        let mut settings = Settings::of(&timer.fragments);
        settings.take("Timer", "Unit");
        let calendar: Vec<String> =
            settings.take("Timer", "OnCalendar").into_iter().map(|setting| setting.value).collect();
        let persistent = settings.take_last("Timer", "Persistent");
        let delay = settings.take_last("Timer", "RandomizedDelaySec");
        for setting in settings.take_section("Timer") {
            self.lost(name, &setting, ": orch's schedules are calendar expressions");
        }
        let calendar = match calendar.as_slice() {
            [] => return None,
            [one] => Yaml::text(one.clone()),
            _ => Yaml::texts(calendar),
        };
        let persistent = persistent.is_some_and(|setting| ["yes", "true", "on", "1"].contains(&setting.value.as_str()));
        let mut schedule = vec![("on_calendar", calendar), ("persistent", Yaml::Bare(persistent.to_string()))];
        if let Some(delay) = delay {
            match span(&delay.value) {
                Some(time) => schedule.push(("random_delay", Yaml::text(time))),
                None => self.lost(name, &delay, ": orch cannot read the time"),
            }
        }
        Some(schedule)
    }
}

/// A time of systemd's as orch reads it, where it does: `5` and `1min 30s`, not `infinity`.
fn span(text: &str) -> Option<String> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Some(format!("{text}s"));
    }
    text.parse::<jiff::SignedDuration>().ok().map(|_| text.to_owned())
}

#[cfg(test)]
mod tests;
