//! The files that are made from the code: `schemas/` and `docs/reference.md`.
//!
//! They are committed, so that they can be read without building orch, and compared here, so that
//! they say what the code does. `UPDATE=1 cargo test --test generated` writes them anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod reference;

use std::path::Path;

use orch::ops::{SchemaOf, schema};

/// Compares a committed file with what it should hold, or writes it when that is asked for.
#[expect(clippy::disallowed_methods, reason = "a test reads its own switch, and writes into the checkout")]
fn committed(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, expected).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = || {
        let lines = found.lines().zip(expected.lines()).enumerate().find(|(_, (found, expected))| found != expected);
        match lines {
            Some((index, (found, expected))) => {
                format!("line {}:\n  is        {found}\n  should be {expected}", index + 1)
            }
            None => format!("it has {} lines, and should have {}", found.lines().count(), expected.lines().count()),
        }
    };
    assert!(
        found == expected,
        "{path} is not what the code says. {}\nWrite it anew with `UPDATE=1 cargo test --test generated`, look at the \
         difference, and commit it.",
        differs()
    );
}

#[test]
fn schemas_are_those_of_the_types() {
    for (name, of) in
        [("config", SchemaOf::Config), ("plan", SchemaOf::Plan), ("state", SchemaOf::State), ("event", SchemaOf::Event)]
    {
        committed(&format!("schemas/{name}.json"), &schema(of));
    }
}

#[test]
fn the_reference_is_what_the_code_says() {
    committed("docs/reference.md", &reference::text());
}

#[test]
fn no_key_of_the_file_is_missing_from_the_reference() {
    let text = reference::text();
    for key in [
        "state_dir",
        "max_parallel",
        "default_timeout",
        "on_failure",
        "sensitive",
        "pattern",
        "binary",
        "working_dir",
        "stop_signal",
        "stop_timeout",
        "max_size",
        "max_restarts",
        "reset_after",
        "expected_status",
        "start_period",
        "success_threshold",
        "deadline",
        "expected_exit_code",
        "prevent_destroy",
        "ignore_changes",
        "replace_triggered_by",
        "create_before_destroy",
        "renamed_from",
        "triggers",
        "settle",
        "profiles",
        "condition",
    ] {
        assert!(text.contains(&format!("| `{key}` |")), "{key} has no row");
    }
}
