//! The way from options to the model, step by step.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::de::Decoder;
use super::diagnostic::{Diagnostic, Diagnostics, Report};
use super::field::Entries;
use super::interpolate::{Reads, Scope};
use super::lower::{Disk, Draft, Inventory, Lowering, Target, check_networks, inventory, project, settings};
use super::merge::merge;
use super::raw::{PLANNED, RawFile, RawVariable};
use super::source::Sources;
use super::tree::{Tree, Value};
use super::variables::Variables;
use super::{deployment, files, references, validate};
use crate::model::{ContentDigest, Desired, InputKind, ProjectName, Source};

/// What a definition is read from; all of it is given, nothing is taken from the environment.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The current folder, absolute.
    pub cwd: PathBuf,
    /// Files and folders; without any, `orch.yaml` or `orch.yml` of the current folder.
    pub files: Vec<PathBuf>,
    /// Values of variables; the last one of a name counts.
    pub vars: Vec<(String, String)>,
    /// Files with values of variables, YAML or, by the ending `.toml`, TOML; later ones win.
    pub var_files: Vec<PathBuf>,
    /// The active profiles.
    pub profiles: Vec<String>,
    /// The deployment that chooses among the `backends` of services, in the place of the file's.
    pub deployment: Option<String>,
    /// The name of the project, in the place of the file's: for a run that has its services to itself.
    pub project: Option<ProjectName>,
    /// Whether what a backend can build is built, in the place of what the file says.
    pub build: Option<bool>,
    /// The environment: for `${env:..}`, `ORCH_VAR_*` and `PATH`.
    pub env: BTreeMap<String, String>,
}

/// A definition that was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it wants.
    pub desired: Desired,
    /// What may be missing when it is applied.
    pub warnings: Diagnostics,
    /// The names of the variables that are declared sensitive.
    pub sensitive_vars: BTreeSet<String>,
    /// The folder of the first file; the names of inputs below it are relative to it.
    pub base_dir: PathBuf,
    /// Whether the files give `settings.max_parallel`, so that a user's default does not count.
    pub max_parallel_given: bool,
    /// Whether the Docker engine that the environment names is this machine's, as far as that is known.
    pub engine_here: bool,
}

/// Reads, checks and resolves a definition.
///
/// # Errors
/// When anything is wrong with it: every error of every file, and the warnings.
pub fn load(options: &LoadOptions) -> Result<Loaded, Diagnostics> {
    let report = Report::default();
    let mut sources = Sources::default();
    let files = files::read(&options.cwd, &options.files, &mut sources, &report);
    let var_files = files::read_all(&options.cwd, options.var_files.iter().cloned(), &mut sources, &report);
    let parts = assemble(options, &files, &var_files, &sources, &report);
    let diagnostics = report.into_diagnostics(Arc::new(sources));
    match parts {
        Some(parts) if diagnostics.error_count() == 0 => Ok(Loaded {
            desired: parts.desired,
            warnings: diagnostics,
            sensitive_vars: parts.sensitive_vars,
            base_dir: parts.base_dir,
            max_parallel_given: parts.max_parallel_given,
            engine_here: parts.engine_here,
        }),
        _ => Err(diagnostics),
    }
}

/// What comes out beside the diagnostics.
struct Parts {
    desired: Desired,
    sensitive_vars: BTreeSet<String>,
    base_dir: PathBuf,
    max_parallel_given: bool,
    engine_here: bool,
}

/// Goes from files to the model; `None` when no file could be read.
fn assemble(
    options: &LoadOptions,
    files: &[u32],
    var_files: &[u32],
    sources: &Sources,
    report: &Report,
) -> Option<Parts> {
    let base_dir = sources.get(*files.first()?)?.folder().to_owned();
    let trees: Vec<Tree<'_>> =
        files.iter().filter_map(|file| Tree::parse(*file, sources.get(*file)?, report)).collect();
    let roots = trees.iter().filter(|tree| is_map(tree, report)).collect::<Vec<_>>();

    let scope = Scope::new(sources, report, &options.env);
    let declared: Vec<Entries<RawVariable>> = roots.iter().filter_map(|tree| declared(tree, &scope, report)).collect();
    let variables = Variables::new(&declared, var_files, options, sources, report);
    let scope = scope.with_variables(&variables);
    let raw = roots
        .iter()
        .filter_map(|tree| Decoder { tree, scope: &scope, report, planned: PLANNED }.decode::<RawFile>(tree.root()));
    let mut merged = merge(raw.collect(), report);
    let deployment = deployment::choose(&mut merged, options.deployment.as_deref(), report);
    let all_read = roots.len() == files.len();
    drop(trees);

    // What could not be read may well hold them.
    if all_read && !merged.has_services && merged.services.is_empty() {
        report.push(
            Diagnostic::warning("config::no_services", "the definition has no services")
                .help("add `services:`, or write `services: {}` if nothing should run"),
        );
    }
    let settings = settings(&merged, &base_dir, sources, report);
    let disk = Disk::new(options.env.get("PATH").map(String::as_str));
    check_networks(&merged.networks, &disk, sources, report);
    let project = options.project.clone().unwrap_or_else(|| project(&merged, &base_dir, report));
    let noted = RefCell::default();
    let lowering = Lowering {
        sources,
        report,
        scope: &scope,
        disk: &disk,
        inventory: &Inventory::default(),
        project: &project,
        target: &Target::Here,
        default_timeout: settings.default_timeout,
        profiles: &options.profiles,
        build: options.build,
        noted: &noted,
    };
    let inventory = inventory(&merged.hosts, &lowering);
    let lowering = Lowering { inventory: &inventory, ..lowering };
    let mut drafts: Vec<Draft> = merged.services.iter().filter_map(|named| lowering.service(named)).collect();
    references::tie(&mut drafts, report);
    validate::validate(&mut drafts, &merged.networks, &options.profiles, report);
    let validate::Networks { services, lan_hosts } = validate::networks(&mut drafts, &merged.networks, &lowering);

    let unset = |name: &str| scope.peek(name).is_none_or(str::is_empty);
    let local = scope.peek("DOCKER_HOST").is_some_and(|host| host.starts_with("unix://"));
    let engine_here = local || (unset("DOCKER_HOST") && unset("DOCKER_CONTEXT"));
    references::fill(&mut drafts, engine_here, report);

    let inputs = Inputs {
        options,
        files,
        sources,
        variables: &variables,
        base_dir: &base_dir,
        deployment: deployment.as_deref(),
    };
    let sources = inputs.list(scope.into_reads(), disk);
    let sensitive = variables.iter().filter(|(_, variable)| variable.sensitive).map(|(name, _)| name.to_owned());
    let sensitive_vars = sensitive.collect();
    let mut desired = Desired {
        project,
        settings,
        services: BTreeMap::new(),
        machines: inventory.machines(),
        lan_hosts,
        inactive: Vec::new(),
        sources,
    };
    for network in services {
        desired.services.insert(network.name.clone(), Arc::new(network));
    }
    for draft in drafts {
        match draft.service {
            Some(service) if draft.active => {
                desired.services.insert(draft.name, Arc::new(service));
            }
            _ => desired.inactive.push(draft.name),
        }
    }
    desired.inactive.sort();
    let max_parallel_given = merged.settings.max_parallel.is_some();
    Some(Parts { desired, sensitive_vars, base_dir, max_parallel_given, engine_here })
}

fn is_map(tree: &Tree<'_>, report: &Report) -> bool {
    let root = tree.node(tree.root());
    let is_map = matches!(root.value, Value::Map(_));
    if !is_map {
        let problem = Diagnostic::error("config::wrong_type", "a configuration file is a map").at(root.span);
        report.push(problem.help("start with `services:`; `orch init` writes an example"));
    }
    is_map
}

fn declared(tree: &Tree<'_>, scope: &Scope<'_>, report: &Report) -> Option<Entries<RawVariable>> {
    let variables = tree.get(tree.root(), "variables").filter(|variables| !tree.is_null(*variables))?;
    Decoder { tree, scope, report, planned: PLANNED }.decode(variables)
}

/// Everything that a definition was read from.
struct Inputs<'a> {
    options: &'a LoadOptions,
    files: &'a [u32],
    sources: &'a Sources,
    variables: &'a Variables,
    base_dir: &'a Path,
    deployment: Option<&'a str>,
}

impl Inputs<'_> {
    fn list(&self, reads: Reads, disk: Disk<'_>) -> Vec<Source> {
        let mut list = Vec::new();
        let mut add = |kind, name: String, content| list.push(Source { kind, name, content });
        for file in self.files.iter().filter_map(|file| self.sources.get(*file)) {
            add(InputKind::Config, self.relative(file.path()), Some(ContentDigest::of(file.text().as_bytes())));
        }
        for (name, variable) in self.variables.iter() {
            let content = variable.value.as_ref().map(|value| ContentDigest::of(value.reveal().as_bytes()));
            add(InputKind::Variable, name.to_owned(), content);
        }
        for (name, content) in reads.env {
            add(InputKind::Environment, name, content);
        }
        for (path, content) in disk.into_read() {
            add(InputKind::File, self.relative(&path), content);
        }
        // The order of the map does not matter: the list is sorted below.
        let read: BTreeMap<PathBuf, _> = reads.files.into_iter().collect();
        for (path, content) in read {
            add(InputKind::File, self.relative(&path), content.map(|(_, digest)| digest));
        }
        let profiles: BTreeSet<&str> = self.options.profiles.iter().map(String::as_str).collect();
        let profiles = profiles.into_iter().collect::<Vec<_>>().join("\n");
        add(InputKind::Profiles, "profiles".into(), Some(ContentDigest::of(profiles.as_bytes())));
        if let Some(name) = self.deployment {
            add(InputKind::Deployment, "deployment".into(), Some(ContentDigest::of(name.as_bytes())));
        }
        list.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        // A file may be a trigger and be put into a value too.
        list.dedup_by(|a, b| a.kind == b.kind && a.name == b.name);
        list
    }

    fn relative(&self, path: &Path) -> String {
        path.strip_prefix(self.base_dir).unwrap_or(path).display().to_string()
    }
}
