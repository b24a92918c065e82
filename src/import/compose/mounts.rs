//! What a container sees of the disk: volumes, folders, folders in memory, secrets and configs.

use super::context::Context;
use super::node::{Key, Node};
use super::service::Draft;
use crate::import::words::{Part, Words};
use crate::import::yaml::Yaml;

/// What was found so far.
#[derive(Default)]
struct Found {
    volumes: Vec<Yaml>,
    tmpfs: Vec<String>,
}

impl Context<'_> {
    pub(super) fn mounts(&self, draft: &mut Draft<'_>, project: &Node) {
        let (name, node) = (draft.name, draft.node);
        let mut found = Found::default();
        for volume in node.get("volumes").map(Node::items).unwrap_or_default() {
            match volume.text() {
                Some(_) => self.short_volume(name, volume, project, &mut found),
                None => self.long_volume(name, volume, project, &mut found),
            }
        }
        for kind in ["secrets", "configs"] {
            for item in node.get(kind).map(Node::items).unwrap_or_default() {
                self.file(name, kind, item, project, &mut found);
            }
        }
        for item in node.get("tmpfs").map(Node::one_or_many).unwrap_or_default() {
            found.tmpfs.push(self.text(Some(name), item));
        }
        draft.put("volumes", (!found.volumes.is_empty()).then_some(Yaml::List(found.volumes)));
        draft.put("tmpfs", (!found.tmpfs.is_empty()).then(|| Yaml::texts(found.tmpfs)));
    }

    fn short_volume(&self, name: &str, volume: &Node, project: &Node, found: &mut Found) {
        let words = self.words(Some(name), volume);
        let Some(text) = words.plain() else {
            // Where a variable stands, what it is is known when it is read.
            found.volumes.push(Yaml::text(self.path(Some(name), volume.span, words).written()));
            return;
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, mode) = match parts.as_slice() {
            [target] => (None, *target, ""),
            [source, target] => (Some(*source), *target, ""),
            [source, target, mode] => (Some(*source), *target, *mode),
            _ => {
                self.lost(Some(name), volume.span, format!("`volumes`: `{text}`, which orch cannot read"));
                return;
            }
        };
        let mut read_only = false;
        for word in mode.split(',') {
            match word {
                "ro" => read_only = true,
                "" | "rw" | "cached" | "delegated" | "consistent" => {}
                other => self.lost(Some(name), volume.span, format!("`volumes`: the mode `{other}` of `{target}`")),
            }
        }
        match source {
            None => found.volumes.push(Yaml::text(target)),
            Some(source) if source.starts_with(['.', '/', '~']) => {
                let source = self.path(Some(name), volume.span, Words::literal(source)).written();
                found.volumes.push(bind(&source, target, read_only));
            }
            Some(source) => self.named(volume, source, (target, read_only), project, found),
        }
    }

    fn long_volume(&self, name: &str, volume: &Node, project: &Node, found: &mut Found) {
        let text = |key: &str| volume.get(key).map(|value| self.text(Some(name), value));
        let Some(target) = text("target") else {
            self.error(volume.span, "the volume has no `target`", "write the path in the container as `target`");
            return;
        };
        let read_only = volume.get("read_only").is_some_and(|value| !value.is_nothing());
        let kind = text("type").unwrap_or_else(|| "volume".to_owned());
        let lost = |part: &str, keys: &[&str]| {
            for (key, value) in volume.get(part).map(Node::entries).unwrap_or_default() {
                if keys.contains(&key.text.as_str()) && !value.is_nothing() {
                    self.lost(Some(name), key.span, format!("`volumes.{part}.{}` of `{target}`", key.text));
                }
            }
        };
        lost("bind", &["propagation", "selinux", "recursive"]);
        lost("volume", &["nocopy", "subpath"]);
        match (kind.as_str(), volume.get("source")) {
            ("volume", Some(source)) => {
                let source = self.text(Some(name), source);
                self.named(volume, &source, (&target, read_only), project, found);
            }
            ("volume", None) => found.volumes.push(Yaml::text(target)),
            ("bind", Some(source)) => {
                let words = self.path(Some(name), source.span, self.bare(self.words(Some(name), source)));
                found.volumes.push(bind(&words.written(), &target, read_only));
            }
            ("tmpfs", _) => {
                let option = |key: &str| {
                    let value = volume.get("tmpfs").and_then(|options| options.get(key))?;
                    Some(format!("{key}={}", self.text(Some(name), value)))
                };
                let options: Vec<String> = ["size", "mode"].into_iter().filter_map(option).collect();
                let options = if options.is_empty() { String::new() } else { format!(":{}", options.join(",")) };
                found.tmpfs.push(format!("{target}{options}"));
            }
            (kind, _) => self.lost(Some(name), volume.span, format!("`volumes`: `{target}` of type `{kind}`")),
        }
    }

    /// A path of the long form need not start with `./`.
    fn bare(&self, mut words: Words) -> Words {
        if let Some(Part::Literal(first)) = words.0.first_mut()
            && !first.starts_with(['.', '/', '~'])
        {
            first.insert_str(0, "./");
        }
        words
    }

    /// A named volume: as `PROJECT_NAME`, which both call it, or by the name that it has on the engine.
    fn named(&self, volume: &Node, source: &str, (target, read_only): (&str, bool), project: &Node, found: &mut Found) {
        let declared = project.get("volumes").and_then(|all| all.entries().iter().find(|(key, _)| key.text == source));
        let Some((key, declared)) = declared else {
            let help = "declare it under `volumes:`, or start a path with `./`";
            self.error(volume.span, format!("there is no volume `{source}`"), help);
            return;
        };
        let own = self.engine_name(declared);
        if let (Some(name), false) = (&own, is_external(declared)) {
            let message = format!(
                "the volume `{name}` has a name of its own: where it is not there, `docker volume create` makes it"
            );
            self.note(None, key.span, message);
        }
        if let Some(name) = own.or_else(|| is_external(declared).then(|| source.to_owned())) {
            let mut entries =
                vec![("type", Yaml::text("volume")), ("source", Yaml::text(name)), ("target", Yaml::text(target))];
            entries.push(("external", Yaml::yes()));
            entries.extend(read_only.then(|| ("read_only", Yaml::yes())));
            found.volumes.push(Yaml::short(entries));
        } else {
            found.volumes.push(Yaml::text(format!("{source}:{target}{}", if read_only { ":ro" } else { "" })));
        }
        self.lost_of("volume", key, declared, &["external", "name"], &[("driver", "local")]);
    }

    /// The name that something has on the engine, where the file gives it one.
    pub(super) fn engine_name(&self, declared: &Node) -> Option<String> {
        declared.get("name").map(|name| self.text(None, name))
    }

    /// Names what a declaration says beyond what orch has.
    pub(super) fn lost_of(&self, what: &str, key: &Key, declared: &Node, known: &[&str], usual: &[(&str, &str)]) {
        for (field, value) in declared.entries() {
            let name = field.text.as_str();
            let is_usual = usual.iter().any(|(usual, of)| *usual == name && value.text() == Some(of));
            if known.contains(&name) || is_usual || value.is_nothing() || name.starts_with("x-") {
                continue;
            }
            let message = format!("`{name}` of the {what} `{}`: it stays as it is where it is there already", key.text);
            let told = self
                .findings
                .borrow()
                .iter()
                .any(|(span, finding)| *span == Some(field.span) && finding.message == message);
            if !told {
                self.lost(None, field.span, message);
            }
        }
    }

    /// A secret or a config: the file that it is, read-only.
    fn file(&self, service: &str, kind: &str, item: &Node, project: &Node, found: &mut Found) {
        let one = &kind[..kind.len() - 1];
        let source = match item.text() {
            Some(text) => text.to_owned(),
            None => item.get("source").and_then(Node::text).unwrap_or_default().to_owned(),
        };
        let declared = project.get(kind).and_then(|all| all.get(&source));
        let Some(declared) = declared else {
            self.error(item.span, format!("there is no {one} `{source}`"), format!("declare it under `{kind}:`"));
            return;
        };
        let folder = if kind == "secrets" { "/run/secrets/" } else { "/" };
        let target =
            item.get("target").map(|target| self.text(Some(service), target)).unwrap_or_else(|| source.clone());
        let target = if target.starts_with('/') { target } else { format!("{folder}{target}") };
        for key in ["uid", "gid", "mode"] {
            if let Some(value) = item.get(key) {
                self.note(
                    Some(service),
                    value.span,
                    format!("`{kind}.{key}` of `{source}`: the file's own counts, as with Compose"),
                );
            }
        }
        match declared.get("file") {
            Some(file) => {
                let words = self.path(Some(service), file.span, self.bare(self.words(Some(service), file)));
                found.volumes.push(bind(&words.written(), &target, true));
            }
            None => {
                let how = ["environment", "content", "external"].into_iter().find(|key| declared.get(key).is_some());
                let message = format!(
                    "the {one} `{source}` is no file but `{}`: write it to a file and mount that at `{target}`",
                    how.unwrap_or("nothing")
                );
                self.lost(Some(service), item.span, message);
            }
        }
    }
}

pub(super) fn is_external(declared: &Node) -> bool {
    declared.get("external").is_some_and(|external| !external.is_nothing())
}

/// A file or folder of the machine, in short where that can be read.
fn bind(source: &str, target: &str, read_only: bool) -> Yaml {
    if !source.contains(':') && !target.contains(':') {
        return Yaml::text(format!("{source}:{target}{}", if read_only { ":ro" } else { "" }));
    }
    let mut entries =
        vec![("type", Yaml::text("bind")), ("source", Yaml::text(source)), ("target", Yaml::text(target))];
    entries.extend(read_only.then(|| ("read_only", Yaml::yes())));
    Yaml::short(entries)
}
