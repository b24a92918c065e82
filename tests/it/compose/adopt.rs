//! Projects that run without being orch's.

use super::{Stack, three, two};

#[test]
fn a_project_that_runs_is_taken_over_as_it_is() {
    let stack = Stack::new(&three("1"), "");
    stack.by_compose(&["up", "--detach", "--wait", "web"]);
    let (db, web) = (stack.one("db"), stack.one("web"));
    stack.orch(&["plan"]).exits(0).says(&["the Compose project", "which orch does not own"]);
    stack.orch(&["apply", "--auto-approve"]).exits(5).says(&["orch did not make it", "orch adopt"]);
    assert_eq!((stack.one("db"), stack.one("web")), (db.clone(), web.clone()), "nothing of it was touched");

    stack.orch(&["adopt", "--auto-approve"]).exits(0).says(&["com.docker.compose.project"]);
    stack.is_done();
    assert_eq!((stack.one("db"), stack.one("web")), (db.clone(), web.clone()));

    // What changes becomes orch's, and what does not stays what it is.
    stack.file(&three("2"));
    stack.apply();
    stack.is_done();
    assert_eq!(stack.one("db"), db);
    assert_ne!(stack.one("web"), web);
    assert_eq!(stack.variable("web", "VERSION"), "2");

    stack.orch(&["destroy", "--auto-approve"]).exits(0);
    assert!(stack.found("").is_empty());
}

#[test]
fn what_differs_from_the_file_is_shown_and_comes_to_it() {
    let stack = Stack::new(&two("[web, wait]"), "");
    stack.by_compose(&["up", "--detach"]);
    let (a, b) = (stack.one("a"), stack.one("b"));
    stack.file(&two("[web, serve]"));
    stack.orch(&["adopt", "--auto-approve"]).exits(0);
    stack.orch(&["plan"]).exits(0).says(&["services.b.command", "  a  unchanged", "~ b  recreate"]);
    stack.apply();
    stack.is_done();
    assert_eq!(stack.one("a"), a);
    assert_ne!(stack.one("b"), b);
}
