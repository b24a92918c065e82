//! What every verb works with: the output, the options, the user's defaults.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Started;
use super::args::{Cli, Source, VarArg};
use crate::config::{self, LoadOptions, UserConfig};
use crate::ops::{LockOptions, OpError, Options, Project};
use crate::plan::PlanSource;
use crate::report::{ColorChoice, Environment, Output, Verbosity};

/// What every verb works with.
pub(super) struct Session {
    pub(super) output: Output,
    pub(super) verbosity: Verbosity,
    pub(super) user: UserConfig,
    pub(super) cwd: PathBuf,
    source: Source,
    env: BTreeMap<String, String>,
    exe: PathBuf,
}

impl Session {
    /// Reads the user's defaults and sets up the output; `Err` is a message for stderr.
    pub(super) fn new(cli: &Cli, started: Started) -> Result<Self, String> {
        let Started { env, cwd, exe, .. } = started;
        let get = |name: &str| env.get(name).cloned();
        let environment = Environment::read(get);
        let user = match user_config_path(&env) {
            Some(path) => config::load_user_config(&path).map_err(|diagnostics| diagnostics.render(false, 100))?,
            None => UserConfig::default(),
        };
        let color = match (cli.global.color, user.color) {
            (ColorChoice::Auto, Some(choice)) => user_color(choice),
            (given, _) => given,
        };
        let cwd = match &cli.global.chdir {
            Some(folder) => {
                let folder = cwd.join(folder);
                folder.canonicalize().map_err(|error| format!("cannot change to {}: {error}", folder.display()))?
            }
            None => cwd,
        };
        Ok(Self {
            output: Output::standard(color, &environment),
            verbosity: cli.global.verbosity(),
            user,
            cwd,
            source: cli.source(get),
            env,
            exe,
        })
    }

    /// Opens the project that the command line names, and tells its warnings.
    pub(super) fn project(&mut self, max_parallel: Option<usize>) -> Result<Project, OpError> {
        let source = self.source.clone();
        self.open(source, max_parallel)
    }

    /// Opens the project that the command line names, with what a run of a command says of it.
    pub(super) fn project_to_run(
        &mut self,
        max_parallel: Option<usize>,
        build: Option<bool>,
    ) -> Result<Project, OpError> {
        let project = self.project(max_parallel)?;
        if build.is_none() {
            return Ok(project);
        }
        let mut options = project.options().clone();
        options.load.build = build;
        Project::open(options)
    }

    /// Opens the project as a saved plan read it; what the command line gives comes on top.
    pub(super) fn project_of(&mut self, plan: &PlanSource) -> Result<Project, OpError> {
        let given = self.source.clone();
        let planned = plan.vars.iter().map(|(name, value)| VarArg { name: name.clone(), value: value.clone() });
        let paths = |paths: &[String]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let source = Source {
            files: if given.files.is_empty() { paths(&plan.files) } else { given.files },
            profiles: if given.profiles.is_empty() { plan.profiles.clone() } else { given.profiles },
            deployment: given.deployment.or_else(|| plan.deployment.clone()),
            vars: planned.chain(given.vars).collect(),
            var_files: paths(&plan.var_files).into_iter().chain(given.var_files).collect(),
            state_dir: given.state_dir.or_else(|| plan.state_dir.clone().map(PathBuf::from)),
        };
        self.open(source, None)
    }

    fn open(&mut self, source: Source, max_parallel: Option<usize>) -> Result<Project, OpError> {
        let options = Options {
            load: LoadOptions {
                cwd: self.cwd.clone(),
                files: source.files,
                vars: source.vars.into_iter().map(|var| (var.name, var.value)).collect(),
                var_files: source.var_files,
                profiles: source.profiles,
                deployment: source.deployment,
                project: None,
                build: None,
                env: self.env.clone(),
            },
            state_dir: source.state_dir,
            max_parallel,
            default_max_parallel: self.user.max_parallel,
            exe: self.exe.clone(),
        };
        Project::open(options)
    }

    /// Tells what is fine with the file but should be known.
    pub(super) fn tell_warnings(&mut self, project: &Project) {
        let warnings = project.warnings();
        if !warnings.is_empty() && self.verbosity > Verbosity::Quiet {
            let look = self.output.err_look;
            let text = warnings.render(look.color, look.width.unwrap_or(100));
            // A warning that cannot be shown is no reason to stop.
            let _ = self.output.note(text.trim_end());
        }
    }

    /// How the lock is taken by a verb.
    pub(super) fn lock(&self, doing: &str, timeout: Option<Duration>) -> LockOptions {
        let timeout = timeout.or(self.user.lock_timeout).unwrap_or_default();
        LockOptions { doing: doing.to_owned(), timeout }
    }

    /// A variable of orch's own environment.
    pub(super) fn variable(&self, name: &str) -> Option<&String> {
        self.env.get(name)
    }

    /// orch's own environment.
    pub(super) fn environment(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// A path as the command line means it.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        self.cwd.join(path)
    }
}

/// Runs a future to its end on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, OpError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(OpError::io("start", "the event loop"))?;
    let result = runtime.block_on(future);
    // A backend call that was cancelled may still block its thread; nobody waits for it.
    runtime.shutdown_background();
    Ok(result)
}

/// The user's choice in the words of the report, which does not know the configuration.
fn user_color(choice: config::ColorChoice) -> ColorChoice {
    match choice {
        config::ColorChoice::Auto => ColorChoice::Auto,
        config::ColorChoice::Always => ColorChoice::Always,
        config::ColorChoice::Never => ColorChoice::Never,
    }
}

/// `$XDG_CONFIG_HOME/orch/config.toml`, or `~/.config/orch/config.toml`, where there is one.
fn user_config_path(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    let path = folder.join("orch").join("config.toml");
    path.exists().then_some(path)
}
