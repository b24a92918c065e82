//! A secret is in its service's own environment and nowhere else.

use std::path::Path;

use crate::cli::helpers::{DEMO, job, services};
use crate::support::{Project, Ran, files_below, free_port, get};

/// One secret for each way into a definition. None is part of another.
const SECRETS: [&str; 5] = ["hunter-variable", "hunter-named", "hunter-file", "hunter-header", "hunter-url"];

fn definition(port: u16, greeting: &str, check: &str) -> String {
    format!(
        "variables: {{key: {{sensitive: true}}}}\nservices:\n  web:\n    backend:\n      type: process\n      binary: {DEMO}\n      \
         args: [serve, --port, \"{port}\"]\n      stop_timeout: 2s\n      env:\n        GREETING: {greeting}\n        \
         SEED: ${{var:key}}\n        DB_PASSWORD: hunter-named\n        CERT_TOKEN: ${{file:cert.txt}}\n        \
         DATABASE_URL: postgresql://app:hunter-url@localhost/db\n    health_check:\n      type: http\n      \
         url: http://127.0.0.1:{port}{check}\n      headers: {{Authorization: hunter-header}}\n      deadline: 1s\n{}",
        job("migrate", "true", "    dependencies: [web]\n"),
    )
}

/// Every place that could hold a secret, but for the environment of the services themselves.
#[track_caller]
fn nowhere(project: &Project, when: &str) {
    let looked = files_below(&project.path(".orch"));
    assert!(looked.len() > 5, "{when}: nothing was written");
    let has = |bytes: &[u8]| SECRETS.iter().find(|secret| bytes.windows(secret.len()).any(|w| w == secret.as_bytes()));
    for (path, bytes) in &looked {
        assert_eq!(has(bytes), None, "{when}: in {}", path.display());
    }
    for name in ["change.plan", "replace.plan"] {
        assert_eq!(has(project.read(name).as_bytes()), None, "{when}: in {name}");
    }
    for found in project.processes() {
        assert_eq!(has(found.command.as_bytes()), None, "{when}: in the command line of {found:?}");
        if found.supervisor {
            assert_eq!(has(found.environ.as_bytes()), None, "{when}: in the environment of a supervisor");
        }
    }
}

#[track_caller]
fn silent(ran: Ran) -> Ran {
    ran.does_not_say(&SECRETS)
}

#[test]
fn secrets_are_only_where_they_are_used() {
    let port = free_port();
    let project = Project::new(&definition(port, "one", "/health")).env("ORCH_VAR_key", SECRETS[0]);
    project.write("cert.txt", SECRETS[2]);
    silent(project.orch(&["validate"]).ok());
    for args in [
        &["plan"][..],
        &["plan", "--json"],
        &["plan", "--markdown"],
        &["plan", "--out", "change.plan"],
        &["graph", "--plan"],
    ] {
        silent(project.orch(args).ok());
    }
    silent(project.orch(&["-v", "apply", "change.plan", "--json"]).ok());
    nowhere(&project, "after an apply");

    // They did arrive, or this test would prove nothing.
    let service =
        project.processes().into_iter().find(|found| !found.supervisor && found.command.contains("serve")).unwrap();
    for secret in [SECRETS[0], SECRETS[1], SECRETS[2], SECRETS[4]] {
        assert!(service.environ.contains(secret), "{secret} did not arrive");
    }

    // A failed gate, and the way back.
    project.yaml(&definition(port, "two", "/nowhere").replace("/nowhere\n", "/nowhere\n      expected_status: 418\n"));
    silent(project.orch(&["plan"]).ok());
    silent(project.orch(&["-v", "apply", "--auto-approve"]).exits(5).says(&["the last healthy version runs again"]));
    nowhere(&project, "after a rollback");
    assert!(get(port, "/").unwrap().contains("one"));

    // Every secret changes; that is all that is said.
    project.yaml(
        &definition(port, "one", "/health")
            .replace("hunter-named", "hunter-named-2")
            .replace("hunter-url", "hunter-url-2"),
    );
    let ran = silent(project.orch(&["plan"]).ok());
    ran.says(&["env.DB_PASSWORD: (sensitive, changed)", "env.DATABASE_URL: (sensitive, changed)"]);
    silent(project.orch(&["plan", "--out", "replace.plan", "--json"]).ok());
    silent(project.orch(&["apply", "replace.plan"]).ok());
    nowhere(&project, "after a replace");

    for args in [
        &["status"][..],
        &["status", "--json"],
        &["history"],
        &["history", "--json"],
        &["show"],
        &["show", "--json"],
        &["show", "replace.plan", "--json"],
        &["state", "list"],
        &["state", "show", "web"],
        &["state", "pull"],
        &["logs", "web"],
        &["logs", "migrate"],
        &["restart", "web"],
        &["destroy", "--auto-approve", "--json"],
    ] {
        silent(project.orch(args).ok());
        nowhere(&project, &args.join(" "));
    }
}

#[test]
fn an_error_about_a_secret_does_not_say_it() {
    let project = Project::new(
        "variables: {key: {sensitive: true, pattern: \"[0-9]+\"}}\nservices:\n  web:\n    backend: \
         {type: process, binary: sleep, args: [\"600\"], ports: [\"${var:key}\"]}\n",
    );
    silent(project.orch(&["validate", "--json", "--var", "key=hunter-file"]).exits(1));
    let ran = silent(project.orch(&["plan", "--var", "key=hunter-file"]).exits(1));
    ran.says(&["the value of the sensitive variable `key` does not match"]);

    // The lines that an error shows are the user's own, and end in the log of a pipeline.
    let project = Project::new(
        "variables: {key: {sensitive: true, default: hunter-variable, patern: x}}\nservices:\n  web:\n    backend:\n      type: \
         process\n      binary: ./nowhere\n      env: {DB_PASSWORD: hunter-named, URL: \"pg://u:hunter-url@h/d\", PATH: [x]}\n",
    );
    let ran = silent(project.orch(&["validate"]).exits(1));
    ran.says(&["unknown key `patern`", "default: ***", "DB_PASSWORD: ***", "pg://u:***", "found a list"]);
}

#[test]
fn a_service_that_prints_its_secret_into_an_error_is_its_own_affair_but_a_missing_binary_is_not() {
    let project = Project::new(&services(&[
        "  web:\n    backend: {type: process, binary: ./nowhere, args: [--token, \"${var:key}\"], env: {A: \"${var:key}\"}}\n".to_owned(),
    ])
    .replace("services:", "variables: {key: {sensitive: true}}\nservices:"))
    .env("ORCH_VAR_key", SECRETS[0]);
    silent(project.orch(&["apply", "--auto-approve"]).exits(5).says(&["nowhere"]));
    let kept = files_below(&project.path(".orch/runs"));
    assert!(kept.keys().any(|path| path.ends_with(Path::new("evidence/web/error.txt"))), "{:?}", kept.keys());
    nowhere(&project, "after a start that failed");
}
