//! Where services are reached: `orch url`, references, and a backend for each deployment.

use super::helpers::{greeter, services, shell, sleeper};
use crate::support::{Project, free_port};

#[test]
fn a_reference_is_what_the_program_gets_and_orders_the_two() {
    let port = free_port();
    let api = greeter("api", port, "hi", &format!("    endpoints: {{http: {{port: {port}, path: /v1}}}}\n"));
    let web = shell("web", "echo \"$API\" > got; exec sleep 600", "")
        .replace("stop_timeout: 2s", "env: {API: \"${service:api.http.url}\"}, stop_timeout: 2s");
    let project = Project::new(&services(&[web, api]));
    project.plans(&[], &["api create", "web create"]);
    project.apply();
    assert_eq!(project.read("got"), format!("http://localhost:{port}/v1\n"));
    project.orch(&["plan", "--detailed-exitcode"]).ok();

    let url = format!("http://localhost:{port}/v1");
    assert_eq!(project.orch(&["url", "api"]).ok().out, format!("{url}\n"));
    assert_eq!(project.orch(&["url", "api", "http"]).ok().out, format!("{url}\n"));
    let json = project.orch(&["url", "api", "--json"]).ok().json();
    assert_eq!((&json[0]["host"], json[0]["port"].as_u64()), (&"localhost".into(), Some(port.into())));
    project.orch(&["url", "api", "htp"]).exits(1).says(&["api has no endpoint `htp`", "it has http"]);
    project.orch(&["url", "web"]).exits(1).says(&["web has no endpoints"]);
    project.orch(&["url", "apl"]).exits(1).says(&["there is no service `apl`", "did you mean `api`?"]);
}

#[test]
fn another_port_is_a_change_of_who_uses_it() {
    let text = |port: u16| {
        let user =
            sleeper("web", "").replace("stop_timeout: 2s", "env: {A: \"${service:api.port}\"}, stop_timeout: 2s");
        services(&[sleeper("api", &format!("    endpoints: {{http: {port}}}\n")), user])
    };
    let (first, second) = (free_port(), free_port());
    let project = Project::new(&text(first));
    project.apply();
    project.yaml(&text(second));
    project.plans(&[], &["api update", "web replace"]);
}

#[test]
fn several_endpoints_are_listed_by_name() {
    let project = Project::new(&services(&[
        "  db:\n    backend: {type: external}\n    endpoints: {a: 1, b: {port: 2, host: far}}\n".to_owned(),
    ]));
    assert_eq!(project.orch(&["url", "db"]).ok().out, "a http://localhost:1\nb http://far:2\n");
}

#[test]
fn the_deployment_comes_from_the_command_line_the_environment_or_the_file() {
    let text = "settings: {deployment: short}\nservices:\n  api:\n    backends:\n      short: {type: process, binary: sleep, args: [\"601\"]}\n      long: {type: process, binary: sleep, args: [\"602\"]}\n";
    let mut project = Project::new(text);
    let args = |project: &Project, args: &[&str]| {
        let plan = project.plan(args);
        plan["steps"][0].to_string().contains("602")
    };
    assert!(!args(&project, &[]));
    assert!(args(&project, &["--deployment", "long"]));
    project.set_env("ORCH_DEPLOYMENT", "long");
    assert!(args(&project, &[]));
    assert!(!args(&project, &["--deployment", "short"]));
    project
        .orch(&["plan", "--deployment", "lng"])
        .exits(1)
        .says(&["no service has the deployment `lng`", "did you mean `long`?"]);

    project.orch(&["plan", "--deployment", "short", "--out", "change.plan"]).ok();
    project.set_env("ORCH_DEPLOYMENT", "");
    project
        .orch(&["apply", "change.plan", "--deployment", "long"])
        .exits(3)
        .says(&["the deployment is not what it was"]);
    project.orch(&["apply", "change.plan"]).ok();
    project.orch(&["plan", "--detailed-exitcode"]).ok();
    project.orch(&["plan", "--detailed-exitcode", "--deployment", "long"]).exits(2);
}
