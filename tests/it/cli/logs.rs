//! `orch logs`

use rustix::process::Signal;

use super::helpers::{job, services, shell, sleeper};
use crate::support::{Project, wait_until};

#[test]
fn the_last_lines_or_those_since_a_moment() {
    let project =
        Project::new(&services(&[job("j", "for i in 1 2 3 4 5; do echo line $i; done; echo to stderr >&2", "")]));
    project.apply();
    let all = project.orch(&["logs", "j"]).ok().out;
    assert_eq!(all.lines().filter(|line| line.starts_with("line")).count(), 5, "{all}");
    assert!(all.contains("to stderr"), "{all}");
    assert_eq!(project.orch(&["logs", "j", "-n", "2"]).ok().out.lines().count(), 2);
    assert_eq!(project.orch(&["logs", "j", "-n", "0"]).ok().out, "");
    assert_eq!(project.orch(&["logs", "j", "--since", "1h"]).ok().out, all);
    assert_eq!(project.orch(&["logs", "j", "--since", "2001-01-01T00:00:00Z"]).ok().out, all);
    assert_eq!(project.orch(&["logs", "j", "--since", "2099-01-01T00:00:00Z"]).ok().out, "");
    let stamped = project.orch(&["logs", "j", "-n", "1", "--timestamps"]).ok().out;
    assert!(stamped.starts_with("20") && stamped.contains("Z "), "{stamped}");
    project.orch(&["logs", "j", "--since", "yesterday"]).exits(64);
}

#[test]
fn what_has_no_log_is_said() {
    let project = Project::new(&services(&[sleeper("web", ""), "  e:\n    backend: {type: external}\n".to_owned()]));
    project.orch(&["logs", "web"]).exits(1).says(&["web has no log", "orch status"]);
    project.orch(&["logs", "wbe"]).exits(1).says(&["there is no service `wbe`", "did you mean `web`"]);
    project.apply();
    project.orch(&["logs", "e"]).exits(1).says(&["e has no log"]);
    assert_eq!(project.orch(&["logs", "web"]).ok().out, "");
}

#[test]
fn a_log_is_followed_until_a_signal() {
    for signal in [Signal::INT, Signal::TERM] {
        let project = Project::new(&services(&[shell(
            "web",
            "echo before; while [ ! -e go ]; do sleep 0.05; done; echo after; exec sleep 600",
            "",
        )]));
        project.apply();
        let mut logs = project.start(&["logs", "web", "-f"]);
        logs.until("before");
        project.write("go", "");
        logs.until("after");
        logs.signal(signal);
        assert_eq!(logs.end().ok().out, "before\nafter\n");
        project.pid("web");
    }
}

#[test]
fn a_log_that_was_rotated_is_read_whole_and_its_size_is_bounded() {
    let script = "i=0; while [ $i -lt 400 ]; do echo line number $i of a log that is rotated; i=$((i+1)); done; touch written; exec sleep 600";
    let project = Project::new(&services(&[
        shell("web", script, "").replace("type: process", "type: process, log: {max_size: 4096, keep: 2}")
    ]));
    project.apply();
    wait_until("all is written", || project.path("written").exists());
    wait_until("all is logged", || project.orch(&["logs", "web", "-n", "1"]).ok().out.contains("number 399"));
    let out = project.orch(&["logs", "web"]).ok().out;
    let numbers: Vec<u32> = out.lines().map(|line| line.split(' ').nth(2).unwrap().parse().unwrap()).collect();
    assert!(
        numbers.is_sorted() && numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "lines are missing: {numbers:?}"
    );
    assert!((20..300).contains(&numbers.len()), "{} lines are kept", numbers.len());
    let logged: usize = project
        .bytes()
        .iter()
        .filter(|(path, _)| path.display().to_string().contains("/log"))
        .map(|(_, b)| b.len())
        .sum();
    assert!(logged < 16_384, "{logged} bytes of log");
}
