//! What is said about bad units.

use super::{Project, bad};

/// What is said about a unit of this machine with the given keys, and keys of its service.
#[track_caller]
fn says(keys: &str, own: &str, problem: &str) {
    let found = bad(&format!("services:\n  web: {{backend: {{type: systemd, {keys}}}{own}}}\n"));
    assert!(found.contains(problem), "expected {problem:?}, found:\n{found}");
    assert!(found.lines().all(|line| line.starts_with("orch.yaml:2:")), "a place is missing:\n{found}");
}

#[test]
fn what_defines_a_unit_is_one_thing() {
    for (keys, problem) in [
        ("unit: x", "2:18: error: nothing says what the unit runs"),
        ("exec: /bin/x, unit_file: y", "both `exec` and `unit_file` are given"),
        ("drop_ins: {a.conf: \"[Unit]\"}", "the key `unit` is missing"),
        ("unit: x, drop_ins: {a.conf: \"[Unit]\"}, user: me", "`user` is said by those who own the unit"),
        ("unit: x, drop_ins: {a.conf: \"[Unit]\"}, enable: true", "`enable` is said by those who own the unit"),
        (
            "unit: x@, drop_ins: {a.conf: \"[Unit]\"}, instances: [a]",
            "`instances` are started by those who own the unit",
        ),
        ("unit_file: empty.service, options: {MemoryMax: 1}", "`options` is said by the unit file"),
        ("unit_file: nope.service", "the file `nope.service` cannot be read: it does not exist"),
        ("unit_file: .", "the file `.` cannot be read: it is a folder"),
        ("unit_file: empty.service", "`empty.service` is no unit file: it has no section"),
    ] {
        let project = Project::new(&format!("services:\n  web: {{backend: {{type: systemd, {keys}}}}}\n"));
        project.write("empty.service", "nothing\n");
        let found = project.bad();
        assert!(found.contains(problem), "expected {problem:?}, found:\n{found}");
        assert!(found.lines().all(|line| line.starts_with("orch.yaml:2:")), "a place is missing:\n{found}");
    }
}

#[test]
fn names_are_checked() {
    for (keys, problem) in [
        ("unit: a/b", "`a/b` cannot be the name of a unit"),
        ("unit: \"a b\"", "`a b` cannot be the name of a unit"),
        ("unit: \"a\\nb\"", "cannot be the name of a unit"),
        ("unit: \"\"", "`` cannot be the name of a unit"),
        ("unit: ..", "cannot be the name of a unit"),
        ("unit: --force", "`--force` cannot be the name of a unit"),
        ("unit: \"@.service\"", "cannot be the name of a unit"),
        ("unit: web.timer", "`web.timer` is not a service, and `exec` makes one"),
        ("unit: web@", "`web@.service` is a template, of which nothing runs by itself"),
        ("unit: web, instances: [a]", "`web.service` is no template, and only a template has instances"),
        ("instances: []", "the template has no instance"),
        ("instances: [a, a]", "the instance `a` stands here twice"),
        ("instances: [a/b]", "`a/b` cannot be the name of an instance"),
        ("instances: [\"\"]", "cannot be the name of an instance"),
        ("after: \"a b\"", "`a b` cannot be the name of a unit"),
        ("wants: [\"x\\n[Service]\"]", "cannot be the name of a unit"),
        ("user: \"a\\nExecStart=/bin/x\"", "is not the name of a user or group"),
        ("scope: session", "unknown value `session`"),
        ("scope: user, user: me", "`user` cannot be chosen with `scope: user`"),
    ] {
        says(&format!("exec: /bin/x, {keys}"), "", problem);
    }
}

#[test]
fn no_line_smuggles_in_another() {
    for (keys, problem) in [
        ("exec: \"/bin/x\\nUser=root\"", "the character '\\n' may not stand here"),
        ("exec: \"/bin/x\\rUser=root\"", "the character '\\r' may not stand here"),
        ("exec: \"/bin/x \\\\\"", "a `\\` at the end joins the next line to this one"),
        ("exec: /bin/x, description: \"a\\nb\"", "the character '\\n' may not stand here"),
        ("exec: /bin/x, description: \"a\\\\\"", "a `\\` at the end"),
        ("exec: /bin/x, working_dir: \"/a\\nb\"", "the character '\\n' may not stand here"),
        ("exec: /bin/x, exec_start_pre: [\"/bin/a\\n/bin/b\"]", "the character '\\n' may not stand here"),
        ("exec: /bin/x, exec_reload: \"/bin/a\\0\"", "a NUL character may not stand here"),
        ("exec: /bin/x, options: {MemoryMax: \"1G\\nExecStart=/bin/y\"}", "the character '\\n' may not stand here"),
        ("exec: /bin/x, options: {MemoryMax: \"1G\\\\\"}", "a `\\` at the end"),
        ("exec: /bin/x, schedule: \"daily\\n[Service]\"", "is no calendar expression"),
        ("exec: /bin/x, files: {/a: {content: a, owner: \"a\\nb\"}}", "is no owner of a file"),
        ("exec: /bin/x, files: {\"/a\\nb\": a}", "the character '\\n' may not stand here"),
    ] {
        says(keys, "", problem);
    }
    let text = "hosts: {h: {facts: {a: \"x\\\\\"}}}\nservices:\n  web: {backend: {type: systemd, host: h, exec: \"/bin/x ${host:facts.a}\"}}\n";
    assert!(bad(text).contains("a `\\` at the end"), "{}", bad(text));
}

#[test]
fn command_lines_and_settings_are_checked() {
    for (keys, problem) in [
        ("exec: x", "the program of `x` is no absolute path"),
        ("exec: \"-./x a\"", "is no absolute path"),
        ("exec: \"'my app' a\"", "is no absolute path"),
        ("exec: \"\"", "the command line has no program"),
        ("exec: []", "the command line has no program"),
        ("exec: [x]", "the program of `x` is no absolute path"),
        ("exec: /bin/x, exec_start_pre: [y]", "the program of `y` is no absolute path"),
        ("exec: /bin/x, service_type: quick", "unknown value `quick`"),
        ("exec: /bin/x, restart: never", "unknown value `never`"),
        ("exec: /bin/x, service_type: oneshot, restart: always", "systemd does not start a `oneshot` again `always`"),
        ("exec: /bin/x, working_dir: srv", "`srv` is no absolute path"),
        ("exec: /bin/x, options: {memoryMax: 1}", "`memoryMax` is no setting of systemd"),
        ("exec: /bin/x, options: {\"A=b\\n\": 1}", "is no setting of systemd"),
        ("exec: /bin/x, options: {ExecStart: /bin/y}", "`ExecStart` is written by orch"),
        ("exec: /bin/x, options: {Environment: A=1}", "`Environment` is written by orch"),
        ("exec: /bin/x, options: {WantedBy: x}", "`WantedBy` is written by orch"),
        ("exec: /bin/x, options: {PartOf: x}", "`PartOf` does not stand in `[Service]`"),
        ("exec: /bin/x, env: {a.b: 1}", "systemd takes no environment variable `a.b`"),
        ("exec: /bin/x, drop_ins: {}", "there is no drop-in"),
        ("exec: /bin/x, drop_ins: {a: \"[Unit]\"}", "`a` cannot be the name of a drop-in"),
        ("exec: /bin/x, drop_ins: {../a.conf: \"[Unit]\"}", "cannot be the name of a drop-in"),
        ("exec: /bin/x, drop_ins: {a.conf: \"MemoryMax=1\"}", "a drop-in begins with a section"),
        ("exec: /bin/x, files: {etc/x: a}", "`etc/x` is no absolute path"),
        ("exec: /bin/x, files: {/etc/../x: a}", "may not go up with `..`"),
        ("exec: /bin/x, files: {/etc/x/: a}", "`/etc/x/` is not the path of a file"),
        ("exec: /bin/x, files: {/x: {}}", "nothing says what is in the file"),
        ("exec: /bin/x, files: {/x: {content: a, source: b}}", "both `content` and `source` are given"),
        ("exec: /bin/x, files: {/x: {source: nope}}", "the file `nope` cannot be read: it does not exist"),
        ("exec: /bin/x, files: {/x: {content: a, mode: 888}}", "`888` is not the mode of a file"),
        ("exec: /bin/x, files: {/x: {content: a, mode: \"4755\"}}", "`4755` is not the mode of a file"),
        ("exec: /bin/x, files: {/x: {content: a, mode: rw}}", "is not the mode of a file"),
        ("exec: /bin/x, files: {/x: {content: a, owner: \"a:b:c\"}}", "is no owner of a file"),
    ] {
        says(keys, "", problem);
    }
}

#[test]
fn the_kind_and_the_schedule_agree() {
    for (keys, own, problem) in [
        ("exec: /bin/x", ", kind: periodic", "a periodic service needs a `schedule`"),
        ("exec: /bin/x, schedule: daily", ", kind: job", "a service of `kind: job` has no schedule"),
        ("exec: /bin/x, schedule: daily", ", kind: permanent", "a service of `kind: permanent` has no schedule"),
        ("exec: /bin/x, schedule: []", "", "the schedule never comes"),
        ("exec: /bin/x, schedule: \"\"", "", "`` is no calendar expression"),
        ("exec: /bin/x, schedule: {persistent: true}", "", "the key `on_calendar` is missing"),
        ("unit: x, drop_ins: {a.conf: \"[Unit]\"}, schedule: daily", "", "has a schedule of orch's"),
        ("unit: x, drop_ins: {a.conf: \"[Unit]\"}", ", kind: job", "only a unit that orch writes can be a job"),
        ("exec: /bin/x, service_type: simple", ", kind: job", "a job is done when it ends, which `simple` does not"),
        ("exec: /bin/x", ", kind: job, health_check: {type: tcp, port: 1}", "a job has no health check"),
    ] {
        says(keys, own, problem);
    }
    let found = bad("services: {a: {kind: periodic, backend: {type: process, binary: /bin/true}}}\n");
    assert!(found.contains("`periodic` needs a backend with a timer, and `process` has none"), "{found}");
}
