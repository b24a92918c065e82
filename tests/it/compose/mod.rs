//! Compose projects, with the real Compose and a real engine.

mod adopt;
mod endpoints;
mod faults;
mod lifecycle;
mod secrets;

use std::ops::Deref;

use serde_json::Value;

use crate::support::Deployment;

/// A service `stack` that is a Compose project of one file; when it is dropped, all of the project is gone.
pub(crate) struct Stack {
    shop: Deployment,
}

/// A Compose file with a database, a job, and a server that waits for both; the server in a version.
pub(crate) fn three(version: &str) -> String {
    format!(
        "services:
  db:
    image: orch-test/web:1
    command: [web, serve]
    stop_grace_period: 2s
    healthcheck: {{test: [CMD, wget, -q, -O, /dev/null, 'http://127.0.0.1/health'], interval: 200ms, retries: 5}}
    volumes: ['data:/data']
  migrate:
    image: orch-test/web:1
    command: [web, job, all of it]
  web:
    image: orch-test/web:1
    command: [web, serve]
    stop_grace_period: 2s
    restart: unless-stopped
    environment: {{VERSION: '{version}'}}
    depends_on: {{db: {{condition: service_healthy}}, migrate: {{condition: service_completed_successfully}}}}
volumes: {{data: {{}}}}
"
    )
}

/// A Compose file with two servers that wait for nobody.
pub(crate) fn two(command: &str) -> String {
    format!(
        "services:
  a: {{image: 'orch-test/web:1', command: [web, serve], stop_grace_period: 2s, restart: unless-stopped}}
  b: {{image: 'orch-test/web:1', command: {command}, stop_grace_period: 2s}}
"
    )
}

impl Stack {
    /// A project on the engine of this machine, with more keys for its backend.
    pub(crate) fn new(file: &str, more: &str) -> Self {
        Self::on(Deployment::new("services: {}\n"), file, more)
    }

    /// A project of a deployment.
    pub(crate) fn on(shop: Deployment, file: &str, more: &str) -> Self {
        let path = format!("{}/bin:/usr/local/bin:/usr/bin:/bin", tools());
        let shop = shop.env("PATH", &path).env("DOCKER_CONFIG", "/nonexistent");
        let stack = Self { shop };
        stack.file(file);
        stack.backend(more);
        stack
    }

    /// Writes the Compose file.
    pub(crate) fn file(&self, text: &str) {
        self.write("compose.yml", text);
    }

    /// Writes `orch.yaml`, with more keys for the backend.
    pub(crate) fn backend(&self, more: &str) {
        let compose = self.compose();
        self.yaml(&format!(
            "services:\n  stack:\n    timeout: 60\n    backend: {{type: compose, files: compose.yml, project_name: {compose}{more}}}\n"
        ));
    }

    /// The name of the Compose project.
    pub(crate) fn compose(&self) -> String {
        format!("{}-c", self.name())
    }

    /// The containers, as the engine has them, of one Compose service or of all.
    pub(crate) fn found(&self, service: &str) -> Vec<Value> {
        let label = format!("com.docker.compose.project={}", self.compose());
        let all = self.engine().containers_with(&label);
        let all = all.iter().map(|id| self.engine().inspect(id)).filter(|found| !found.is_null());
        let of =
            |found: &Value| service.is_empty() || found["Config"]["Labels"]["com.docker.compose.service"] == service;
        all.filter(of).collect()
    }

    /// The id of the one container of a Compose service.
    #[track_caller]
    pub(crate) fn one(&self, service: &str) -> String {
        let found = self.found(service);
        assert_eq!(found.len(), 1, "containers of {service}");
        found[0]["Id"].as_str().unwrap().to_owned()
    }

    /// What a variable of the one container of a Compose service is.
    #[track_caller]
    pub(crate) fn variable(&self, service: &str, name: &str) -> String {
        let found = self.found(service);
        assert_eq!(found.len(), 1, "containers of {service}");
        let env = found[0]["Config"]["Env"].as_array().unwrap().iter().filter_map(Value::as_str);
        let of = env.filter_map(|entry| entry.strip_prefix(&format!("{name}="))).map(str::to_owned);
        of.into_iter().next().unwrap_or_default()
    }

    /// Runs Compose by hand, as the user does.
    #[track_caller]
    #[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
    pub(crate) fn by_compose(&self, args: &[&str]) -> String {
        let mut command = std::process::Command::new(format!("{}/bin/docker-compose", tools()));
        command
            .current_dir(self.path(""))
            .env("DOCKER_HOST", self.engine().host())
            .env("DOCKER_CONFIG", "/nonexistent");
        command.args(["--project-name", &self.compose(), "--file", "compose.yml"]).args(args);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker compose {}: {text}", args.join(" "));
        text
    }

    /// Checks that there is nothing to do.
    #[track_caller]
    pub(crate) fn is_done(&self) {
        self.orch(&["plan", "--detailed-exitcode"]).exits(0);
    }
}

impl Deref for Stack {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        &self.shop
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.engine().remove_all_with(&format!("com.docker.compose.project={}", self.compose()));
    }
}

/// The folder with `bin/docker-compose`.
///
/// # Panics
///
/// Where none is named.
pub(crate) fn tools() -> String {
    let folder = std::env::var("ORCH_TEST_TOOLS").unwrap_or_default();
    let compose = std::path::Path::new(&folder).join("bin/docker-compose");
    assert!(
        compose.is_file(),
        "ORCH_TEST_TOOLS ({folder:?}) is no folder with bin/docker-compose; `tests/run` makes one"
    );
    folder
}
