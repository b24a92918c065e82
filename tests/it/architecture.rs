//! What may import what, and how long a file may get: the folders of `src/` are the architecture.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// For each module what it may see of ours. Anything that is not listed is refused.
const MAY_SEE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sys", &[]),
    ("graph", &["model"]),
    ("package", &["model", "sys"]),
    ("config", &["model", "sys", "package"]),
    ("import", &["model", "config"]),
    ("state", &["model", "sys"]),
    ("plan", &["model", "graph", "state"]),
    ("event", &["model", "plan"]),
    ("backend", &["model", "sys", "event", "package"]),
    ("health", &["model", "sys", "event", "backend"]),
    ("execute", &["model", "sys", "event", "plan", "state", "health", "backend"]),
    ("report", &["event", "plan", "model", "state", "import"]),
    (
        "ops",
        &[
            "model", "config", "graph", "state", "plan", "event", "import", "package", "backend", "health", "execute",
            "report", "sys",
        ],
    ),
    ("cli", &["ops", "report", "model", "config", "state", "plan", "event", "import", "package", "execute", "sys"]),
    ("lib", &[]),
    ("main", &["cli", "backend"]),
];

/// The longest that a file may be without its tests.
const LONGEST: usize = 500;

struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

/// Every file of `src/` that is no test, without its tests and comments.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut todo, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let path = entry.strip_prefix(&root).unwrap().to_owned();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if entry.is_dir() {
                if stem != "tests" {
                    todo.push(entry);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") && !["tests", "testing"].contains(&&*stem) {
                let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
                let module = first.trim_end_matches(".rs").to_owned();
                sources.push(Source { path, module, text: std::fs::read_to_string(entry).unwrap() });
            }
        }
    }
    assert!(sources.len() > 100, "the sources were not found");
    sources
}

impl Source {
    /// The code: no comment lines, and nothing from the tests on.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines
            .take_while(|(_, line)| *line != "#[cfg(test)]" && *line != "#[cfg(all(test, feature = \"failpoints\"))]")
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// The modules of ours that a piece of code names: `crate::x`, `orch::x`, `super::x` at the top, and
/// each branch of `crate::{x, y::{..}}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in ["crate::", "orch::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &code[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(branches(group)),
                None => found.extend(word(rest)),
            }
        }
    }
    found
}

fn word(text: &str) -> Option<String> {
    let word: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

/// The first word of each branch of a group, up to the brace that closes it.
fn branches(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.extend(word(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(word(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_reader_of_imports_reads_all_forms() {
    let code = "use crate::model::{A, B};\nuse crate::{plan::{C, D}, state};\nfn f() { crate::sys::now(); orch::cli::main() }\nmycrate::x";
    assert_eq!(Vec::from_iter(named(code)), ["cli", "model", "plan", "state", "sys"]);
}

#[test]
fn modules_see_only_what_the_design_lets_them_see() {
    let rules: BTreeMap<&str, &[&str]> = MAY_SEE.iter().copied().collect();
    let modules: BTreeSet<&str> = rules.keys().copied().collect();
    let (mut broken, mut seen) = (Vec::new(), 0);
    for source in sources() {
        let allowed = rules.get(&*source.module).unwrap_or_else(|| panic!("no rule for the module {}", source.module));
        let code: String = source.code().flat_map(|(_, line)| [line, "\n"]).collect();
        for other in named(&code).iter().filter(|other| modules.contains(&***other) && **other != source.module) {
            seen += 1;
            if !allowed.contains(&&**other) {
                broken.push(format!("src/{} imports {other}", source.path.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new(), "see the rules of the layout");
    assert!(seen > 200, "only {seen} imports were found");
}

#[test]
fn the_planner_and_what_it_works_with_know_no_runtime() {
    for source in sources().iter().filter(|source| ["plan", "graph", "model"].contains(&&*source.module)) {
        for (number, line) in source.code() {
            for word in [
                "tokio",
                "async fn",
                ".await",
                "std::fs",
                "std::net",
                "std::env",
                "std::process",
                "Instant::now",
                "SystemTime",
            ] {
                assert!(!line.contains(word), "src/{}:{number} mentions {word}: {line}", source.path.display());
            }
        }
    }
}

#[test]
fn the_executor_knows_no_backend_and_the_health_gate_none_either() {
    for source in sources().iter().filter(|source| ["execute", "health"].contains(&&*source.module)) {
        for (number, line) in source.code() {
            for word in ["backend::process", "ProcessBackend", "backend::fake"] {
                assert!(!line.contains(word), "src/{}:{number} mentions {word}: {line}", source.path.display());
            }
        }
    }
}

#[test]
fn only_the_report_and_the_edge_speak_to_a_terminal() {
    let macros = ["println!", "print!(", "eprintln!", "eprint!(", "dbg!("];
    let streams = ["io::stdout()", "io::stderr()", "std::io::stdout", "std::io::stderr"];
    for source in sources() {
        for (number, line) in source.code() {
            let place = || format!("src/{}:{number}: {line}", source.path.display());
            // A macro of our own that ends like one is none.
            let speaks = macros.iter().any(|name| {
                line.match_indices(name).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            });
            assert!(!speaks, "{}", place());
            let allowed =
                ["report", "cli"].contains(&&*source.module) || source.path.starts_with("backend/process/supervisor");
            assert!(allowed || !streams.iter().any(|stream| line.contains(stream)), "{}", place());
        }
    }
}

#[test]
fn raw_access_to_the_machine_stands_where_it_belongs() {
    for source in sources() {
        for (number, line) in source.code() {
            let place = || format!("src/{}:{number}: {line}", source.path.display());
            for call in ["SystemTime::now(", "Timestamp::now("] {
                assert!(!line.contains(call) || source.module == "sys", "{}", place());
            }
            for call in ["env::var(", "env::var_os(", "env::vars(", "env::vars_os("] {
                assert!(!line.contains(call) || ["cli", "sys"].contains(&&*source.module), "{}", place());
            }
            assert!(!line.contains("process::exit("), "{}", place());
        }
    }
}

#[test]
fn files_are_short_or_say_why_not() {
    let mut long = Vec::new();
    for source in sources() {
        let end = source.text.lines().position(|line| line == "#[cfg(test)]").unwrap_or(source.text.lines().count());
        let head: String = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
        if end > LONGEST && !["long", "one file", "one place"].iter().any(|word| head.contains(word)) {
            long.push(format!("src/{}: {end} lines", source.path.display()));
        }
    }
    assert_eq!(long, Vec::<String>::new(), "split them, or say in the first lines why not");
}

#[test]
fn every_module_says_what_it_is() {
    for source in sources() {
        assert!(
            source.text.starts_with("//! "),
            "src/{} has no first line that says what it is",
            source.path.display()
        );
    }
}
