//! Changes that go over several hosts, hosts that come and go, and what others did there by hand.

use serde_json::Value;

use super::site::{Site, sleeper};
use crate::support::{Fleet, Host, wait_until};

/// The hosts `h1` to `h4` and `fleet`; those that are away listen somewhere else.
fn hosts(away: &[usize]) -> String {
    let fleet = Fleet::get();
    let mut yaml = fleet.yaml();
    for &number in away {
        let address = format!("address: {},", fleet.address(number));
        yaml = yaml.replace(&address, &format!("{address} port: 2,"));
    }
    yaml
}

fn web(seconds: &str, strategy: &str) -> String {
    format!("services:\n{}", sleeper("web", "hosts: fleet", seconds, &format!("    strategy: {{{strategy}}}\n")))
}

/// What runs on each of the four.
fn all(site: &Site) -> Vec<String> {
    Fleet::get().hosts().iter().map(|host| site.runs(host, "web")).collect()
}

#[test]
fn what_can_be_reached_is_deployed_and_the_rest_later() {
    let strategy = "max_parallel: 4, max_failures: \"50%\"";
    let site = Site::new("half", &hosts(&[]), &web("601", strategy));
    let project = &site.project;
    project.apply();
    site.file(&hosts(&[3, 4]), &web("602", strategy));
    let failed = project.orch(&["apply", "--auto-approve"]).exits(5);
    failed.says(&[
        "web@h1: replaced",
        "web@h2: replaced",
        "2 failed (",
        "web@h3",
        "web@h4",
        "2 done",
        "cannot reach h3",
    ]);
    assert_eq!(all(&site), ["602", "602", "601", "601"]);
    let rows = project.orch(&["status", "--json"]).ok().json();
    let states: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["running", "running", "unreachable", "unreachable"]);

    site.file(&hosts(&[]), &web("602", strategy));
    project.plans(&[], &["web@h3 replace", "web@h4 replace"]);
    project.apply();
    assert_eq!(all(&site), ["602"; 4]);
    site.is_done(&[]);
}

#[test]
fn a_roll_that_stops_puts_back_or_stays_as_its_file_says() {
    let careful = "max_parallel: 1, max_failures: 0";
    let site = Site::new("stop", &hosts(&[]), &web("601", careful));
    let project = &site.project;
    project.apply();
    site.file(&hosts(&[3]), &web("602", careful));
    let failed = project.orch(&["apply", "--auto-approve"]).exits(5);
    failed
        .says(&["web@h4: skipped", "the roll stops: 1 of 4 failed; the 2 copies that were done are put back"])
        .does_not_say(&["as it should"]);
    assert_eq!(all(&site), ["601"; 4]);
    site.file(&hosts(&[]), &web("601", careful));
    project.apply();
    site.is_done(&[]);

    // The canary is well, and the batch after it is not.
    let dies = |strategy: &str| {
        let exec = "[/bin/sh, -c, 'case ${host:name} in h1) exec sleep 603 ;; *) exit 3 ;; esac']";
        format!("services:\n{}", sleeper("web", "hosts: fleet", "603", &format!("    strategy: {{{strategy}}}\n")))
            .replace("[/bin/sleep, \"603\"]", exec)
    };
    site.file(&hosts(&[]), &dies("canary: 1, max_parallel: 3"));
    let planned = project.orch(&["plan"]).ok();
    planned.says(&["canary"]);
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&["batch 2 of 2", "the roll stops", "put back"]);
    assert_eq!(all(&site), ["601"; 4]);

    site.file(&hosts(&[]), &dies("canary: 1, max_parallel: 1, on_failure: halt"));
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&["what was done stays", "web@h3: skipped"]);
    assert_eq!(all(&site), ["603", "601", "601", "601"]);

    // It lives long enough for its gate, and not for what is asked for.
    let short = web("1", "max_parallel: 4, min_healthy_time: 5s")
        .replace("exec: [/bin/sleep", "restart: \"no\", exec: [/bin/sleep");
    site.file(&hosts(&[]), &short);
    project.orch(&["apply", "--auto-approve"]).exits(5).says(&["4 failed"]);
    site.file(&hosts(&[]), &web("604", "max_parallel: 4"));
    project.apply();
    assert_eq!(all(&site), ["604"; 4]);
    site.is_done(&[]);
}

#[test]
fn a_person_is_asked_between_batches() {
    let asks = "max_parallel: 2, pause: ask";
    let site = Site::new("ask", &hosts(&[]), &web("601", "max_parallel: 4"));
    let project = &site.project;
    project.apply();
    site.file(&hosts(&[]), &web("602", asks));
    let refused = project.on_terminal("apply", "yes\nno\n").end().exits(5);
    refused.says(&["go on with the next?", "the roll stops: it was not to go on"]);
    assert_eq!(all(&site), ["601"; 4]);
    project.on_terminal("apply", "yes\nyes\n").end().ok().says(&["batch 2 of 2"]);
    assert_eq!(all(&site), ["602"; 4]);
    site.is_done(&[]);
}

#[test]
fn a_change_that_cuts_the_connection_undoes_itself() {
    let host = Fleet::own();
    // A busy machine takes its time to confirm what is well; what is not is never confirmed.
    let version = |seconds: &str, ssh: &str, confirm: &str| {
        format!(
            "services:\n  web:\n    backend:\n      type: systemd\n      host: h\n      exec: [/bin/sleep, \"{seconds}\"]\n      \
             exec_start_pre: [[/bin/sh, -c, \"{ssh}\"]]\n    settle: 100ms\n    timeout: 20s\n    strategy: {{confirm: {confirm}}}\n"
        )
    };
    let good = version("601", "systemctl start ssh", "60s");
    let site = Site::new("confirm", &host.yaml("h"), &good);
    let project = &site.project;
    project.apply();
    site.is_done(&[]);
    let bad = version("602", "systemctl stop ssh; pkill -x sshd; true", "3s");
    site.file(&host.yaml("h"), &bad);
    let mut apply = project.start(&["apply", "--auto-approve"]);
    apply.until("switching it");
    wait_until("the host went back by itself", || site.runs(&host, "web") == "601" && host.ssh("root", "true").is_ok());
    apply.end().exits(5).says(&["web"]);
    assert_eq!(site.runs(&host, "web"), "601");
    project.plans(&[], &["web replace"]);
    site.file(&host.yaml("h"), &good);
    project.apply();
    site.is_done(&[]);
}

#[test]
fn hosts_leave_and_join_and_are_named_in_many_ways() {
    let fleet = Fleet::get();
    let some = |list: &str| format!("services:\n{}", sleeper("web", &format!("hosts: {list}"), "601", ""));
    let site = Site::new("join", &hosts(&[]), &some("[h1, h2]"));
    let project = &site.project;
    project.apply();
    assert_eq!(all(&site), ["601", "601", "-", "-"]);
    site.file(&hosts(&[]), &some("[h1, h3]"));
    project.plans(&[], &["web@h2 delete", "web@h3 create"]);
    project.apply();
    assert_eq!(all(&site), ["601", "-", "601", "-"]);
    assert_eq!(fleet.host(2).sh(&format!("ls /etc/systemd/system | grep -c {} || true", site.name)), "0");

    // `h3` leaves the file altogether, and is still known from the records.
    let without: String =
        hosts(&[]).lines().filter(|line| !line.starts_with("  h3:")).map(|l| format!("{l}\n")).collect();
    let without = without.replace("h3, ", "") + "  first: [h1]\n  both: [first, h4]\n";
    site.file(&without, &some("both"));
    project.apply();
    assert_eq!(all(&site), ["601", "-", "-", "601"]);
    site.is_done(&[]);

    let labelled = hosts(&[]).replace("user: root", "labels: {role: none}, user: root");
    let labelled = labelled.replacen("role: none", "role: web", 1);
    site.file(&labelled, &some("role=web"));
    project.plans(&[], &["web@h4 delete"]);
    project.apply();
    assert_eq!(all(&site), ["601", "-", "-", "-"]);

    let address = format!("host: root@{}, key_file: \"{}\"", fleet.address(2), fleet.key().display());
    let backend =
        format!("services:\n  prog:\n    backend: {{type: ssh, {address}, binary: /bin/sleep, args: [\"602\"]}}\n");
    // Whose keys are known is then what the user's own ssh knows: not this one.
    site.file("", &backend);
    project.orch(&["plan"]).ok().says(&["web@h1 (systemd)", "prog (ssh)", "its host key is not known"]);
    let refused = project.orch(&["apply", "--auto-approve"]).exits(5);
    refused.says(&["its host key is not known", "web@h1: deleted", "~/.ssh/known_hosts"]);
    assert_eq!(all(&site), ["-"; 4]);
}

#[test]
fn a_saved_plan_is_applied_as_reviewed_or_refused() {
    let site = Site::new("saved", &hosts(&[]), &web("601", "max_parallel: 4"));
    let project = &site.project;
    project.orch(&["plan", "--out", "a.plan"]).ok();
    project.orch(&["apply", "a.plan"]).ok().says(&["4 done"]);
    assert_eq!(all(&site), ["601"; 4]);
    site.file(&hosts(&[]), &web("602", "max_parallel: 4"));
    project.orch(&["plan", "--out", "b.plan"]).ok();
    let unit = format!("/etc/systemd/system/{}", site.unit("web"));
    Fleet::get().host(2).sh(&format!("echo '# by hand' >>{unit}"));
    project.orch(&["apply", "b.plan"]).exits(3).says(&["web@h2 is not what it was when the plan was made"]);
    assert_eq!(all(&site), ["601"; 4]);
}

/// The only step of a plan: its action and its reason.
fn step(site: &Site) -> (String, String) {
    let plan = site.project.plan(&[]);
    let [step] = plan["steps"].as_array().unwrap().as_slice() else { panic!("{plan}") };
    (step["action"].as_str().unwrap().to_owned(), Value::to_string(step))
}

/// Something is done by hand, which the next plan finds and the next apply repairs.
fn repaired(site: &Site, host: &Host, by_hand: &str, reason: &str) {
    host.sh(by_hand);
    let (_, told) = step(site);
    assert!(told.contains(reason), "{by_hand}: {told}");
    site.project.apply();
    site.is_done(&[]);
}

#[test]
fn what_was_done_by_hand_is_found_and_repaired() {
    let host = Fleet::get().host(4);
    let conf = format!("/srv/{}.conf", super::site::name("drift"));
    let services = format!(
        "services:\n  web:\n    backend: {{type: systemd, host: h4, exec: [/bin/sleep, \"601\"], files: {{{conf}: \"a\\n\"}}}}\n    \
         settle: 100ms\n"
    );
    let site = Site::new("drift", &hosts(&[]), &services);
    site.project.apply();
    let unit = site.unit("web");
    let file = format!("/etc/systemd/system/{unit}");
    repaired(&site, host, &format!("echo '# by hand' >>{file}"), "was edited");
    repaired(&site, host, &format!("echo b >{conf}"), "was edited");
    repaired(&site, host, &format!("rm {conf}"), "is gone");
    repaired(&site, host, &format!("chmod 600 {conf}"), "has mode 0600");
    repaired(&site, host, &format!("systemctl stop {unit}"), "stopped");
    repaired(&site, host, &format!("systemctl disable {unit}"), "is disabled");
    repaired(&site, host, &format!("rm {file}; systemctl mask {unit}; systemctl daemon-reload"), "was edited");
    assert_eq!(host.sh(&format!("cat {conf}")), "a");

    // What orch did not write it does not take away; it says so.
    host.sh(&format!(
        "mkdir -p {file}.d; printf '[Service]\\nNice=5\\n' >{file}.d/by-hand.conf; systemctl daemon-reload"
    ));
    site.project.orch(&["plan"]).ok().says(&["by-hand.conf was added by hand"]);
    assert_eq!(host.sh(&format!("ls {file}.d")), "by-hand.conf");
    host.sh(&format!("rm -r {file}.d; systemctl daemon-reload"));
    site.is_done(&[]);
}

#[test]
fn what_others_have_under_the_same_name_is_left_alone() {
    let host = Fleet::get().host(3);
    let site = Site::new("foreign", &hosts(&[]), &format!("services:\n{}", sleeper("web", "host: h3", "601", "")));
    let file = format!("/etc/systemd/system/{}", site.unit("web"));
    host.sh(&format!(
        "printf '[Service]\\nExecStart=/bin/sleep 699\\n' >{file}; systemctl daemon-reload; systemctl start {}",
        site.unit("web")
    ));
    let before = host.sh(&format!("cat {file}; systemctl show -p InvocationID {}", site.unit("web")));
    let ran = site.project.orch(&["apply", "--auto-approve"]);
    assert_ne!(ran.code, Some(0), "{ran}");
    ran.says(&[&site.unit("web")]);
    assert_eq!(host.sh(&format!("cat {file}; systemctl show -p InvocationID {}", site.unit("web"))), before);
    host.sh(&format!("systemctl stop {}; rm {file}; systemctl daemon-reload", site.unit("web")));
}
