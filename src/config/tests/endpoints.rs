//! Endpoints, references to them, and services with a backend for each deployment.

use super::{Project, bad, docker, good, says, service, spec};
use crate::model::{Condition, Endpoint, Kind, PortForward, Probe, Reference, Spec};

const API: &str = "  api:
    backend: {type: process, binary: /bin/true}
    endpoints: {http: {port: 7670, path: v1}, db: {port: 5432, scheme: postgresql, host: db.example}}
";

/// A service of a shell with one variable in its environment.
fn user(value: &str) -> String {
    format!("  web:\n    backend: {{type: process, binary: /bin/true, env: {{A: \"{value}\"}}}}\n")
}

fn with(services: &[&str]) -> String {
    format!("services:\n{}", services.concat())
}

#[test]
fn endpoints_have_ports_and_more() {
    let loaded = good(&with(&[API, "  other:\n    backend: {type: external}\n    endpoints: {http: 80}\n"]));
    let api = service(&loaded, "api");
    assert_eq!(api.endpoints["http"], Endpoint { path: "/v1".into(), ..Endpoint::new(7670) });
    assert_eq!(api.endpoints["db"].scheme, "postgresql");
    assert_eq!(spec(&loaded, "api").ports, [7670], "the port is the process's own, that of another host is not");
    assert_eq!(service(&loaded, "other").endpoints["http"], Endpoint::new(80));
    assert_eq!(PortForward::default(), PortForward { to: None, local_port: None });
}

#[test]
fn what_is_known_is_put_in_and_ties_the_two() {
    for (written, value) in [
        ("${service:api.http.url}/x", "http://localhost:7670/v1/x"),
        ("${service:api.http.host}-${service:api.http.port}", "localhost-7670"),
        ("${service:api.db.authority}", "db.example:5432"),
        ("${service:api.db.url}", "postgresql://db.example:5432"),
        ("$${service:api.db.url}", "${service:api.db.url}"),
    ] {
        let loaded = good(&with(&[API, &user(written)]));
        assert_eq!(spec(&loaded, "web").env["A"].reveal(), value);
        let needs: Vec<_> = service(&loaded, "web").dependencies.iter().map(|need| need.service.as_str()).collect();
        assert_eq!(needs, if written.starts_with("$$") { vec![] } else { vec!["api"] });
    }
    let own = "    dependencies: {api: {condition: started, restart: true}}\n";
    let loaded = good(&with(&[API, &user("${service:api.http.url}"), own]));
    assert_eq!(service(&loaded, "web").dependencies[0].condition, Condition::Started, "what is written counts");
}

#[test]
fn names_with_dots_and_the_only_endpoint_are_found() {
    let dotted =
        API.replace("  api:", "  api.v2:").replace(", db: {port: 5432, scheme: postgresql, host: db.example}", "");
    for written in ["${service:api.v2.http.port}", "${service:api.v2.port}"] {
        let loaded = good(&with(&[&dotted, &user(written)]));
        assert_eq!(spec(&loaded, "web").env["A"].reveal(), "7670");
    }
}

#[test]
fn a_service_may_use_its_own_endpoint() {
    let api = "  api:
    backend: {type: docker, image: \"a:1\", ports: [\"8080:80\"], command: [\"${service:api.authority}\"]}
    endpoints: {http: 80}
    health_check: {type: http, url: \"${service:api.url}/health\"}
";
    let loaded = good(&with(&[api]));
    let command = docker(&loaded, "api").command.clone().unwrap();
    assert_eq!(command[0].reveal(), "localhost:80", "inside");
    let api = service(&loaded, "api");
    let Probe::Http { url, .. } = &api.checks[0].probe else { panic!("{api:?}") };
    assert_eq!(url.reveal(), "http://localhost:8080/health", "outside");
    assert!(api.dependencies.is_empty());
}

#[test]
fn what_only_the_engine_knows_stays_a_reference() {
    let db = "  db:\n    backend: {type: docker, image: \"a:1\", ports: [80]}\n    endpoints: {http: {port: 80, path: /x}}\n";
    let loaded = good(&with(&[db, &user("${service:db.url}")]));
    let web = service(&loaded, "web");
    let written: Vec<String> = web.references().iter().map(Reference::to_string).collect();
    assert_eq!(written, ["${service:db.http.authority}"]);
    assert_eq!(web.lifecycle.replace_triggered_by[0].as_str(), "db", "another one is reached elsewhere");
    let job = user("${service:db.url}") + "    kind: job\n";
    let loaded = good(&with(&[db, &job]));
    let web = service(&loaded, "web");
    assert_eq!((web.kind, web.lifecycle.replace_triggered_by.len()), (Kind::Job, 0));

    let far = Project::new(&with(&[&db.replace("[80]", "[\"8080:80\"]"), &user("${service:db.url}")]));
    assert!(service(&far.good(), "web").references().is_empty());
    let far = far.env("DOCKER_HOST", "ssh://far");
    assert_eq!(service(&far.good(), "web").references().len(), 1, "the engine is not this machine's");
}

#[test]
fn containers_reach_each_other_by_their_network() {
    let of = |name: &str, more: &str| {
        format!("  {name}:\n    backend: {{type: docker, image: \"a:1\", {more}}}\n    endpoints: {{http: 80}}\n")
    };
    let text = with(&[&of("db", "networks: [lan]"), &of("web", "networks: [lan], env: {A: \"${service:db.url}\"}")]);
    let loaded = good(&format!("networks: {{lan: {{type: lan}}}}\n{text}"));
    assert_eq!(docker(&loaded, "web").env["A"].reveal(), "http://db:80");
    let text = with(&[&of("db", "networks: [lan]"), &of("web", "env: {A: \"${service:db.url}\"}")]);
    says(&format!("networks: {{lan: {{type: lan}}}}\n{text}"), "the two containers share no network");
    says(
        &with(&[API, &of("web", "env: {A: \"${service:api.http.url}\"}")]),
        "`localhost` in a container is the container",
    );
}

#[test]
fn a_cluster_knows_its_own_services_and_others_do_not() {
    let chart = |name: &str, more: &str, end: &str| {
        format!("  {name}:\n    backend: {{type: helm, chart: repo/{name}, namespace: shop, {more}}}\n{end}")
    };
    let db = chart("db", "release: pg", "    endpoints: {sql: {port: 5432, scheme: postgresql}}\n");
    let web = chart("web", "values: {a: [\"${service:db.url}\"]}, set: {port: \"${service:db.port}\"}", "");
    let loaded = good(&with(&[&db, &web]));
    let Spec::Helm(spec) = &service(&loaded, "web").spec else { panic!("no release") };
    assert_eq!(spec.values.json(), r#"{"a":["postgresql://pg.shop.svc:5432"]}"#);
    assert_eq!(spec.set["port"].json(), "\"5432\"");
    assert_eq!(service(&loaded, "web").dependencies[0].service.as_str(), "db");
    says(&with(&[&db, &web.replace("namespace", "kube_context: other, namespace")]), "inside a Kubernetes cluster");
    says(&with(&[API, &web.replace("db.", "api.http.")]), "which a pod may not reach");

    // It is asked about what is forwarded; others get that only while orch needs it.
    let forwarded = db.replace("5432, scheme", "5432, port_forward: true, scheme");
    let own = "    health_check: {type: tcp, host: \"${service:db.host}\", port: 5432}\n";
    let loaded = good(&with(&[&forwarded, own]));
    let Probe::Tcp { host, .. } = &service(&loaded, "db").checks[0].probe else { panic!("another check") };
    assert_eq!(host, "pg.shop.svc");
    says(&with(&[&forwarded, &user("${service:db.url}")]), "a port is forwarded only while orch needs it");
    let needless = API.replace("port: 7670", "port: 7670, port_forward: true");
    says(&with(&[&needless]), "needs no forwarded port");
}

#[test]
fn what_is_rendered_takes_only_what_is_known_before() {
    let db = "  db:\n    backend: {type: docker, image: \"a:1\", ports: [80]}\n    endpoints: {http: {port: 80, host: far}}\n";
    let web = "  web:\n    backend: {type: compose, files: c.yaml, env: {A: \"${service:db.url}\"}}\n";
    let fixed = db.replace("[80]", "[\"8080:80\"]");
    let loaded = good(&with(&[&fixed, web]));
    let Spec::Compose(spec) = &service(&loaded, "web").spec else { panic!("no project") };
    assert_eq!(spec.env["A"].reveal(), "http://far:8080");
    says(&with(&[&db.replace(", host: far", ""), web]), "the containers of a Compose project are in other networks");
    let stack =
        "  stack:\n    backend: {type: compose, files: c.yaml}\n    endpoints: {http: {port: 80, service: front}}\n";
    let loaded = good(&with(&[stack, &user("${service:stack.url}")]));
    assert_eq!(service(&loaded, "web").references().len(), 1, "the engine says where, once it runs");
    let other = "  other:\n    backend: {type: helm, chart: repo/other, set: {a: \"${service:stack.url}\"}}\n";
    says(&with(&[stack, other]), "which a pod may not reach");
}

#[test]
fn what_is_wrong_with_a_reference_is_said_at_its_place() {
    for (written, problem) in [
        ("${service:apl.http.url}", "there is no service `apl`"),
        ("${service:api.htp.url}", "the service `api` has no endpoint `htp`"),
        ("${service:api.url}", "the service `api` has several endpoints"),
        ("${service:api.http.uri}", "`uri` is nothing that is known of an endpoint"),
        ("${service:api}", "there is no service `api`"),
        ("${service:web.http.url}", "the service `web` has no endpoint"),
    ] {
        let text = with(&[API, &user(&format!("x{written}"))]);
        says(&text, problem);
        assert!(bad(&text).starts_with("orch.yaml:6:"), "{}", bad(&text));
    }
    let reader =
        |keys: &str| with(&[API, &format!("  web:\n    backend: {{type: process, binary: /bin/true}}\n{keys}")]);
    let elsewhere = "`${service:..}` may not stand here";
    says(&reader("    timeout: \"${service:api.http.port}\"\n"), elsewhere);
    let hosts = with(&[
        API,
        "  web:\n    backend: {type: docker, image: \"a:1\", extra_hosts: {a: \"${service:api.http.host}\"}}\n",
    ]);
    says(&hosts, "may not stand here");
    says("variables: {a: {default: \"${service:api.url}\"}}\nservices: {}\n", "a variable may not refer to a service");
}

#[test]
fn a_circle_of_references_is_a_circle_of_dependencies() {
    let of = |name: &str, other: &str| {
        format!(
            "  {name}:\n    backend: {{type: process, binary: /bin/true, env: {{A: \"${{service:{other}.url}}\"}}}}\n    \
             endpoints: {{http: 80{}}}\n",
            name.len()
        )
    };
    let text = with(&[&of("a", "bb"), &of("bb", "a")]);
    let found = bad(&text);
    assert!(found.contains("the dependencies go round in a circle: a -> bb -> a"), "{found}");
    assert!(found.starts_with("orch.yaml:3:59:"), "{found}");
}

#[test]
fn endpoints_are_checked() {
    for (endpoints, problem) in [
        ("{http: 0}", "nothing listens on port 0"),
        ("{url: 80}", "`url` cannot be the name of an endpoint"),
        ("{a.b: 80}", "`a.b` cannot be the name of an endpoint"),
        ("{http: {path: /x}}", "the key `port` is missing"),
        ("{http: {port: 80, path: \"/a b\"}}", "is no path of a URL"),
        ("{http: {port: 80, scheme: \"http://\"}}", "is no scheme of a URL"),
        ("{http: {port: 80, host: \"a:1\"}}", "is not a host name or address"),
        ("{http: {port: 80, port_forward: true}}", "a service of the backend `process` needs no forwarded port"),
        ("{http: {prot: 80, port: 80}}", "unknown key `prot`"),
    ] {
        says(
            &with(&[&format!("  a:\n    backend: {{type: process, binary: /bin/true}}\n    endpoints: {endpoints}\n")]),
            problem,
        );
    }
    says(
        &with(&["  a:\n    kind: job\n    backend: {type: process, binary: /bin/true}\n    endpoints: {http: 80}\n"]),
        "a job has no endpoints",
    );
}

const TWO: &str = "  api:
    backends:
      local: {type: process, binary: /bin/true}
      docker: {type: docker, image: \"a:1\"}
";

#[test]
fn the_deployment_chooses_the_backend() {
    let text = format!("settings: {{deployment: local}}\n{}", with(&[TWO]));
    let project = Project::new(&text);
    assert_eq!(spec(&project.good(), "api").binary.reveal(), "/bin/true");
    let mut project = Project::new(&text);
    project.options.deployment = Some("docker".into());
    assert_eq!(docker(&project.good(), "api").image, "a:1");
    let kinds = |project: &Project| {
        project.good().desired.sources.iter().map(|source| format!("{:?}", source.kind)).collect::<Vec<_>>()
    };
    assert!(kinds(&project).contains(&"Deployment".to_owned()));
}

#[test]
fn a_deployment_that_does_not_fit_is_said_at_its_place() {
    let text = |settings: &str, more: &str| format!("settings: {{{settings}}}\n{}", with(&[TWO, more]));
    says(&text("", ""), "orch.yaml:5:7: error: no deployment is chosen");
    says(&text("deployment: lokal", ""), "orch.yaml:1:24: error: no service has the deployment `lokal`");
    says(
        &text("deployment: local", "  b:\n    backends: {docker: {type: docker, image: x}}\n"),
        "`b` has no backend for the deployment `local`",
    );
    says(&with(&["  a: {kind: job}\n"]), "the key `backend` is missing");
    let both = "  a:\n    backend: {type: external}\n    backends: {x: {type: external}}\n";
    says(&text("deployment: local", both), "both `backend` and `backends` are given");
    says(&text("deployment: local", "  b:\n    backends: {local: {image: x}}\n"), "the key `type` is missing");
    let mut project = Project::new(&text("deployment: local", ""));
    project.options.deployment = Some("dokcer".into());
    let found = project.bad();
    assert!(found.contains("no service has the deployment `dokcer`"), "{found}");
}
