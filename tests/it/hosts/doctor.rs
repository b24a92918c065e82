//! `orch doctor`, and a host whose clock is off.

use serde_json::Value;

use super::site::{Site, sleeper};
use crate::support::{Fleet, Host, wait_until};

/// What `orch doctor --json` says of a check of the one host: its level, what was found, and the way out.
fn said(report: &Value, check: &str) -> (String, String, String) {
    let checks = report[0]["checks"].as_array().unwrap();
    let found = checks.iter().find(|found| found["check"] == check).unwrap_or_else(|| panic!("{check}: {report}"));
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("level"), text("found"), text("hint"))
}

/// Puts a program before one of the same name.
fn wrap(host: &Host, program: &str, script: &str) {
    host.sh(&format!(
        "cat >/usr/local/bin/{program} <<'END'\n#!/bin/sh\n{script}\nEND\nchmod 755 /usr/local/bin/{program}"
    ));
}

#[test]
fn what_ails_a_host_is_said_with_the_way_out_and_a_clock_that_is_off_does_no_harm() {
    let host = Fleet::own();
    let site = Site::new("doctor", &host.yaml("h"), &format!("services:\n{}", sleeper("web", "host: h", "601", "")));
    let project = &site.project;
    let doctor = |code: i32| {
        let ran = project.orch(&["doctor", "--json"]).exits(code);
        serde_json::from_str::<Value>(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}"))
    };
    let well = doctor(0);
    for check in ["reachable", "root", "systemd", "disk", "inodes", "clock", "sessions", "tools"] {
        assert_eq!(said(&well, check).0, "ok", "{check}: {well}");
    }
    project.orch(&["doctor", "h"]).ok().says(&["h", "reachable"]);
    project.orch(&["doctor", "nobody"]).exits(1).says(&["there is no host `nobody`", "the file names h"]);

    // Every `date` there is an hour ahead, but for those that tell the time of a file.
    wrap(
        &host,
        "date",
        r#"case " $* " in *" -r "*) exec /usr/bin/date "$@" ;; esac; exec /usr/bin/date -d '+1 hour' "$@""#,
    );
    let (level, found, hint) = said(&doctor(1), "clock");
    assert_eq!(level, "error");
    // A look may take a second.
    assert!(["3599 s ahead", "3600 s ahead", "3601 s ahead"].contains(&found.as_str()), "{found}");
    assert!(hint.contains("timedatectl set-ntp true"), "{hint}");
    project.apply();
    assert_eq!(site.runs(&host, "web"), "601");
    site.is_done(&[]);
    site.file(&host.yaml("h"), &format!("services:\n{}", sleeper("web", "host: h", "602", "")));
    project.apply();
    assert_eq!(site.runs(&host, "web"), "602");
    site.is_done(&[]);
    project.orch(&["status"]).ok().says(&["running"]);
    host.sh("rm /usr/local/bin/date");

    host.sh("echo MaxSessions 2 >/etc/ssh/sshd_config.d/few.conf; systemctl restart ssh");
    wait_until("its sshd answers", || host.ssh("root", "true").is_ok());
    host.sh("systemd-run --quiet --unit doctor-fails false || true");
    wait_until("a unit failed", || host.sh("systemctl is-system-running || true") == "degraded");
    host.sh("mkdir -p /var/lib/orch; mount -t tmpfs -o size=32m tmpfs /var/lib/orch");
    let ill = doctor(1);
    for (check, level, found, hint) in [
        ("sessions", "warning", "2 at a time", "MaxSessions 10"),
        ("systemd", "warning", "degraded: doctor-fails.service", "systemctl reset-failed"),
        ("clock", "ok", "", ""),
    ] {
        let (was, what, way_out) = said(&ill, check);
        assert!(was == level && what.contains(found) && way_out.contains(hint), "{check}: {ill}");
    }
    project.orch(&["doctor"]).exits(1).says(&["% of /var/lib/orch free", "make room on /var/lib/orch"]);

    host.cut_off();
    let (level, found, _) = said(&doctor(1), "reachable");
    assert!(level == "error" && found.contains("connection refused"), "{found}");
    host.bring_back();
}

#[test]
fn a_user_without_root_is_told_how_to_get_it() {
    let host = Fleet::get().host(3);
    let (key, known) = (host.key(), host.known_hosts());
    let files = format!("key_file: \"{}\", known_hosts_file: \"{}\"", key.display(), known.display());
    let hosts = |sudo: &str| format!("hosts:\n  h: {{address: {}, user: plain, {sudo}{files}}}\n", host.address());
    let site = Site::new("doctor-plain", &hosts(""), "services: {}\n");
    site.project.orch(&["doctor"]).exits(1).says(&["sudo -n is refused", "NOPASSWD: ALL", "sudo: false"]);
    site.file(&hosts("sudo: false, "), "services: {}\n");
    site.project.orch(&["doctor"]).says(&["not used, all runs as plain"]);
}
