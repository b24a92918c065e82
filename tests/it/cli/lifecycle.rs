//! Rules about a service's life, and renames.

use super::helpers::{needs, services, shell, sleeper};
use crate::support::Project;

#[test]
fn prevent_destroy_refuses_every_plan_that_would_take_it_down() {
    let keep = "    lifecycle: {prevent_destroy: true}\n";
    let project = Project::new(&services(&[sleeper("db", keep), sleeper("web", "")]));
    project.apply();
    let pid = project.pid("db");
    project.orch(&["destroy", "--auto-approve"]).exits(1).says(&["db", "prevent_destroy"]);
    project.orch(&["plan", "--replace", "db"]).exits(1).says(&["db", "prevent_destroy"]);
    project.yaml(&services(&[sleeper("db", keep).replace("600", "601"), sleeper("web", "")]));
    project.orch(&["apply", "--auto-approve"]).exits(1).says(&["db", "prevent_destroy"]);
    // Removed from the file, it is still protected by what is recorded.
    project.yaml(&services(&[sleeper("web", "")]));
    project.orch(&["apply", "--auto-approve"]).exits(1).says(&["db", "prevent_destroy"]);
    assert_eq!(project.pid("db"), pid);
    project.yaml(&services(&[sleeper("db", ""), sleeper("web", "")]));
    project.apply();
    assert_eq!(project.pid("db"), pid);
    project.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!(project.processes(), []);
}

#[test]
fn ignored_changes_are_not_acted_on_and_others_are() {
    let file = |a: u32, b: u32| {
        format!(
            "services:\n  web:\n    backend: {{type: process, binary: sleep, args: [\"600\"], env: {{A: \"{a}\", B: \"{b}\"}}}}\n    \
             lifecycle: {{ignore_changes: [env.A]}}\n"
        )
    };
    let project = Project::new(&file(1, 1));
    project.apply();
    let pid = project.pid("web");
    project.yaml(&file(2, 1));
    project.orch(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
    project.yaml(&file(2, 2));
    project.orch(&["plan"]).ok().says(&["~ env.B: \"1\" -> \"2\""]).does_not_say(&["env.A"]);
    project.apply();
    assert_ne!(project.pid("web"), pid);
    project.orch(&["state", "show", "web"]).ok().says(&["env.A: \"1\"", "env.B: \"2\""]);
}

#[test]
fn a_service_follows_the_replace_of_another() {
    let file = |seconds: u32| {
        services(&[
            sleeper("db", "").replace("600", &seconds.to_string()),
            sleeper("cache", "    lifecycle: {replace_triggered_by: [db]}\n"),
            sleeper("web", ""),
        ])
    };
    let project = Project::new(&file(600));
    project.apply();
    let (cache, web) = (project.pid("cache"), project.pid("web"));
    project.yaml(&file(601));
    project.orch(&["plan"]).ok().says(&["replace cache", "follows db"]);
    project.apply();
    assert_ne!(project.pid("cache"), cache);
    assert_eq!(project.pid("web"), web);
}

#[test]
fn a_renamed_service_keeps_running() {
    let project = Project::new(&services(&[sleeper("old", ""), sleeper("web", &needs(&["old"]))]));
    project.apply();
    let (pid, web) = (project.pid("old"), project.pid("web"));
    project.yaml(&services(&[sleeper("new", "    renamed_from: old\n"), sleeper("web", &needs(&["new"]))]));
    project.orch(&["plan"]).ok().says(&["new", "renamed from old"]).does_not_say(&[
        "delete old",
        "create new",
        "replace",
    ]);
    project.apply();
    assert_eq!((project.pid("new"), project.pid("web")), (pid, web));
    let list = project.orch(&["state", "list"]).ok().says(&["new"]);
    assert!(!list.out.contains("old"), "{list}");
    project.apply().says(&["No changes."]);
}

#[test]
fn a_rename_with_a_change_replaces_it_under_the_new_name_only() {
    let project = Project::new(&services(&[shell("old", "exec sleep 600", "")]));
    project.apply();
    project.yaml(&services(&[shell("new", "exec sleep 601", "    renamed_from: old\n")]));
    project.apply();
    project.pid("new");
    assert_eq!(project.processes().len(), 2, "{:?}", project.processes());
    project.orch(&["plan", "--detailed-exitcode"]).ok();
}
