//! What `orch plan` sees that happened behind its back.

use std::net::TcpListener;

use rustix::process::{Pid, Signal, kill_process};

use super::helpers::{greeter, services, shell};
use crate::support::{Project, free_port, get, wait_until};

/// Kills a service's own process, found by the project's folder.
fn kill_service(project: &Project, name: &str) {
    let pid = u32::try_from(project.pid(name)).unwrap();
    assert!(project.processes().iter().any(|found| found.pid == pid && !found.supervisor), "{pid} is not ours");
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_service_killed_by_hand_is_drift_and_comes_back() {
    let never =
        |name: &str| shell(name, "exec sleep 600", "").replace("type: process", "type: process, restart: never");
    let project = Project::new(&services(&[never("web"), never("other")]));
    project.apply();
    let other = project.pid("other");
    kill_service(&project, "web");
    wait_until("the end is seen", || project.row("web")["state"] == "exited");
    project.orch(&["plan"]).ok().says(&[
        "Drift: web was changed outside of orch: exited (signal 9)",
        "! restart web (process)  — drift: exited (signal 9)",
        "1 unchanged",
    ]);
    let plan = project.plan(&[]);
    assert_eq!((&plan["drift"][0]["address"], &plan["drift"][0]["drift"]["kind"]), (&"web".into(), &"missing".into()));
    project.apply();
    project.pid("web");
    assert_eq!(project.pid("other"), other);
    project.apply().says(&["No changes."]);
}

#[test]
fn a_supervisor_killed_with_its_service_is_made_again() {
    let project = Project::new(&services(&[shell("web", "exec sleep 600", "")]));
    project.apply();
    for supervisor in [true, false] {
        let found = project.processes().into_iter().find(|found| found.supervisor == supervisor).unwrap();
        kill_process(Pid::from_raw(found.pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
        wait_until("it is gone", || !project.processes().contains(&found));
    }
    assert_eq!(project.row("web")["state"], "lost");
    project.orch(&["plan"]).ok().says(&["Drift: web", "create web"]);
    project.apply();
    project.pid("web");
    assert_eq!(project.processes().len(), 2);
}

#[test]
fn a_changed_binary_on_disk_is_drift() {
    let project = Project::empty();
    project.script("bin/web", "#!/bin/sh\nexec sleep 600\n");
    project.yaml("services:\n  web:\n    backend: {type: process, binary: ./bin/web}\n");
    project.apply();
    let pid = project.pid("web");
    project.script("bin/web", "#!/bin/sh\n# new\nexec sleep 600\n");
    project.orch(&["plan"]).ok().says(&["Drift: web", "bin/web"]);
    assert_eq!(project.plan(&[])["summary"]["changes"], true);
    project.apply();
    assert_ne!(project.pid("web"), pid);
    project.apply().says(&["No changes."]);
}

#[test]
fn a_foreign_process_on_the_port_is_named_and_left_alone() {
    let port = free_port();
    let foreign = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let project = Project::new(&services(&[greeter("web", port, "ours", "")]).replace("20s", "2s"));
    let me = format!("pid {}", std::process::id());
    project.orch(&["plan"]).ok().says(&[
        "Drift: web finds something in its place that orch does not own",
        &format!("port {port}"),
        &me,
    ]);
    assert_eq!(project.plan(&[])["drift"][0]["drift"]["kind"], "unmanaged");
    drop(foreign);
    project.orch(&["plan"]).ok().does_not_say(&["Drift"]);
    project.apply();
    assert!(get(port, "/").unwrap().contains("ours"));
}

#[test]
fn a_service_that_fails_its_check_is_restarted() {
    let project = Project::empty();
    project.write("ok", "");
    let check = "    health_check: {type: command, command: test, args: [-e, ok], deadline: 20s}\n";
    project.yaml(&services(&[shell("web", "touch ok; exec sleep 600", check)]));
    project.apply();
    let pid = project.pid("web");
    std::fs::remove_file(project.path("ok")).unwrap();
    assert_eq!(project.row("web")["healthy"], false);
    project.orch(&["plan"]).ok().says(&["restart web", "unhealthy:"]);
    project.apply();
    assert_ne!(project.pid("web"), pid);
    assert_eq!(project.row("web")["healthy"], true);
}
