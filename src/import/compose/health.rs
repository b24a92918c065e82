//! The health check of a service.

use super::context::Context;
use super::node::Node;
use super::service::Roles;
use crate::import::words::Words;
use crate::import::yaml::{Entry, Yaml};

impl Context<'_> {
    /// The engine's check. What Compose leaves to the engine is written: orch's own defaults are others.
    pub(super) fn check(&self, name: &str, node: &Node, roles: &Roles) -> Option<Yaml> {
        let check = node.get("healthcheck").filter(|check| !check.is_nothing());
        let backend = || Entry::new("type", Yaml::text("backend"));
        let Some(check) = check else {
            return roles.is_awaited(name).then(|| {
                self.note(Some(name), node.span, "others wait for it to be healthy, which its image's own check says");
                Yaml::short([("type", Yaml::text("backend"))])
            });
        };
        if roles.is_job(name) {
            self.lost(Some(name), check.span, "`healthcheck`: a job is well when it ends with 0");
            return None;
        }
        let test = check.get("test");
        let first = test.and_then(|test| test.items().first()).and_then(Node::text);
        let off = check.get("disable").is_some_and(|disable| !disable.is_nothing());
        if off || first == Some("NONE") || test.and_then(Node::text) == Some("NONE") {
            let none = Yaml::texts(["NONE"]);
            return Some(Yaml::short([("type", Yaml::text("backend")), ("test", none)]));
        }
        let Some(test) = test else {
            self.lost(
                Some(name),
                check.span,
                "`healthcheck` without a test: the image's own check runs at its own pace",
            );
            return Some(Yaml::short([("type", Yaml::text("backend"))]));
        };
        let mut entries = vec![backend(), Entry::new("test", self.test(name, test))];
        for (key, usual) in [("interval", "30s"), ("timeout", "30s"), ("retries", ""), ("start_period", "")] {
            let value = match check.get(key) {
                Some(value) => self.text(Some(name), value),
                None if usual.is_empty() => continue,
                None => usual.to_owned(),
            };
            entries.push(Entry::new(key, if key == "retries" { Yaml::Bare(value) } else { Yaml::text(value) }));
        }
        if let Some(interval) = check.get("start_interval") {
            let message = "`healthcheck.start_interval`: the first probes come after `interval`, as the others";
            self.lost(Some(name), interval.span, message);
        }
        Some(Yaml::Map(entries))
    }

    fn test(&self, name: &str, test: &Node) -> Yaml {
        let list: Vec<Words> = match test.text() {
            Some(_) => vec![self.words(Some(name), test)],
            None => test.items().iter().map(|item| self.words(Some(name), item)).collect(),
        };
        // A text is one for the container's shell, whose words are not ours to split.
        let shell = list.first().and_then(Words::plain) == Some("CMD-SHELL");
        let list = if shell { list.into_iter().skip(1).collect() } else { list };
        let (mut hidden, names) = self.names.borrow_mut().hide_list(name, list);
        names.iter().for_each(|secret| self.to_set(Some(name), test.span, secret, true));
        match hidden.pop() {
            Some(one) if shell || test.text().is_some() => Yaml::text(one.written()),
            last => Yaml::texts(hidden.iter().chain(last.iter()).map(Words::written)),
        }
    }
}
