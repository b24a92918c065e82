//! Releases of charts, good and bad.

use super::{Project, service};
use crate::model::{Chart, HelmSpec, Spec, Values};

fn release(backend: &str, profiles: &[&str]) -> HelmSpec {
    let text = format!("services:\n  web:\n    backend:\n      type: helm\n{backend}");
    let mut project = Project::new(&text);
    project.write("one.yaml", "a: 1\n");
    project.write("chart/Chart.yaml", "name: web\n");
    for profile in profiles {
        project = project.profile(profile);
    }
    let loaded = project.good();
    let Spec::Helm(spec) = &service(&loaded, "web").spec else { panic!("no release") };
    (**spec).clone()
}

fn says(backend: &str, expected: &str) {
    let text = format!("services:\n  web:\n    backend:\n      type: helm\n{backend}");
    let found = Project::new(&text).bad();
    assert!(found.contains(expected), "expected {expected:?}, found:\n{found}");
}

#[test]
fn values_keep_their_types_and_profiles_go_before_them() {
    let spec = release(
        "      chart: ./chart\n      values_files: one.yaml\n      values: {n: 1, f: 1.5, t: true, s: 'true', y: yes, z: ~, \
         l: [1, {a: b}], m: {a: 1, b: 2}}\n      profile_values: {big: {m: {b: 3}, l: []}, other: {n: 9}}\n      \
         set: {image.tag: 1.2, a\\.b: \"7\"}\n",
        &["big"],
    );
    assert_eq!(
        spec.values.json(),
        r#"{"f":1.5,"l":[],"m":{"a":1,"b":3},"n":1,"s":"true","t":true,"y":"yes","z":null}"#
    );
    assert_eq!(spec.set["image.tag"].json(), "1.2");
    assert_eq!(spec.set["a\\.b"].json(), "\"7\"");
    assert_eq!(Values::path("a\\.b.c").unwrap(), ["a.b", "c"]);
    assert!(matches!(&spec.chart, Chart::Local(path) if path.ends_with("chart")));
    assert_eq!((spec.release.as_str(), spec.namespace.as_str(), spec.history_max), ("web", "default", 10));
    assert!(spec.values_files[0].content.as_ref().is_some_and(crate::model::Text::is_sensitive));
}

#[test]
fn secrets_are_known_by_their_names_at_any_depth() {
    let spec = release(
        "      chart: repo/web\n      values: {db: {password: x1}, auth: {tokens: [x2, 3]}, passwordLess: true, plain: x4}\n      \
         set: {auth.apiKey: x5, n: 1}\n",
        &[],
    );
    let secrets: Vec<&str> = spec.secret_texts().into_iter().map(crate::model::Text::reveal).collect();
    assert_eq!(secrets, ["x2", "3", "x1", "x5"]);
    assert!(!format!("{spec:?}").contains("x1"));
    assert_eq!(spec.chart, Chart::Named("repo/web".into()));
}

#[test]
fn what_is_wrong_with_a_release_is_said() {
    says("      release: a\n", "the key `chart` is missing");
    says("      chart: ./x\n      version: '1.0'\n", "a chart of this machine has its own version");
    says("      chart: a/b\n      release: Web_1\n", "`Web_1` cannot be the name of a release");
    says("      chart: a/b\n      namespace: a.b\n", "`a.b` cannot be the name of a namespace");
    says("      chart: oci://u:p@h/web\n", "may not hold a password");
    says("      chart: a/b\n      history_max: 1\n", "1 is out of range");
    says("      chart: a/b\n      set: {'a[0].password': x}\n", "a secret may not be set at an index");
    says("      chart: a/b\n      set: {'a=b': x}\n", "is no path of a value");
    says("      chart: a/b\n      values_files: [none.yaml]\n", "cannot be read");
    says("      chart: a/b\n    kind: job\n", "a release of a chart cannot be a job");
    says("      chart: a/b\n    replicas: 2\n", "has no replicas");
    says(
        "      chart: a/b\n      release: one\n  api:\n    backend: {type: helm, chart: a/b, release: one}\n",
        "both have the release `default/one`",
    );
}
