//! `orch plan`

use serde_json::{Value, json};

use super::helpers::{greeter, job, needs, services, shell, sleeper};
use crate::support::{Project, free_port};

fn chain() -> String {
    services(&[
        sleeper("db", ""),
        sleeper("api", &needs(&["db"])),
        sleeper("web", &needs(&["api"])),
        sleeper("aside", ""),
    ])
}

#[test]
fn creates_come_in_waves_with_reasons_and_a_summary() {
    let project = Project::new(&chain());
    let ran = project.orch(&["plan"]).ok().says(&[
        "+ create db (process)  — new in the file",
        "+ binary: \"sleep\"",
        "Plan: 4 to create.",
    ]);
    let at = |text: &str| ran.out.find(text).unwrap_or_else(|| panic!("{text} is missing: {ran}"));
    let order = ["Wave 1", "create aside", "create db", "Wave 2", "create api", "Wave 3", "create web"].map(at);
    assert!(order.is_sorted(), "{ran}");
    assert!(!project.path(".orch").exists(), "a plan wrote something");
    assert_eq!(project.processes(), []);
}

#[test]
fn json_has_the_plan_and_its_counts_and_validates_against_the_schema() {
    let project = Project::new(&chain());
    // The key that digests are made with is stored with the first plan that is saved.
    project.orch(&["plan", "--out", "change.plan"]).ok();
    let plan = project.plan(&[]);
    assert_eq!(plan["format"], 1);
    assert_eq!(plan["summary"]["actions"], json!({"create": 4}));
    assert_eq!((&plan["summary"]["changes"], &plan["summary"]["steps"]), (&true.into(), &4.into()));
    assert_eq!(plan["steps"][3]["wave"], 3);
    let schema = project.orch(&["schema", "plan"]).ok().json();
    let file: Value = serde_json::from_str(&project.read("change.plan")).unwrap();
    jsonschema::validate(&schema, &file).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(file["plan"]["steps"], plan["steps"]);
}

#[test]
fn each_kind_of_change_has_its_action_reason_and_difference() {
    let project = Project::empty();
    project.write("schema.sql", "1");
    let trigger = "    triggers: [schema.sql]\n";
    let base = |policy: &str, last: &str, triggered: &str| {
        services(&[
            sleeper("changed", ""),
            format!(
                "  policy:\n    backend: {{type: process, binary: sleep, args: [\"600\"], stop_timeout: {policy}}}\n"
            ),
            sleeper("triggered", triggered),
            last.to_owned(),
        ])
    };
    project.yaml(&base("1s", &sleeper("removed", ""), trigger));
    project.apply();
    project.write("schema.sql", "2");
    let text = base("2s", &sleeper("new", ""), trigger).replacen("args: [\"600\"]", "args: [\"601\"]", 1);
    project.yaml(&text);
    let ran = project.orch(&["plan"]).ok().says(&[
        "-/+ replace changed (process), stop first  — args changed",
        "~ args: [\"600\"] -> [\"601\"]  # forces replacement",
        "~ update policy (process)  — stop_timeout changed",
        "~ stop_timeout: \"1s\" -> \"2s\"",
        "! restart triggered (process)  — ",
        "schema.sql changed",
        "- delete removed (process)  — no longer in the file",
        "+ create new (process)  — new in the file",
        "Plan: 1 to create, 1 to update, 1 to replace, 1 to restart, 1 to delete.",
    ]);
    assert!(!ran.out.contains("Drift"), "{ran}");
    let before = project.pid("policy");
    let pids = ["changed", "triggered"].map(|name| project.pid(name));
    project.apply();
    assert_eq!(project.pid("policy"), before, "an update in place does not restart");
    assert!(["changed", "triggered"].map(|name| project.pid(name)).iter().zip(pids).all(|(now, then)| *now != then));
    project.orch(&["plan", "--detailed-exitcode"]).ok().says(&["No changes. 4 services are as the file says."]);
}

#[test]
fn what_runs_without_a_record_is_adopted() {
    let project = Project::new(&services(&[sleeper("web", "")]));
    project.apply();
    let pid = project.pid("web");
    project.orch(&["state", "rm", "web"]).ok();
    project.orch(&["plan"]).ok().says(&["= adopt web (process)  — runs already but is not recorded", "1 to adopt"]);
    project.apply();
    assert_eq!(project.pid("web"), pid);
}

#[test]
fn several_lines_are_a_unified_diff_and_secrets_are_only_said_to_change() {
    let file = |config: &str, secret: &str| {
        format!(
            "services:\n  web:\n    backend:\n      type: process\n      binary: sleep\n      args: [\"600\"]\n      env:\n        \
             API_TOKEN: {secret}\n        CONFIG: |\n{config}"
        )
    };
    let project = Project::new(&file("          a: 1\n          b: 2\n          c: 3\n", "s3cret-before"));
    project.apply().does_not_say(&["s3cret"]);
    project.yaml(&file("          a: 1\n          b: 5\n          c: 3\n", "s3cret-after"));
    project
        .orch(&["plan"])
        .ok()
        .says(&["~ env.API_TOKEN: (sensitive, changed)", "@@ -1,3 +1,3 @@", "           a: 1", "-b: 2", "+b: 5"])
        .does_not_say(&["s3cret"]);
    project.orch(&["plan", "--json"]).ok().says(&["env.API_TOKEN"]).does_not_say(&["s3cret"]);
    project.orch(&["plan", "--markdown"]).ok().says(&["(sensitive, changed)", "-b: 2"]).does_not_say(&["s3cret"]);
}

#[test]
fn it_says_what_the_change_disrupts() {
    let project = Project::new(&chain());
    project.apply();
    let text = chain().replacen("args: [\"600\"]", "args: [\"601\"]", 1);
    project.yaml(&text);
    project.orch(&["plan"]).ok().says(&["Disruption: db is replaced (stop first): api loses it meanwhile."]);
    let plan = project.plan(&[]);
    assert_eq!(plan["disruptions"][0]["service"], "db");
    assert_eq!(plan["disruptions"][0]["affects"], json!(["api"]));
}

#[test]
fn markdown_fits_a_comment_on_a_pull_request() {
    let project = Project::new(&chain());
    project.orch(&["plan", "--markdown"]).ok().says(&[
        "### ",
        "`shop`",
        "**Plan: 4 to create.**",
        "| Wave | Action | Service | Backend | Why |",
        "| 1 | `+` create | `db` | process | new in the file |",
        "<details>",
    ]);
}

#[test]
fn the_detailed_exit_code_tells_changes_from_none() {
    let project = Project::new(&services(&[sleeper("web", "")]));
    project.orch(&["plan"]).ok();
    project.orch(&["plan", "--detailed-exitcode"]).exits(2);
    project.apply();
    project.orch(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes. 1 service is as the file says."]);
    project.yaml("services: {web: {}}\n");
    project.orch(&["plan", "--detailed-exitcode"]).exits(1);
}

#[test]
fn targets_come_with_what_they_need_and_excludes_with_what_needs_them() {
    let project = Project::new(&chain());
    project.plans(&["--target", "api"], &["db create", "api create"]);
    project.plans(&["--exclude", "api"], &["aside create", "db create"]);
    project.plans(&["--target", "web", "--exclude", "aside"], &["db create", "api create", "web create"]);
    project.orch(&["plan", "--target", "wbe"]).exits(1).says(&["wbe"]);
    project.orch(&["apply", "--auto-approve", "--target", "api"]).ok();
    project.plans(&[], &["aside create", "web create"]);
}

#[test]
fn replace_is_asked_for_by_name() {
    let project = Project::new(&services(&[sleeper("web", ""), sleeper("api", "")]));
    project.apply();
    let (web, api) = (project.pid("web"), project.pid("api"));
    project.orch(&["plan", "--replace", "web"]).ok().says(&["replace web", "asked for by `--replace web`"]);
    project.plans(&["--replace", "web"], &["web replace"]);
    project.orch(&["apply", "--auto-approve", "--replace", "web"]).ok();
    assert_ne!(project.pid("web"), web);
    assert_eq!(project.pid("api"), api);
}

#[test]
fn destroy_is_planned_in_reverse() {
    let project = Project::new(&chain());
    project.apply();
    project.plans(&["--destroy"], &["aside delete", "web delete", "api delete", "db delete"]);
    project.orch(&["plan", "--destroy"]).ok().says(&["the project is destroyed", "Plan: 4 to delete."]);
    project.plans(&["--destroy", "--target", "api"], &["web delete", "api delete"]);
    assert_eq!(project.processes().len(), 8, "a plan took something down");
}

#[test]
fn without_looking_the_records_are_believed_and_refreshing_only_brings_them_up_to_date() {
    let project = Project::new(&services(&[
        shell("once", "exec sleep 600", "").replace("type: process", "type: process, restart: never")
    ]));
    project.apply();
    let process = project.processes().into_iter().find(|found| !found.supervisor).unwrap();
    let pid = rustix::process::Pid::from_raw(process.pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    crate::support::wait_until("the end is seen", || project.row("once")["state"] == "exited");
    project.plans(&["--refresh=false"], &[]);
    project.plans(&["--refresh"], &["once restart"]);
    project.orch(&["plan", "--refresh-only"]).ok().says(&["Drift: once was changed outside of orch"]);
    let plan = project.plan(&["--refresh-only"]);
    assert!(
        plan["steps"]
            .as_array()
            .unwrap()
            .iter()
            .all(|step| ["forget", "adopt"].contains(&step["action"].as_str().unwrap())),
        "{plan}"
    );
    project.orch(&["apply", "--refresh-only", "--auto-approve"]).ok();
    assert_eq!(project.row("once")["pid"], Value::Null, "a refresh started something");
    project.apply();
    project.pid("once");
}

#[test]
fn times_of_earlier_runs_are_expected_again() {
    let project = Project::new(&services(&[job("migrate", "true", "")]));
    project.orch(&["plan"]).ok().does_not_say(&["It should take"]);
    project.apply();
    project.orch(&["plan", "--replace", "migrate"]).ok().says(&["It should take about"]);
}

#[test]
fn a_plan_of_http_services_holds_what_apply_does() {
    let port = free_port();
    let project = Project::new(&services(&[greeter("web", port, "hello", "")]));
    let plan = project.plan(&[]);
    let operations: Vec<_> =
        plan["steps"][0]["operations"].as_array().unwrap().iter().map(|o| o["op"].clone()).collect();
    assert_eq!(operations, ["create", "gate"]);
    assert_eq!(plan["steps"][0]["timeout_ms"], 300_000);
}
