use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::model::DigestKey;

fn spec() -> ComposeSpec {
    ComposeSpec {
        files: vec![PathBuf::from("/nonexistent/compose.yml")],
        folder: PathBuf::from("/nonexistent"),
        project_name: "shop".to_owned(),
        profiles: Vec::new(),
        env_files: Vec::new(),
        env: BTreeMap::from([("DB_PASSWORD".to_owned(), Text::sensitive("hunter2"))]),
        build: None,
        pull: None,
        services: Vec::new(),
        gate: Vec::new(),
        remove_orphans: true,
        remove_volumes: false,
        wait_timeout: Duration::from_secs(60),
        settle: Duration::ZERO,
        rendered: None,
    }
}

fn read(value: &Value) -> ComposeProject {
    let spec = spec();
    project(&spec, &value.to_string(), &secrets(&spec, &BTreeMap::new()), &BTreeMap::new()).unwrap()
}

fn shown(service: &ComposeService) -> Vec<String> {
    service.made_from.iter().map(|(path, value)| format!("{path}={}", value.shown())).collect()
}

#[test]
fn a_service_is_taken_apart_into_what_a_plan_shows() {
    let project = read(&json!({
        "name": "shop",
        "services": {"web": {
            "image": "web:1", "command": ["serve", "--price", "$$5"], "entrypoint": null, "profiles": ["front"],
            "environment": {"PORT": "80", "API_TOKEN": "abcdef", "FROM_OUTSIDE": null, "URL": "db://u:pw@db/x"},
            "depends_on": {"db": {"condition": "service_healthy", "required": true}},
            "ports": [
                {"mode": "ingress", "host_ip": "127.0.0.1", "target": 80, "published": "8080", "protocol": "tcp"},
                {"mode": "ingress", "target": 53, "protocol": "udp"},
            ],
            "volumes": [
                {"type": "volume", "source": "data", "target": "/data", "volume": {}},
                {"type": "bind", "source": "/nonexistent/a", "target": "/a", "read_only": true,
                    "bind": {"create_host_path": true}},
            ],
            "deploy": {"replicas": 2, "placement": {}, "resources": {"reservations": {"devices": [
                {"capabilities": ["gpu"], "driver": "nvidia", "count": 1}]}}},
        }},
        "volumes": {"data": {"name": "shop_data"}},
        "configs": {"c": {"name": "shop_c", "content": "text"}},
    }));
    let web = &project.services["web"];
    let gpu = r#"{"reservations":{"devices":[{"capabilities":["gpu"],"count":1,"driver":"nvidia"}]}}"#;
    assert_eq!(
        shown(web),
        [
            "command=[\"serve\", \"--price\", \"$5\"]",
            &format!("deploy.resources={gpu}"),
            "environment.API_TOKEN=(sensitive)",
            "environment.FROM_OUTSIDE=(from the environment)",
            "environment.PORT=80",
            "environment.URL=(sensitive)",
            "image=web:1",
            "ports=[\"127.0.0.1:8080:80\", \"53/udp\"]",
            "volumes=[\"/nonexistent/a:/a:ro\", \"data:/data\"]",
        ]
    );
    let beside: Vec<&String> = web.beside.keys().collect();
    assert_eq!(beside, ["depends_on", "deploy.replicas"]);
    assert_eq!(web.ports, BTreeSet::from([(8080, Protocol::Tcp)]));
    assert_eq!(web.files, BTreeMap::from([("/a".to_owned(), None)]));
    assert_eq!(project.shared["volumes.data"].shown(), "{\"name\":\"shop_data\"}");
    assert_eq!(project.shared["configs.c"].shown(), "(sensitive)");
    assert!(!project.definition.reveal().contains("profiles"), "what is in the answer is wanted");
    assert!(project.definition.reveal().contains("\"gpu\""), "graphics processors are passed on");
}

#[test]
fn a_secret_is_one_wherever_it_stands() {
    let project = read(&json!({"services": {
        "a": {"image": "a", "command": ["--password=hunter2"], "environment": {"PASSWORD": "swordfish"}},
        "b": {"image": "b", "labels": {"note": "a swordfish"}, "healthcheck": {"test": ["CMD", "ask", "hunter2"]}},
    }}));
    let all: String = project.services.values().flat_map(shown).collect();
    assert!(!all.contains("hunter2") && !all.contains("swordfish"), "{all}");
    assert!(!format!("{project:?}").contains("hunter2"));
}

#[test]
fn the_digest_follows_what_a_container_is_made_from() {
    let key = DigestKey::new([1; 32]);
    let of = |service: Value| read(&json!({"services": {"a": service}})).services["a"].digest(&key);
    let before = of(json!({"image": "a"}));
    let depends = json!({"b": {"condition": "service_started"}});
    assert_eq!(before, of(json!({"image": "a", "depends_on": depends, "build": {"context": "."}})));
    assert_ne!(before, of(json!({"image": "b"})));
    let mounts = json!([{"type": "bind", "source": "/nonexistent", "target": "/x"}]);
    assert_ne!(before, of(json!({"image": "a", "volumes": mounts})));
}

#[test]
fn a_project_without_services_says_so() {
    let error = project(&spec(), "{\"services\": {}}", &[], &BTreeMap::new()).unwrap_err();
    assert!(error.contains("profiles that are off"), "{error}");
    assert!(project(&spec(), "hello", &[], &BTreeMap::new()).is_err());
}
