//! Whole definitions: what they load to, what is said about bad ones, and what never happens.

mod bad;
mod compose;
mod docker;
mod docker_bad;
mod endpoints;
mod good;
mod helm;
mod hosts;
mod hosts_bad;
mod never;
mod rendered;
mod schema;
mod seed;
mod units;
mod units_bad;

use std::path::Path;

use super::{Diagnostics, LoadOptions, Loaded, load};
use crate::model::{Service, ServiceName};

/// A folder with files, and the options to load them.
pub(super) struct Project {
    folder: tempfile::TempDir,
    pub(super) options: LoadOptions,
}

impl Project {
    /// A folder named `shop` with one `orch.yaml`.
    pub(super) fn new(text: &str) -> Self {
        let project = Self::empty();
        project.write("orch.yaml", text);
        project
    }

    pub(super) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cwd = folder.path().join("shop");
        std::fs::create_dir(&cwd).unwrap();
        let env = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into();
        Self { folder, options: LoadOptions { cwd, env, ..LoadOptions::default() } }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.options.cwd
    }

    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.dir().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::sys::write_atomic(&path, text.as_ref(), crate::sys::Durability::Atomic).unwrap();
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.options.env.insert(name.into(), value.into());
        self
    }

    pub(super) fn var(mut self, name: &str, value: &str) -> Self {
        self.options.vars.push((name.into(), value.into()));
        self
    }

    pub(super) fn profile(mut self, name: &str) -> Self {
        self.options.profiles.push(name.into());
        self
    }

    pub(super) fn load(&self) -> Result<Loaded, Diagnostics> {
        load(&self.options)
    }

    /// What it loads to.
    pub(super) fn good(&self) -> Loaded {
        self.load().unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// One line for each problem, with the temporary folder taken out.
    pub(super) fn bad(&self) -> String {
        let problems = self.load().expect_err("it loaded").to_string();
        problems.replace(&self.folder.path().display().to_string(), "")
    }

    /// The warnings, one on each line.
    pub(super) fn warnings(&self) -> String {
        self.good().warnings.to_string()
    }
}

/// A definition with one process whose keys are given, each on a line of its own.
pub(super) fn process(keys: &str) -> String {
    format!("services:\n  web:\n    backend:\n      type: process\n      binary: /bin/true\n{keys}")
}

/// A definition with one container whose keys are given, each on a line of its own.
pub(super) fn container(keys: &str) -> String {
    format!("services:\n  web:\n    backend:\n      type: docker\n      image: shop/web:1\n{keys}")
}

/// What a text loads to.
pub(super) fn good(text: &str) -> Loaded {
    Project::new(text).good()
}

/// What is wrong with a text.
pub(super) fn bad(text: &str) -> String {
    Project::new(text).bad()
}

/// Checks that a text has a problem, and that every problem names its place.
#[track_caller]
pub(super) fn says(text: &str, problem: &str) {
    let found = bad(text);
    assert!(found.contains(problem), "expected {problem:?}, found:\n{found}");
    assert!(found.lines().all(|line| line.starts_with("orch.yaml:")), "a place is missing:\n{found}");
}

pub(super) fn service<'l>(loaded: &'l Loaded, name: &str) -> &'l Service {
    &loaded.desired.services[&ServiceName::new(name).unwrap()]
}

pub(super) fn spec<'l>(loaded: &'l Loaded, name: &str) -> &'l crate::model::ProcessSpec {
    match &service(loaded, name).spec {
        crate::model::Spec::Process(spec) => spec,
        other => panic!("{name} is {other:?}"),
    }
}

pub(super) fn docker<'l>(loaded: &'l Loaded, name: &str) -> &'l crate::model::DockerSpec {
    match &service(loaded, name).spec {
        crate::model::Spec::Docker(spec) => spec,
        other => panic!("{name} is {other:?}"),
    }
}
