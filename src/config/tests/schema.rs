//! The JSON Schema says what the loader does.

use serde_json::{Value, json};

use super::Project;

/// Whether the schema takes a definition; YAML is a superset of JSON, so the loader reads the same.
fn accepts(definition: &Value) -> bool {
    jsonschema::validator_for(super::super::schema().as_value()).unwrap().is_valid(definition)
}

fn service(keys: &Value) -> Value {
    let mut service = json!({"backend": {"type": "process", "binary": "/bin/true"}});
    for (key, value) in keys.as_object().unwrap() {
        service[key] = value.clone();
    }
    json!({"services": {"web": service, "db": {"backend": {"type": "external"}}}})
}

#[test]
fn schema_and_loader_agree() {
    let http = |more: &Value| {
        let mut check = json!({"type": "http", "url": "http://h/"});
        for (key, value) in more.as_object().unwrap() {
            check[key] = value.clone();
        }
        service(&json!({"health_check": check}))
    };
    let process = |more: &Value| {
        let mut backend = json!({"type": "process", "binary": "/bin/true"});
        for (key, value) in more.as_object().unwrap() {
            backend[key] = value.clone();
        }
        service(&json!({"backend": backend}))
    };
    let docker = |more: &Value| {
        let mut backend = json!({"type": "docker", "image": "shop/web:1"});
        for (key, value) in more.as_object().unwrap() {
            backend[key] = value.clone();
        }
        service(&json!({"backend": backend}))
    };
    let on_host = |backend: Value| {
        json!({
            "hosts": {"h": "10.0.0.1", "n": null, "g": ["h"], "m": {"port": 22, "known_hosts": "accept-new", "labels": {"a": 1}}},
            "services": {"web": {"backend": backend}},
        })
    };
    let unit = |more: &Value| {
        let mut backend = json!({"type": "systemd", "exec": "/bin/x"});
        for (key, value) in more.as_object().unwrap() {
            backend[key] = value.clone();
        }
        on_host(backend)
    };
    let strategy = |strategy: Value| {
        json!({"hosts": {"h": "x"}, "services": {"web": {
            "backend": {"type": "ssh", "hosts": "h", "binary": "x"}, "strategy": strategy}}})
    };
    for good in [
        on_host(json!({"type": "ssh", "host": "h", "binary": "x", "restart": {"policy": "always"}, "run_as": "u"})),
        on_host(json!({"type": "ssh", "hosts": ["g", "a=1"], "binary": "/x", "upload": "orch.yaml", "env": {"A": 1}})),
        on_host(json!({"type": "ssh", "host": "1.2.3.4", "user": "u", "port": 22, "key_file": "k", "binary": "x"})),
        on_host(json!({"type": "package", "package": "orch.yaml", "install_path": "/opt/x", "keep": 2, "run": false})),
        unit(
            &json!({"exec": ["/bin/x", 1], "exec_start_pre": ["/bin/a", ["/bin/b"]], "restart": "no", "enable": true}),
        ),
        unit(&json!({"instances": ["a"], "service_type": "notify", "after": "x", "wants": ["y"], "scope": "user"})),
        unit(&json!({"schedule": "daily", "options": {"A": 1, "B": [true, "x"]}, "files": {"/x": "a"}})),
        unit(&json!({"schedule": ["daily"], "files": {"/x": {"content": "a", "mode": "0644"}}})),
        unit(&json!({"schedule": {"on_calendar": ["daily"], "persistent": false, "random_delay": "5m"}})),
        strategy(json!(2)),
        strategy(json!("25%")),
        strategy(json!([1, "20%"])),
        strategy(json!({"max_parallel": 1, "canary": 1, "pause": "ask", "max_failures": "10%", "on_failure": "halt"})),
        strategy(json!({"pause": 5, "confirm": 30})),
        docker(
            &json!({"command": "a b", "entrypoint": ["a", 1], "env": {"A": 1, "B": ""}, "env_file": [], "user": null}),
        ),
        docker(&json!({"env": ["A=1"], "labels": {"a": null}, "tmpfs": "/run", "gpus": "all", "restart": "no"})),
        docker(&json!({"labels": ["a"], "tmpfs": ["/run"], "gpus": 2, "restart": "on-failure:3", "cpus": 0.5})),
        docker(&json!({"gpus": ["a"], "cpus": "2", "memory": "64m", "shm_size": 4096, "stop_signal": 15})),
        docker(&json!({"ports": [80, "8080:80", "[::1]:1-2:1-2/udp", "127.0.0.1::80"], "stop_signal": "SIGRTMIN+3"})),
        docker(&json!({"volumes": ["/x", "./a:/a:ro", "data:/d", {"type": "bind", "source": "/a", "target": "/b"}]})),
        docker(
            &json!({"volumes": [{"type": "volume", "target": "/b"}], "ulimits": {"core": 1, "nofile": {"soft": 1, "hard": 2}}}),
        ),
        docker(&json!({"pull_policy": "every 24h", "init": true, "stop_timeout": "5s", "extra_hosts": {"a": "::1"}})),
        docker(
            &json!({"host": "ssh://h", "container_name": "web", "working_dir": "/", "hostname": "h", "read_only": true}),
        ),
        docker(&json!({"cap_add": ["ALL"], "cap_drop": ["CHOWN"], "extra_hosts": ["a:::1"], "remove_volumes": false})),
        json!({"services": {"s": {"backend": {"type": "compose", "files": "orch.yaml", "env": ["A=1"], "pull": "missing",
            "profiles": ["a"], "gate": ["b"], "build": true, "remove_orphans": false, "wait_timeout": "2m"}}}}),
        json!({"networks": {"n": {"type": "lan"}}, "services": {"web": {"replicas": 2, "network": "n", "backend": {
            "type": "docker", "image": "a", "networks": {"n": {"aliases": ["b"]}}},
            "health_check": {"type": "backend", "test": ["CMD", "a"]}}}}),
        json!({"networks": {"n": {"type": "lan"}}, "services": {"web": {"backend": {
            "type": "docker", "image": "a", "networks": ["n"]}, "health_check": {"type": "backend", "test": "a"}}}}),
        json!({"version": "1.0", "project": "p", "services": {}, "x-a": 1, "variables": {"A": {"default": 1, "sensitive": true}}}),
        json!({"settings": {"max_parallel": 4, "default_timeout": "5m", "on_failure": "halt"}, "services": {}}),
        json!({"networks": {"n": {"type": "lan", "subnet": "10.0.0.0/8"}}, "services": {}}),
        service(&json!({"dependencies": ["db"], "x-note": [1]})),
        service(&json!({"dependencies": {"db": null}})),
        service(&json!({"dependencies": {"db": {"condition": "started", "restart": false}}})),
        service(&json!({"dependencies": null, "timeout": 5, "settle": "300ms"})),
        service(&json!({"kind": "job", "profiles": [], "triggers": [], "lifecycle": {"prevent_destroy": true}})),
        http(&json!({"expected_status": 200, "body": "ok", "interval_secs": 5})),
        http(&json!({"expected_status": [200], "body": {"contains": "ok"}, "headers": {"A": 1}})),
        service(&json!({"health_check": [{"type": "tcp", "port": 80}, {"type": "backend"}]})),
        service(&json!({"health_check": [{"type": "command", "command": "true"}, {"type": "script", "path": "x"}]})),
        process(&json!({"args": ["a", 1, true], "env": {"A": 1}, "ports": [80], "user": null})),
        process(&json!({"log": {"max_size": "50MB", "keep": 2}, "restart": "always", "stop_signal": "TERM"})),
        process(&json!({"log": {"max_size": 5000}, "restart": {"policy": "never", "delay": 0}, "stop_timeout": 0})),
    ] {
        assert!(accepts(&good), "the schema refuses {good}");
        Project::new(&good.to_string()).good();
    }
    for bad in [
        on_host(json!({"type": "ssh", "host": "h"})),
        on_host(json!({"type": "package", "package": "x"})),
        unit(&json!({"restart": "never"})),
        unit(&json!({"service_type": "quick"})),
        unit(&json!({"schedule": {}})),
        unit(&json!({"drop_ins": "x"})),
        strategy(json!("half")),
        strategy(json!({"on_failure": "continue"})),
        json!({"hosts": {"h": {"known_hosts": "never"}}, "services": {}}),
        json!({"hosts": {"h": {"port": "x"}}, "services": {}}),
        json!({"services": {"s": {"backend": {"type": "compose"}}}}),
        json!({"services": {"s": {"backend": {"type": "compose", "files": "orch.yaml", "pull": "daily"}}}}),
        json!({"sevices": {}}),
        docker(&json!({"ports": "80:80"})),
        docker(&json!({"ports": ["80/"]})),
        docker(&json!({"volumes": ["a:b"]})),
        docker(&json!({"volumes": [{"type": "tmpfs", "target": "/x"}]})),
        docker(&json!({"restart": "sometimes"})),
        docker(&json!({"pull_policy": "build"})),
        docker(&json!({"gpus": "some"})),
        docker(&json!({"ulimits": {"core": {"soft": 1}}})),
        docker(&json!({"env": "A=1"})),
        json!({"services": {"a": {}}}),
        json!({"services": {"a": {"backend": {"type": "docker"}}}}),
        json!({"services": {"a": {"backend": {"type": "process"}}}}),
        service(&json!({"kind": "sometimes"})),
        service(&json!({"dependencies": "db"})),
        service(&json!({"health_check": {"port": 80}})),
        service(&json!({"health_check": {"type": "tcp", "port": 99999}})),
        service(&json!({"lifecycle": {"prevent_destroy": "yes"}})),
        service(&json!({"timeout": 0})),
        process(&json!({"stop_signal": "SIGFOO"})),
        process(&json!({"restart": "sometimes"})),
        process(&json!({"args": "x"})),
    ] {
        assert!(!accepts(&bad), "the schema takes {bad}");
        Project::new(&bad.to_string()).bad();
    }
}

#[test]
fn values_may_come_from_variables() {
    let variable = |name: &str, default: Value| (name.to_owned(), json!({"default": default}));
    let variables: serde_json::Map<_, _> =
        [variable("N", json!(5)), variable("B", json!(true)), variable("R", json!("never"))].into_iter().collect();
    let mut definition = service(&json!({"timeout": "${var:N}", "lifecycle": {"prevent_destroy": "${var:B}"}}));
    definition["variables"] = Value::Object(variables);
    definition["services"]["web"]["backend"]["restart"] = json!("${var:R}");
    definition["services"]["web"]["backend"]["ports"] = json!(["${var:N}"]);
    assert!(accepts(&definition));
    Project::new(&definition.to_string()).good();
}

#[test]
fn every_key_is_described() {
    fn walk(value: &Value, path: &str, missing: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::Object(properties)) = object.get("properties") {
                    for (name, property) in properties {
                        if name != "type" && property.get("description").is_none() {
                            missing.push(format!("{path}.{name}"));
                        }
                    }
                }
                object.iter().for_each(|(key, value)| walk(value, &format!("{path}.{key}"), missing));
            }
            Value::Array(list) => list.iter().for_each(|value| walk(value, path, missing)),
            _ => {}
        }
    }
    let mut missing = Vec::new();
    walk(super::super::schema().as_value(), "", &mut missing);
    assert!(missing.is_empty(), "{missing:?}");
}
