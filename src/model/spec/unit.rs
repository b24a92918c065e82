//! A unit of systemd, on this machine or on a host.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::field::{Effect, Fields};
use crate::model::{Place, Text};

/// A unit of systemd: written by orch, given as a file, or another's with drop-ins of orch's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSpec {
    /// Where.
    pub place: Place,
    /// The unit's name with its type, `web.service`; a template has an `@` before the dot.
    pub unit: String,
    /// Which manager has it.
    pub scope: UnitScope,
    /// Where its definition comes from.
    pub source: UnitSource,
    /// The instances of a template, `a` for `web@a.service`; they live and go together.
    pub instances: Vec<String>,
    /// Drop-ins by file name, `10-limits.conf`.
    pub drop_ins: BTreeMap<String, Text>,
    /// When it is started by a timer of the same name.
    pub timer: Option<UnitTimer>,
    /// Files that it needs, by their absolute path there.
    pub files: BTreeMap<String, HostFile>,
    /// Its environment, which goes into a file that only the manager reads.
    pub env: BTreeMap<String, Text>,
    /// The TCP ports of the host that it listens on.
    pub ports: Vec<u16>,
    /// Whether it starts with the machine.
    pub enable: bool,
    /// How long it may take to stop before all of it is killed.
    pub stop_timeout: Duration,
}

/// Which manager has a unit.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum UnitScope {
    /// The machine's.
    #[default]
    System,
    /// That of the user who logs in, which lingers.
    User,
}

impl fmt::Display for UnitScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::System => "system",
            Self::User => "user",
        })
    }
}

/// Where the definition of a unit comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitSource {
    /// From the keys of the file.
    Written(Box<UnitDefinition>),
    /// From a unit file of this machine, by its path as the file gives it.
    File {
        /// The path.
        path: String,
        /// Its content.
        content: Text,
    },
    /// It is another's: orch adds drop-ins, and takes nothing else away than those.
    Others,
}

/// What a unit that orch writes says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitDefinition {
    /// `Description=`.
    pub description: Option<String>,
    /// What runs.
    pub exec: Exec,
    /// What runs before it, in order.
    pub exec_start_pre: Vec<Exec>,
    /// What runs after it was started, in order.
    pub exec_start_post: Vec<Exec>,
    /// What makes it read its configuration again.
    pub exec_reload: Option<Exec>,
    /// `Type=`: `exec` where it is not given, which fails when the program cannot be executed.
    pub service_type: String,
    /// `User=`.
    pub user: Option<String>,
    /// `Group=`.
    pub group: Option<String>,
    /// `WorkingDirectory=`.
    pub working_dir: Option<String>,
    /// `Restart=`.
    pub restart: String,
    /// `RestartSec=`.
    pub restart_delay: Option<Duration>,
    /// `After=`.
    pub after: Vec<String>,
    /// `Requires=`.
    pub requires: Vec<String>,
    /// `Wants=`.
    pub wants: Vec<String>,
    /// Any other settings of `[Service]`, limits and hardening: `MemoryMax`, `NoNewPrivileges` ...
    pub options: BTreeMap<String, Vec<Text>>,
}

impl UnitDefinition {
    /// A unit with nothing but what runs, and the defaults of the file.
    #[must_use]
    pub fn new(exec: Exec) -> Self {
        Self {
            description: None,
            exec,
            exec_start_pre: Vec::new(),
            exec_start_post: Vec::new(),
            exec_reload: None,
            service_type: "exec".to_owned(),
            user: None,
            group: None,
            working_dir: None,
            restart: "on-failure".to_owned(),
            restart_delay: None,
            after: Vec::new(),
            requires: Vec::new(),
            wants: Vec::new(),
            options: BTreeMap::new(),
        }
    }
}

/// What a unit runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exec {
    /// A command line in systemd's own syntax, with its specifiers and quotes.
    Line(Text),
    /// A program and its arguments, byte for byte.
    Args(Vec<Text>),
}

impl Exec {
    fn fields(&self, path: impl Into<std::borrow::Cow<'static, str>>, fields: &mut Fields<'_>) {
        match self {
            Self::Line(line) => fields.text(path, Effect::Restart, line),
            Self::Args(args) => fields.texts(path, Effect::Restart, args),
        }
    }

    fn each_text(&mut self, change: &mut dyn FnMut(&mut Text)) {
        match self {
            Self::Line(line) => change(line),
            Self::Args(args) => args.iter_mut().for_each(change),
        }
    }
}

/// When a timer starts its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitTimer {
    /// `OnCalendar=`, one or several.
    pub on_calendar: Vec<String>,
    /// `Persistent=`: a run that was missed while the machine was off is made up for.
    pub persistent: bool,
    /// `RandomizedDelaySec=`.
    pub random_delay: Option<Duration>,
}

/// A file that a unit needs on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// What is in it.
    pub content: Text,
    /// Its mode, `0o644`.
    pub mode: u32,
    /// Its owner and group, `USER` or `USER:GROUP`; root where it is not given.
    pub owner: Option<String>,
}

impl UnitSpec {
    /// A unit with nothing but its name and its definition, and the defaults of the file.
    #[must_use]
    pub fn new(place: Place, unit: impl Into<String>, source: UnitSource) -> Self {
        Self {
            place,
            unit: unit.into(),
            scope: UnitScope::default(),
            source,
            instances: Vec::new(),
            drop_ins: BTreeMap::new(),
            timer: None,
            files: BTreeMap::new(),
            env: BTreeMap::new(),
            ports: Vec::new(),
            enable: true,
            stop_timeout: Duration::from_secs(90),
        }
    }

    pub(super) fn each_text(&mut self, change: &mut dyn FnMut(&mut Text)) {
        match &mut self.source {
            UnitSource::Written(definition) => {
                definition.exec.each_text(change);
                let more = definition.exec_start_pre.iter_mut().chain(&mut definition.exec_start_post);
                more.chain(&mut definition.exec_reload).for_each(|exec| exec.each_text(change));
                definition.options.values_mut().flatten().for_each(&mut *change);
            }
            UnitSource::File { content, .. } => change(content),
            UnitSource::Others => {}
        }
        self.drop_ins.values_mut().for_each(&mut *change);
        self.files.values_mut().for_each(|file| change(&mut file.content));
        self.env.values_mut().for_each(change);
    }

    pub(in crate::model) fn fields(&self, fields: &mut Fields<'_>) {
        use Effect::{Record, Replace, Restart, Update};
        fields.plain("host", Replace, self.place.key());
        fields.plain("unit", Replace, self.unit.clone());
        if self.scope != UnitScope::default() {
            fields.plain("scope", Replace, self.scope.to_string());
        }
        match &self.source {
            UnitSource::Written(definition) => definition.fields(fields),
            UnitSource::File { content, .. } => fields.text("unit_file", Restart, content),
            UnitSource::Others => {}
        }
        if !self.instances.is_empty() {
            fields.plain("instances", Restart, format!("[{}]", self.instances.join(", ")));
        }
        for (name, content) in &self.drop_ins {
            fields.text(format!("drop_ins.{name}"), Restart, content);
        }
        if let Some(timer) = &self.timer {
            fields.plain("schedule", Restart, timer.on_calendar.join(", "));
            if !timer.persistent {
                fields.plain("schedule.persistent", Restart, "false");
            }
            if let Some(delay) = timer.random_delay {
                fields.plain("schedule.random_delay", Restart, format!("{delay:?}"));
            }
        }
        for (path, file) in &self.files {
            fields.text(format!("files.{path}"), Restart, &file.content);
            let owner = file.owner.as_deref().unwrap_or("root");
            fields.plain(format!("files.{path}.mode"), Restart, format!("{:04o} {owner}", file.mode));
        }
        for (name, value) in &self.env {
            fields.text(format!("env.{name}"), Restart, value);
        }
        if !self.ports.is_empty() {
            fields.plain("ports", Record, format!("{:?}", self.ports));
        }
        fields.plain("enable", Update, self.enable.to_string());
        fields.plain("stop_timeout", Restart, format!("{:?}", self.stop_timeout));
    }
}

impl UnitDefinition {
    fn fields(&self, fields: &mut Fields<'_>) {
        use Effect::Restart;
        if let Some(description) = &self.description {
            fields.plain("description", Restart, description.clone());
        }
        self.exec.fields("exec", fields);
        for (index, exec) in self.exec_start_pre.iter().enumerate() {
            exec.fields(format!("exec_start_pre[{index}]"), fields);
        }
        for (index, exec) in self.exec_start_post.iter().enumerate() {
            exec.fields(format!("exec_start_post[{index}]"), fields);
        }
        if let Some(exec) = &self.exec_reload {
            exec.fields("exec_reload", fields);
        }
        fields.plain("service_type", Restart, self.service_type.clone());
        let optional = [("user", &self.user), ("group", &self.group), ("working_dir", &self.working_dir)];
        for (path, value) in optional.into_iter().filter_map(|(path, value)| Some((path, value.as_ref()?))) {
            fields.plain(path, Restart, value.clone());
        }
        fields.plain("restart", Restart, self.restart.clone());
        if let Some(delay) = self.restart_delay {
            fields.plain("restart_delay", Restart, format!("{delay:?}"));
        }
        let lists = [("after", &self.after), ("requires", &self.requires), ("wants", &self.wants)];
        for (path, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            fields.plain(path, Restart, list.join(" "));
        }
        for (name, values) in &self.options {
            fields.texts(format!("options.{name}"), Restart, values);
        }
    }
}
