//! One container through its life, and what the tests of containers themselves stand on.

use crate::support::{Deployment, Registry, free_port, get, wait_until};

#[test]
fn a_container_comes_up_behind_its_gate_stays_as_it_is_and_goes() {
    let port = free_port();
    let shop = Deployment::new(&format!(
        "services:
  web:
    backend: {{type: docker, image: \"orch-test/web:1\", ports: [\"127.0.0.1:{port}:80\"]}}
    health_check: {{type: http, url: \"http://127.0.0.1:{port}/health\", interval: 100ms}}
"
    ));
    shop.plans(&[], &["web create"]);
    shop.apply();
    assert!(get(port, "/").unwrap().ends_with("web 1\n"));
    let container = shop.container("web");
    assert!(shop.engine().runs(&container));

    shop.orch(&["plan"]).ok().says(&["No changes"]);
    shop.orch(&["apply", "--auto-approve"]).ok();
    assert_eq!(shop.container("web"), container, "nothing changed, so it is the same one");

    shop.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!(shop.containers(), Vec::<String>::new());
    assert!(get(port, "/").is_err());
    shop.orch(&["plan", "--destroy"]).ok().says(&["No changes"]);
}

#[test]
fn the_images_of_the_tests_do_what_their_commands_say() {
    let shop = Deployment::new("services: {}\n");
    let engine = shop.engine();
    let exit_code = |container: &str| engine.docker(&["wait", container]);

    let port = free_port();
    let published = format!("127.0.0.1:{port}:80");
    let serves = shop.by_hand(&["--publish", &published, "orch-test/web:2"]);
    wait_until("it serves", || get(port, "/").is_ok_and(|answer| answer.ends_with("web 2\n")));
    engine.docker(&["stop", &serves]);
    assert_eq!(exit_code(&serves), "0", "it ends when it is told to");
    assert!(engine.docker(&["logs", &serves]).contains("stopping"));

    let sick = shop.by_hand(&["--publish", &published, "orch-test/web:sick"]);
    wait_until("it serves, but not that", || {
        get(port, "/health").is_ok_and(|answer| answer.starts_with("HTTP/1.1 404"))
    });
    engine.docker(&["stop", &sick]);

    assert_eq!(exit_code(&shop.by_hand(&["orch-test/web:fail"])), "3");
    assert_eq!(exit_code(&shop.by_hand(&["orch-test/web:1", "web", "job", "all of it"])), "0");

    let dies = shop.by_hand(&["--publish", &published, "orch-test/web:1", "web", "dies", "2"]);
    for _ in 0..2 {
        wait_until("it answers", || get(port, "/health").is_ok_and(|answer| answer.ends_with("ok\n")));
    }
    assert_eq!(exit_code(&dies), "9");

    let stubborn = shop.by_hand(&["orch-test/web:1", "web", "stubborn"]);
    engine.docker(&["stop", "--time", "0", &stubborn]);
    assert_eq!(exit_code(&stubborn), "137", "it had to be killed");
    assert_eq!(shop.containers(), Vec::<String>::new(), "none of these is orch's");
}

#[test]
fn a_registry_gives_an_image_by_its_digest_again_after_it_was_away() {
    let shop = Deployment::new("services: {}\n");
    let (engine, mut registry) = (shop.engine(), Registry::start());
    let digest = registry.push_new(engine, "new", "shop/web:latest", 2);
    let other = registry.push(engine, "orch-test/web:1", "shop/web:latest");
    assert_ne!(digest, other, "the tag has moved");
    let pinned = format!("{}@{digest}", registry.name("shop/web"));

    registry.stop();
    engine.try_docker(&["pull", "--quiet", &pinned]).unwrap_err();
    registry.again();
    engine.docker(&["pull", "--quiet", &pinned]);
    assert_eq!(engine.docker(&["run", "--rm", &pinned, "cat", "/www/version"]), "new");
    drop(registry);
    assert!(engine.inspect(&pinned).is_null(), "nothing of the registry stays on the engine");
}

/// A file with an engine, a process, a host that is reached through a tunnel, and networks: as a whole.
#[test]
fn a_file_with_many_backends_validates_and_plans() {
    let shop = Deployment::new("services: {}\n");
    shop.write("bin/api-server", "#!/bin/sh\n");
    shop.yaml(
        "version: \"1.0\"
settings: {state_dir: .orch, max_parallel: 4, default_timeout: 300}
networks:
  production: {type: lan, subnet: 192.168.1.0/24}
  monitoring: {type: wireguard, config: wg0.conf}
services:
  postgres:
    backend:
      type: docker
      image: orch-test/web:1
      ports: [\"5432:5432\"]
      env: {POSTGRES_PASSWORD: secret}
    health_check: {type: command, command: pg_isready}
  api:
    backend:
      type: process
      binary: ./bin/api-server
      env: {DATABASE_URL: \"postgresql://localhost:5432/api\"}
    dependencies: [postgres]
    health_check: {type: http, url: \"http://localhost:8080/health\"}
  monitoring:
    backend: {type: ssh, host: monitor.invalid, binary: /opt/prometheus/prometheus}
    network: monitoring
",
    );
    shop.orch(&["validate"]).ok();
    let ran = shop.orch(&["plan", "--detailed-exitcode"]).exits(2);
    ran.says(&["cannot reach monitor.invalid", "dependencies.networks.monitoring", "4 to create"])
        .does_not_say(&["POSTGRES_PASSWORD: \"secret\""]);
    shop.plans(&[], &["networks.monitoring create", "postgres create", "api create", "monitoring create"]);
}
