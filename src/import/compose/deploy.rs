//! Limits, graphics processors, copies and restarts.

use super::context::Context;
use super::node::Node;
use super::service::Draft;
use crate::import::yaml::Yaml;

impl Context<'_> {
    pub(super) fn limits(&self, draft: &mut Draft<'_>) {
        let (name, node) = (draft.name, draft.node);
        if let Some(limits) = node.get("ulimits") {
            let limit = |(key, value): &(super::node::Key, Node)| {
                let number = |value: &Node| Yaml::Bare(self.text(Some(name), value));
                let value = match (value.get("soft"), value.get("hard")) {
                    (Some(soft), Some(hard)) => Yaml::short([("soft", number(soft)), ("hard", number(hard))]),
                    _ => number(value),
                };
                (key.text.clone(), value)
            };
            let limits: Vec<_> = limits.entries().iter().map(limit).collect();
            draft.put("ulimits", (!limits.is_empty()).then(|| Yaml::map(limits)));
        }
        let deploy = node.get("deploy");
        let resources = deploy.and_then(|deploy| deploy.get("resources"));
        let of_deploy =
            |key: &str| resources.and_then(|resources| resources.get("limits")).and_then(|limits| limits.get(key));
        let memory = of_deploy("memory").or_else(|| node.get("mem_limit")).filter(|value| value.text() != Some("0"));
        draft.put("memory", memory.map(|value| Yaml::text(self.text(Some(name), value))));
        let cpus = of_deploy("cpus").or_else(|| node.get("cpus")).filter(|value| value.text() != Some("0"));
        draft.put("cpus", cpus.map(|value| Yaml::Bare(self.text(Some(name), value))).map(quoted));
        self.gpus(draft, resources);
        self.copy(draft, "shm_size", "shm_size");
        for (key, _) in resources.and_then(|resources| resources.get("limits")).map(Node::entries).unwrap_or_default() {
            if !["cpus", "memory"].contains(&key.text.as_str()) {
                self.lost(Some(name), key.span, format!("`deploy.resources.limits.{}`", key.text));
            }
        }
        for (key, value) in resources.and_then(|all| all.get("reservations")).map(Node::entries).unwrap_or_default() {
            if key.text != "devices" && !value.is_nothing() {
                let message = format!("`deploy.resources.reservations.{}`: an engine reserves nothing", key.text);
                self.lost(Some(name), key.span, message);
            }
        }
        for (key, value) in deploy.map(Node::entries).unwrap_or_default() {
            let usual = key.text == "mode" && value.text() == Some("replicated");
            if !["resources", "replicas", "restart_policy"].contains(&key.text.as_str())
                && !value.is_nothing()
                && !usual
            {
                self.lost(Some(name), key.span, format!("`deploy.{}`, which is for a swarm", key.text));
            }
        }
    }

    fn gpus(&self, draft: &mut Draft<'_>, resources: Option<&Node>) {
        let name = draft.name;
        let devices = resources.and_then(|all| all.get("reservations")).and_then(|all| all.get("devices"));
        let mut requests: Vec<&Node> = devices.map(Node::items).unwrap_or_default().iter().collect();
        if let Some(gpus) = draft.node.get("gpus") {
            if let Some(all) = gpus.text() {
                draft.put("gpus", Yaml::text(all));
                return;
            }
            requests.extend(gpus.items());
        }
        let mut found = None;
        for request in requests {
            let capabilities = request.get("capabilities").map(Node::one_or_many).unwrap_or_default();
            let gpu = capabilities.is_empty()
                || capabilities
                    .iter()
                    .any(|of| of.text() == Some("gpu") || of.items().iter().any(|of| of.text() == Some("gpu")));
            if !gpu || found.is_some() {
                let what = if gpu {
                    "a second request for graphics processors"
                } else {
                    "a device that is no graphics processor"
                };
                self.lost(Some(name), request.span, format!("`devices`: {what}"));
                continue;
            }
            let ids: Vec<String> = request
                .get("device_ids")
                .map(Node::one_or_many)
                .unwrap_or_default()
                .into_iter()
                .map(|id| self.text(Some(name), id))
                .collect();
            let count = request.get("count").map(|count| self.text(Some(name), count));
            found = Some(match (ids.is_empty(), count.as_deref()) {
                (false, _) => Yaml::texts(ids),
                (true, None | Some("all" | "-1")) => Yaml::text("all"),
                (true, Some(count)) => quoted(Yaml::Bare(count.to_owned())),
            });
            if let Some(options) = request.get("options").filter(|options| !options.is_nothing()) {
                self.lost(Some(name), options.span, "`devices.options`");
            }
            if let Some(driver) = request.get("driver").filter(|driver| driver.text() != Some("nvidia")) {
                self.lost(Some(name), driver.span, "`devices.driver`: the engine chooses it");
            }
        }
        draft.put("gpus", found);
    }

    /// How many copies run; one needs no number.
    pub(super) fn replicas(&self, name: &str, node: &Node) -> Option<Yaml> {
        let of_deploy = node.get("deploy").and_then(|deploy| deploy.get("replicas"));
        let replicas = of_deploy.or_else(|| node.get("scale"))?;
        let text = self.text(Some(name), replicas);
        match text.as_str() {
            "1" => None,
            "0" => {
                let message = "0 replicas: orch runs one; give the service a profile that is not active";
                self.lost(Some(name), replicas.span, message);
                None
            }
            _ => Some(quoted(Yaml::Bare(text))),
        }
    }

    /// Whether there is more than one copy, as far as that is known.
    pub(super) fn has_copies(&self, name: &str, node: &Node) -> bool {
        let of_deploy = node.get("deploy").and_then(|deploy| deploy.get("replicas"));
        let text = of_deploy.or_else(|| node.get("scale")).and_then(|replicas| self.plain(Some(name), replicas));
        text.and_then(|text| text.parse::<u32>().ok()).is_some_and(|copies| copies > 1)
    }

    /// Compose starts nothing again that does not ask for it; orch does.
    pub(super) fn restart(&self, draft: &mut Draft<'_>, job: bool) {
        let (name, node) = (draft.name, draft.node);
        let policy = node.get("deploy").and_then(|deploy| deploy.get("restart_policy"));
        let span = node.get("restart").or(policy).map_or(node.span, |node| node.span);
        let of_policy = policy.map(|policy| {
            for (key, _) in
                policy.entries().iter().filter(|(key, _)| !["condition", "max_attempts"].contains(&key.text.as_str()))
            {
                self.lost(Some(name), key.span, format!("`deploy.restart_policy.{}`", key.text));
            }
            let condition = policy.get("condition").and_then(|condition| self.plain(Some(name), condition));
            match condition.as_deref().unwrap_or("any") {
                "none" | "no" => "no".to_owned(),
                "on-failure" => match policy.get("max_attempts").and_then(|most| self.plain(Some(name), most)) {
                    Some(most) => format!("on-failure:{most}"),
                    None => "on-failure".to_owned(),
                },
                "unless-stopped" => "unless-stopped".to_owned(),
                _ => "always".to_owned(),
            }
        });
        let rule = match node.get("restart").map(|restart| self.text(Some(name), restart)) {
            Some(rule) if rule == "false" => "no".to_owned(),
            Some(rule) => rule,
            None => of_policy.unwrap_or_else(|| "no".to_owned()),
        };
        if job && matches!(rule.as_str(), "always" | "unless-stopped") {
            self.lost(Some(name), span, format!("`restart: {rule}`: a job runs until it ends"));
        } else if rule == "no" && job {
            // The default of a job.
        } else if rule != "unless-stopped" {
            draft.put("restart", Yaml::text(rule));
        }
    }
}

/// A number as it is, a reference in quotes.
fn quoted(value: Yaml) -> Yaml {
    match value {
        Yaml::Bare(text) if text.parse::<f64>().is_err() => Yaml::Text(text),
        value => value,
    }
}
