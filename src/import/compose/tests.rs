//! Whole projects, in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Compose, compose};
use crate::import::{Files, FindingKind, Imported};

/// Files in memory.
struct Memory(BTreeMap<PathBuf, String>);

impl Files for Memory {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.0.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| "it does not exist".to_owned())
    }

    fn is_there(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }
}

fn import(paths: &[&str], files: &[(&str, &str)]) -> Imported {
    let files = files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
    let what = Compose {
        paths: paths.iter().map(PathBuf::from).collect(),
        cwd: "/shop".into(),
        folder: "/shop".into(),
        ..Compose::default()
    };
    compose(&what, &Memory(files)).expect("a project")
}

#[test]
fn later_files_change_earlier_ones() {
    let base = "services:\n  web:\n    image: a\n    command: [one]\n    environment: [A=1, B=2]\n    ports: ['80:80']\n    \
                volumes: ['./a:/x', './b:/y']\n    cap_add: [A]\n    healthcheck: {test: [CMD, a], retries: 2}\n    init: true\n";
    let over = "services:\n  web:\n    command: [two]\n    environment: {B: 3, C: 4}\n    ports: ['81:81']\n    \
                volumes: ['./c:/x']\n    cap_add: !override [B]\n    healthcheck: {test: [CMD, b]}\n    init: !reset null\n";
    let text = import(&["/shop/a.yaml", "/shop/b.yaml"], &[("/shop/a.yaml", base), ("/shop/b.yaml", over)]).text;
    for line in [
        "command: [two]",
        "A: \"1\"\n        B: \"3\"\n        C: \"4\"",
        "ports: [\"80:80\", \"81:81\"]",
        "volumes: [\"./c:/x\", \"./b:/y\"]",
        "cap_add: [B]",
        "test: [CMD, b]",
        "retries: 2",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
    assert!(!text.contains("init"), "{text}");
}

#[test]
fn the_project_is_named_as_compose_names_it() {
    let file = |name: &str| format!("{name}services: {{web: {{build: .}}}}\n");
    let folder = import(&["/shop/My App!/c.yaml"], &[("/shop/My App!/c.yaml", &file(""))]).text;
    assert!(folder.contains("project: myapp\n") && folder.contains("image: myapp-web\n"), "{folder}");
    let named = import(&["/shop/c.yaml"], &[("/shop/c.yaml", &file("name: other\n"))]).text;
    assert!(named.contains("project: other\n"), "{named}");
    let dotenv = [("/shop/c.yaml", file("name: other\n")), ("/shop/.env", "COMPOSE_PROJECT_NAME=third\n".to_owned())];
    let dotenv: Vec<(&str, &str)> = dotenv.iter().map(|(path, text)| (*path, text.as_str())).collect();
    assert!(import(&["/shop/c.yaml"], &dotenv).text.contains("project: third\n"));
}

#[test]
fn everything_that_is_said_has_its_place() {
    let file = "services:\n  web:\n    image: a\n    privileged: true\n    environment:\n      API_TOKEN: hunter22\n";
    let imported = import(&["/shop/c.yaml"], &[("/shop/c.yaml", file)]);
    let told: Vec<String> = imported.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "c.yaml:4: web: `privileged`: give it the capabilities that it needs, with `cap_add`",
            "c.yaml:6: web: `API_TOKEN` is a secret, and is taken from the environment; its value stands there",
        ]
    );
    assert_eq!(imported.findings[0].kind, FindingKind::Lost);
    assert!(!imported.text.contains("hunter22"));
}
