//! A project from its first apply to its end.

use super::{Stack, three, two};

#[test]
fn a_project_comes_up_in_order_changes_and_goes() {
    let stack = Stack::new(&three("1"), "");
    let planned = stack.orch(&["plan"]).exits(0);
    planned.says(&[
        "+ create stack (compose)",
        "services.web.environment.VERSION: \"1\"",
        "+ db  create: new in the file",
    ]);
    assert!(stack.found("").is_empty(), "a plan changes nothing");

    stack.apply();
    stack.is_done();
    assert_eq!(stack.found("").len(), 3);
    assert_eq!(stack.found("db")[0]["State"]["Health"]["Status"], "healthy");
    assert_eq!(stack.found("migrate")[0]["State"]["ExitCode"], 0);
    stack.orch(&["status"]).exits(0).says(&["running", "healthy", "all 3 containers are well"]);

    // Only what changes is made anew.
    let (db, web) = (stack.one("db"), stack.one("web"));
    stack.file(&three("2"));
    let planned = stack.orch(&["plan"]).exits(0);
    planned.says(&[
        "replace stack (compose), in place",
        "services.web.environment.VERSION: \"1\" -> \"2\"",
        "~ web  recreate: environment.VERSION changed",
        "  db  unchanged",
    ]);
    stack.apply();
    stack.is_done();
    assert_eq!(stack.one("db"), db);
    assert_ne!(stack.one("web"), web);
    assert_eq!(stack.variable("web", "VERSION"), "2");

    let volume = format!("{}_data", stack.compose());
    stack.orch(&["destroy", "--auto-approve"]).exits(0);
    assert!(stack.found("").is_empty());
    assert!(!stack.engine().inspect(&volume).is_null(), "volumes are kept");
    stack.engine().docker(&["volume", "rm", &volume]);
}

#[test]
fn the_file_may_gain_and_lose_services() {
    let stack = Stack::new(&two("[web, serve]"), "");
    stack.apply();
    let a = stack.one("a");
    stack.file(&two("[web, serve]").replace("  b:", "  c:"));
    stack.orch(&["plan"]).exits(0).says(&["- b  remove", "+ c  create: new in the file", "  a  unchanged"]);
    stack.apply();
    stack.is_done();
    assert_eq!((stack.one("a"), stack.found("b").len(), stack.found("c").len()), (a, 0, 1));

    // What is not to go stays, and is told.
    stack.backend(", remove_orphans: false");
    stack.file("services: {a: {image: 'orch-test/web:1', command: [web, wait], stop_grace_period: 2s}}\n");
    stack.orch(&["plan"]).exits(0).says(&["c  orphan"]);
    stack.apply();
    stack.is_done();
    assert_eq!(stack.found("c").len(), 1);
}

#[test]
fn profiles_and_a_choice_of_services_are_the_same_on_each_call() {
    let file = "services:
  a: {image: 'orch-test/web:1', command: [web, serve], stop_grace_period: 2s, profiles: [front], depends_on: [b]}
  b: {image: 'orch-test/web:1', command: [web, serve], stop_grace_period: 2s}
  c: {image: 'orch-test/web:1', command: [web, serve], stop_grace_period: 2s}
";
    let stack = Stack::new(file, ", profiles: [front]");
    stack.apply();
    assert_eq!(stack.found("").len(), 3);
    stack.is_done();
    stack.backend("");
    stack.apply();
    stack.is_done();
    assert_eq!((stack.found("a").len(), stack.found("").len()), (0, 2), "what is of a profile that is off goes");

    stack.orch(&["destroy", "--auto-approve"]).exits(0);
    stack.backend(", profiles: [front], services: [a]");
    stack.apply();
    stack.is_done();
    assert_eq!((stack.found("a").len(), stack.found("b").len(), stack.found("c").len()), (1, 1, 0));
}

#[test]
fn a_changed_file_that_is_mounted_makes_its_service_anew() {
    let file = two("[web, serve]").replace("restart: unless-stopped", "volumes: ['./a.conf:/a.conf']");
    let stack = Stack::new(&file, "");
    stack.write("a.conf", "one");
    stack.apply();
    stack.is_done();
    let (a, b) = (stack.one("a"), stack.one("b"));
    stack.write("a.conf", "two");
    stack.orch(&["plan"]).exits(0).says(&["services.a.files./a.conf", "~ a  recreate: files./a.conf changed"]);
    stack.apply();
    stack.is_done();
    assert_ne!(stack.one("a"), a);
    assert_eq!(stack.one("b"), b);
    assert_eq!(stack.engine().docker(&["exec", &stack.one("a"), "cat", "/a.conf"]), "two");
}

#[test]
fn what_was_changed_by_hand_is_drift_and_comes_back() {
    let stack = Stack::new(&two("[web, serve]"), "");
    stack.apply();
    let (a, b) = (stack.one("a"), stack.one("b"));

    stack.engine().docker(&["rm", "--force", &b]);
    stack.orch(&["plan"]).exits(0).says(&["b has no container", "+ b  create: it has no container"]);
    stack.apply();
    stack.is_done();
    assert_eq!(stack.one("a"), a, "what is as it should be goes on");

    stack.engine().docker(&["stop", &a]);
    stack.orch(&["plan"]).exits(0).says(&["a was stopped"]);
    stack.apply();
    stack.is_done();
    assert_eq!(stack.one("a"), a);
    assert!(stack.engine().runs(&a));

    stack.file(&two("[web, serve]").replace("unless-stopped", "always"));
    stack.by_compose(&["up", "--detach", "--no-deps", "a"]);
    stack.file(&two("[web, serve]"));
    stack.orch(&["plan"]).exits(0).says(&["a was made from another definition"]);
    stack.apply();
    stack.is_done();
    assert_eq!(stack.found("a")[0]["HostConfig"]["RestartPolicy"]["Name"], "unless-stopped");
}

#[test]
fn the_verbs_act_on_the_whole_project() {
    // One that the engine would start again is no one-shot, also when it stops with 0.
    let file = two("[web, lines, '3']")
        .replace("{image", "{restart: unless-stopped, image")
        .replace(", restart: unless-stopped}", "}");
    let stack = Stack::new(&file, ", gate: [b]");
    stack.apply();
    let (a, b) = (stack.one("a"), stack.one("b"));
    stack.orch(&["logs", "stack"]).exits(0).says(&["a | web 1 is up", "b | line 3"]);
    stack.orch(&["exec", "stack", "--", "cat", "/www/version"]).exits(0).says(&["1"]);
    stack.orch(&["stop", "stack"]).exits(0);
    assert!(!stack.engine().runs(&a) && !stack.engine().runs(&b));
    stack.orch(&["status"]).says(&["stopped"]);
    stack.orch(&["start", "stack"]).exits(0);
    assert!(stack.engine().runs(&a) && stack.engine().runs(&b));
    let started = |id: &str| stack.engine().inspect(id)["State"]["StartedAt"].clone();
    let before = started(&a);
    stack.orch(&["restart", "stack"]).exits(0);
    assert_ne!(started(&a), before);
    stack.is_done();
}

#[test]
fn a_reviewed_plan_is_refused_when_the_files_come_to_something_else() {
    let stack = Stack::new(&two("[web, serve]"), "");
    stack.orch(&["plan", "--out", "change.plan"]).exits(0);
    stack.file(&two("[web, wait]"));
    stack.orch(&["apply", "--auto-approve", "change.plan"]).exits(3).says(&["compose.yml"]);
    assert!(stack.found("").is_empty());
    stack.file(&two("[web, serve]"));
    stack.orch(&["apply", "--auto-approve", "change.plan"]).exits(0);
    stack.is_done();
}

#[test]
fn replicas_are_counted() {
    let file = "services: {a: {image: 'orch-test/web:1', command: [web, serve], stop_grace_period: 2s, scale: 2}}\n";
    let stack = Stack::new(file, "");
    stack.apply();
    stack.is_done();
    let both = stack.found("a");
    assert_eq!(both.len(), 2);
    stack.engine().docker(&["rm", "--force", both[1]["Id"].as_str().unwrap()]);
    stack.orch(&["plan"]).exits(0).says(&["a has 1 of 2 containers"]);
    stack.apply();
    stack.is_done();
    assert_eq!(stack.found("a").len(), 2);
}
