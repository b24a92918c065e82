//! What goes wrong around a container: nothing may be there twice or left over, nothing foreign touched, what served
//! before must still serve, and orch must say what happened.

use std::net::TcpListener;

use rustix::process::Signal;

use crate::support::{Deployment, Engine, OwnEngine, Ran, Registry, free_port, get, wait_until};

/// A service whose container answers from outside on a port of its own, so that it is replaced stop-first.
fn published(image: &str, command: &str, port: u16, more: &str) -> String {
    format!(
        "services:
  web:
    backend:
      type: docker
      image: \"{image}\"
      command: {command}
      ports: [\"127.0.0.1:{port}:80\"]
      restart: no
      stop_timeout: 2s
    health_check: {{type: http, url: \"http://127.0.0.1:{port}/health\", interval: 100ms, timeout: 5s{more}}}
"
    )
}

/// A service whose container is asked inside, so that it is replaced create-first.
fn inside(name: &str, image: &str, command: &str, more: &str) -> String {
    format!(
        "  {name}:
    backend: {{type: docker, image: \"{image}\", command: {command}, restart: no, stop_timeout: 2s}}
    health_check: {{type: command, command: wget, args: [-q, -O, /dev/null, \"http://127.0.0.1/health\"], interval: 100ms, deadline: 30s}}
{more}"
    )
}

fn serves(port: u16, what: &str) -> bool {
    get(port, "/").is_ok_and(|answer| answer.ends_with(&format!("{what}\n")))
}

/// Checks that the evidence of the newest run holds each of these texts.
#[track_caller]
fn evidence(of: &Deployment, texts: &[&str]) {
    let files = crate::support::files_below(&of.last_run());
    let kept: String = files.values().map(|content| String::from_utf8_lossy(content)).collect();
    for text in texts {
        assert!(kept.contains(text), "{text:?} is not in the run's folder: {:?}", files.keys());
    }
}

#[track_caller]
fn converges(shop: &Deployment, containers: usize) {
    shop.apply();
    assert_eq!(shop.containers().len(), containers);
    shop.orch(&["plan", "--detailed-exitcode"]).exits(0);
}

fn apply(shop: &Deployment) -> Ran {
    shop.orch(&["apply", "--auto-approve"])
}

#[test]
fn a_container_that_exits_at_once_is_told_with_its_exit_code_and_its_last_lines() {
    let shop =
        Deployment::new(&format!("services:\n{}", inside("web", "orch-test/web:fail", "[web, fail, \"7\"]", "")));
    apply(&shop).exits(5).says(&["no configuration found", "7"]);
    evidence(&shop, &["no configuration found"]);
    let failed = shop.container("web");
    assert!(!shop.engine().runs(&failed), "it is left to be looked at");

    shop.yaml(&format!("services:\n{}", inside("web", "orch-test/web:1", "[web]", "")));
    converges(&shop, 1);
    assert_ne!(shop.container("web"), failed);

    // Beside one that serves, it changes nothing for who uses that.
    let old = shop.container("web");
    let started = shop.engine().inspect(&old)["State"]["StartedAt"].clone();
    shop.yaml(&format!("services:\n{}", inside("web", "orch-test/web:fail", "[web, fail]", "")));
    apply(&shop).exits(5).says(&["no configuration found"]);
    assert_eq!(shop.container("web"), old);
    assert_eq!(shop.engine().inspect(&old)["State"]["StartedAt"], started, "it never stopped");
}

#[test]
fn a_container_that_never_gets_healthy_gives_way_to_the_one_before_it() {
    let port = free_port();
    let shop = Deployment::new(&published("orch-test/web:1", "[web]", port, ""));
    shop.apply();
    let old = shop.container("web");
    shop.yaml(&published("orch-test/web:sick", "[web, sick]", port, ", deadline: 2s"));
    shop.orch(&["plan"]).ok().says(&["web"]);
    apply(&shop).exits(5).says(&["nobody can reach the database", "404"]);
    evidence(&shop, &["nobody can reach the database", "404"]);
    assert_eq!(shop.container("web"), old, "it was kept, and put back");
    wait_until("the old one serves again", || serves(port, "web 1"));
    shop.yaml(&published("orch-test/web:1", "[web]", port, ""));
    shop.orch(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_container_that_is_healthy_and_then_dies_is_found_by_its_gate_or_by_the_next_plan() {
    let port = free_port();
    let shop = Deployment::new(&published("orch-test/web:1", "[web, dies, \"1\"]", port, ", success_threshold: 3"));
    apply(&shop).exits(5).says(&["the heap is full", "9"]);
    evidence(&shop, &["the heap is full"]);

    shop.yaml(&published("orch-test/web:1", "[web]", port, ""));
    shop.apply();
    let dead = shop.container("web");
    // Nobody stops it: it ends from inside, and what ends it may end with it before it can say so.
    let _ = shop.engine().try_docker(&["exec", &dead, "kill", "1"]);
    wait_until("it died", || !shop.engine().runs(&dead));
    shop.orch(&["plan", "--detailed-exitcode"]).exits(2).says(&["web"]);
    converges(&shop, 1);
    assert!(serves(port, "web 1"));
}

#[test]
fn a_port_that_is_taken_between_plan_and_apply_is_left_to_who_took_it() {
    let port = free_port();
    let shop = Deployment::new(&published("orch-test/web:1", "[web]", port, ""));
    shop.orch(&["plan", "--out", "change.plan"]).ok();
    let foreign = shop.by_hand(&["--publish", &format!("127.0.0.1:{port}:80"), "orch-test/web:2"]);
    wait_until("the other container serves", || serves(port, "web 2"));
    let refused = shop.orch(&["apply", "change.plan"]);
    assert!(matches!(refused.code, Some(3 | 5)), "{refused}");
    refused.says(&[&port.to_string()]);
    assert!(shop.engine().runs(&foreign) && serves(port, "web 2"));

    // The plan says it too.
    shop.orch(&["plan"]).says(&[&port.to_string(), "taken by", "orch-test/web:2"]);
    shop.engine().docker(&["rm", "--force", &foreign]);

    // A process can take it as well.
    shop.orch(&["plan", "--out", "again.plan"]).ok();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let refused = shop.orch(&["apply", "again.plan"]);
    assert!(matches!(refused.code, Some(3 | 5)), "{refused}");
    refused.says(&[&port.to_string()]);
    drop(listener);
    converges(&shop, 1);
    assert!(serves(port, "web 1"));
}

#[test]
fn a_name_that_was_taken_by_hand_is_left_to_who_took_it() {
    let shop = Deployment::new("services: {}\n");
    let name = format!("{}-fixed", shop.name());
    shop.yaml(&format!(
        "services:\n  web:\n    backend: {{type: docker, image: \"orch-test/web:1\", container_name: \"{name}\"}}\n"
    ));
    let foreign = shop.by_hand(&["--name", &name, "orch-test/web:2"]);
    shop.orch(&["plan"]).says(&[&name, "taken by", "orch-test/web:2"]);
    apply(&shop).exits(5).says(&[&name]);
    assert!(shop.engine().runs(&foreign), "nothing happened to it");
    assert_eq!(shop.engine().inspect(&foreign)["Name"], format!("/{name}"));
    shop.engine().docker(&["rm", "--force", &foreign]);
    converges(&shop, 1);
    assert_eq!(shop.engine().inspect(&shop.container("web"))["Name"], format!("/{name}"));
}

#[test]
fn a_registry_that_is_gone_stops_nothing_that_runs() {
    let engine = Engine::get();
    let mut registry = Registry::start();
    registry.push_new(engine, "old", "shop/web:1", 1);
    let image = registry.name("shop/web:1");
    let port = free_port();
    let yaml = published(&image, "[web]", port, "").replace("restart: no", "restart: no\n      pull_policy: always");
    let shop = Deployment::new(&yaml);
    shop.apply();
    let old = shop.container("web");
    let started = shop.engine().inspect(&old)["State"]["StartedAt"].clone();

    // It is there for the plan, and gone when the image is to be pulled.
    registry.push_new(engine, "new", "shop/web:1", 1);
    shop.orch(&["plan", "--out", "change.plan", "--detailed-exitcode"]).exits(2);
    registry.stop();
    shop.orch(&["apply", "change.plan"]).exits(5).says(&["shop/web"]);
    assert_eq!(shop.container("web"), old);
    assert_eq!(shop.engine().inspect(&old)["State"]["StartedAt"], started, "it never stopped");
    assert!(serves(port, "web old"));

    // Gone for the plan too: what runs stays as it is, what is new cannot be planned.
    shop.orch(&["plan", "--detailed-exitcode"]).exits(0).says(&["shop/web"]);
    shop.yaml(&format!("{yaml}{}", inside("other", &registry.name("shop/other:1"), "[web]", "")));
    shop.orch(&["plan"]).exits(1).says(&["shop/other"]);

    registry.again();
    shop.yaml(&yaml);
    converges(&shop, 1);
    assert!(serves(port, "web new"));
}

#[test]
fn a_registry_that_hangs_in_the_middle_of_a_pull_can_be_given_up() {
    let (engine, registry) = (Engine::get(), Registry::start());
    registry.push_new(engine, "new", "shop/web:1", 4);
    let web = |image: &str| format!("services:\n{}", inside("web", image, "[web]", ""));
    let shop = Deployment::new(&web("orch-test/web:1"));
    shop.apply();
    let old = shop.container("web");
    shop.yaml(&web(&registry.name("shop/web:1")));
    shop.orch(&["plan", "--out", "change.plan"]).ok();
    registry.pause();
    let mut running = shop.start(&["apply", "change.plan"]);
    running.until("web: getting what it needs");
    running.signal(Signal::INT);
    running.until("SIGINT: nothing new is started");
    running.signal(Signal::INT);
    running.end().exits(6);
    assert_eq!(shop.container("web"), old);
    assert!(shop.engine().runs(&old));
    registry.resume();
    converges(&shop, 1);
    assert_ne!(shop.container("web"), old);
}

#[test]
fn a_disk_that_is_full_while_pulling_leaves_what_runs_and_nothing_half_made() {
    let own = OwnEngine::start(48);
    let registry = Registry::start();
    registry.push_new(Engine::get(), "large", "shop/large:1", 96);
    registry.push_new(Engine::get(), "small", "shop/small:1", 1);
    let web = |image: &str| format!("services:\n{}", inside("web", image, "[web]", ""));
    let shop = Deployment::at(&own.host(), &web("orch-test/web:1"));
    shop.apply();
    let old = shop.container("web");
    shop.yaml(&web(&registry.name("shop/large:1")));
    apply(&shop).exits(5).says(&["no space left on device", "make room"]);
    assert_eq!(shop.container("web"), old);
    assert!(shop.engine().runs(&old));
    shop.yaml(&web(&registry.name("shop/small:1")));
    converges(&shop, 1);
    assert_ne!(shop.container("web"), old);
}

#[test]
fn an_engine_that_stops_in_the_middle_of_an_apply_and_comes_back_finds_everything_once() {
    let mut own = OwnEngine::start(48);
    let waits = |name: &str, more: &str| {
        format!(
            "  {name}:
    backend: {{type: docker, image: \"orch-test/web:1\", command: [web, wait], stop_timeout: 2s}}
    health_check: {{type: command, command: ls, args: [/tmp/go], interval: 100ms, retries: 1000, deadline: 20s}}
{more}"
        )
    };
    let yaml = format!(
        "services:\n{}{}{}",
        inside("db", "orch-test/web:1", "[web]", "").replace("restart: no", "restart: unless-stopped"),
        waits("api", "    dependencies: [db]\n"),
        inside("web", "orch-test/web:1", "[web]", "    dependencies: [api]\n")
    );
    let shop = Deployment::at(&own.host(), &yaml);
    let running = shop.start(&["apply", "--auto-approve"]);
    let is_up = |service: &str| shop.containers_of(service).iter().any(|id| shop.engine().runs(id));
    wait_until("the apply is at the gate of api", || is_up("api"));
    own.stop();
    running.end().exits(5).says(&["api"]);
    shop.orch(&["plan"]).exits(1).says(&["cannot connect to the Docker engine at"]);

    own.again();
    let db = shop.container("db");
    let mut running = shop.start(&["apply", "--auto-approve"]);
    running.until("api: waiting for its gate");
    // The engine that came back may be starting one of them just now, in which nothing can be run yet.
    wait_until("every container of api that runs is told to go on", || {
        let running: Vec<_> = shop.containers_of("api").into_iter().filter(|api| shop.engine().runs(api)).collect();
        let told = |api: &String| shop.engine().try_docker(&["exec", api, "touch", "/tmp/go"]).is_ok();
        !running.is_empty() && running.iter().all(told)
    });
    running.end().ok();
    assert_eq!(shop.containers().len(), 3, "none is there twice, none is missing");
    assert_eq!(shop.container("db"), db, "what was done is not done again");
    shop.orch(&["plan", "--detailed-exitcode"]).exits(0);

    // A restart of the engine is no change either.
    own.stop();
    own.again();
    wait_until("the engine has started what it stopped", || ["db", "api"].into_iter().all(is_up));
    let plan = shop.orch(&["plan", "--json"]).ok().json();
    let changed: Vec<_> = plan["steps"].as_array().unwrap().iter().filter(|step| step["address"] != "web").collect();
    assert!(changed.is_empty(), "{plan}");
}
