//! A Compose project as containers of orch's: one service for each of its services.
//!
//! The names of what the project has on the engine stay: orch names networks and volumes as Compose does,
//! `PROJECT_NAME`, so that what runs can be taken over as it is.

mod context;
mod deploy;
mod environment;
mod health;
mod load;
mod lost;
mod merge;
mod mounts;
mod networks;
mod node;
mod ports;
mod service;
mod variables;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::Document;
use super::secret::Names;
use super::{Files, ImportError, Imported};
use crate::config::{Report, Sources};
pub use context::relative;
use context::{Context, Home};
use load::Loader;
use node::Node;
use variables::{Values, translate};

/// What is to be imported.
#[derive(Debug, Clone, Default)]
pub struct Compose {
    /// The files, absolute; later ones change earlier ones. The first one's folder is the project's.
    pub paths: Vec<PathBuf>,
    /// The project's name, where it is given.
    pub project: Option<String>,
    /// `.env` files in the place of the one in the project's folder.
    pub env_files: Vec<PathBuf>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The folder that files are shown from.
    pub cwd: PathBuf,
    /// The folder that orch's file is to be in.
    pub folder: PathBuf,
}

/// Imports a Compose project.
///
/// # Errors
/// When a file cannot be read or makes no sense.
pub fn compose(what: &Compose, files: &dyn Files) -> Result<Imported, ImportError> {
    let report = Report::default();
    let (sources, imported) = run(what, files, &report);
    let diagnostics = report.into_diagnostics(Arc::new(sources));
    match imported {
        Some(imported) if diagnostics.is_empty() => Ok(imported),
        _ => Err(ImportError::Source(Box::new(diagnostics))),
    }
}

fn run(what: &Compose, files: &dyn Files, report: &Report) -> (Sources, Option<Imported>) {
    let mut loader =
        Loader { files, env: &what.env, sources: Sources::default(), homes: Vec::new(), report, cwd: what.cwd.clone() };
    let project = (|| {
        let folder = what.paths.first()?.parent().unwrap_or(Path::new("/")).to_owned();
        let env_files = if what.env_files.is_empty() { vec![folder.join(".env")] } else { what.env_files.clone() };
        let home = Home { dotenv: loader.dotenv(&env_files)?, folder };
        let project = loader.project(&what.paths, &home, None)?;
        Some((loader.extended(project, &home)?, home))
    })();
    let Loader { sources, homes, .. } = loader;
    let imported = project.map(|(project, home)| {
        let mut taken = BTreeSet::new();
        project.each_text(&mut |text| variables::names(text, &mut taken));
        let mut taken: BTreeMap<String, Option<String>> = taken.into_iter().map(|name| (name, None)).collect();
        taken.extend(home.dotenv.iter().map(|(name, value)| (name.clone(), Some(value.clone()))));
        let context = Context {
            project: project_name(what, &project, &home),
            sources: &sources,
            report,
            files,
            env: &what.env,
            homes: &homes,
            folder: &what.folder,
            names: RefCell::new(Names::new(taken)),
            findings: RefCell::default(),
            asked: RefCell::default(),
        };
        let document = context.document(&project);
        let mut findings = context.findings.into_inner();
        findings.sort_by_key(|(span, _)| span.map(|span| (span.file, span.start)));
        document.imported(findings.into_iter().map(|(_, finding)| finding).collect())
    });
    (sources, imported)
}

/// The project's name, as Compose finds it: given, of the environment, of the file, of the folder.
fn project_name(what: &Compose, project: &Node, home: &Home) -> String {
    let of_env = || {
        let name = "COMPOSE_PROJECT_NAME";
        what.env.get(name).or_else(|| home.dotenv.get(name)).filter(|name| !name.is_empty()).cloned()
    };
    let of_file = || {
        let text = project.get("name")?.text()?;
        let translated = translate(text, Values { env: &what.env, dotenv: &home.dotenv }).ok()?;
        translated.words.plain().filter(|name| !name.is_empty()).map(str::to_owned)
    };
    let of_folder = || home.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = what.project.clone().or_else(of_env).or_else(of_file).unwrap_or_else(of_folder);
    // As Compose makes a folder's name fit.
    let known = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let name: String = name.to_lowercase().chars().filter(known).collect();
    let name = name.trim_start_matches(['_', '-']);
    if name.is_empty() { "default".to_owned() } else { name.to_owned() }
}

impl Context<'_> {
    fn document(&self, project: &Node) -> Document {
        let from: Vec<&str> = self.sources.files().iter().map(|file| file.name()).collect();
        for (key, value) in project.entries() {
            let known = ["services", "networks", "volumes", "secrets", "configs", "include", "name", "version"];
            if !known.contains(&key.text.as_str()) && !key.text.starts_with("x-") && !value.is_nothing() {
                self.lost(None, key.span, format!("`{}` is not carried over: orch has nothing like it", key.text));
            }
        }
        let Some(services) = project.get("services").filter(|services| !services.entries().is_empty()) else {
            self.error(project.span, "the project has no services", "write `services:` and the services below it");
            return Document::default();
        };
        let roles = service::Roles::of(services);
        let entries = services.entries().iter().filter_map(|(key, node)| self.service(project, &roles, key, node));
        let services_out: Vec<_> = entries.collect();
        Document {
            from: from.join(", "),
            project: Some(self.project.clone()),
            shared: None,
            networks: self.networks(project),
            services: services_out,
        }
    }
}
