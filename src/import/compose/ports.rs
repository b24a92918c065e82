//! The ports that a service publishes.

use super::context::Context;
use super::node::Node;
use super::service::Draft;
use crate::config::Ports;
use crate::import::yaml::Yaml;

impl Context<'_> {
    pub(super) fn ports(&self, draft: &mut Draft<'_>) {
        let name = draft.name;
        let copies = self.has_copies(name, draft.node);
        let mut list = Vec::new();
        for port in draft.node.get("ports").map(Node::items).unwrap_or_default() {
            let text = match port.text() {
                Some(_) => self.text(Some(name), port),
                None => match self.long_port(name, port) {
                    Some(text) => text,
                    None => continue,
                },
            };
            if text.contains("${") {
                list.push(text);
                continue;
            }
            match text.parse::<Ports>() {
                Err(why) => self.lost(Some(name), port.span, format!("`ports`: {why}")),
                Ok(Ports(ports)) => match ports.iter().find(|port| copies && port.fixed().is_some()) {
                    Some(one) => {
                        let message = format!(
                            "the port {} of the host: several copies cannot have it",
                            one.fixed().unwrap_or_default()
                        );
                        self.lost(Some(name), port.span, message);
                        list.push(one.container.to_string());
                    }
                    None => list.push(text),
                },
            }
        }
        draft.put("ports", (!list.is_empty()).then(|| Yaml::texts(list)));
        if let Some(expose) = draft.node.get("expose").filter(|expose| !expose.is_nothing()) {
            self.note(Some(name), expose.span, "`expose` is not needed: in a network every port is reached");
        }
    }

    fn long_port(&self, name: &str, port: &Node) -> Option<String> {
        let text = |key: &str| port.get(key).map(|value| self.text(Some(name), value)).filter(|text| !text.is_empty());
        let Some(target) = text("target") else {
            self.error(port.span, "the port has no `target`", "write the container's port as `target`");
            return None;
        };
        for (key, value) in port.entries() {
            let usual = key.text == "mode" && matches!(value.text(), Some("host" | "ingress"));
            let told =
                ["target", "published", "host_ip", "protocol", "name", "app_protocol"].contains(&key.text.as_str());
            if !usual && !told && !key.text.starts_with("x-") {
                self.lost(Some(name), key.span, format!("`ports.{}`", key.text));
            }
        }
        let host = match text("host_ip") {
            Some(address) if address.contains(':') && !address.starts_with('[') => format!("[{address}]:"),
            Some(address) => format!("{address}:"),
            None => String::new(),
        };
        let published = match (text("published"), host.is_empty()) {
            (Some(port), _) if port != "0" => format!("{port}:"),
            (_, true) => String::new(),
            (_, false) => ":".to_owned(),
        };
        let protocol = text("protocol").filter(|protocol| protocol != "tcp").map(|protocol| format!("/{protocol}"));
        Some(format!("{host}{published}{target}{}", protocol.unwrap_or_default()))
    }
}
