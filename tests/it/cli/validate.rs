//! `orch validate`

use super::helpers::{services, sleeper};
use crate::support::Project;

fn two_bad_files() -> Project {
    let project = Project::empty();
    project.write(
        "a.yaml",
        "services:\n  web:\n    backend: {type: process, binry: /bin/true}\n    dependancies: [db]\n  api:\n    backend: \
         {type: external}\n    dependencies: [wbe]\n",
    );
    project.write("b.yaml", "services:\n  x:\n    backend: {type: external}\n    timeout: -5\n");
    project
}

#[test]
fn every_error_of_every_file_is_shown_at_once_with_its_place_and_a_hint() {
    let project = two_bad_files();
    let ran = project.orch(&["validate", "-f", "a.yaml", "-f", "b.yaml"]).exits(1).says(&[
        "a.yaml:3:",
        "unknown key `binry`",
        "did you mean `binary`",
        "a.yaml:4:5",
        "unknown key `dependancies`",
        "a.yaml:7:20",
        "there is no service `wbe`",
        "did you mean `web`",
        "b.yaml:4:14",
        "the duration `-5` is negative",
    ]);
    // The line itself, and an underline below it.
    assert!(ran.err.contains("timeout: -5") && ran.err.contains("   :              ^^"), "{ran}");
    assert_eq!(ran.out, "");
}

#[test]
fn the_same_is_said_as_data() {
    let project = two_bad_files();
    let data = project.orch(&["validate", "-f", "a.yaml", "-f", "b.yaml", "--json"]).exits(1).json();
    assert_eq!((&data["valid"], &data["errors"]), (&false.into(), &5.into()), "{data}");
    let diagnostics = data["diagnostics"].as_array().unwrap();
    assert_eq!(diagnostics.len(), 5);
    for diagnostic in diagnostics {
        assert_eq!(diagnostic["severity"], "error");
        assert!(diagnostic["code"].as_str().unwrap().starts_with("config::"), "{diagnostic}");
        assert!(["a.yaml", "b.yaml"].contains(&diagnostic["file"].as_str().unwrap()), "{diagnostic}");
        assert!(diagnostic["line"].as_u64().unwrap() > 1 && diagnostic["column"].is_u64(), "{diagnostic}");
    }
    let negative = diagnostics.iter().find(|d| d["file"] == "b.yaml").unwrap();
    assert_eq!((&negative["line"], &negative["column"]), (&4.into(), &14.into()), "{negative}");
    let good = Project::new(&services(&[sleeper("web", "")]));
    let data = good.orch(&["validate", "--json"]).ok().json();
    assert_eq!(data, serde_json::json!({"valid": true, "errors": 0, "warnings": 0, "diagnostics": []}));
}

#[test]
fn cycles_ports_and_conditions_are_checked_across_services() {
    let external = |name: &str, more: &str| format!("  {name}:\n    backend: {{type: external}}\n{more}");
    let on = |name: &str| format!("    dependencies: [{name}]\n");
    Project::new(&services(&[external("a", &on("b")), external("b", &on("c")), external("c", &on("a"))]))
        .orch(&["validate"])
        .exits(1)
        .says(&["a -> b -> c -> a"]);
    let port = "    health_check: {type: tcp, port: 4242}\n";
    Project::new(&services(&[sleeper("a", port), sleeper("b", port)]))
        .orch(&["validate"])
        .exits(1)
        .says(&["the services `a` and `b` both use port 4242"]);
    let condition = "    dependencies: {a: {condition: helthy}}\n";
    Project::new(&services(&[external("a", ""), external("b", condition)]))
        .orch(&["validate"])
        .exits(1)
        .says(&["unknown value `helthy`", "healthy"]);
}

#[test]
fn what_may_be_made_later_is_a_warning_and_an_error_at_apply() {
    let project = Project::new("services:\n  web:\n    backend: {type: process, binary: ./bin/web}\n    timeout: 5s\n");
    let ran = project.orch(&["validate"]).ok().says(&["1 warning", "bin/web"]);
    assert!(ran.err.contains("orch.yaml:3:"), "{ran}");
    let data = project.orch(&["validate", "--json"]).ok().json();
    assert_eq!((&data["valid"], &data["warnings"]), (&true.into(), &1.into()));
    assert_eq!(data["diagnostics"][0]["severity"], "warning");
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&["bin/web"]);
    assert_eq!(project.row("web")["pid"], serde_json::Value::Null);
}
