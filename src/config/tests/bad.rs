//! What is said about bad definitions.

use super::{Project, bad, process, says};

fn services(list: &str) -> String {
    format!("services:\n{list}")
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    for (text, problem) in [
        (&b""[..], "orch.yaml:1:1: error: the file is empty"),
        (b"\xff\xfe\x00", "`orch.yaml` is not a text file: byte 0xff at line 1, column 1"),
        (b"a: \x00", "byte 0x00 at line 1, column 4"),
        (b"just text", "orch.yaml:1:1: error: a configuration file is a map"),
        (b"- a\n- b\n", "orch.yaml:1:1: error: a configuration file is a map"),
        (b"services:\n\ta: 1\n", "orch.yaml:2:1: error: a tab is used to indent"),
        (b"services: {}\n---\nservices: {}\n", "orch.yaml:2:1: error: a second document starts here"),
    ] {
        let project = Project::empty();
        project.write("orch.yaml", text);
        let found = project.bad();
        assert!(found.contains(problem), "expected {problem:?}, found {found}");
    }
}

#[test]
fn files_must_be_found() {
    let mut project = Project::empty();
    assert!(project.bad().contains("there is no `orch.yaml` in this folder"));
    project.options.files = vec!["nope.yaml".into()];
    assert!(project.bad().contains("`nope.yaml` cannot be read: it does not exist"));
    project.write("empty/x.txt", "");
    project.options.files = vec!["empty".into()];
    assert!(project.bad().contains("there is no `.yaml` or `.yml` file in the folder `empty`"));
    project.options.files.clear();
    project.write("orch.yaml", "services: {}");
    project.write("orch.yml", "services: {}");
    assert!(project.bad().contains("both `orch.yaml` and `orch.yml`"));
    project.options.files = vec!["orch.yaml".into()];
    project.options.var_files = vec!["vars.yaml".into()];
    assert!(project.bad().contains("`vars.yaml` cannot be read"));
}

#[test]
fn eight_errors_are_eight_messages() {
    let found = bad(r#"
version: 2
settings: {max_parallel: many, on_failure: explode}
services:
  a b: {backend: {type: external}}
  web:
    backend: {type: process, binry: x, ports: [99999]}
    dependancies: [db]
    timeout: -5
  api:
    backend: {type: docker, imgae: x}
    dependencies: [wbe]
"#);
    let expected = [
        "2:10: error: version `2` of the file format is not known",
        "3:26: error: expected a whole number, found \"many\"",
        "3:44: error: unknown value `explode`",
        "5:3: error: `a b` cannot be the name of a service",
        "7:14: error: the key `binary` is missing",
        "7:30: error: unknown key `binry`",
        "7:48: error: expected a whole number from 0 to 65535, found \"99999\"",
        "8:5: error: unknown key `dependancies`",
        "9:14: error: the duration `-5` is negative",
        "11:14: error: the key `image` is missing",
        "11:29: error: unknown key `imgae`",
        "12:20: error: there is no service `wbe`",
    ];
    for problem in expected {
        assert!(found.contains(problem), "expected {problem:?}, found:\n{found}");
    }
    assert_eq!(found.lines().count(), expected.len(), "{found}");
}

#[test]
fn wrong_types_are_named() {
    for (keys, problem) in [
        ("      args: one\n", "6:13: error: expected a list, found \"one\""),
        ("      args: [[a]]\n", "6:14: error: expected a text, found a list"),
        ("      args: [~]\n", "6:14: error: expected a text, found nothing"),
        ("      env: [a]\n", "6:12: error: expected a map, found a list"),
        ("      ports: [x]\n", "expected a whole number, found \"x\""),
        ("      ports: [0]\n", "nothing listens on port 0"),
        ("      stop_signal: SIGFOO\n", "`SIGFOO` is not a stop signal"),
        ("      stop_timeout: 9999999999\n", "longer than a year"),
        ("      log: {max_size: big}\n", "expected a size such as"),
        ("      log: {keep: -1}\n", "expected a whole number from 0 to"),
        ("      restart: sometimes\n", "unknown value `sometimes`"),
        (
            "      restart: {policy: always, delay: 1m}\n      env: {\"A=B\": 1}\n",
            "cannot be the name of an environment variable",
        ),
        ("      restart: {delay: 1m, max_delay: 1s}\n", "the longest wait is shorter"),
        ("      args: [\"a\\0b\"]\n", "a NUL character may not stand here"),
        ("    kind: periodic\n", "`periodic` needs a backend with a timer"),
        ("    lifecycle: {prevent_destroy: yes}\n", "expected true or false, found \"yes\""),
        ("    lifecycle: {prevent_destroy: \"true\"}\n", "expected true or false"),
        ("    timeout: 0\n", "a duration of zero makes no sense here"),
        ("    settle: soon\n", "expected a duration such as"),
        ("    health_check: {port: 1}\n", "the key `type` is missing"),
        ("    health_check: {type: ping}\n", "unknown value `ping`"),
        ("    health_check: {type: http, url: \"ftp://x\"}\n", "the scheme `ftp` is neither"),
        ("    health_check: {type: http, url: \"localhost\"}\n", "has no scheme"),
        (
            "    health_check: {type: http, url: \"http://h:99999/\"}\n",
            "the host or port of `http://h:99999/` is wrong",
        ),
        ("    health_check: {type: http, url: \"http://a b/\"}\n", "`http://a b/` is not a URL"),
        ("    health_check: {type: http, url: \"http://h\", expected_status: 20}\n", "20 is not an HTTP status"),
        ("    health_check: {type: tcp, port: 80, host: \"a/b\"}\n", "is not a host name"),
        ("    health_check: {type: tcp, port: 1, interval: 1, interval_secs: 2}\n", "two spellings of one key"),
        ("    health_check: {type: tcp, port: 1, success_threshold: 0}\n", "0 is out of range"),
        ("    health_check: {type: http, url: \"http://h\", body: {}}\n", "the body is matched in one way"),
        (
            "    health_check: {type: http, url: \"http://h\", headers: {\"a b\": c}}\n",
            "cannot be the name of a header",
        ),
        ("    kind: job\n    health_check: {type: tcp, port: 1}\n", "a job has no health check"),
        ("      restart: always\n    kind: job\n", "a job runs to completion and may not restart always"),
        ("    network: home\n", "there is no network `home`"),
        ("    triggers: [/]\n", "it is a folder"),
        ("    backend: x\n", "the key `backend` stands here twice"),
    ] {
        says(&process(keys), problem);
    }
    says("services:\n  web: {backend: process}\n", "expected a map such as `{type: process, ...}`");
    says("services:\n  web:\n", "expected a map, found nothing");
    says("services:\n  web: {backend: {type: external, port: 1}}\n", "unknown key `port`");
    says("services:\n  web: {kind: job, backend: {type: external}}\n", "an external service cannot be a job");
    says("services: {}\nnetworks: {n: {type: lan, subnet: 10.0.0.0/99}}\n", "is not a subnet");
}

#[test]
fn hostile_names_are_refused() {
    for name in ["a/b", "..", "a b", "\"a\\nb\"", "$(reboot)", "-a", "\"\"", &"n".repeat(10_000), "a;b", "`x`"] {
        let found = bad(&format!("services:\n  ? {name}\n  : {{backend: {{type: external}}}}\n"));
        assert!(found.contains("cannot be the name of a service") || found.contains("not YAML"), "{name}: {found}");
        assert!(found.len() < 1000, "{found}");
    }
}

#[test]
fn ties_between_services_are_checked() {
    let e = "{backend: {type: external}";
    for (list, problem) in [
        (format!("  a: {e}, dependencies: [a]}}\n"), "the service `a` depends on itself"),
        (format!("  api: {e}}}\n  b: {e}, dependencies: [apj]}}\n"), "there is no service `apj`"),
        (format!("  a: {e}}}\n  b: {e}, dependencies: [a, a]}}\n"), "the dependency `a` stands here twice"),
        (format!("  a: {e}}}\n  b: {e}, dependencies: {{a: {{condition: completed}}}}}}\n"), "it does not complete"),
        (format!("  a: {e}}}\n  b: {e}, dependencies: {{a: {{condition: healthy}}}}}}\n"), "`a` has no health check"),
        (format!("  a: {e}}}\n  b: {e}, dependencies: {{a: {{condition: helthy}}}}}}\n"), "unknown value `helthy`"),
        (format!("  a: {e}, lifecycle: {{replace_triggered_by: [x]}}}}\n"), "there is no service `x`"),
        (format!("  a: {e}}}\n  b: {e}, renamed_from: a}}\n"), "the service `a` still exists"),
        (format!("  a: {e}, renamed_from: x}}\n  b: {e}, renamed_from: x}}\n"), "two services were renamed from `x`"),
        (format!("  a: {e}, renamed_from: x/y}}\n"), "cannot have been the name"),
        (format!("  a: {e}, profiles: [p]}}\n  b: {e}, dependencies: [a]}}\n"), "the active profiles leave `a` out"),
    ] {
        says(&services(&list), problem);
    }
    let cycle =
        format!("  a: {e}, dependencies: [b]}}\n  b: {e}, dependencies: [c]}}\n  c: {e}, dependencies: [a]}}\n");
    says(&services(&cycle), "go round in a circle: a -> b -> c -> a");
}

#[test]
fn one_port_has_one_owner() {
    let web = |name: &str, more: &str, check: &str| {
        format!("  {name}: {{backend: {{type: process, binary: /bin/true{more}}}, health_check: {check}}}\n")
    };
    let tcp = "{type: tcp, port: 80}";
    let http = "{type: http, url: \"http://127.0.0.1:80/\"}";
    says(&services(&(web("a", "", tcp) + &web("b", "", http))), "the services `a` and `b` both use port 80");
    says(&services(&(web("a", ", ports: [80]", "[]") + &web("b", "", tcp))), "both use port 80");
    Project::new(&services(&(web("a", "", tcp) + &web("b", ", ports: []", tcp)))).good();
    let remote = "{type: tcp, port: 80, host: example.com}";
    Project::new(&services(&(web("a", "", tcp) + &web("b", "", remote)))).good();
}

#[test]
fn interpolation_points_at_the_token() {
    for (arg, problem) in [
        ("ab ${var:NOPE}", "6:18: error: the variable `NOPE` is not declared"),
        ("ab ${env:NOPE}", "6:18: error: the environment variable `NOPE` is not set"),
        ("${file:nope.txt}", "the file `nope.txt` cannot be read: it does not exist"),
        ("${file:/dev/zero}", "the file `/dev/zero` cannot be read: it is larger"),
        ("${HOME}", "`${HOME}` says no source for its value"),
        ("${var:X", "`${` has no `}`"),
        ("$${x} ${y}", "6:21: error: `${y}` says no source"),
    ] {
        says(&process(&format!("      args: [\"{arg}\"]\n")), problem);
    }
}

#[test]
fn variables_are_checked_and_secrets_are_not_said() {
    let declared = |variable: &str, keys: &str| format!("variables: {{V: {variable}}}\n{}", process(keys));
    says(&declared("{}", ""), "1:13: error: the variable `V` has no value");
    says(&declared("{default: \"${var:V}\"}", ""), "a variable may not refer to another variable");
    says(
        &declared("{default: x, pattern: \"[0-9]+\"}", ""),
        "the value `x` of the variable `V` does not match `[0-9]+`",
    );
    says(&declared("{default: x, pattern: \"[\"}", ""), "is not a regular expression");
    says(&declared("{default: 1, deflt: 2}", ""), "unknown key `deflt`");
    let secret =
        bad(&declared("{default: hunter2, sensitive: true, pattern: \"[0-9]+\"}", "      ports: [\"${var:V}\"]\n"));
    assert!(secret.contains("sensitive variable `V` does not match") && !secret.contains("hunter2"), "{secret}");
    let typed = bad(&declared("{default: hunter2, sensitive: true}", "      ports: [\"${var:V}\"]\n"));
    assert!(typed.contains("a sensitive value may not stand here") && !typed.contains("hunter2"), "{typed}");

    let project = Project::new(&declared("{default: 1}", "")).var("W", "1");
    assert!(project.bad().contains("the variable `W` is given a value but no file declares it"));
    let mut project = Project::new(&declared("{default: 1}", ""));
    project.write("vars.toml", "V = 1\nW = [1]\nX = 2\n");
    project.options.var_files = vec!["vars.toml".into()];
    let found = project.bad();
    assert!(found.contains("vars.toml:2:5: error: a variable file is a map"), "{found}");
    assert!(found.contains("vars.toml:3:5: error: the variable `X` is given a value"), "{found}");
}

#[test]
fn what_two_files_define_is_shown_in_both() {
    let mut project = Project::empty();
    let text = "project: p\nsettings: {max_parallel: 2}\nvariables: {V: {default: 1}}\nservices: {a: {backend: {type: external}}}\n";
    project.write("a.yaml", text);
    project.write("b.yaml", text);
    project.options.files = vec![".".into()];
    let problems = project.load().unwrap_err();
    for what in ["`project`", "`settings.max_parallel`", "the variable `V`", "the service `a`"] {
        assert!(problems.list().iter().any(|problem| problem.message.contains(what)), "{what}: {problems}");
    }
    for problem in problems.to_data() {
        assert_eq!(problem.place.unwrap().file, "b.yaml");
        assert_eq!(problem.related[0].file, "a.yaml");
    }
}

#[test]
fn what_may_be_made_later_is_a_warning() {
    let text = process("      working_dir: /nowhere/at/all\n    triggers: [nope.txt]\n")
        .replace("/bin/true", "no-such-program");
    let warnings = Project::new(&text).warnings();
    for warning in
        ["`no-such-program` is not in `PATH`", "`/nowhere/at/all` does not exist", "trigger `nope.txt` does not exist"]
    {
        assert!(warnings.contains(warning), "{warning}: {warnings}");
    }
}

#[test]
fn thousands_of_errors_are_counted() {
    let list: String = (0..5000).map(|n| format!("  s{n}: {{backend: {{type: external}}, oops: 1}}\n")).collect();
    let problems = Project::new(&services(&list)).load().unwrap_err();
    assert_eq!(problems.error_count(), 5000);
    let text = problems.render(false, 100);
    assert!(text.contains("4900 more problems are not shown"), "{}", &text[text.len() - 200..]);
}
