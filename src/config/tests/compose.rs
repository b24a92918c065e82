//! Compose projects: what they load to, and what is said about bad ones.

use std::time::Duration;

use super::{Project, service};
use crate::model::{ComposePull, Condition, Probe, Spec};

/// What is said about a project with the given keys of its backend, and keys of its service.
#[track_caller]
fn says(keys: &str, own: &str, problem: &str) {
    let project = Project::new(&format!("services:\n  s: {{backend: {{type: compose, {keys}}}{own}}}\n"));
    project.write("c.yml", "services: {}\n");
    let found = project.bad();
    assert!(found.contains(problem), "expected {problem:?}, found:\n{found}");
}

#[test]
fn a_project_has_its_defaults_and_a_check_of_its_own() {
    let mut project = Project::new(
        "project: Shop\nservices:
  s: {backend: {type: compose, files: sub/c.yml}}
  t:
    timeout: 30
    backend: {type: compose, files: [sub/c.yml, sub/d.yml], project_name: other, profiles: [b, a], env_file: e.env,
      env: {A_TOKEN: x}, build: true, pull: always, services: [y, x], gate: [x], remove_orphans: false,
      remove_volumes: true, wait_timeout: 5m}
  u: {backend: {type: process, binary: /bin/true}, dependencies: [s]}
",
    );
    for name in ["sub/c.yml", "sub/d.yml", "e.env"] {
        project.write(name, "x");
    }
    let loaded = project.good();
    let Spec::Compose(spec) = &service(&loaded, "s").spec else { panic!("no project") };
    assert_eq!(spec.project_name, "shop-s");
    assert_eq!(spec.folder, project.dir().join("sub"));
    assert!(spec.remove_orphans && !spec.remove_volumes && spec.build.is_none() && spec.rendered.is_none());
    let checks = &service(&loaded, "s").checks;
    assert_eq!((checks.len(), &checks[0].probe), (1, &Probe::Backend));
    assert_eq!(checks[0].policy.deadline, Some(Duration::from_secs(300)));
    assert_eq!(service(&loaded, "u").dependencies[0].condition, Condition::Healthy);

    let Spec::Compose(spec) = &service(&loaded, "t").spec else { panic!("no project") };
    assert_eq!(
        (spec.profiles.join(" "), spec.services.join(" "), spec.gate.join(" ")),
        ("a b".into(), "x y".into(), "x".into())
    );
    assert_eq!(
        (spec.pull, spec.build, spec.wait_timeout),
        (Some(ComposePull::Always), Some(true), Duration::from_secs(300))
    );
    assert!(spec.env["A_TOKEN"].is_sensitive());
    assert_eq!(service(&loaded, "t").timeout, Duration::from_secs(300), "the gate has the time that it is given");
    for build in [false, true] {
        project.options.build = Some(build);
        let loaded = project.good();
        let Spec::Compose(spec) = &service(&loaded, "t").spec else { panic!("no project") };
        assert_eq!(spec.build, Some(build), "what the command line says goes before the file");
    }
    let sources: Vec<&str> = loaded.desired.sources.iter().map(|source| source.name.as_str()).collect();
    assert!(sources.contains(&"sub/c.yml") && sources.contains(&"e.env"), "{sources:?}");
}

#[test]
fn what_is_wrong_is_said() {
    says("x: 1", "", "unknown key `x`");
    says("project_name: a", "", "`files` is missing");
    says("files: []", "", "no Compose file is named");
    says("files: .", "", "it is a folder");
    says("files: c.yml, project_name: Shop", "", "cannot be the name of a Compose project");
    says("files: c.yml, gate: [a b]", "", "no name that a Compose file can have");
    says("files: c.yml, pull: daily", "", "unknown value `daily`");
    says("files: c.yml", ", kind: job", "a Compose project cannot be a job");
    says("files: c.yml", ", replicas: 2", "has no replicas");
    says("files: c.yml", ", health_check: {type: backend, test: 'true'}", "only a container's engine runs a test");
    let two = Project::new(
        "services:\n  s: {backend: {type: compose, files: c.yml, project_name: x}}\n  \
         t: {backend: {type: compose, files: c.yml, project_name: x}}\n",
    );
    two.write("c.yml", "x");
    assert!(two.bad().contains("both have the Compose project `x`"), "{}", two.bad());
    let missing = Project::new("services: {s: {backend: {type: compose, files: none.yml}}}\n");
    assert!(missing.warnings().contains("the file `none.yml` does not exist"));
}
