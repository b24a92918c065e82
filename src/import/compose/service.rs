//! One service of a Compose project.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::node::{Key, Node};
use crate::import::yaml::{Entry, Yaml};
use crate::model::ServiceName;

/// What services are to each other.
#[derive(Debug, Default)]
pub(super) struct Roles {
    /// Every service.
    all: BTreeSet<String>,
    /// Those that others wait for until they have ended well.
    jobs: BTreeSet<String>,
    /// Those that others wait for until they are healthy.
    awaited: BTreeSet<String>,
    /// Those with a check of their own.
    checked: BTreeSet<String>,
}

impl Roles {
    pub(super) fn of(services: &Node) -> Self {
        let mut roles = Self::default();
        for (key, service) in services.entries() {
            roles.all.insert(key.text.clone());
            if service.get("healthcheck").is_some_and(|check| !check.is_nothing()) {
                roles.checked.insert(key.text.clone());
            }
            for (name, dependency) in service.get("depends_on").map(Node::named).unwrap_or_default() {
                match dependency.and_then(|dependency| dependency.get("condition")).and_then(Node::text) {
                    Some("service_completed_successfully") => drop(roles.jobs.insert(name.text)),
                    Some("service_healthy") => drop(roles.awaited.insert(name.text)),
                    _ => {}
                }
            }
        }
        roles
    }

    pub(super) fn is_job(&self, service: &str) -> bool {
        self.jobs.contains(service)
    }

    pub(super) fn is_awaited(&self, service: &str) -> bool {
        self.awaited.contains(service)
    }

    fn has_check(&self, service: &str) -> bool {
        self.checked.contains(service) || self.awaited.contains(service)
    }
}

/// What is written of a service, in the order of the file.
pub(super) struct Draft<'n> {
    pub(super) name: &'n str,
    pub(super) node: &'n Node,
    pub(super) backend: Vec<Entry>,
}

impl Draft<'_> {
    pub(super) fn put(&mut self, key: &str, value: impl Into<Option<Yaml>>) {
        self.backend.extend(value.into().map(|value| Entry::new(key, value)));
    }
}

impl Context<'_> {
    pub(super) fn service(&self, project: &Node, roles: &Roles, key: &Key, node: &Node) -> Option<Entry> {
        let name = key.text.as_str();
        if ServiceName::new(name).is_err() {
            let help = "use letters, digits, `_`, `-` and `.`, at most 63";
            self.error(key.span, format!("`{name}` cannot be the name of a service"), help);
            return None;
        }
        let job = roles.is_job(name);
        let mut draft = Draft { name, node, backend: vec![Entry::new("type", Yaml::text("docker"))] };
        self.image(&mut draft);
        self.copy(&mut draft, "container_name", "container_name");
        for field in ["command", "entrypoint"] {
            draft.put(field, node.get(field).and_then(|value| self.command(name, value)));
        }
        self.environment(&mut draft);
        self.labels(&mut draft);
        self.ports(&mut draft);
        self.mounts(&mut draft, project);
        self.joins(&mut draft, project);
        for field in ["user", "working_dir", "hostname"] {
            self.copy(&mut draft, field, field);
        }
        for field in ["init", "read_only"] {
            if let Some(value) = node.get(field).filter(|value| !value.is_nothing()) {
                draft.put(field, Yaml::Bare(self.text(Some(name), value)));
            }
        }
        for field in ["cap_add", "cap_drop"] {
            let list: Vec<String> =
                node.get(field).into_iter().flat_map(Node::items).map(|item| self.text(Some(name), item)).collect();
            draft.put(field, (!list.is_empty()).then(|| Yaml::texts(list)));
        }
        self.limits(&mut draft);
        self.extra_hosts(&mut draft);
        self.restart(&mut draft, job);
        self.copy(&mut draft, "stop_signal", "stop_signal");
        self.copy(&mut draft, "stop_grace_period", "stop_timeout");
        self.lost_keys(name, node);

        let mut service = Vec::new();
        if job {
            service.push(Entry::new("kind", Yaml::text("job")));
            let message =
                "others wait for it to end, so that it is a job: orch runs it once itself, at the first apply";
            self.note(Some(name), key.span, message);
        }
        let profiles: Vec<String> =
            node.get("profiles").into_iter().flat_map(Node::items).map(|item| self.text(Some(name), item)).collect();
        if !profiles.is_empty() {
            service.push(Entry::new("profiles", Yaml::texts(profiles)));
        }
        service.extend(self.replicas(name, node).map(|replicas| Entry::new("replicas", replicas)));
        service.push(Entry::new("backend", Yaml::Map(draft.backend)));
        service.extend(self.dependencies(name, node, roles).map(|list| Entry::new("dependencies", list)));
        service.extend(self.check(name, node, roles).map(|check| Entry::new("health_check", check)));
        Some(Entry::new(name, Yaml::Map(service)))
    }

    /// A text that has the same meaning in both.
    pub(super) fn copy(&self, draft: &mut Draft<'_>, from: &str, to: &str) {
        let value = draft.node.get(from).filter(|value| value.text().is_some_and(|text| !text.is_empty()));
        draft.put(to, value.map(|value| Yaml::text(self.text(Some(draft.name), value))));
    }

    fn image(&self, draft: &mut Draft<'_>) {
        let (name, node) = (draft.name, draft.node);
        let (image, build) = (node.get("image"), node.get("build"));
        if let Some(build) = build {
            let image = match image {
                Some(_) => "the image that it names".to_owned(),
                None => format!("the image `{}`, as Compose names it", self.built(name)),
            };
            let message =
                format!("`build`: orch builds no images, and runs {image}; `docker compose build {name}` makes it");
            self.lost(Some(name), build.span, message);
        }
        let image = match (image, build) {
            (Some(image), _) => self.text(Some(name), image),
            (None, Some(_)) => self.built(name),
            (None, None) => {
                let help = "Compose needs an `image` or a `build`";
                self.error(node.span, format!("the service `{name}` has no image"), help);
                return;
            }
        };
        draft.put("image", Yaml::text(image));
        let policy = match (node.get("pull_policy").and_then(|policy| self.plain(Some(name), policy)).as_deref(), build)
        {
            (Some("always"), _) => Some("always"),
            (Some("never"), _) => Some("never"),
            (Some("daily"), _) => Some("daily"),
            (Some("weekly"), _) => Some("weekly"),
            (Some(other), _) if other.starts_with("every_") => {
                draft.put("pull_policy", Yaml::text(other));
                None
            }
            // What was built here is in no registry.
            (Some("build"), _) | (None, Some(_)) if node.get("image").is_none() => Some("never"),
            _ => None,
        };
        draft.put("pull_policy", policy.map(Yaml::text));
    }

    /// The name that Compose gives what it builds.
    fn built(&self, service: &str) -> String {
        format!("{}-{service}", self.project)
    }

    fn labels(&self, draft: &mut Draft<'_>) {
        let name = draft.name;
        let Some(labels) = draft.node.get("labels") else { return };
        let entries = labels.pairs(&['=']).into_iter().map(|(key, value)| {
            let value = value.map(|value| self.hidden(name, &key.text, &value)).unwrap_or_default();
            (key.text, Yaml::text(value))
        });
        let entries: Vec<_> = entries.collect();
        draft.put("labels", (!entries.is_empty()).then(|| Yaml::map(entries)));
    }

    fn extra_hosts(&self, draft: &mut Draft<'_>) {
        let Some(hosts) = draft.node.get("extra_hosts") else { return };
        let mut lines = Vec::new();
        for (key, value) in hosts.pairs(&['=', ':']) {
            let addresses = value.as_ref().map(Node::one_or_many).unwrap_or_default();
            lines.extend(
                addresses.into_iter().map(|address| format!("{}:{}", key.text, self.text(Some(draft.name), address))),
            );
        }
        draft.put("extra_hosts", (!lines.is_empty()).then(|| Yaml::texts(lines)));
    }

    fn dependencies(&self, name: &str, node: &Node, roles: &Roles) -> Option<Yaml> {
        let mut all: BTreeMap<String, Vec<(&str, Yaml)>> = BTreeMap::new();
        let mut order = Vec::new();
        let links = node.get("links").map(Node::items).unwrap_or_default();
        for link in links {
            let text = self.text(Some(name), link);
            let (other, alias) = text.split_once(':').unwrap_or((&text, ""));
            if !alias.is_empty() && alias != other {
                let message = format!("`links`: the name `{alias}`; give it to `{other}` as an alias in their network");
                self.lost(Some(name), link.span, message);
            }
            if roles.all.contains(other) && !all.contains_key(other) {
                order.push(other.to_owned());
                all.insert(other.to_owned(), vec![("condition", Yaml::text("started"))]);
            }
        }
        for (key, dependency) in node.get("depends_on").map(Node::named).unwrap_or_default() {
            let field = |field| dependency.and_then(|dependency| dependency.get(field));
            if !roles.all.contains(&key.text) {
                match field("required").is_some_and(Node::is_nothing) {
                    true => continue,
                    false => self.error(key.span, format!("there is no service `{}`", key.text), "correct the name"),
                }
            }
            if let Some(required) = field("required").filter(|required| required.is_nothing()) {
                let message = format!("`required: false`: orch always waits for `{}` where it is active", key.text);
                self.note(Some(name), required.span, message);
            }
            let condition = match field("condition").and_then(Node::text) {
                Some("service_healthy") => "healthy",
                Some("service_completed_successfully") => "completed",
                _ if roles.is_job(&key.text) => "completed",
                _ => "started",
            };
            let mut what = vec![("condition", Yaml::text(condition))];
            if field("restart").is_some_and(|restart| !restart.is_nothing()) {
                what.push(("restart", Yaml::yes()));
            }
            if !order.contains(&key.text) {
                order.push(key.text.clone());
            }
            all.insert(key.text, what);
        }
        if order.is_empty() {
            return None;
        }
        // What orch does where nothing is said is what Compose does.
        let usual = |name: &String| {
            let of_check = if roles.has_check(name) { "healthy" } else { "started" };
            let condition = if roles.is_job(name) { "completed" } else { of_check };
            matches!(all[name].as_slice(), [(_, Yaml::Text(text))] if text == condition)
        };
        if order.iter().all(|name| usual(name) && !roles.has_check(name)) {
            return Some(Yaml::texts(order));
        }
        Some(Yaml::map(order.into_iter().map(|name| {
            let what = Yaml::short(all.remove(&name).unwrap_or_default());
            (name, what)
        })))
    }
}
