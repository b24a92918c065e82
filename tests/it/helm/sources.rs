//! Charts that are not folders: of a repository, of a registry, and packed.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{SECRET, Shop};
use crate::support::{Kube, Registry, free_port, get, wait_until};

/// A web server for the files of a folder; it ends when it is dropped.
struct Served(Child);

impl Served {
    fn start(folder: &Path, port: u16) -> Self {
        let mut command = Command::new("python3");
        command.args(["-m", "http.server", &port.to_string(), "--bind", "127.0.0.1"]).current_dir(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self(command.spawn().expect("python3 is needed: use `tests/run`"));
        wait_until("the repository answers", || get(port, "/").is_ok());
        server
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Shop<'_> {
    /// Packs the chart of the project as a version that greets in its own way.
    fn packed(&self, version: &str, greeting: &str, folder: &Path) {
        let chart = self.project.read("chart/Chart.yaml");
        let old = chart.lines().find(|line| line.starts_with("version:")).unwrap();
        self.project.write("chart/Chart.yaml", chart.replace(old, &format!("version: {version}")));
        let values = self.project.read("chart/values.yaml");
        let old = values.lines().find(|line| line.starts_with("greeting:")).unwrap();
        self.project.write("chart/values.yaml", values.replace(old, &format!("greeting: {greeting}")));
        let (chart, folder) = (self.project.path("chart").display().to_string(), folder.display().to_string());
        self.space.helm("helm", &["package", &chart, "--destination", &folder]);
    }

    /// Writes the file with a chart from elsewhere.
    fn from(&self, chart: &str, version: &str) {
        let version = if version.is_empty() { String::new() } else { format!("      version: \"{version}\"\n") };
        self.project.yaml(&format!(
            "services:\n  web:\n    backend:\n      type: helm\n      chart: {chart}\n{version}      namespace: {}\n      \
             values: {{db: {{password: {SECRET}}}}}\n    timeout: 60\n",
            self.space.name()
        ));
    }
}

#[test]
fn a_chart_of_a_repository_is_of_the_newest_version_that_fits() {
    for tool in ["helm", "helm3"] {
        let shop = Shop::new(Kube::get(), "repository", tool);
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let (url, name) = (format!("http://127.0.0.1:{port}"), format!("mine-{port}"));
        let at = folder.path().display().to_string();
        shop.packed("1.0.0", "one", folder.path());
        shop.space.helm(tool, &["repo", "index", &at, "--url", &url]);
        let _server = Served::start(folder.path(), port);
        shop.space.helm(tool, &["repo", "add", &name, &url]);
        shop.from(&format!("{name}/web"), "^1.0");
        shop.project.apply();
        assert_eq!(shop.greeting(), "one");
        shop.is_settled();
        // What is newer is a change of its own, once the repository is looked at again.
        shop.packed("1.1.0", "two", folder.path());
        shop.packed("2.0.0", "three", folder.path());
        shop.space.helm(tool, &["repo", "index", &at, "--url", &url]);
        shop.space.helm(tool, &["repo", "update", &name]);
        shop.project.orch(&["plan"]).ok().says(&["version", "1.0.0", "1.1.0", "two"]).does_not_say(&["2.0.0"]);
        shop.project.apply();
        assert_eq!(shop.greeting(), "two");
        shop.is_settled();
        shop.from(&format!("{name}/web"), "9.9.9");
        shop.project.orch(&["plan"]).exits(1).says(&["cannot render the chart of web", "9.9.9"]);
        shop.from(&format!("nobody-{port}/web"), "1.0.0");
        shop.project.orch(&["plan"]).exits(1).says(&["add the repository with `helm repo add`"]);
        shop.space.helm(tool, &["repo", "remove", &name]);
    }
}

#[test]
fn a_chart_of_a_registry_and_one_that_is_packed_are_deployed() {
    // Helm 3 talks to a registry of this machine without TLS.
    let shop = Shop::new(Kube::get(), "registry", "helm3");
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start();
    for (version, greeting) in [("1.0.0", "one"), ("1.1.0", "two")] {
        shop.packed(version, greeting, folder.path());
        let file = folder.path().join(format!("web-{version}.tgz")).display().to_string();
        shop.space.helm("helm3", &["push", &file, &format!("oci://{}", registry.name("charts"))]);
    }
    let chart = format!("oci://{}", registry.name("charts/web"));
    for (version, greeting) in [("1.0.0", "one"), ("1.1.0", "two")] {
        shop.from(&chart, version);
        shop.project.apply();
        assert_eq!(shop.greeting(), greeting);
        shop.is_settled();
    }
    std::fs::copy(folder.path().join("web-1.0.0.tgz"), shop.project.path("web.tgz")).unwrap();
    shop.from("./web.tgz", "");
    shop.project.orch(&["plan"]).ok().says(&["1.1.0", "1.0.0"]);
    shop.project.apply();
    assert_eq!(shop.greeting(), "one");
    shop.is_settled();
    shop.from(&chart, "7.0.0");
    shop.project.orch(&["plan"]).exits(1).says(&["cannot render the chart of web", "7.0.0"]);
}
