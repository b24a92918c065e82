//! Hosts that cannot be reached, are full, go down or lock out: what is said, and what is left there.

use super::site::{Site, sleeper};
use crate::support::{Fleet, Host, wait_until};

/// One host with options of the test's.
fn one(host: &Host, options: &str) -> String {
    format!("hosts:\n  h: {{address: {}, {options}}}\n", host.address())
}

/// A unit whose start waits on its host until the test lets it go on.
fn held(seconds: &str, timeout: &str) -> String {
    format!(
        "services:\n  web:\n    backend:\n      type: systemd\n      host: h\n      exec: [/bin/sleep, \"{seconds}\"]\n      \
         exec_start_pre: [[/bin/sh, -c, \"until [ -e /etc/go ]; do sleep 0.1; done\"]]\n    settle: 100ms\n    \
         timeout: {timeout}\n"
    )
}

#[test]
fn a_host_that_is_cut_off_or_reboots_goes_on_where_it_was() {
    let host = Fleet::own();
    let hosts = host.yaml("h");
    let version = |seconds: &str| format!("services:\n{}", sleeper("web", "host: h", seconds, ""));
    let site = Site::new("cut", &hosts, &version("601"));
    let project = &site.project;
    project.apply();
    project.orch(&["plan", "--out", "saved.plan", "--replace", "web"]).ok();

    host.cut_off();
    site.file(&hosts, &version("602"));
    let planned = project.orch(&["plan"]).ok();
    planned.says(&["cannot reach h (root@", "connection refused", "as it is recorded", "replace web"]);
    project.orch(&["status"]).ok().says(&["unreachable", "cannot reach h"]);
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&["cannot reach h", "1 failed (web)"]);
    assert_eq!(site.runs(&host, "web"), "601", "what runs there goes on");
    // Nothing was changed since: a plan that was saved before is as refused as it would be otherwise.
    project.orch(&["apply", "saved.plan"]).exits(3).says(&["help:"]);
    host.bring_back();
    project.apply();
    assert_eq!(site.runs(&host, "web"), "602");
    site.is_done(&[]);

    // Cut off while the new one starts, and back before its time is over.
    site.file(&hosts, &held("603", "50s"));
    let mut apply = project.start(&["apply", "--auto-approve"]);
    apply.until("waiting for its gate");
    host.cut_off();
    host.sh("touch /etc/go");
    host.bring_back();
    apply.end().ok();
    assert_eq!(site.runs(&host, "web"), "603");
    site.is_done(&[]);

    // A reboot while the new one starts. Whatever the run said of it, the next one converges.
    host.sh("rm /etc/go");
    site.file(&hosts, &held("604", "50s"));
    let mut apply = project.start(&["apply", "--auto-approve"]);
    apply.until("waiting for its gate");
    host.sh("touch /etc/go");
    host.reboot();
    apply.end();
    project.apply();
    assert_eq!(site.runs(&host, "web"), "604");
    site.is_done(&[]);

    // It comes back with its host.
    host.reboot();
    wait_until("the unit is up", || site.runs(&host, "web") == "604");
    site.is_done(&[]);
    assert_eq!(host.sh("pgrep -x sleep | wc -l"), "1");
}

#[test]
fn a_frozen_host_is_given_up_in_time() {
    let host = Fleet::own();
    let hosts = host.yaml("h");
    host.sh("touch /etc/go");
    let site = Site::new("frozen", &hosts, &held("601", "5s"));
    let project = &site.project;
    project.apply();
    host.sh("rm /etc/go");

    site.file(&hosts, &held("602", "5s"));
    let mut apply = project.start(&["apply", "--auto-approve"]);
    apply.until("waiting for its gate");
    host.freeze();
    apply.until("going back");
    apply.end().exits(5).says(&["1 failed (web)"]);
    project.orch(&["plan"]).ok().says(&["cannot reach h", "timed out during banner exchange"]);
    host.thaw();
    host.sh("touch /etc/go");
    project.apply();
    assert_eq!(site.runs(&host, "web"), "602");
    site.is_done(&[]);
}

#[test]
fn who_is_not_let_in_is_told_why_and_sends_nothing() {
    let host = Fleet::get().host(1);
    let (key, known) = (host.key(), host.known_hosts());
    let (key, known) = (key.display(), known.display());
    let other = Fleet::get().host(2);
    let services = format!("services:\n{}", sleeper("web", "host: h", "601", ""));
    let site = Site::new("login", "", "services: {}\n");
    let project = &site.project;
    // The key of another host, and one that is no key of a user.
    let keys = std::fs::read_to_string(host.known_hosts()).unwrap();
    let line = keys.lines().find(|line| line.starts_with(other.address())).unwrap();
    let changed = line.replacen(other.address(), host.address(), 1);
    let changed_file = project.write("changed", changed + "\n");
    let wrong = host.key().with_file_name(format!("host-{}", host.address()));

    for (options, reason, way_out) in [
        (
            format!("user: root, key_file: \"{}\", known_hosts_file: \"{known}\"", wrong.display()),
            "permission denied (publickey",
            "authorized_keys",
        ),
        (
            format!("user: root, key_file: /nowhere/key, known_hosts_file: \"{known}\""),
            "there is no key file /nowhere/key",
            "correct the host's `key_file`",
        ),
        (
            format!("user: root, key_file: \"{key}\", known_hosts_file: \"{}\"", changed_file.display()),
            "ITS HOST KEY HAS CHANGED",
            "ssh-keygen -R",
        ),
        (
            format!("user: root, key_file: \"{key}\", known_hosts_file: \"{}\"", project.path("none").display()),
            "its host key is not known",
            "known_hosts: accept-new",
        ),
        (
            format!("user: nobody-at-all, key_file: \"{key}\", known_hosts_file: \"{known}\""),
            "permission denied (publickey",
            "authorized_keys",
        ),
    ] {
        site.file(&one(host, &options), &services);
        project.orch(&["plan"]).ok().says(&[reason, "orch doctor"]);
        project.orch(&["apply", "--auto-approve"]).exits(5).says(&[reason, way_out]);
        assert_eq!(host.sh(&format!("ls /etc/systemd/system | grep -c {} || true", site.name)), "0", "{options}");
    }
    assert!(!project.path("none").exists(), "strict takes nothing in");

    let taken = project.path("taken");
    let options =
        format!("user: root, key_file: \"{key}\", known_hosts: accept-new, known_hosts_file: \"{}\"", taken.display());
    site.file(&one(host, &options), &services);
    project.apply();
    assert!(std::fs::read_to_string(&taken).unwrap().contains("ssh-ed25519"));
    site.is_done(&[]);
    // From now on it is known, so that another one is refused.
    project.write("taken", project.read("changed"));
    project.orch(&["plan"]).ok().says(&["ITS HOST KEY HAS CHANGED"]);
    assert_eq!(project.read("taken"), project.read("changed"));
    project.write("taken", keys);
    site.is_done(&[]);
}

#[test]
fn without_sudo_there_is_the_users_own_manager() {
    let host = Fleet::get().host(2);
    let files =
        format!("key_file: \"{}\", known_hosts_file: \"{}\"", host.key().display(), host.known_hosts().display());
    let site = Site::new("sudo", &one(host, &format!("user: plain, {files}")), "services: {}\n");
    let project = &site.project;
    let services = format!("services:\n{}", sleeper("web", "host: h", "601", ""));
    site.file(&one(host, &format!("user: plain, {files}")), &services);
    let refused = project.orch(&["apply", "--auto-approve"]).exits(5);
    refused.says(&["cannot become root on h (plain@", "NOPASSWD", "sudo: false"]);
    site.file(&one(host, &format!("user: plain, sudo: false, {files}")), &services);
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&["scope: user"]);
    assert_eq!(host.sh(&format!("ls /etc/systemd/system | grep -c {} || true", site.name)), "0");

    let users = format!(
        "services:\n{}  prog:\n    backend: {{type: ssh, host: h, binary: /bin/sleep, args: [\"602\"]}}\n    settle: 100ms\n",
        sleeper("web", "host: h, scope: user", "601", "")
    );
    site.file(&one(host, &format!("user: deploy, sudo: false, {files}")), &users);
    project.apply();
    site.is_done(&[]);
    let both = host.ssh("deploy", "ps -o args= -u deploy | grep '^/bin/sleep 60[12]' | sort").unwrap();
    assert_eq!(both, "/bin/sleep 601\n/bin/sleep 602");
    project.orch(&["destroy", "--auto-approve"]).ok();
    host.ssh("deploy", "ps -o args= -u deploy | grep '^/bin/sleep 60[12]'").unwrap_err();
}

#[test]
fn on_a_full_disk_the_old_version_goes_on() {
    let host = Fleet::own();
    let hosts = host.yaml("h");
    let version = |seconds: &str, kilobytes: usize| {
        let content = seconds.repeat(1024 * kilobytes / seconds.len());
        format!(
            "services:\n  web:\n    backend: {{type: systemd, host: h, exec: [/bin/sleep, \"{seconds}\"], files: \
             {{/srv/full/app.conf: \"{content}\"}}}}\n    settle: 100ms\n"
        )
    };
    for (path, kept) in [("/srv/full", "/srv/full"), ("/etc/systemd/system", ""), ("/var/lib/orch", "")] {
        host.sh(&format!(
            "mkdir -p {path}; cp -a {path} /root/kept; mount -t tmpfs -o size=256k tmpfs {path}; \
             cp -a /root/kept/. {path}; rm -r /root/kept"
        ));
        let site = Site::new("full", &hosts, &version("601", 40));
        let project = &site.project;
        project.apply();
        let unit = site.unit("web");
        let pid = host.sh(&format!("systemctl show -p MainPID --value {unit}"));
        let seen =
            || host.sh(&format!("cat /etc/systemd/system/{unit}; sha256sum /srv/full/app.conf; ls -A /srv/full"));
        let before = seen();
        host.sh(&format!("dd if=/dev/zero of={path}/filler bs=1k 2>/dev/null || true; sync"));
        site.file(&hosts, &version("602", 44));
        let refused = project.orch(&["apply", "--auto-approve"]).exits(5);
        refused.says(&["cannot write ", "see that there is space on the disk"]);
        host.sh(&format!("rm {path}/filler"));
        assert_eq!(seen(), before, "{path}: nothing is half written");
        assert_eq!(site.runs(&host, "web"), "601", "{path}");
        if !kept.is_empty() {
            assert_eq!(host.sh(&format!("systemctl show -p MainPID --value {unit}")), pid, "it was not even restarted");
        }
        project.apply();
        assert_eq!(site.runs(&host, "web"), "602", "{path}");
        site.is_done(&[]);
        project.orch(&["destroy", "--auto-approve"]).ok();
        host.sh(&format!("umount -l {path}; systemctl daemon-reload"));
    }
}

#[test]
fn a_server_with_few_sessions_is_enough() {
    let host = Fleet::own();
    host.sh("echo MaxSessions 2 >/etc/ssh/sshd_config.d/few.conf; systemctl restart ssh");
    wait_until("its sshd answers", || host.ssh("root", "true").is_ok());
    let services: String = (0..6).map(|n| sleeper(&format!("s{n}"), "host: h", &format!("60{n}"), "")).collect();
    let site = Site::new("few", &host.yaml("h"), &format!("services:\n{services}"));
    site.project.apply().says(&["6 done"]);
    site.is_done(&[]);
    site.project.orch(&["logs", "s1"]).ok().says(&["Started"]);
    site.project.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!(host.sh("pgrep -cx sleep || true"), "0");
}
