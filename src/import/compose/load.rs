//! Reads Compose files: `include`, later files over earlier ones, `extends`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::context::Home;
use super::merge;
use super::node::{Key, Node, Value};
use super::variables::{Values, translate};
use crate::config::{Diagnostic, Report, Sources, Span, Tree, env_lines, shorten};
use crate::import::Files;

/// Tags that Compose gives a meaning.
const TAGS: &[&str] = &["!reset", "!override"];

/// How many files may include each other.
const MOST: usize = 100;

/// Reads files and keeps them.
pub(super) struct Loader<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) sources: Sources,
    pub(super) homes: Vec<Home>,
    pub(super) report: &'a Report,
    /// The folder that names of files are shown from.
    pub(super) cwd: PathBuf,
}

impl Loader<'_> {
    /// Files of one project, later ones over earlier ones.
    pub(super) fn project(&mut self, paths: &[PathBuf], home: &Home, at: Option<Span>) -> Option<Node> {
        let mut merged: Option<Node> = None;
        for path in paths {
            let node = self.read(path, home, at)?;
            let node = self.included(node, home)?;
            merged = Some(match merged {
                Some(base) => merge::files(base, node),
                None => node,
            });
        }
        merged
    }

    fn fail<T>(&self, at: Option<Span>, message: impl Into<String>, help: &str) -> Option<T> {
        let problem = Diagnostic::error("import::compose", message).help(help);
        self.report.push(match at {
            Some(span) => problem.at(span),
            None => problem,
        });
        None
    }

    fn read(&mut self, path: &Path, home: &Home, at: Option<Span>) -> Option<Node> {
        let name = path.strip_prefix(&self.cwd).unwrap_or(path).display().to_string();
        if self.sources.files().len() >= MOST {
            return self.fail(at, "the files include each other without end", "take one `include` or `extends` away");
        }
        let bytes = match self.files.read(path) {
            Ok(bytes) => bytes,
            Err(why) => {
                let message = format!("`{}` cannot be read: {why}", shorten(&name));
                return self.fail(at, message, "name a Compose file that is there");
            }
        };
        let file = match self.sources.add(name, path.to_owned(), bytes) {
            Ok(file) => file,
            Err(problem) => {
                self.report.push(problem);
                return None;
            }
        };
        self.homes.push(home.clone());
        let tree = Tree::parse_tagged(file, self.sources.get(file)?, self.report, TAGS)?;
        let node = Node::of(&tree, tree.root());
        if matches!(node.value, Value::Map(_)) {
            return Some(node);
        }
        self.fail(Some(node.span), "a Compose file is a map", "write `services:` and the services below it")
    }

    /// A file with what it includes put in; what it says itself wins.
    fn included(&mut self, node: Node, home: &Home) -> Option<Node> {
        let Some(include) = node.get("include").cloned() else { return Some(node) };
        let mut base: Option<Node> = None;
        for item in include.one_or_many() {
            let paths = match item.text() {
                Some(_) => vec![item],
                None => item.get("path").map(Node::one_or_many).unwrap_or_default(),
            };
            let paths: Vec<PathBuf> = paths.into_iter().filter_map(|path| self.path(home, path)).collect();
            let Some(first) = paths.first() else {
                return self.fail(Some(item.span), "an include names no file", "write `- path/of/compose.yaml`");
            };
            let folder = match item.get("project_directory").and_then(|folder| self.path(home, folder)) {
                Some(folder) => folder,
                None => first.parent().unwrap_or(Path::new("/")).to_owned(),
            };
            let env_files: Vec<PathBuf> = match item.get("env_file") {
                Some(files) => files.one_or_many().into_iter().filter_map(|file| self.path(home, file)).collect(),
                None => vec![folder.join(".env")],
            };
            let mut dotenv = self.dotenv(&env_files)?;
            dotenv.extend(home.dotenv.clone());
            let part = self.project(&paths, &Home { folder, dotenv }, Some(item.span))?;
            base = Some(match base {
                Some(base) => merge::files(base, part),
                None => part,
            });
        }
        Some(match base {
            Some(base) => merge::files(base, node),
            None => node,
        })
    }

    fn path(&self, home: &Home, node: &Node) -> Option<PathBuf> {
        let translated = translate(node.text()?, Values { env: self.env, dotenv: &home.dotenv }).ok()?;
        match translated.words.plain() {
            Some(plain) => Some(home.folder.join(plain)),
            None => self.fail(
                Some(node.span),
                "the name of a file may have no variable that orch would read later",
                "write the path itself",
            ),
        }
    }

    /// The values of `.env` files, those that are there.
    pub(super) fn dotenv(&self, paths: &[PathBuf]) -> Option<BTreeMap<String, String>> {
        let mut values = BTreeMap::new();
        for path in paths.iter().filter(|path| self.files.is_there(path)) {
            let shown = shorten(&path.display().to_string());
            let text = match self.files.read(path).map(String::from_utf8) {
                Ok(Ok(text)) => text,
                Ok(Err(_)) => return self.fail(None, format!("`{shown}` is not UTF-8 text"), "correct it"),
                Err(why) => {
                    return self.fail(None, format!("`{shown}` cannot be read: {why}"), "let this user read it");
                }
            };
            match env_lines(&text) {
                Ok(lines) => values.extend(lines.into_iter().filter_map(|(name, value)| Some((name, value?)))),
                Err((line, why)) => {
                    return self.fail(None, format!("line {line} of `{shown}` {why}"), "write lines of `NAME=value`");
                }
            }
        }
        Some(values)
    }

    /// Every service with what it extends below it.
    pub(super) fn extended(&mut self, project: Node, home: &Home) -> Option<Node> {
        let Some(services) = project.get("services").cloned() else { return Some(project) };
        let mut done: Vec<(Key, Node)> = Vec::new();
        for (key, _) in services.entries() {
            let service = self.service(&services, &key.text, key.span, home, &mut BTreeSet::new())?;
            done.push((key.clone(), service));
        }
        let Value::Map(entries) = project.value else { return None };
        let entries = entries.into_iter().map(|(key, value)| match key.text.as_str() {
            "services" => (key, Node::new(services.span, Value::Map(done.clone()))),
            _ => (key, value),
        });
        Some(Node::new(project.span, Value::Map(entries.collect())))
    }

    fn service(
        &mut self,
        services: &Node,
        name: &str,
        at: Span,
        home: &Home,
        seen: &mut BTreeSet<(u32, String)>,
    ) -> Option<Node> {
        let Some((key, service)) = services.entries().iter().find(|(key, _)| key.text == name) else {
            return self.fail(Some(at), format!("there is no service `{}`", shorten(name)), "correct the name");
        };
        if !matches!(service.value, Value::Map(_)) {
            return self.fail(
                Some(key.span),
                format!("the service `{}` is no map", shorten(name)),
                "give it an `image`",
            );
        }
        let Some(extends) = service.get("extends") else { return Some(service.clone()) };
        if !seen.insert((key.span.file, name.to_owned())) {
            return self.fail(
                Some(extends.span),
                format!("`{}` extends itself", shorten(name)),
                "take one `extends` away",
            );
        }
        let other = match extends.text() {
            Some(other) => Some(other),
            None => extends.get("service").and_then(Node::text),
        };
        let Some(other) = other else {
            return self.fail(Some(extends.span), "`extends` names no service", "write `extends: {service: NAME}`");
        };
        let base = match extends.get("file") {
            Some(file) => {
                let own = self.homes.get(file.span.file as usize).cloned().unwrap_or_else(|| home.clone());
                let path = self.path(&own, file)?;
                let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
                let home = Home { folder, dotenv: own.dotenv };
                let node = self.read(&path, &home, Some(file.span))?;
                let services = node.get("services").cloned().unwrap_or(Node::new(node.span, Value::Null));
                self.service(&services, other, extends.span, &home, seen)?
            }
            None => self.service(services, other, extends.span, home, seen)?,
        };
        Some(merge::service(base, service.clone()))
    }
}
