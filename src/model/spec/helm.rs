//! A release of a Helm chart.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::claim::Claim;
use super::kube::KubeObject;
use super::kubernetes::KubeCluster;
use crate::model::Text;
use crate::model::field::{Effect, Fields};

/// The path of the field that holds which revision of a release was taken over.
pub const ADOPTED_REVISION: &str = "adopted_revision";

/// A release of a chart in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelmSpec {
    /// What is released.
    pub chart: Chart,
    /// Which version of it, as a constraint that Helm understands; `None` for the newest, or for a folder's own.
    pub version: Option<String>,
    /// The release's name.
    pub release: String,
    /// The namespace that it is in.
    pub namespace: String,
    /// Whether the namespace is made where it does not exist.
    pub create_namespace: bool,
    /// Files of values, from the one that counts least.
    pub values_files: Vec<ValuesFile>,
    /// Values on top of the files, those of the active profiles among them.
    pub values: Values,
    /// Values on top of these, by Helm's paths (`image.tag`, `hosts[0].name`), sorted.
    pub set: BTreeMap<String, Values>,
    /// Which cluster.
    pub cluster: KubeCluster,
    /// How long Helm may take for one operation of its own, such as a hook; `None` for as long as the step may.
    pub timeout: Option<Duration>,
    /// How many revisions are kept.
    pub history_max: u32,
    /// What it comes to, where that was asked.
    pub rendered: Option<Rendered>,
    /// The number of the release's revision that was taken over, as long as nothing of orch's is in its place.
    pub adopted: Option<u32>,
}

/// What is released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chart {
    /// A folder or an archive of this machine, absolute.
    Local(PathBuf),
    /// `REPOSITORY/NAME`, or an `oci://` or `https://` address.
    Named(String),
}

/// A file of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuesFile {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// What is in it, which may be secret; `None` while it could not be read.
    pub content: Option<Text>,
}

/// A value that a chart gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// A number, true, false or null, as JSON writes it.
    Literal(Text),
    /// A text.
    Text(Text),
    /// A list.
    List(Vec<Values>),
    /// A map.
    Map(BTreeMap<String, Values>),
}

/// What a chart comes to with its values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// The version of the chart; empty where nothing says it.
    pub version: String,
    /// The objects of the release.
    pub objects: Vec<KubeObject>,
    /// What Helm runs before and after it changes the release.
    pub hooks: Vec<KubeObject>,
}

impl Default for Values {
    fn default() -> Self {
        Self::Map(BTreeMap::new())
    }
}

impl Values {
    /// Nothing, which takes away what a chart has by itself.
    #[must_use]
    pub fn null() -> Self {
        Self::Literal(Text::plain("null"))
    }

    /// The same as JSON, which is YAML too.
    #[must_use]
    pub fn json(&self) -> String {
        match self {
            Self::Literal(literal) => literal.reveal().to_owned(),
            Self::Text(text) => quoted(text.reveal()),
            Self::List(list) => format!("[{}]", list.iter().map(Self::json).collect::<Vec<_>>().join(",")),
            Self::Map(map) => {
                let entry = |(key, value): (&String, &Self)| format!("{}:{}", quoted(key), value.json());
                format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// Puts other values on top of these, as Helm does: maps are merged, everything else is replaced.
    pub fn merge(&mut self, over: &Self) {
        match (self, over) {
            (Self::Map(under), Self::Map(over)) => {
                for (key, value) in over {
                    under.entry(key.clone()).or_insert_with(Self::null).merge(value);
                }
            }
            (under, over) => *under = over.clone(),
        }
    }

    /// The keys of one of Helm's paths, in which `\\` takes the meaning of a dot away; `None` where it goes through a list.
    #[must_use]
    pub fn path(text: &str) -> Option<Vec<String>> {
        let (mut keys, mut characters) = (vec![String::new()], text.chars());
        while let Some(c) = characters.next() {
            match c {
                '[' | ']' => return None,
                '.' => keys.push(String::new()),
                '\\' => keys.last_mut()?.extend(characters.next()),
                c => keys.last_mut()?.push(c),
            }
        }
        Some(keys)
    }

    /// Puts a value at a path of keys.
    pub fn put(&mut self, path: &[String], value: Self) {
        let over = path.iter().rev().fold(value, |value, key| Self::Map(BTreeMap::from([(key.clone(), value)])));
        self.merge(&over);
    }

    /// Whether there is something in it that may be secret.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        let mut found = false;
        self.each_text(&mut |text| found |= text.is_sensitive());
        found
    }

    /// Hands out every text.
    pub fn each_text<'v>(&'v self, see: &mut dyn FnMut(&'v Text)) {
        match self {
            Self::Literal(text) | Self::Text(text) => see(text),
            Self::List(list) => list.iter().for_each(|value| value.each_text(see)),
            Self::Map(map) => map.values().for_each(|value| value.each_text(see)),
        }
    }

    fn change_texts(&mut self, change: &mut dyn FnMut(&mut Text)) {
        match self {
            Self::Literal(text) | Self::Text(text) => change(text),
            Self::List(list) => list.iter_mut().for_each(|value| value.change_texts(change)),
            Self::Map(map) => map.values_mut().for_each(|value| value.change_texts(change)),
        }
    }

    fn fields(&self, path: &str, fields: &mut Fields<'_>) {
        match self {
            Self::Literal(text) | Self::Text(text) => fields.text(path.to_owned(), Effect::Restart, text),
            Self::List(list) if list.is_empty() => fields.plain(path.to_owned(), Effect::Restart, "[]"),
            Self::List(list) => {
                list.iter().enumerate().for_each(|(at, value)| value.fields(&format!("{path}[{at}]"), fields));
            }
            Self::Map(map) if map.is_empty() && path != "values" => {
                fields.plain(path.to_owned(), Effect::Restart, "{}");
            }
            Self::Map(map) => {
                map.iter().for_each(|(key, value)| value.fields(&format!("{path}.{}", shown(key)), fields));
            }
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A key as a part of a path: one that would read as several parts is quoted, so that no two paths are one.
fn shown(key: &str) -> String {
    if key.is_empty() || key.contains(['.', '[', ']', '"']) { quoted(key) } else { key.to_owned() }
}

impl HelmSpec {
    /// A release with nothing but its chart, its name and its namespace, and the defaults of the file.
    #[must_use]
    pub fn new(chart: Chart, release: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            chart,
            version: None,
            release: release.into(),
            namespace: namespace.into(),
            create_namespace: false,
            values_files: Vec::new(),
            values: Values::default(),
            set: BTreeMap::new(),
            cluster: KubeCluster::default(),
            timeout: None,
            history_max: 10,
            rendered: None,
            adopted: None,
        }
    }

    /// Every text that it was given and that may be secret, but for whole files.
    #[must_use]
    pub fn secret_texts(&self) -> Vec<&Text> {
        let mut secrets: Vec<&Text> = Vec::new();
        for values in std::iter::once(&self.values).chain(self.set.values()) {
            values.each_text(&mut |text| secrets.extend(Some(text).filter(|text| text.is_sensitive())));
        }
        secrets
    }

    pub(super) fn change_texts(&mut self, change: &mut dyn FnMut(&mut Text)) {
        std::iter::once(&mut self.values).chain(self.set.values_mut()).for_each(|values| values.change_texts(change));
    }

    pub(super) fn claims(&self) -> Vec<Claim> {
        // Claims are told apart by their words, of which a context may have several.
        let cluster = self.cluster.context.as_ref().map(|context| context.replace(char::is_whitespace, "-"));
        vec![Claim::Name(format!("{}/{}", self.namespace, self.release)).at(cluster)]
    }

    pub(in crate::model) fn fields(&self, fields: &mut Fields<'_>) {
        use Effect::{Record, Replace, Restart};
        match &self.chart {
            // Where a folder stands is no part of what is released.
            Chart::Local(path) => fields.plain("chart", Record, path.display().to_string()),
            Chart::Named(name) => fields.plain("chart", Record, name.clone()),
        }
        if let Some(version) = &self.version {
            fields.plain("version", Record, version.clone());
        }
        fields.plain("release", Replace, self.release.clone());
        fields.plain("namespace", Replace, self.namespace.clone());
        if self.create_namespace {
            fields.plain("create_namespace", Record, "true");
        }
        for (at, file) in self.values_files.iter().enumerate() {
            fields.plain(format!("values_files[{at}].path"), Record, file.path.display().to_string());
            let path = format!("values_files[{at}].content");
            match &file.content {
                Some(content) => fields.text(path, Restart, &content.clone().into_sensitive()),
                None => fields.plain(path, Restart, "(missing)"),
            }
        }
        self.values.fields("values", fields);
        for (path, value) in &self.set {
            value.fields(&format!("set.{path}"), fields);
        }
        self.cluster.fields(fields);
        if let Some(timeout) = self.timeout {
            fields.plain("timeout", Record, format!("{timeout:?}"));
        }
        fields.plain("history_max", Record, self.history_max.to_string());
        if let Some(adopted) = self.adopted {
            fields.plain(ADOPTED_REVISION, Effect::Update, adopted.to_string());
        }
        if let Some(rendered) = &self.rendered {
            if !rendered.version.is_empty() {
                fields.plain("chart_version", Restart, rendered.version.clone());
            }
            rendered.objects.iter().for_each(|object| object.fields(&self.namespace, fields));
            for hook in &rendered.hooks {
                let path = format!("hooks.{}", hook.id.within(&self.namespace));
                for (place, secret) in &hook.secrets {
                    fields.text(format!("{path}.{place}"), Restart, secret);
                }
                fields.plain(path, Restart, hook.shown.clone());
            }
        }
    }
}
