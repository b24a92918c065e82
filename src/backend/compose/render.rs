//! What Compose files come to: Compose's own canonical form of them, taken apart into what a plan shows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::files;
use super::tool::{Call, Tool};
use crate::backend::BackendError;
use crate::model::{
    ComposeProject, ComposeService, ComposeSpec, ContentDigest, Protocol, Text, has_password, is_secret_name,
};

/// Keys of a service that no container has in it.
const BESIDE: &[&str] = &["build", "depends_on", "develop", "profiles", "pull_policy", "scale"];
/// Maps whose names are the user's, so that a name may say that its value is secret.
const NAMED: &[&str] = &["environment", "labels", "annotations", "sysctls", "args", "options", "driver_opts"];
/// What a service shares with others, by the key that it stands under.
const SHARED: &[&str] = &["networks", "volumes", "configs", "secrets"];
/// The shortest value of a secret that is looked for in other values.
const LEAST: usize = 4;

/// The arguments that say which project is meant, the same on each call.
pub(super) fn call(spec: &ComposeSpec, tool: &Tool) -> Call {
    let mut call = Call::of(&spec.project_name);
    call = call.with(["--project-directory".to_owned(), spec.folder.display().to_string()]);
    for file in &spec.env_files {
        call = call.with(["--env-file".to_owned(), file.display().to_string()]);
    }
    for profile in &spec.profiles {
        call = call.with(["--profile", profile.as_str()]);
    }
    call.env = spec.env.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())).collect();
    call.secrets = secrets(spec, tool.env());
    call
}

/// The same with a definition in the place of the files.
pub(super) fn call_with(spec: &ComposeSpec, tool: &Tool, definition: String) -> Call {
    let mut call = call(spec, tool).with(["--file", "-"]);
    if let Some(project) = &spec.rendered {
        call.secrets.extend(sensitive(project));
        call.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }
    call.stdin = Some(definition);
    call
}

fn sensitive(project: &ComposeProject) -> impl Iterator<Item = String> {
    let of_services =
        project.services.values().flat_map(|service| service.made_from.values().chain(service.beside.values()));
    let all = of_services.chain(project.shared.values()).filter(|value| value.is_sensitive());
    all.map(|value| value.reveal().to_owned()).filter(|value| value.len() >= LEAST)
}

/// Asks Compose what the files of a project come to.
pub(super) async fn render(spec: &ComposeSpec, tool: &Tool) -> Result<ComposeSpec, BackendError> {
    let mut call = call(spec, tool);
    for file in &spec.files {
        call = call.with(["--file".to_owned(), file.display().to_string()]);
    }
    let call = call.with(["config", "--format", "json"]).with(spec.services.iter().map(String::as_str));
    let doing = format!("read the Compose project {}", spec.project_name);
    let (version, text) = tokio::join!(tool.check(), tool.output(&call, &doing));
    version?;
    let project = project(spec, &text?, &call.secrets, tool.env()).map_err(|why| {
        BackendError::new(format!("cannot {doing}: {why}"))
            .with_hint("correct the Compose file; `docker compose config` reads it as orch does")
    })?;
    if let Some(name) = spec.gate.iter().find(|name| !project.services.contains_key(*name)) {
        let known: Vec<&str> = project.services.keys().map(String::as_str).collect();
        return Err(BackendError::new(format!(
            "`gate` names `{name}`, which the Compose project {} has not",
            spec.project_name
        ))
        .with_hint(format!("it has {}; a service under a profile is there only with that profile", known.join(", "))));
    }
    Ok(ComposeSpec { rendered: Some(Arc::new(project)), ..spec.clone() })
}

/// Values that are secret by the name that they stand under, the longest first: where one of them is part of
/// another value, that one is secret too.
fn secrets(spec: &ComposeSpec, env: &BTreeMap<String, String>) -> Vec<String> {
    let given = spec.env.values().filter(|value| value.is_sensitive()).map(|value| value.reveal().to_owned());
    let own = env.iter().filter(|(name, _)| is_secret_name(name)).map(|(_, value)| value.clone());
    let dot_env = spec.folder.join(".env");
    let usual = spec.env_files.is_empty().then_some(dot_env.as_path());
    let files = spec.env_files.iter().map(AsRef::as_ref).chain(usual).flat_map(files::secret_lines);
    let mut secrets: Vec<String> = given.chain(own).chain(files).filter(|value| value.len() >= LEAST).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    secrets
}

/// Takes a project apart.
///
/// # Errors
/// When it is not in the form that Compose writes, in words for the user.
fn project(
    spec: &ComposeSpec,
    text: &str,
    secrets: &[String],
    env: &BTreeMap<String, String>,
) -> Result<ComposeProject, String> {
    let mut root: Value = serde_json::from_str(text).map_err(|error| format!("it does not print JSON: {error}"))?;
    let Some(found) = root.get_mut("services").and_then(Value::as_object_mut).filter(|found| !found.is_empty()) else {
        return Err("it has no services, or all of them are under profiles that are off".to_owned());
    };
    // What is in the answer is wanted, whichever profile it is under.
    for service in found.values_mut().filter_map(Value::as_object_mut) {
        service.remove("profiles");
    }
    let found = found.clone();
    let mut secrets = secrets.to_vec();
    for service in found.values() {
        let named = NAMED.iter().filter_map(|key| service.get(key)?.as_object()).flatten();
        let values = named.filter(|(name, _)| is_secret_name(name)).filter_map(|(_, value)| value.as_str());
        secrets.extend(values.filter(|value| value.len() >= LEAST).map(unescaped));
    }
    let reader = Reader { secrets: &secrets, root: &root, spec, env };
    let services = found.iter().map(|(name, service)| (name.clone(), reader.service(service))).collect();
    let mut shared = BTreeMap::new();
    for key in SHARED {
        for (name, value) in root.get(key).and_then(Value::as_object).into_iter().flatten() {
            let value = reader.text(name, value).unwrap_or_else(|| Text::plain("{}"));
            // A text that stands in the file itself is what a secret or a configuration is.
            let inline = root[key][name].get("content").is_some();
            shared.insert(format!("{key}.{name}"), if inline { value.into_sensitive() } else { value });
        }
    }
    Ok(ComposeProject { definition: Text::sensitive(root.to_string()), services, shared })
}

struct Reader<'a> {
    secrets: &'a [String],
    root: &'a Value,
    spec: &'a ComposeSpec,
    env: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    fn service(&self, service: &Value) -> ComposeService {
        let mut read = ComposeService::default();
        for (key, value) in service.as_object().into_iter().flatten() {
            let into = if BESIDE.contains(&key.as_str()) { &mut read.beside } else { &mut read.made_from };
            match (key.as_str(), value) {
                ("deploy", Value::Object(map)) => {
                    for (part, value) in map {
                        let into = if part == "replicas" { &mut read.beside } else { &mut read.made_from };
                        self.put(into, &format!("deploy.{part}"), value);
                    }
                }
                ("build" | "healthcheck" | "logging", Value::Object(map)) => {
                    for (part, value) in map {
                        self.put(into, &format!("{key}.{part}"), value);
                    }
                }
                ("ports", Value::Array(list)) => {
                    read.ports.extend(list.iter().filter_map(published));
                    self.put_list(into, key, list.iter().map(port).collect());
                }
                ("volumes", Value::Array(list)) => {
                    self.put_list(into, key, list.iter().map(mount).collect());
                    self.mounted(&mut read.files, list);
                }
                ("configs" | "secrets", Value::Array(list)) => {
                    self.put(into, key, value);
                    list.iter().for_each(|used| self.used(&mut read.files, key, used));
                }
                _ => self.put(into, key, value),
            }
        }
        read
    }

    /// Puts a value under its path; what says nothing is left out.
    fn put(&self, into: &mut BTreeMap<String, Text>, path: &str, value: &Value) {
        let last = path.rsplit('.').next().unwrap_or(path);
        if let (true, Value::Object(map)) = (NAMED.contains(&last), value) {
            for (name, value) in map {
                let value = self.text(name, value).unwrap_or_else(|| Text::plain("(from the environment)"));
                into.insert(format!("{path}.{name}"), value);
            }
        } else if let Some(value) = self.text("", value) {
            into.insert(path.to_owned(), value);
        }
    }

    fn put_list(&self, into: &mut BTreeMap<String, Text>, path: &str, mut list: Vec<String>) {
        list.sort();
        if !list.is_empty() {
            into.insert(path.to_owned(), self.marked("", format!("{list:?}")));
        }
    }

    /// A value as one text; `None` for one that says nothing.
    fn text(&self, name: &str, value: &Value) -> Option<Text> {
        let text = match value {
            Value::Null => return None,
            Value::Array(list) if list.is_empty() => return None,
            Value::Object(map) if map.is_empty() => return None,
            Value::String(text) => unescaped(text),
            Value::Array(list) if list.iter().all(Value::is_string) => {
                let list: Vec<String> = list.iter().filter_map(Value::as_str).map(unescaped).collect();
                format!("{list:?}")
            }
            other => unescaped(&other.to_string()),
        };
        Some(self.marked(name, text))
    }

    fn marked(&self, name: &str, text: String) -> Text {
        let holds = || self.secrets.iter().any(|secret| text.contains(secret.as_str()));
        if is_secret_name(name) || has_password(&text) || holds() { Text::sensitive(text) } else { Text::plain(text) }
    }

    /// The content of files, and of read-only folders of a few files, that are mounted from this machine.
    fn mounted(&self, into: &mut BTreeMap<String, Option<ContentDigest>>, mounts: &[Value]) {
        for mount in mounts.iter().filter(|mount| mount["type"] == "bind") {
            let (Some(source), Some(target)) = (mount["source"].as_str(), mount["target"].as_str()) else { continue };
            let read_only = mount["read_only"] == true;
            if let Some(content) = files::content(Path::new(source), read_only) {
                into.insert(target.to_owned(), content);
            }
        }
    }

    /// The content of a configuration or secret that a service uses.
    fn used(&self, into: &mut BTreeMap<String, Option<ContentDigest>>, kind: &str, used: &Value) {
        let Some(name) = used.as_str().or_else(|| used["source"].as_str()) else { return };
        let defined = &self.root[kind][name];
        let content = if let Some(path) = defined["file"].as_str() {
            files::content(Path::new(path), true).unwrap_or_default()
        } else if let Some(variable) = defined["environment"].as_str() {
            let own = || self.env.get(variable).map(String::as_str);
            let value = self.spec.env.get(variable).map(Text::reveal).or_else(own);
            value.map(|value| ContentDigest::of(value.as_bytes()))
        } else {
            Some(ContentDigest::of(defined.to_string().as_bytes()))
        };
        into.insert(format!("{kind}/{name}"), content);
    }
}

/// Compose writes a `$` twice, since it would take one for the start of a variable.
fn unescaped(text: &str) -> String {
    text.replace("$$", "$")
}

fn protocol(port: &Value) -> Protocol {
    match port["protocol"].as_str() {
        Some("udp") => Protocol::Udp,
        Some("sctp") => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

fn published(port: &Value) -> Option<(u16, Protocol)> {
    Some((port["published"].as_str()?.parse().ok()?, protocol(port)))
}

/// A port as a file would have it: `127.0.0.1:8080:80/udp`.
fn port(port: &Value) -> String {
    let host = port["host_ip"].as_str().map(|host| format!("{host}:")).unwrap_or_default();
    let published = match port["published"].as_str() {
        Some(published) => format!("{published}:"),
        // Any free port of an address.
        None if !host.is_empty() => ":".to_owned(),
        None => String::new(),
    };
    let protocol = match protocol(port) {
        Protocol::Tcp => "",
        Protocol::Udp => "/udp",
        Protocol::Sctp => "/sctp",
    };
    format!("{host}{published}{}{protocol}", port["target"])
}

/// A mount as a file would have it: `data:/var/lib/data:ro`, and what has no short form after it.
fn mount(mount: &Value) -> String {
    let text = |key: &str| mount[key].as_str().unwrap_or_default();
    let mode = if mount["read_only"] == true { ":ro" } else { "" };
    let rest: Map<String, Value> = mount
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, value)| {
            let usual = **value == serde_json::json!({}) || **value == serde_json::json!({"create_host_path": true});
            !["type", "source", "target", "read_only"].contains(&key.as_str()) && !usual
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let rest = if rest.is_empty() { String::new() } else { format!(" {}", Value::Object(rest)) };
    let kind = match text("type") {
        "bind" | "volume" => String::new(),
        other => format!("{other} "),
    };
    let source = if text("source").is_empty() { String::new() } else { format!("{}:", text("source")) };
    format!("{kind}{source}{}{mode}{rest}", text("target"))
}

#[cfg(test)]
mod tests;
