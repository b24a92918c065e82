//! Values on their way to hosts: byte for byte, never executed, and secrets in nobody's sight.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::site::Site;
use crate::support::{Fleet, Host, files_below, wait_until};

/// What a shell, systemd, ssh or YAML could take for something else.
fn hostile(marker: &str) -> Vec<String> {
    let long = "ü".repeat(4096);
    let mut values: Vec<String> = [
        "",
        " ",
        "two words",
        "'",
        "\"",
        "it's \"so\"",
        "\\",
        "\\\\n",
        "a\\\nb",
        "line\nline\n",
        "\n",
        "tab\t",
        "$HOME",
        "$$",
        "$1",
        "%n %% %h 100%",
        "-n",
        "--help",
        "-",
        "#not",
        ";:&|<>",
        "*",
        "~",
        "ünï ☃ 日本",
        "a=b",
        "{}",
        "!x",
    ]
    .map(str::to_owned)
    .into();
    values.extend([format!("$(touch {marker})"), format!("`touch {marker}`"), format!("x; touch {marker}"), long]);
    values
}

/// Writes what it got to the file that its first argument names, whole or not at all.
const TELLS: &str = "import json,os,sys,time\np=sys.argv[1]\njson.dump([sys.argv[2:],dict(os.environ)],open(p+'.new','w'))\n\
                     os.rename(p+'.new',p)\ntime.sleep(1000)\n";

/// Waits for what a program wrote, and compares it.
#[track_caller]
fn arrived(host: &Host, file: &str, args: &[String], env: &BTreeMap<String, String>) {
    wait_until("the program has told", || host.try_sh(&format!("test -f {file}")).is_ok());
    let told: Value = serde_json::from_str(&host.sh(&format!("cat {file}"))).unwrap();
    assert_eq!(told[0], json!(args), "{file}");
    for (name, value) in env {
        assert_eq!(told[1][name], json!(value), "{file}: {name}");
    }
    host.sh(&format!("rm {file}"));
}

#[test]
fn values_arrive_byte_for_byte_and_nothing_is_executed() {
    let host = Fleet::get().host(1);
    let name = super::site::name("values");
    let marker = format!("/var/tmp/{name}.pwned");
    let values = hostile(&marker);
    let env: BTreeMap<String, String> =
        values.iter().enumerate().map(|(n, value)| (format!("V{n}"), value.clone())).collect();
    let site = Site::new("values", &Fleet::get().yaml(), "services: {}\n");
    let project = &site.project;
    project.write("app/manifest.yaml", "name: app\nversion: 1.0.0\nentry_point: bin/app\n");
    project.script("app/bin/app", &format!("#!/usr/bin/python3\n{TELLS}"));
    project.orch(&["package", "build", "app"]).ok();

    let file = |which: &str| format!("/var/tmp/{name}.{which}");
    let words = |first: &[&str]| -> Value {
        first.iter().map(|word| (*word).to_owned()).chain(values.iter().cloned()).collect::<Vec<_>>().into()
    };
    let services = json!({
        "prog": {"settle": "100ms", "backend": {"type": "ssh", "host": "h1", "binary": "/usr/bin/python3", "env": env,
            "args": words(&["-c", TELLS, &file("ssh")])}},
        "unit": {"settle": "100ms", "backend": {"type": "systemd", "host": "h1", "env": env,
            "exec": words(&["/usr/bin/python3", "-c", TELLS, &file("unit")])}},
        "pack": {"settle": "100ms", "backend": {"type": "package", "host": "h1", "install_path": format!("/opt/{name}"),
            "package": "app-1.0.0.tar.gz", "env": env, "args": words(&[&file("pack")])}},
    });
    // JSON is YAML too.
    site.file(&Fleet::get().yaml(), &format!("services: {services}\n"));
    project.apply();
    for which in ["ssh", "unit", "pack"] {
        arrived(host, &file(which), &values, &env);
    }
    assert_eq!(host.sh(&format!("ls {marker} 2>/dev/null || true")), "");
    site.is_done(&[]);
    project.orch(&["destroy", "--auto-approve"]).ok();
    host.sh(&format!("rm -rf /opt/{name}"));
}

const SECRETS: [&str; 3] = ["hunter-one-41", "hunter-two-42", "hunter-three-43"];

/// Looks at every command line of this machine.
#[track_caller]
fn nobody_here_shows_a_secret() {
    for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        assert!(!SECRETS.iter().any(|secret| line.contains(secret)), "{line}");
    }
}

#[test]
fn secrets_are_in_nobodys_sight() {
    let host = Fleet::get().host(2);
    let name = super::site::name("secret");
    let mut site = Site::new("secret", &Fleet::get().yaml(), "services: {}\n");
    site.project.set_env("ORCH_VAR_key", SECRETS[0]);
    let site = site;
    let project = &site.project;
    project.write("app/manifest.yaml", "name: app\nversion: 1.0.0\nentry_point: bin/app\n");
    project.script("app/bin/app", "#!/bin/sh\nexec sleep 1000\n");
    project.orch(&["package", "build", "app"]).ok();
    let file = |greeting: &str| {
        format!(
            "variables: {{key: {{sensitive: true}}}}\nservices:\n  unit:\n    backend:\n      type: systemd\n      host: h2\n      \
             exec: [/bin/sleep, \"1000\"]\n      env: {{GREETING: {greeting}, DB_PASSWORD: hunter-two-42, K: \"${{var:key}}\"}}\n      \
             files:\n        /srv/{name}.conf: {{content: \"key=${{var:key}}\\n\", mode: \"0600\"}}\n    settle: 100ms\n  \
             prog:\n    backend:\n      type: ssh\n      host: h2\n      binary: /bin/sleep\n      args: [\"1000\"]\n      \
             env: {{G: {greeting}, API_TOKEN: hunter-three-43, K: \"${{var:key}}\"}}\n    settle: 100ms\n  \
             pack:\n    backend:\n      type: package\n      host: h2\n      install_path: /opt/{name}\n      \
             package: app-1.0.0.tar.gz\n      env: {{G: {greeting}, API_TOKEN: hunter-three-43, K: \"${{var:key}}\"}}\n    \
             settle: 100ms\n"
        )
    };
    site.file(&Fleet::get().yaml(), &file("one"));
    // What everybody on the host sees of others' command lines, as often as can be looked. What it looks for is in no
    // command line of its own.
    host.sh(&format!(
        "mkdir -p /run/{name}; cat >/run/{name}/watch <<'END'\n#!/bin/sh\necho watching >/run/{name}/seen\n\
         while [ ! -e /run/{name}/stop ]; do cat /proc/[0-9]*/cmdline 2>/dev/null | \
         tr '\\0' '\\n' | grep -a 'hunte[r]' >>/run/{name}/seen; done\necho done >>/run/{name}/seen\nEND\n\
         chmod +x /run/{name}/watch; systemd-run --quiet --collect --unit {name}-watch /bin/sh /run/{name}/watch"
    ));
    wait_until("the host is watched", || host.try_sh(&format!("test -s /run/{name}/seen")).is_ok());

    let silent = |args: &[&str]| project.orch(args).ok().does_not_say(&SECRETS);
    for greeting in ["one", "two"] {
        site.file(&Fleet::get().yaml(), &file(greeting));
        for args in [&["plan"][..], &["plan", "--json"], &["plan", "--out", "saved.plan"]] {
            silent(args);
        }
        let mut apply = project.start(&["-v", "apply", "saved.plan", "--json"]);
        // This machine's command lines, for as long as it runs.
        let mut looked = 0;
        while !apply.has_ended() {
            nobody_here_shows_a_secret();
            looked += 1;
        }
        assert!(looked > 0);
        apply.end().ok().does_not_say(&SECRETS);
    }
    for args in [&["status", "--json"][..], &["show"], &["state", "pull"], &["history", "--json"], &["logs", "unit"]] {
        silent(args);
    }
    host.sh(&format!("touch /run/{name}/stop"));
    wait_until("the watch has ended", || host.sh(&format!("tail -n 1 /run/{name}/seen")) == "done");
    assert_eq!(host.sh(&format!("cat /run/{name}/seen")), "watching\ndone", "seen in a command line of the host");
    let journal = host.sh("journalctl --no-pager -q -o cat | cat");
    let has =
        |text: &[u8]| SECRETS.iter().find(|secret| text.windows(secret.len()).any(|part| part == secret.as_bytes()));
    assert_eq!(has(journal.as_bytes()), None, "in the journal of the host");
    for (path, bytes) in files_below(&site.project.path(".orch")) {
        assert_eq!(has(&bytes), None, "in {}", path.display());
    }
    assert_eq!(has(site.project.read("saved.plan").as_bytes()), None);
    // They did arrive, and only root reads what they are in.
    assert_eq!(host.sh(&format!("cat /srv/{name}.conf")), format!("key={}", SECRETS[0]));
    let environ =
        host.sh(&format!("tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value {})/environ", site.unit("unit")));
    assert!(environ.contains(SECRETS[0]) && environ.contains(SECRETS[1]), "{environ}");
    let readable =
        host.ssh("plain", "grep -rl hunter /etc/systemd /srv /opt /var/lib/orch /run/systemd 2>/dev/null || true");
    assert_eq!(readable.unwrap(), "");
    silent(&["destroy", "--auto-approve", "--json"]);
}
