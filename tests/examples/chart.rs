//! The example of a chart.

use crate::{orch_exits, root};

#[test]
fn the_example_of_a_chart_comes_up_changes_and_goes() {
    let (example, state) = (root().join("examples/helm"), tempfile::tempdir().unwrap());
    let orch = |args: &[&str], code: i32| orch_exits(&example, state.path(), args, code);
    orch(&["apply", "--auto-approve"], 0);
    orch(&["plan", "--detailed-exitcode"], 0);
    let plan = orch(&["plan", "--detailed-exitcode", "--profile", "retrieval"], 2);
    assert!(plan.contains("-  replicas: 2") && plan.contains("+  replicas: 3"), "{plan}");
    orch(&["apply", "--auto-approve", "--profile", "retrieval"], 0);
    orch(&["plan", "--detailed-exitcode", "--profile", "retrieval"], 0);
    orch(&["destroy", "--auto-approve"], 0);
}
