//! A unit's definition as the files that systemd reads.

use std::fmt::Write as _;

use super::definition::{Body, Definition, Piece, unit_folder};
use super::quote;
use crate::backend::BackendError;
use crate::model::{
    Address, Exec, Kind, ProjectName, Text, UnitDefinition, UnitScope, UnitSource, UnitSpec, UnitTimer,
};

/// What a unit is rendered for.
#[derive(Debug, Clone)]
pub struct Origin<'a> {
    /// The project, for a person who reads the file.
    pub project: &'a ProjectName,
    /// The instance, likewise.
    pub address: &'a Address,
    /// How long it is meant to run.
    pub kind: Kind,
    /// The folder that the manager alone reads, where the environment goes: [`UnitSlot::folder`](super::UnitSlot::folder).
    pub folder: &'a str,
    /// Settings of `[Unit]`, as systemd reads them.
    pub unit_settings: &'a [(&'static str, String)],
}

/// Lays out a unit as files.
///
/// # Errors
/// When a value cannot be said in systemd's files: a newline in a setting, a variable whose name systemd
/// does not take.
pub fn render(spec: &UnitSpec, origin: &Origin<'_>) -> Result<Definition, BackendError> {
    let name = UnitName::parse(&spec.unit)?;
    let units: Vec<String> = match (spec.instances.as_slice(), name.is_template) {
        ([], false) => vec![spec.unit.clone()],
        ([], true) => return Err(BackendError::new(format!("the template {} has no instances", spec.unit))),
        (_, false) => return Err(BackendError::new(format!("{} is no template: it has no instances", spec.unit))),
        (instances, true) => instances.iter().map(|instance| name.instance(instance)).collect::<Result<_, _>>()?,
    };
    let others = spec.source == UnitSource::Others;
    let mut definition = Definition { others, units: units.clone(), start: units, ..Definition::default() };
    let unit_file = format!("{}/{}", unit_folder(spec.scope), spec.unit);
    let has_env = !spec.env.is_empty();
    let env_path = format!("{}/env", origin.folder);
    if has_env {
        definition.pieces.push(Piece { mode: 0o600, ..Piece::text(env_path.clone(), environment(spec)?) });
    }
    let env_line = format!("EnvironmentFile={}", env_path.replacen("~/", "%h/", 1));
    let mut drop_ins = spec.drop_ins.clone();
    match &spec.source {
        UnitSource::Written(written) => {
            let content = unit_file_content(spec, written, origin, has_env.then_some(env_line.as_str()))?;
            definition.pieces.push(Piece::text(unit_file, content));
        }
        UnitSource::File { content, .. } => {
            let text = format!("{}{}", header(origin), content.reveal());
            let text = if content.is_sensitive() { Text::sensitive(text) } else { Text::plain(text) };
            definition.pieces.push(Piece::text(unit_file, text));
            add_environment(&mut drop_ins, has_env, &env_line);
        }
        UnitSource::Others => add_environment(&mut drop_ins, has_env, &env_line),
    }
    if !drop_ins.is_empty() {
        let folder = format!("{}/{}.d", unit_folder(spec.scope), spec.unit);
        for (name, content) in &drop_ins {
            check_file_name(name)?;
            let text = format!("{}{}", header(origin), content.reveal());
            let text = if content.is_sensitive() { Text::sensitive(text) } else { Text::plain(text) };
            definition.pieces.push(Piece::text(format!("{folder}/{name}"), text));
        }
        definition.folders.push(folder);
    }
    if let Some(timer) = &spec.timer {
        if others || name.is_template {
            return Err(BackendError::new(format!("{} cannot have a schedule", spec.unit))
                .with_hint("only a unit of orch's own that is no template is started by a timer of orch's"));
        }
        let timer_unit = format!("{}.timer", name.stem);
        let path = format!("{}/{timer_unit}", unit_folder(spec.scope));
        definition.pieces.push(Piece::text(path, Text::plain(timer_content(&spec.unit, timer, origin)?)));
        definition.units.insert(0, timer_unit.clone());
        definition.start = vec![timer_unit];
    }
    for (path, file) in &spec.files {
        if !path.starts_with('/') || path.ends_with('/') || path.contains('\n') {
            return Err(BackendError::new(format!("`{path}` cannot be the path of a file of a unit")));
        }
        definition.pieces.push(Piece {
            path: path.clone(),
            body: Body::Text(file.content.clone()),
            mode: file.mode,
            owner: file.owner.clone(),
        });
    }
    if !others {
        let wanted = spec.enable && origin.kind != Kind::Job;
        let list = if wanted { &mut definition.enable } else { &mut definition.disable };
        list.clone_from(&definition.start);
    }
    Ok(definition)
}

fn header(origin: &Origin<'_>) -> String {
    format!("# Written by orch for {}/{}. Changes are overwritten.\n", origin.project, origin.address)
}

fn environment(spec: &UnitSpec) -> Result<Text, BackendError> {
    let values = spec.env.iter().map(|(name, value)| (name.as_str(), value.reveal()));
    Ok(Text::sensitive(quote::environment(values)?))
}

/// A unit that orch does not write gets its environment by a drop-in.
fn add_environment(drop_ins: &mut std::collections::BTreeMap<String, Text>, has_env: bool, line: &str) {
    if has_env {
        drop_ins.insert("50-orch-env.conf".to_owned(), Text::plain(format!("[Service]\n{line}\n")));
    }
}

/// A unit file under way: its lines, and whether one of them may be secret.
struct Lines {
    text: String,
    sensitive: bool,
}

impl Lines {
    fn section(&mut self, name: &str) {
        if !self.text.is_empty() && !self.text.ends_with("overwritten.\n") {
            self.text.push('\n');
        }
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "[{name}]");
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), BackendError> {
        let _ = writeln!(self.text, "{name}={}", quote::setting(name, value)?);
        Ok(())
    }

    fn set_all<'v>(&mut self, name: &str, values: impl IntoIterator<Item = &'v str>) -> Result<(), BackendError> {
        values.into_iter().try_for_each(|value| self.set(name, value))
    }

    fn exec(&mut self, name: &str, exec: &Exec) -> Result<(), BackendError> {
        match exec {
            Exec::Line(line) => {
                self.sensitive |= line.is_sensitive();
                self.set(name, line.reveal())
            }
            Exec::Args(args) => {
                self.sensitive |= args.iter().any(Text::is_sensitive);
                let line = quote::command_line(args.iter().map(Text::reveal))?;
                self.set(name, &line)
            }
        }
    }
}

fn unit_file_content(
    spec: &UnitSpec,
    unit: &UnitDefinition,
    origin: &Origin<'_>,
    env_line: Option<&str>,
) -> Result<Text, BackendError> {
    let mut lines = Lines { text: header(origin), sensitive: false };
    lines.section("Unit");
    match &unit.description {
        Some(description) => lines.set("Description", description)?,
        None => lines.set("Description", &format!("{} of {}", origin.address, origin.project))?,
    }
    for (name, list) in [("After", &unit.after), ("Requires", &unit.requires), ("Wants", &unit.wants)] {
        if !list.is_empty() {
            lines.set(name, &list.join(" "))?;
        }
    }
    for (name, value) in origin.unit_settings {
        lines.set(name, value)?;
    }
    if !spec.unit.ends_with(".service") {
        return Err(BackendError::new(format!("{} is no service: orch writes services only", spec.unit))
            .with_hint("give the unit as a file"));
    }
    lines.section("Service");
    let given = |name: &str| unit.options.contains_key(name);
    lines.set("Type", &unit.service_type)?;
    if origin.kind == Kind::Job && !given("RemainAfterExit") {
        // How it ended can be asked for as long as the unit is active, and only so long.
        lines.set("RemainAfterExit", "yes")?;
    }
    lines.set_all("ExecStartPre", [])?;
    for exec in &unit.exec_start_pre {
        lines.exec("ExecStartPre", exec)?;
    }
    lines.exec("ExecStart", &unit.exec)?;
    for exec in &unit.exec_start_post {
        lines.exec("ExecStartPost", exec)?;
    }
    if let Some(exec) = &unit.exec_reload {
        lines.exec("ExecReload", exec)?;
    }
    for (name, value) in [("User", &unit.user), ("Group", &unit.group), ("WorkingDirectory", &unit.working_dir)] {
        if let Some(value) = value {
            lines.set(name, value)?;
        }
    }
    if let Some(line) = env_line {
        lines.text.push_str(line);
        lines.text.push('\n');
    }
    lines.set("Restart", &unit.restart)?;
    if let Some(delay) = unit.restart_delay {
        lines.set("RestartSec", &quote::span(delay))?;
    }
    if !given("KillMode") {
        lines.set("KillMode", "control-group")?;
    }
    lines.set("TimeoutStopSec", &quote::span(spec.stop_timeout))?;
    for (name, values) in &unit.options {
        lines.sensitive |= values.iter().any(Text::is_sensitive);
        lines.set_all(name, values.iter().map(Text::reveal))?;
    }
    if spec.timer.is_none() && origin.kind != Kind::Job {
        lines.section("Install");
        lines.set("WantedBy", target(spec.scope))?;
    }
    Ok(if lines.sensitive { Text::sensitive(lines.text) } else { Text::plain(lines.text) })
}

/// What a unit that starts with the machine belongs to.
fn target(scope: UnitScope) -> &'static str {
    match scope {
        UnitScope::System => "multi-user.target",
        UnitScope::User => "default.target",
    }
}

fn timer_content(unit: &str, timer: &UnitTimer, origin: &Origin<'_>) -> Result<String, BackendError> {
    let mut lines = Lines { text: header(origin), sensitive: false };
    lines.section("Unit");
    lines.set("Description", &format!("Schedule of {} of {}", origin.address, origin.project))?;
    lines.section("Timer");
    lines.set("Unit", unit)?;
    lines.set_all("OnCalendar", timer.on_calendar.iter().map(String::as_str))?;
    lines.set("Persistent", if timer.persistent { "yes" } else { "no" })?;
    if let Some(delay) = timer.random_delay {
        lines.set("RandomizedDelaySec", &quote::span(delay))?;
    }
    lines.section("Install");
    lines.set("WantedBy", "timers.target")?;
    Ok(lines.text)
}

/// A unit's name, taken apart.
struct UnitName<'a> {
    /// What is before the type, with the `@` of a template.
    stem: &'a str,
    /// The type, with its dot.
    suffix: &'a str,
    is_template: bool,
}

impl<'a> UnitName<'a> {
    /// Checks and takes a name. It goes into paths and lists, so that nothing else may be in it.
    fn parse(name: &'a str) -> Result<Self, BackendError> {
        let wrong = || BackendError::new(format!("`{name}` cannot be the name of a unit"));
        let dot = name.rfind('.').ok_or_else(wrong)?;
        let (stem, suffix) = name.split_at(dot);
        if stem.is_empty() || !is_name(name) || name.starts_with(['-', '.']) || name.len() > 255 {
            return Err(wrong());
        }
        Ok(Self { stem, suffix, is_template: stem.ends_with('@') })
    }

    fn instance(&self, instance: &str) -> Result<String, BackendError> {
        if instance.is_empty() || !is_name(instance) {
            return Err(BackendError::new(format!(
                "`{instance}` cannot be an instance of {}{}",
                self.stem, self.suffix
            )));
        }
        Ok(format!("{}{instance}{}", self.stem, self.suffix))
    }
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@'))
}

fn check_file_name(name: &str) -> Result<(), BackendError> {
    if !name.ends_with(".conf") || name.starts_with('.') || name.contains(['/', '\n']) {
        return Err(BackendError::new(format!("`{name}` cannot be the name of a drop-in"))
            .with_hint("drop-ins are named as `10-limits.conf`"));
    }
    Ok(())
}
