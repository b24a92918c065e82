//! `orch init`

use crate::support::Project;

#[test]
fn the_file_that_init_writes_is_commented_validates_and_applies_as_it_is() {
    let project = Project::empty();
    project.orch(&["init"]).ok().says(&["Wrote", "shop/orch.yaml", "orch plan"]);
    let text = project.read("orch.yaml");
    assert!(text.lines().filter(|line| line.trim_start().starts_with('#')).count() > 10, "{text}");
    project.orch(&["validate"]).ok().says(&["Valid: project shop, 2 services."]);
    project.apply().says(&["2 done"]);
    assert_eq!(project.row("hello")["state"], "completed");
    assert_eq!(project.row("ticker")["state"], "running");
    project.apply().says(&["No changes."]);
}

#[test]
fn init_makes_the_folder_and_does_not_write_over_a_file() {
    let project = Project::empty();
    project.orch(&["init", "deep/er"]).ok().says(&["orch -C deep/er plan"]);
    assert!(project.path("deep/er/orch.yaml").exists());
    project.yaml("services: {}\n");
    project.orch(&["init"]).exits(1).says(&["is there already", "--force"]);
    assert_eq!(project.read("orch.yaml"), "services: {}\n");
    project.orch(&["init", "--force"]).ok();
    assert!(project.read("orch.yaml").contains("ticker"));
}
