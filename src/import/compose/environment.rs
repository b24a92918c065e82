//! The environment of a service.

use super::context::Context;
use super::node::{Key, Node};
use super::service::Draft;
use crate::config::env_lines;
use crate::import::secret;
use crate::import::yaml::Yaml;

impl Context<'_> {
    pub(super) fn environment(&self, draft: &mut Draft<'_>) {
        let name = draft.name;
        let mut entries = Vec::new();
        for (key, value) in draft.node.get("environment").map(|env| env.pairs(&['='])).unwrap_or_default() {
            let value = match value {
                Some(value) => Some(self.hidden(name, &key.text, &value)),
                None => self.of_shell(name, &key),
            };
            entries.extend(value.map(|value| (key.text, Yaml::text(value))));
        }
        draft.put("env", (!entries.is_empty()).then(|| Yaml::map(entries)));
        self.env_files(draft);
        if let Some(file) = draft.node.get("label_file") {
            self.lost(Some(name), file.span, "`label_file`: write the labels of the file as `labels`");
        }
    }

    /// A name without a value has the one that Compose's own environment has.
    fn of_shell(&self, service: &str, key: &Key) -> Option<String> {
        let name = key.text.as_str();
        let known = self.homes[key.span.file as usize].dotenv.get(name);
        if secret::is_name(name) {
            self.to_set(Some(service), key.span, name, false);
            return Some(format!("${{env:{name}}}"));
        }
        match known {
            Some(value) if !value.contains(['}', '$']) => Some(format!("${{env:{name}:-{value}}}")),
            Some(_) => Some(format!("${{env:{name}}}")),
            None if self.env.contains_key(name) => {
                self.note(Some(service), key.span, format!("`{name}` is taken from the environment, and must be set"));
                Some(format!("${{env:{name}}}"))
            }
            None => {
                let message =
                    format!("`{name}` has no value and is not set: write `{name}: ${{env:{name}}}` where it is");
                self.lost(Some(service), key.span, message);
                None
            }
        }
    }

    fn env_files(&self, draft: &mut Draft<'_>) {
        let name = draft.name;
        let mut paths = Vec::new();
        for item in draft.node.get("env_file").map(Node::one_or_many).unwrap_or_default() {
            let Some(path) = (if item.text().is_some() { Some(item) } else { item.get("path") }) else { continue };
            let raw = item.get("format").and_then(Node::text) == Some("raw");
            let optional = item.get("required").is_some_and(Node::is_nothing);
            let absolute = self.absolute(path);
            let there = absolute.as_ref().is_some_and(|path| self.files.is_there(path));
            if optional && !there {
                let message = "`env_file`: a file that need not be there, and is not; orch's `env_file` must be there";
                self.lost(Some(name), path.span, message);
                continue;
            }
            let text = absolute.filter(|_| there).and_then(|path| self.files.read(&path).ok());
            let lines = text.and_then(|bytes| env_lines(&String::from_utf8(bytes).ok()?).ok());
            let expands = |value: &Option<String>| value.as_ref().is_some_and(|value| value.contains('$'));
            if !raw && lines.is_some_and(|lines| lines.iter().any(|(_, value)| expands(value))) {
                let message =
                    "`env_file`: Compose expands `$` in the file, orch does not; write those variables under `env`";
                self.lost(Some(name), path.span, message);
            }
            let words = self.path(Some(name), path.span, self.words(Some(name), path));
            paths.push(words.written());
        }
        let value = match paths.as_slice() {
            [] => None,
            [one] => Some(Yaml::text(one.clone())),
            _ => Some(Yaml::texts(paths)),
        };
        draft.put("env_file", value);
    }
}
