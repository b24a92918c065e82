//! `orch adopt`: containers that run already become orch's, as they are and without a restart.

use serde_json::Value;

use crate::support::{Deployment, free_port, wait_until};

/// What must not change while a container is taken over.
fn life(shop: &Deployment, container: &str) -> Value {
    let found = shop.engine().inspect(container);
    assert_eq!(found["State"]["Running"], true, "{container}");
    serde_json::json!([found["Id"], found["Name"], found["State"]["StartedAt"], found["State"]["Pid"]])
}

/// A service as [`by_compose`] makes it, with more of its backend.
fn service(shop: &Deployment, more: &str) -> String {
    let owner = shop.name();
    format!(
        "services:
  web:
    backend:
      {{type: docker, image: \"orch-test/web:1\", labels: {{orch-test.owner: {owner}}}, {more}}}
"
    )
}

/// Starts a container as Compose would.
fn by_compose(shop: &Deployment, project: &str, service: &str, number: u32, args: &[&str]) -> String {
    let labels = [
        format!("com.docker.compose.project={project}"),
        format!("com.docker.compose.service={service}"),
        format!("com.docker.compose.container-number={number}"),
        "com.docker.compose.oneoff=False".to_owned(),
    ];
    let labels = labels.iter().flat_map(|label| ["--label", label]);
    let name = format!("{}-{project}-{service}-{number}", shop.name());
    let all: Vec<&str> =
        labels.chain(["--name", &name, "--restart", "unless-stopped"]).chain(args.iter().copied()).collect();
    shop.by_hand(&all)
}

#[test]
fn a_compose_service_goes_on_running_as_orchs() {
    let shop = Deployment::new("services: {}\n");
    let published = format!("127.0.0.1:{}:80", free_port());
    let env = "env: {LEVEL: info, API_TOKEN: hunter22}";
    shop.yaml(&service(&shop, &format!("ports: [\"{published}\"], {env}")));
    let args = ["--publish", &published, "--env", "API_TOKEN=hunter22", "--env", "LEVEL=info", "orch-test/web:1"];
    let web = by_compose(&shop, shop.name(), "web", 1, &args);
    let before = life(&shop, &web);

    shop.orch(&["adopt"]).exits(1).says(&["there is no terminal to ask on", "--auto-approve"]);
    shop.on_terminal("adopt", "no\n").end().exits(1).says(&["as the file wants", "Nothing was changed"]);
    assert_eq!(shop.orch(&["state", "list"]).ok().out.lines().count(), 1, "nothing is recorded");
    shop.on_terminal("adopt", "yes\n").end().ok().says(&["label com.docker.compose.service=web", "as the file wants"]);
    shop.orch(&["plan"]).ok().says(&["No changes"]);
    assert_eq!(life(&shop, &web), before);
    shop.orch(&["adopt", "web", "--auto-approve"]).ok().says(&["web has an object of orch's already"]);
    shop.orch(&["history"]).ok().says(&["adopt", "succeeded"]);
    assert!(!shop.bytes().values().any(|bytes| String::from_utf8_lossy(bytes).contains("hunter22")));

    for verb in ["stop", "start", "restart"] {
        shop.orch(&[verb, "web"]).ok();
    }
    assert!(shop.engine().runs(&web), "the verbs work on it");
    shop.orch(&["plan"]).ok().says(&["No changes"]);

    shop.yaml(&service(&shop, &format!("ports: [\"{published}\"], env: {{LEVEL: debug, API_TOKEN: hunter22}}")));
    shop.plans(&[], &["web replace"]);
    shop.apply();
    assert!(shop.engine().inspect(&web).is_null(), "the new one is orch's own");
    shop.orch(&["plan"]).ok().says(&["No changes"]);
    shop.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!(shop.containers(), Vec::<String>::new());
}

#[test]
fn what_is_other_than_the_file_is_taken_over_and_the_difference_is_planned() {
    let shop = Deployment::new("services: {}\n");
    // A service and an image by names of their own: containers of other tests are nothing to be matched by.
    let image = format!("orch-test/{}:1", shop.name());
    shop.engine().docker(&["tag", "orch-test/web:1", &image]);
    let wanted = service(&shop, "env: {LEVEL: info}, memory: 64m, command: [web, wait]");
    shop.yaml(&wanted.replace("orch-test/web:1", &image).replace("web:\n", "till:\n"));
    let args =
        ["--env", "LEVEL=debug", "--env", "DB_PASS=hunter22", "--dns", "127.0.0.1", "orch-test/web:2", "web", "wait"];
    let web = by_compose(&shop, "elsewhere", "till", 1, &args);
    let before = life(&shop, &web);
    let named = format!("till={0}-elsewhere-till-1", shop.name());
    let ran = shop.orch(&["adopt", "--auto-approve"]).ok();
    ran.says(&["of the Compose project elsewhere", "Nothing was found to take over", &format!("`{named}`")]);
    let ran = shop.orch(&["adopt", &named, "--auto-approve"]).ok();
    let ran = ran.says(&["other than the file in 5 fields", "the next apply replaces it"]);
    let ran = ran.says(&["\"debug\" -> \"info\"", "env.DB_PASS: (sensitive)", "image.digest", "67108864", "(dns)"]);
    ran.does_not_say(&["hunter22"]);
    assert_eq!(life(&shop, &web), before);
    let step = shop.plan(&[])["steps"][0].clone();
    let changed: Vec<&str> =
        step["changes"].as_array().unwrap().iter().map(|change| change["path"].as_str().unwrap()).collect();
    assert_eq!(changed, ["env.DB_PASS", "env.LEVEL", "image", "image.digest", "memory"]);
    assert!(!shop.bytes().values().any(|bytes| String::from_utf8_lossy(bytes).contains("hunter22")));
    shop.orch(&["destroy", "--auto-approve"]).ok();
    assert!(shop.engine().inspect(&web).is_null(), "what was taken over is taken down");
    shop.engine().docker(&["rmi", &image]);
}

#[test]
fn a_plan_takes_over_what_says_what_it_is() {
    let shop = Deployment::new("services: {}\n");
    let more = "  other:\n    backend: {type: process, binary: sleep, args: [\"1000\"]}\n    dependencies: [web]\n";
    let wanted = service(&shop, "env: {LEVEL: info}") + more;
    shop.yaml(&wanted);
    let start = |level: &str| {
        by_compose(&shop, shop.name(), "web", 1, &["--env", &format!("LEVEL={level}"), "orch-test/web:1"])
    };
    let first = start("info");
    let name = format!("{0}-{0}-web-1", shop.name());
    let takes = format!("= adopt web (docker)  — {name} runs already (label com.docker.compose.service=web)");
    shop.orch(&["plan", "--out", "change.plan"]).ok().says(&[&takes, "1 to create, 1 to adopt"]);
    // What was reviewed is not what runs now.
    shop.engine().docker(&["rm", "--force", &first]);
    let web = start("info");
    let refused = shop.orch(&["apply", "change.plan"]).exits(3);
    refused.says(&["what runs as web changed since it was shown"]);
    shop.orch(&["state", "list"]).ok().says(&["Nothing is recorded"]);

    let before = life(&shop, &web);
    shop.on_terminal("apply", "yes\n").end().ok().says(&[&takes, "adopted"]);
    assert_eq!(life(&shop, &web), before);
    shop.orch(&["plan"]).ok().says(&["No changes"]);
    shop.orch(&["destroy", "--auto-approve"]).ok();
    assert!(shop.engine().inspect(&web).is_null(), "what was taken over is taken down");

    // What differs is taken over first, and changed by the next apply.
    let web = start("debug");
    let before = life(&shop, &web);
    let differs = "is other than the file in env.LEVEL: it is taken over as it is, and the next apply replaces it";
    shop.orch(&["plan", "--out", "change.plan"]).ok().says(&[&takes, differs]);
    shop.orch(&["apply", "change.plan"]).ok();
    assert_eq!(life(&shop, &web), before);
    shop.plans(&[], &["web replace"]);
    shop.orch(&["destroy", "--auto-approve"]).ok();
}

#[test]
fn a_run_takes_nothing_over_that_it_would_take_down() {
    let shop = Deployment::new("services: {}\n");
    shop.yaml(&service(&shop, "env: {LEVEL: info}"));
    let web = by_compose(&shop, shop.name(), "web", 1, &["--env", "LEVEL=info", "orch-test/web:1"]);
    let before = life(&shop, &web);
    shop.orch(&["run", "--reuse", "--", "true"]).ok();
    assert_eq!(life(&shop, &web), before);
    assert_eq!(shop.containers(), Vec::<String>::new(), "its own went down");
}

#[cfg(feature = "failpoints")]
#[test]
fn a_run_that_is_killed_while_it_takes_over_is_finished_by_the_next_apply() {
    use std::os::unix::process::ExitStatusExt;
    let shop = Deployment::new("services: {}\n");
    shop.yaml(&service(&shop, "env: {LEVEL: info}"));
    let web = by_compose(&shop, shop.name(), "web", 1, &["--env", "LEVEL=info", "orch-test/web:1"]);
    let before = life(&shop, &web);
    for point in ["journal.begin.written", "journal.begin.synced", "step.end.before", "journal.end.written"] {
        let mut command = shop.command(&["apply", "--auto-approve"]);
        let killed = command.env("FAILPOINTS", format!("{point}=return")).output().unwrap();
        assert_eq!(killed.status.signal(), Some(9), "{point}");
        assert_eq!(life(&shop, &web), before, "{point}");
        shop.apply();
        shop.orch(&["plan"]).ok().says(&["No changes"]);
        assert_eq!(life(&shop, &web), before, "{point}");
        shop.orch(&["state", "rm", "web"]).ok();
    }
}

#[test]
fn a_lost_state_folder_is_no_loss() {
    let shop = Deployment::new("services: {}\n");
    shop.yaml(
        "networks: {lan: {type: lan}}
services:
  web:
    replicas: 2
    backend: {type: docker, image: \"orch-test/web:1\", networks: [lan], volumes: [\"data:/data\"], env: {PORT: \"80\"}}
    health_check: {type: command, command: \"true\"}
",
    );
    shop.apply();
    let containers = shop.containers();
    let before: Vec<Value> = containers.iter().map(|container| life(&shop, container)).collect();
    std::fs::remove_dir_all(shop.path(".orch")).unwrap();

    let ran = shop.orch(&["adopt", "web[1]", "--auto-approve"]).ok();
    ran.says(&["label orch.address=web[1]"]).does_not_say(&["web[0]"]);
    let events = shop.orch(&["adopt", "--auto-approve", "--json"]).ok().lines();
    let started = |event: &&Value| event["event"] == "step_started";
    let adopted: Vec<&str> = events.iter().filter(started).map(|event| event["address"].as_str().unwrap()).collect();
    assert_eq!(adopted, ["web[0]"], "{events:?}");
    shop.orch(&["plan"]).ok().says(&["No changes"]);
    let after: Vec<Value> = containers.iter().map(|container| life(&shop, container)).collect();
    assert_eq!(after, before);
    shop.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!(shop.containers(), Vec::<String>::new());
    assert!(shop.engine().inspect(&format!("{}_lan", shop.name())).is_null(), "the network went too");
}

#[test]
fn what_is_not_clear_is_left_to_the_user() {
    let shop = Deployment::new("services: {}\n");
    shop.yaml(&service(&shop, "command: [web, wait]"));
    let one = |number| by_compose(&shop, shop.name(), "web", number, &["orch-test/web:1", "web", "wait"]);
    let (first, second) = (one(1), one(2));
    let name = |number: u32| format!("{0}-{0}-web-{number}", shop.name());
    shop.orch(&["adopt", "--auto-approve"]).ok().says(&[
        "Nothing was found to take over",
        &format!("web could be any of {}, {}", name(1), name(2)),
        &format!("`web={}`", name(1)),
    ]);
    shop.plans(&[], &["web create"]);
    let before = life(&shop, &first);
    shop.orch(&["adopt", &format!("web={}", name(2)), "--auto-approve"]).ok().says(&["named by you"]);
    shop.orch(&["plan"]).ok().says(&["No changes"]);
    shop.orch(&["destroy", "--auto-approve"]).ok();
    assert!(shop.engine().inspect(&second).is_null());
    assert_eq!(life(&shop, &first), before, "the other one is not orch's");
}

#[test]
fn what_is_anothers_is_never_touched() {
    let shop = Deployment::new("services: {}\n");
    shop.yaml(
        "services:
  lonely: {backend: {type: docker, image: \"unlike/any:1\", pull_policy: never}}
  job: {kind: job, backend: {type: docker, image: \"orch-test/web:1\", command: [web, job]}}
",
    );
    let other = Deployment::new("services:\n  web: {backend: {type: docker, image: \"orch-test/web:1\"}}\n");
    other.apply();
    let theirs = other.container("web");
    let foreign = by_compose(&shop, shop.name(), "proxy", 1, &["orch-test/web:1"]);
    let before = [life(&shop, &theirs), life(&shop, &foreign)];
    let ran = shop.orch(&["adopt", "lonely", "--auto-approve"]).ok();
    ran.says(&["Nothing was found to take over", "Nothing that runs could be lonely."]);
    let refused = |target: &str, says: &[&str]| {
        shop.orch(&["adopt", target, "--auto-approve"]).exits(1).says(says);
    };
    refused(&format!("lonely={theirs}"), &[&format!("is of orch's project {}", other.name())]);
    refused("lonely=nowhere-to-be-found", &["there is no container nowhere-to-be-found"]);
    refused("lonly", &["there is no service `lonly`", "did you mean `lonely`?"]);
    refused("job", &["job is a job"]);
    let stopped = shop.by_hand(&["orch-test/web:1", "web", "job"]);
    wait_until("it ended", || !shop.engine().runs(&stopped));
    refused(&format!("lonely={stopped}"), &["does not run"]);
    shop.orch(&["adopt", "lonely=", "--auto-approve"]).exits(64);
    assert_eq!([life(&shop, &theirs), life(&shop, &foreign)], before);
    shop.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!([life(&shop, &theirs), life(&shop, &foreign)], before);
}

#[test]
fn names_images_and_ports_are_enough_where_they_are_all_there_is() {
    let shop = Deployment::new("services: {}\n");
    let port = free_port();
    let named = format!("{}-cache", shop.name());
    let owner = format!("labels: {{orch-test.owner: {}}}", shop.name());
    // An image of its own, so that the containers of other tests are not of it.
    let image = format!("{}/web", shop.name());
    shop.engine().docker(&["tag", "orch-test/web:2", &image]);
    shop.yaml(&format!(
        "services:
  by-name: {{backend: {{type: docker, image: \"orch-test/web:1\", container_name: {named}, {owner}, restart: \"no\"}}}}
  by-image: {{backend: {{type: docker, image: \"{image}:latest\", pull_policy: never, {owner}, restart: \"no\"}}}}
  by-port: {{backend: {{type: docker, image: \"orch-test/web:fail\", command: [web, serve], ports: [\"127.0.0.1:{port}:80\"], {owner}, restart: \"no\"}}}}
"
    ));
    let all = [
        shop.by_hand(&["--name", &named, "orch-test/web:1"]),
        shop.by_hand(&[image.as_str()]),
        shop.by_hand(&["--publish", &format!("127.0.0.1:{port}:80"), "orch-test/web:fail", "web", "serve"]),
    ];
    let before = all.each_ref().map(|container| life(&shop, container));
    let ran = shop.orch(&["adopt", "--auto-approve"]).ok();
    shop.engine().docker(&["rmi", &image]);
    ran.says(&[&format!("name {named}"), &format!("image {image}"), &format!("port {port}")]);
    assert_eq!(all.each_ref().map(|container| life(&shop, container)), before);
    let recorded = shop.state()["state"]["records"].as_object().unwrap().clone();
    // In the order of the addresses.
    let all = [&all[1], &all[0], &all[2]];
    let objects: Vec<String> = recorded.values().map(|record| record["object"].as_str().unwrap().to_owned()).collect();
    assert_eq!(objects, all.map(|container| format!("container/{container}")));
}
