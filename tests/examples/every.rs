//! What holds for every example.

use std::path::PathBuf;

use serde_json::Value;

use crate::yaml::json_of;
use crate::{make_images, orch, root};

fn examples() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= 5, "{folders:?}");
    folders
}

#[test]
fn every_example_has_a_definition_and_says_what_it_is_about() {
    for example in examples() {
        assert!(example.join("orch.yaml").is_file(), "{} has no orch.yaml", example.display());
        let readme = std::fs::read_to_string(example.join("README.md")).unwrap_or_default();
        assert!(readme.starts_with("# ") && readme.contains("orch"), "{} has no README.md", example.display());
        let main = std::fs::read_to_string(root().join("README.md")).unwrap();
        let name = format!("examples/{}", example.file_name().unwrap().to_string_lossy());
        assert!(main.contains(&name), "README.md does not name {name}");
    }
}

#[test]
fn every_example_validates() {
    let state = tempfile::tempdir().unwrap();
    for example in examples() {
        let output = orch(&example, state.path(), &["validate", "--json"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {text}", example.display());
        let found: Value = serde_json::from_str(&text).unwrap();
        // The demo binary and the package are built by the README's commands, and by nothing that this test needs.
        let made = ["config::missing_binary", "config::missing_file"];
        let problems = found["diagnostics"].as_array().unwrap_or_else(|| panic!("{found}"));
        let other: Vec<_> =
            problems.iter().filter(|problem| !made.contains(&problem["code"].as_str().unwrap())).collect();
        assert!(other.is_empty(), "{}: {other:?}", example.display());
    }
}

#[test]
fn every_example_plans_to_create_all_that_it_has() {
    make_images();
    for example in examples() {
        let state = tempfile::tempdir().unwrap();
        let output = orch(&example, state.path(), &["plan", "--json", "--detailed-exitcode"]);
        let text = String::from_utf8_lossy(&output.stdout);
        let problems = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{}: {problems}", example.display());
        assert!(text.contains("\"create\""), "{}: {text}", example.display());
        assert!(!state.path().join("state.json").exists(), "a plan wrote a state");
    }
}

#[test]
fn every_example_is_what_the_schema_describes() {
    let schema = std::fs::read_to_string(root().join("schemas/config.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    for example in examples() {
        let definition = json_of(&std::fs::read_to_string(example.join("orch.yaml")).unwrap());
        let errors: Vec<_> =
            validator.iter_errors(&definition).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", example.display());
    }
    let mut wrong = json_of("services: {a: {backend: {type: process, binary: sh}}}");
    assert!(validator.is_valid(&wrong));
    wrong["services"]["a"]["backend"]["binry"] = Value::Bool(true);
    assert!(!validator.is_valid(&wrong), "the schema takes anything");
}

#[test]
fn variable_files_and_profiles_of_the_example_work() {
    let (example, state) = (root().join("examples/variables"), tempfile::tempdir().unwrap());
    let plan = |args: &[&str]| {
        let output = orch(&example, state.path(), &[&["plan"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let staging = plan(&["--var-file", "staging.toml"]);
    assert!(staging.contains("env.PLACE: \"staging\"") && !staging.contains("inspector"), "{staging}");
    let production = plan(&["--var-file", "production.yaml", "--profile", "debug", "--var", "token=hunter2"]);
    assert!(production.contains("env.PLACE: \"production\"") && production.contains("inspector"), "{production}");
    assert!(production.contains("costs ${5}"), "{production}");
    assert!(production.contains("(sensitive)") && !production.contains("hunter2"), "{production}");
}
