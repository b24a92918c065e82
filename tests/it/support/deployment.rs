//! A project whose services are containers, under a name that no other test has.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Engine, Project};

/// A label of what a test puts on an engine by hand, so that it goes with the test; orch knows nothing of it.
const BY_HAND: &str = "orch-test.owner";

/// A [`Project`] with an engine; when it is dropped, every container, network and volume of it is gone.
pub(crate) struct Deployment {
    name: String,
    engine: Host,
    project: Project,
}

/// An engine that all tests share, or one that a test has for itself.
enum Host {
    Shared(&'static Engine),
    Own(Engine),
}

impl Deployment {
    /// A project on the engine of this machine; the file is its name and this.
    pub(crate) fn new(yaml: &str) -> Self {
        Self::on(Host::Shared(Engine::get()), yaml)
    }

    /// A project on the engine at an address, which the test started itself.
    pub(crate) fn at(host: &str, yaml: &str) -> Self {
        Self::on(Host::Own(Engine::at(host)), yaml)
    }

    fn on(engine: Host, yaml: &str) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let project = Project::empty();
        // The folder's name is random, so that what a killed test run left behind is not this project's.
        let random = project.outer().file_name().unwrap().to_string_lossy().to_lowercase();
        let name = format!("{random}-{}", MADE.fetch_add(1, Ordering::Relaxed));
        let host = match &engine {
            Host::Shared(engine) => engine.host(),
            Host::Own(engine) => engine.host(),
        };
        let project = project.named(&name).env("DOCKER_HOST", host);
        let deployment = Self { name, engine, project };
        deployment.yaml(yaml);
        deployment
    }

    /// Sets a variable in the environment of every run from now on.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.project.set_env(name, value);
        self
    }

    /// The project's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The engine it is on.
    pub(crate) fn engine(&self) -> &Engine {
        match &self.engine {
            Host::Shared(engine) => engine,
            Host::Own(engine) => engine,
        }
    }

    /// Writes `orch.yaml`: the project's name and this.
    pub(crate) fn yaml(&self, rest: &str) {
        self.project.yaml(&format!("project: {}\n{rest}", self.name));
    }

    /// The ids of the containers that orch made for this project, running or not.
    #[track_caller]
    pub(crate) fn containers(&self) -> Vec<String> {
        self.engine().containers_with(&format!("orch.project={}", self.name))
    }

    /// The ids of the containers of a service, running or not.
    #[track_caller]
    pub(crate) fn containers_of(&self, service: &str) -> Vec<String> {
        let of = |id: &String| self.engine().inspect(id)["Config"]["Labels"]["orch.service"] == service;
        self.containers().into_iter().filter(of).collect()
    }

    /// The one container of a service.
    #[track_caller]
    pub(crate) fn container(&self, service: &str) -> String {
        let found = self.containers_of(service);
        assert_eq!(found.len(), 1, "containers of {service}: {found:?}");
        found.into_iter().next().unwrap_or_default()
    }

    /// Starts a container that is not orch's, with more arguments for `docker run`; its id.
    #[track_caller]
    pub(crate) fn by_hand(&self, args: &[&str]) -> String {
        let label = format!("{BY_HAND}={}", self.name);
        self.engine().docker(&[&["run", "--detach", "--label", &label], args].concat())
    }
}

impl Deref for Deployment {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.project
    }
}

impl DerefMut for Deployment {
    fn deref_mut(&mut self) -> &mut Project {
        &mut self.project
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        for label in ["orch.project", BY_HAND] {
            self.engine().remove_all_with(&format!("{label}={}", self.name));
        }
    }
}
