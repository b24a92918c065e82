//! Every folder in `examples/` validates, plans, and is what `schemas/config.json` describes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn examples() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= 5, "{folders:?}");
    folders
}

#[expect(clippy::disallowed_methods, reason = "a test starts the binary that it is about")]
fn orch(example: &Path, state: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orch"));
    command.arg("-C").arg(example).arg("--state-dir").arg(state).args(args);
    command.env("XDG_CONFIG_HOME", state).env_remove("ORCH_FILE").env_remove("ORCH_PROFILES").output().unwrap()
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
        // The demo binary is built by the README's first command, and by nothing that this test needs.
        let problems = found["diagnostics"].as_array().unwrap_or_else(|| panic!("{found}"));
        let other: Vec<_> = problems.iter().filter(|problem| problem["code"] != "config::missing_binary").collect();
        assert!(other.is_empty(), "{}: {other:?}", example.display());
    }
}

#[test]
fn every_example_plans_to_create_all_that_it_has() {
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

/// What a YAML text means as JSON: enough of YAML 1.2 for the examples, apart from orch's own reader so
/// that the two are held against each other.
fn json_of(text: &str) -> Value {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<(Value, Option<String>, usize)> = Vec::new();
    let mut anchors: HashMap<usize, Value> = HashMap::new();
    let mut root = Value::Null;
    while let Some(next) = parser.next_event() {
        let (event, _) = next.unwrap();
        let (value, anchor) = match event {
            Event::SequenceStart(anchor, _) => {
                open.push((Value::Array(Vec::new()), None, anchor));
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push((Value::Object(Map::new()), None, anchor));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (value, _, anchor) = open.pop().unwrap();
                (value, anchor)
            }
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::Alias(anchor) => (anchors[&anchor].clone(), 0),
            _ => continue,
        };
        if anchor > 0 {
            anchors.insert(anchor, value.clone());
        }
        match open.last_mut() {
            None => root = value,
            Some((Value::Array(list), ..)) => list.push(value),
            Some((Value::Object(map), key, _)) => match key.take() {
                None => *key = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
                Some(key) if key == "<<" => {
                    for (name, inherited) in value.as_object().unwrap() {
                        map.entry(name.clone()).or_insert_with(|| inherited.clone());
                    }
                }
                Some(key) => drop(map.insert(key, value)),
            },
            Some(_) => unreachable!("only collections are open"),
        }
    }
    root
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match text {
        _ if style != ScalarStyle::Plain => Value::from(text),
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::from(number),
            (_, Ok(number)) => Value::from(number),
            _ => Value::from(text),
        },
    }
}
