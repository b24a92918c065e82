//! A connection that dies within a step.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::stage::{Stage, leftovers, look};
use super::unit;
use crate::campaign::world::tell;
use crate::support::wait_until;

/// The connection dies while a script on the host waits for the end of what runs: the script goes on by itself.
#[test]
fn a_connection_that_is_killed_within_a_step() {
    let stage = Stage::on(1);
    let sockets = stage.world.outer().join("tmp");
    std::fs::create_dir(&sockets).unwrap();
    let go = format!("/run/go-{}", stage.project());
    let slow = |version: &str| {
        let exec = format!(
            "exec: [/bin/sh, -c, \"trap 'touch {go}-asked; while [ ! -e {go} ]; do sleep 0.1; done; exit' TERM; touch {go}-ready; while :; do sleep 0.1; done\"]"
        );
        let unit = unit(stage.project(), "a", version, "");
        (stage.yaml)(
            &unit.replace("exec: [/usr/bin/sleep, '1000']", &exec).replace("stop_timeout: 2s", "stop_timeout: 60s"),
        )
    };
    stage.world.yaml(&slow("1"));
    stage.world.apply();
    wait_until("it minds its signals", || stage.host.try_sh(&format!("test -e {go}-ready")).is_ok());
    stage.world.yaml(&slow("2"));
    let args = ["apply", "--auto-approve"];
    let mut command = stage.world.command(&args);
    command.env("TMPDIR", &sockets);
    let running = stage.world.spawn(command, &args);
    wait_until("the old one is told to end", || stage.host.try_sh(&format!("test -e {go}-asked")).is_ok());
    let masters = masters(&sockets);
    assert!(!masters.is_empty(), "no ssh of this orch is there");
    for pid in masters {
        let _ = kill_process(pid, Signal::KILL);
    }
    stage.host.sh(&format!("touch {go}"));
    let ended = running.end();
    // A look between two scripts is asked again; only a script that ran is lost.
    assert!(matches!(ended.code, Some(0 | 5)), "{ended}");
    if ended.code != Some(0) {
        assert!(ended.out.contains("lost the connection to h1"), "the error is clear: {ended}");
    }
    tell(&format!("ssh killed within a step: exit {:?}", ended.code));
    stage.world.apply();
    wait_until("the new one runs", || look(stage.host, stage.project()) == "active 2 2");
    stage.world.orch(&["plan", "--detailed-exitcode"]).ok();
    assert_eq!(leftovers(stage.host, stage.project()), "");
    assert!(stage.foreign.is_untouched());
}

/// The shared connections of an orch that has their sockets in a folder: it stands in their command lines.
fn masters(sockets: &Path) -> Vec<Pid> {
    let socket = format!("{}/orch-ssh-", sockets.display());
    let is_ours = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"ssh") && String::from_utf8_lossy(&line).contains(&socket)
    };
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(is_ours).filter_map(Pid::from_raw).collect()
}
