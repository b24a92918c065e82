//! The networks of a project, and how services are in them.

use std::collections::BTreeSet;

use super::context::Context;
use super::mounts::is_external;
use super::node::{Key, Node};
use super::service::Draft;
use crate::import::yaml::{Entry, Yaml};

/// The network that a service is in that names none.
const DEFAULT: &str = "default";

impl Context<'_> {
    /// The networks of a service.
    pub(super) fn joins(&self, draft: &mut Draft<'_>, project: &Node) {
        let (name, node) = (draft.name, draft.node);
        if let Some(mode) = node.get("network_mode") {
            if !matches!(mode.text(), Some("bridge" | "default")) {
                let message = format!(
                    "`network_mode: {}`: a container of orch is in networks of its own",
                    mode.text().unwrap_or_default()
                );
                self.lost(Some(name), mode.span, message);
            }
            return;
        }
        let joined = node.get("networks").map(Node::named).unwrap_or_default();
        if joined.is_empty() {
            draft.put("networks", Yaml::texts([DEFAULT]));
            return;
        }
        let declared = project.get("networks");
        let mut all: Vec<(String, Vec<String>)> = Vec::new();
        for (key, what) in joined {
            let is_known = key.text == DEFAULT
                || declared.is_some_and(|declared| declared.entries().iter().any(|(other, _)| other.text == key.text));
            if !is_known {
                self.error(key.span, format!("there is no network `{}`", key.text), "declare it under `networks:`");
            }
            let aliases = what.and_then(|what| what.get("aliases")).map(Node::items).unwrap_or_default();
            let aliases = aliases.iter().map(|alias| self.text(Some(name), alias)).collect();
            for (field, value) in what.map(Node::entries).unwrap_or_default() {
                if field.text != "aliases" && !value.is_nothing() && !field.text.starts_with("x-") {
                    self.lost(Some(name), field.span, format!("`{}` in the network `{}`", field.text, key.text));
                }
            }
            all.push((key.text, aliases));
        }
        let plain = all.iter().all(|(_, aliases)| aliases.is_empty());
        draft.put(
            "networks",
            match plain {
                true => Yaml::texts(all.into_iter().map(|(network, _)| network)),
                false => Yaml::map(all.into_iter().map(|(network, aliases)| {
                    let aliases = (!aliases.is_empty()).then(|| ("aliases", Yaml::texts(aliases)));
                    (network, Yaml::short(aliases))
                })),
            },
        );
    }

    /// The networks that services are in, as Compose makes only those.
    pub(super) fn networks(&self, project: &Node) -> Vec<Entry> {
        let mut used = BTreeSet::new();
        for (_, service) in project.get("services").map(Node::entries).unwrap_or_default() {
            let joined = service.get("networks").map(Node::named).unwrap_or_default();
            if joined.is_empty() && service.get("network_mode").is_none() {
                used.insert(DEFAULT.to_owned());
            }
            used.extend(joined.into_iter().map(|(key, _)| key.text));
        }
        let declared = project.get("networks").map(Node::entries).unwrap_or_default();
        let mut entries = Vec::new();
        if used.contains(DEFAULT) && !declared.iter().any(|(key, _)| key.text == DEFAULT) {
            entries.push(Entry::new(DEFAULT, Yaml::short([("type", Yaml::text("lan"))])));
        }
        entries.extend(
            declared.iter().filter(|(key, _)| used.contains(&key.text)).map(|(key, node)| self.network(key, node)),
        );
        entries
    }

    fn network(&self, key: &Key, node: &Node) -> Entry {
        let mut fields = vec![("type", Yaml::text("lan"))];
        let external = is_external(node);
        let name = self.engine_name(node).or_else(|| external.then(|| key.text.clone()));
        fields.extend(name.map(|name| ("name", Yaml::text(name))));
        fields.extend(external.then(|| ("external", Yaml::yes())));
        if let Some(ipam) = node.get("ipam").filter(|_| !external) {
            let configs = ipam.get("config").map(Node::items).unwrap_or_default();
            let subnet = configs.first().and_then(|config| config.get("subnet"));
            fields.extend(subnet.map(|subnet| ("subnet", Yaml::text(self.text(None, subnet)))));
            for (place, config) in configs.iter().enumerate() {
                for (field, _) in config.entries().iter().filter(|(field, _)| place > 0 || field.text != "subnet") {
                    let message =
                        format!("`ipam.config.{}` of the network `{}`: the engine chooses it", field.text, key.text);
                    self.lost(None, field.span, message);
                }
            }
            for (field, value) in
                ipam.entries().iter().filter(|(field, _)| !["config", "driver"].contains(&field.text.as_str()))
            {
                self.lost(None, value.span, format!("`ipam.{}` of the network `{}`", field.text, key.text));
            }
        }
        self.lost_of(
            "network",
            key,
            node,
            &["external", "name", "ipam"],
            &[("driver", "bridge"), ("driver", "default")],
        );
        Entry::new(key.text.clone(), Yaml::short(fields))
    }
}
