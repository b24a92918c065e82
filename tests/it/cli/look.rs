//! `orch status`, `show`, `graph`, `history`, `schema` and `completions`

use super::helpers::{job, needs, services, shell, sleeper};
use crate::support::Project;

fn shop() -> Project {
    Project::new(&services(&[
        job("migrate", "true", ""),
        sleeper("api", &needs(&["migrate"])),
        sleeper("web", &needs(&["api"])),
    ]))
}

#[test]
fn status_is_a_table_and_data() {
    let project = shop();
    project.orch(&["status"]).ok().says(&["not applied"]);
    project.apply();
    let table = project.orch(&["status"]).ok().out;
    let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["SERVICE", "STATE", "HEALTH", "SINCE", "PID", "RESTARTS", "LAST", "PROBE"]);
    let api = project.row("api");
    let line = table.lines().find(|line| line.starts_with("api")).unwrap();
    assert!(line.contains("running") && line.contains(&api["pid"].to_string()), "{table}");
    assert!(api["since"].as_str().unwrap().contains('T') && api["restarts"] == 0, "{api}");
    assert_eq!(project.row("migrate")["state"], "completed");
    let rows = project.orch(&["status", "--json"]).ok().json();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    project.orch(&["status", "apj"]).exits(1).says(&["there is no service `apj`", "did you mean `api`"]);
    project.yaml(&services(&[sleeper("api", "")]));
    project.orch(&["status"]).ok().says(&["web", "migrate"]);
}

#[test]
fn a_crash_loop_and_a_stopped_service_are_shown_as_such() {
    let project = Project::empty();
    project.write("ok", "");
    let loops = "sleep 0.1; test -e ok || exit 3; exec sleep 600";
    let policy = "type: process, restart: {policy: always, delay: 10ms, max_restarts: 2}";
    project.yaml(&services(&[shell("web", loops, "").replace("type: process", policy), sleeper("other", "")]));
    project.apply();
    std::fs::remove_file(project.path("ok")).unwrap();
    project.orch(&["restart", "web"]).exits(5);
    crate::support::wait_until("it is given up", || project.row("web")["state"] == "crash_loop");
    let row = project.row("web");
    assert_eq!((&row["pid"], &row["exit"]["code"]), (&().into(), &3.into()), "{row}");
    project.orch(&["stop", "other"]).ok();
    assert_eq!(project.row("other")["state"], "stopped");
    project.orch(&["status"]).ok().says(&["crash loop", "stopped"]);
}

#[test]
fn graph_is_drawn_in_three_languages_with_the_actions_of_a_plan() {
    let project = shop();
    assert_eq!(project.orch(&["graph"]).ok().out, "web (process)\n└─ api (process)\n   └─ migrate (process)\n");
    project.orch(&["graph", "--dot"]).ok().says(&["digraph orch {", "\"web\" -> \"api\";", "\"api\" -> \"migrate\";"]);
    project.orch(&["graph", "--mermaid"]).ok().says(&["graph LR", "-->"]).does_not_say(&["fill:"]);
    project.orch(&["graph", "--plan"]).ok().says(&["+ web (process): create"]);
    project.orch(&["graph", "--plan", "--mermaid"]).ok().says(&["process: create", "fill:#c8e6c9"]);
    project.orch(&["graph", "--plan", "--dot"]).ok().says(&["fillcolor=\"#c8e6c9\""]);
    project.apply();
    project.orch(&["graph", "--plan"]).ok().does_not_say(&["create"]);
}

#[test]
fn history_says_when_who_what_how_and_how_long() {
    let project = shop();
    project.orch(&["history"]).ok().says(&["No runs yet."]);
    project.apply();
    project.orch(&["restart", "web"]).ok();
    project.yaml(&services(&[shell("bad", "exit 1", "")]));
    project.orch(&["apply", "--auto-approve"]).exits(5);
    project.orch(&["history"]).ok().says(&[
        "RUN",
        "STARTED",
        "WHO",
        "WHAT",
        "OUTCOME",
        "TOOK",
        "restart",
        "succeeded",
        "failed",
        "@",
    ]);
    let runs = project.orch(&["history", "--json"]).ok().json();
    let runs = runs.as_array().unwrap();
    let of = |key: &str| -> Vec<&str> { runs.iter().filter_map(|run| run[key].as_str()).collect() };
    assert_eq!(of("verb"), ["apply", "restart", "apply"]);
    assert_eq!(of("outcome"), ["failed", "succeeded", "succeeded"]);
    assert!(of("started_at").iter().zip(of("ended_at")).all(|(start, end)| *start <= end), "{runs:?}");
    assert!(of("started_at").iter().rev().is_sorted() && of("who").iter().all(|who| who.contains('@')), "{runs:?}");
    let one = project.orch(&["history", "-n", "1", "--json"]).ok().json();
    assert_eq!(one.as_array().unwrap().len(), 1);
}

#[test]
fn schemas_are_of_what_is_really_written() {
    let project = shop();
    project.apply();
    let schema = |format: &str| project.orch(&["schema", format]).ok().json();
    let check = |schema: &serde_json::Value, text: &[u8]| {
        let value: serde_json::Value = serde_json::from_slice(text).unwrap();
        jsonschema::validate(schema, &value).unwrap_or_else(|error| panic!("{error}"));
    };
    check(&schema("state"), project.orch(&["state", "pull"]).ok().out.as_bytes());
    project.orch(&["plan", "--replace", "web", "--out", "p"]).ok();
    check(&schema("plan"), project.read("p").as_bytes());
    let event = schema("event");
    let events = std::fs::read_to_string(project.last_run().join("events.ndjson")).unwrap();
    events.lines().for_each(|line| check(&event, line.as_bytes()));
    let config = schema("config");
    assert_eq!(config["title"], "orch configuration");
    assert!(!jsonschema::is_valid(&config, &serde_json::json!({"services": {"web": {"backend": {"type": "nope"}}}})));
    project.orch(&["schema", "nope"]).exits(64);
}

#[test]
fn completions_are_scripts_for_each_shell() {
    let project = Project::empty();
    for (shell, text, checker) in [
        ("bash", "complete -F _orch", Some("bash")),
        ("zsh", "#compdef orch", None),
        ("fish", "complete -c orch", None),
    ] {
        let ran = project.orch(&["completions", shell]).ok().says(&[text, "detailed-exitcode", "refresh-only"]);
        // What bash itself takes is a script without errors of syntax.
        if let Some(checker) = checker {
            let path = project.write("completions", &ran.out);
            #[expect(clippy::disallowed_methods, reason = "bash checks the syntax")]
            let status = std::process::Command::new(checker).arg("-n").arg(path).status().unwrap();
            assert!(status.success());
        }
    }
    project.orch(&["completions", "dos"]).exits(64);
}

#[test]
fn show_without_a_plan_is_what_is_recorded() {
    let project = shop();
    project.orch(&["show"]).ok().says(&["Nothing is recorded."]);
    project.apply();
    project.orch(&["show"]).ok().says(&["ADDRESS", "migrate", "completed", "web", "healthy"]);
    assert_eq!(project.orch(&["show", "--json"]).ok().json(), project.state());
}
