//! `orch state`

use super::helpers::{needs, services, sleeper};
use crate::support::Project;

fn applied() -> Project {
    let project = Project::new(&services(&[sleeper("db", ""), sleeper("web", &needs(&["db"]))]));
    project.apply();
    project
}

#[test]
fn list_and_show_say_what_is_recorded() {
    let project = applied();
    project.orch(&["state", "list"]).ok().says(&[
        "ADDRESS",
        "REVISION",
        "db",
        "web",
        "process",
        "permanent",
        "healthy",
    ]);
    project.orch(&["state", "show", "web"]).ok().says(&[
        "status",
        "healthy",
        "needs",
        "db (started",
        "binary: \"sleep\"",
    ]);
    project.orch(&["state", "show", "nobody"]).exits(1).says(&["nothing is recorded of nobody", "orch state list"]);
}

#[test]
fn a_record_moves_and_what_runs_is_kept() {
    let project = applied();
    let pid = project.pid("web");
    project.orch(&["state", "mv", "web", "db"]).exits(1).says(&["there is a record of db already"]);
    project.orch(&["state", "mv", "nope", "x"]).exits(1).says(&["nope"]);
    project.orch(&["state", "mv", "web", "front"]).ok().says(&["web is recorded as front now"]);
    project.yaml(&services(&[sleeper("db", ""), sleeper("front", &needs(&["db"]))]));
    project.orch(&["plan"]).ok().does_not_say(&["create front", "delete web", "replace"]);
    project.apply();
    assert_eq!(project.pid("front"), pid);
    project.apply().says(&["No changes."]);
}

#[test]
fn a_removed_record_leaves_what_runs() {
    let project = applied();
    let processes = project.processes();
    project.orch(&["state", "rm", "web", "nope"]).exits(1).says(&["nope"]);
    assert!(
        project.state()["records"].get("web").is_some() || project.orch(&["state", "list"]).ok().out.contains("web")
    );
    project.orch(&["state", "rm", "web"]).ok().says(&["Forgot web. What runs goes on running."]);
    assert!(!project.orch(&["state", "list"]).ok().out.contains("web"));
    assert_eq!(project.processes(), processes);
    project.orch(&["state", "rm", "web"]).exits(1);
}

#[test]
fn a_state_is_pulled_and_pushed_back_and_no_older_or_foreign_one_is_taken() {
    let project = applied();
    let first = project.orch(&["state", "pull"]).ok().out;
    project.write("first.json", &first);
    project.orch(&["state", "push", "first.json"]).ok();
    project.orch(&["restart", "web"]).ok();
    let now = project.orch(&["state", "pull"]).ok().out;
    assert_ne!(now, first);
    project.orch(&["state", "push", "first.json"]).exits(1).says(&["serial", "--force"]);
    assert_eq!(project.orch(&["state", "pull"]).ok().out, now, "a refused push changed the state");
    let other = applied();
    project.write("other.json", other.orch(&["state", "pull"]).ok().out);
    project.orch(&["state", "push", "other.json"]).exits(1).says(&["lineage", "--force"]);
    project.write("bad.json", "{");
    project.orch(&["state", "push", "bad.json"]).exits(1).says(&["bad.json"]);
    project.write("damaged.json", first.replacen("healthy", "stopped", 1));
    project.orch(&["state", "push", "damaged.json"]).exits(1).says(&["damaged.json"]);
    assert_eq!(project.orch(&["state", "pull"]).ok().out, now);
    project.orch(&["state", "push", "--force", "first.json"]).ok();
    project.apply();
    assert_eq!(project.processes().len(), 4, "{:?}", project.processes());
    let empty = Project::new("services: {}\n");
    empty.orch(&["state", "pull"]).exits(1).says(&["nothing is recorded yet"]);
}

#[test]
fn files_of_the_state_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let project = applied();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&project.path(".orch")), 0o700);
    for path in project.bytes().keys() {
        assert_eq!(mode(path) & 0o077, 0, "{} can be read by others", path.display());
    }
}
