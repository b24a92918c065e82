//! `orch import compose` and `orch adopt`, of a project that the real Compose has running.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{Deployment, free_port, wait_until};

/// Compose, of the folder that `tests/run` names.
fn compose_binary() -> PathBuf {
    let tools = std::env::var_os("ORCH_TEST_TOOLS").expect("`tests/run` sets ORCH_TEST_TOOLS");
    PathBuf::from(tools).join("bin/docker-compose")
}

/// Runs Compose in the project's folder, with a secret in its environment.
#[track_caller]
fn compose(shop: &Deployment, args: &[&str]) {
    let mut command = Command::new(compose_binary());
    command.args(args).current_dir(shop.path("")).env("API_TOKEN", "hunter23").env("DOCKER_HOST", shop.engine().host());
    let output = command.output().unwrap();
    assert!(output.status.success(), "docker-compose {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Compose's containers, with what must not change while they are taken over.
fn lives(shop: &Deployment) -> Vec<Value> {
    let ids = shop.engine().containers_with(&format!("com.docker.compose.project={}", shop.name()));
    let found = ids.iter().map(|id| shop.engine().inspect(id));
    found
        .map(|found| {
            serde_json::json!([found["Name"], found["Id"], found["State"]["StartedAt"], found["State"]["Pid"]])
        })
        .collect()
}

/// A project with about everything that both have.
fn project(shop: &Deployment) -> String {
    let (name, web, worker) = (shop.name(), free_port(), free_port());
    format!(
        r#"name: {name}
x-owner: &owner
  labels: {{orch-test.owner: {name}}}
services:
  db:
    <<: *owner
    image: orch-test/web:1
    environment: {{POSTGRES_PASSWORD: hunter22, MODE: "${{MODE:-primary}}", COST: "5$$"}}
    volumes: ["data:/data", "kept:/kept", "./conf:/conf:ro", "/scratch"]
    healthcheck: {{test: ["CMD-SHELL", "test -d /www || exit $${{CODE:-1}}"], interval: 1s, timeout: 2s, retries: 10}}
    restart: always
    stop_grace_period: 3s
    shm_size: 32m
  migrate:
    <<: *owner
    image: orch-test/web:1
    command: web job "${{MESSAGE:-all done}}"
    depends_on: {{db: {{condition: service_healthy}}}}
  web:
    <<: *owner
    image: orch-test/web:1
    command: [web, serve]
    environment:
      - DATABASE_URL=postgres://app:hunter22@db:5432/shop
      - API_TOKEN
    env_file: web.env
    ports: ["127.0.0.1:{web}:80"]
    networks: {{default: , public: {{aliases: [www]}}}}
    depends_on: {{db: {{condition: service_healthy}}, migrate: {{condition: service_completed_successfully}}}}
    secrets: [key]
    configs: [{{source: limits, target: /etc/limits}}]
    tmpfs: /run/web:size=1m
    user: root
    working_dir: /www
    hostname: front
    init: true
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    ulimits: {{nofile: {{soft: 1024, hard: 2048}}, nproc: 512}}
    extra_hosts: ["host.docker.internal:host-gateway", "a.test=10.0.0.1"]
    mem_limit: 64m
    stop_signal: SIGINT
  worker:
    <<: *owner
    image: orch-test/web:2
    command: web wait
    container_name: {name}-the-worker
    deploy: {{resources: {{limits: {{cpus: "0.5", memory: 48M}}}}}}
    ports: [{{target: 80, published: "{worker}", host_ip: 127.0.0.1}}]
    network_mode: bridge
    read_only: true
  copies:
    <<: *owner
    image: orch-test/web:1
    command: ["web", "wait"]
    scale: 2
    restart: unless-stopped
networks:
  default: {{labels: {{orch-test.owner: {name}}}}}
  public: {{name: "{name}-by-another-name", labels: {{orch-test.owner: {name}}}}}
volumes:
  data: {{labels: {{orch-test.owner: {name}}}}}
  kept: {{name: "{name}-kept", labels: {{orch-test.owner: {name}}}}}
secrets: {{key: {{file: ./conf/key}}}}
configs: {{limits: {{file: ./conf/limits}}}}
"#
    )
}

#[test]
fn what_compose_runs_is_taken_over_as_it_is() {
    let mut shop = Deployment::new("services: {}\n");
    std::fs::remove_file(shop.path("orch.yaml")).unwrap();
    for (file, content) in [("conf/key", "k"), ("conf/limits", "l"), ("web.env", "LEVEL=info\nQUOTED='a b'\n")] {
        shop.write(file, content);
    }
    shop.write("compose.yaml", project(&shop));
    compose(&shop, &["up", "--detach", "--quiet-pull"]);
    let before = lives(&shop);
    assert_eq!(before.len(), 6, "{before:?}");

    let ran = shop.orch(&["import", "compose", "-o", "orch.yaml"]).ok();
    ran.says(&["`POSTGRES_PASSWORD` is a secret", "`API_TOKEN` is a secret"]).does_not_say(&["hunter2"]);
    let text = shop.read("orch.yaml");
    assert!(!text.contains("hunter2"), "{text}");
    shop.orch(&["validate"]).exits(1).says(&["the environment variable `POSTGRES_PASSWORD` is not set"]);
    shop.set_env("POSTGRES_PASSWORD", "hunter22");
    shop.set_env("API_TOKEN", "hunter23");
    shop.orch(&["validate"]).ok();

    // What runs is taken over as it is; only the job is to be made.
    let planned = shop.orch(&["plan", "--out", "change.plan"]).ok();
    for container in ["db-1", "web-1", "copies-1", "copies-2"] {
        let name = format!("{}-{container} runs already", shop.name());
        assert!(planned.out.contains(&name), "{name}: {planned}");
    }
    let planned = planned.says(&["Plan: 1 to create, 7 to adopt"]);
    planned.does_not_say(&["other than the file", "hunter2"]);
    assert_eq!(lives(&shop), before);
    shop.orch(&["apply", "change.plan"]).ok().does_not_say(&["hunter2"]);
    assert_eq!(lives(&shop), before, "the job has run, and nothing else was touched");
    shop.orch(&["plan"]).ok().says(&["No changes"]);

    // From here on it is orch's.
    shop.write("orch.yaml", text.replace("command: [web, serve]", "command: [web, serve, again]"));
    shop.plans(&[], &["web replace"]);
    shop.apply();
    wait_until("the new web is up", || shop.engine().runs(&shop.container("web")));
    shop.orch(&["destroy", "--auto-approve"]).ok();
    let left: Vec<Value> = lives(&shop).into_iter().map(|life| life[0].clone()).collect();
    assert_eq!(left, [format!("/{}-migrate-1", shop.name())], "Compose's own job, which was never orch's, stays");
    assert!(shop.engine().inspect(&format!("{}-by-another-name", shop.name())).is_null(), "the network went too");
}

#[test]
fn what_changed_since_is_told_as_a_difference() {
    let mut shop = Deployment::new("services: {}\n");
    let name = shop.name().to_owned();
    let file = |level: &str| {
        format!(
            "name: {name}\nservices:\n  web:\n    image: orch-test/web:1\n    labels: {{orch-test.owner: {name}}}\n    \
             environment: {{LEVEL: {level}}}\nnetworks: {{default: {{labels: {{orch-test.owner: {name}}}}}}}\n"
        )
    };
    shop.set_env("UNUSED", "");
    shop.write("compose.yaml", file("info"));
    compose(&shop, &["up", "--detach"]);
    let before = lives(&shop);
    shop.write("compose.yaml", file("debug"));
    shop.orch(&["import", "compose", "-o", "orch.yaml", "--force"]).ok();
    shop.orch(&["plan"]).ok().says(&["other than the file in env.LEVEL", "the next apply replaces it"]);
    shop.apply();
    assert_eq!(lives(&shop), before);
    shop.plans(&[], &["web replace"]);
}
