//! How problems look.

use super::{Project, process};

fn drawn(text: &str) -> String {
    Project::new(text).load().unwrap_err().render(false, 100)
}

#[test]
fn an_unknown_key_is_underlined() {
    insta::assert_snapshot!(drawn(&process("      arg: [a]\n")), @r#"
    config::unknown_key

      x unknown key `arg`
       ,-[orch.yaml:6:7]
     5 |       binary: /bin/true
     6 |       arg: [a]
       :       ^^^
       `----
      help: did you mean `args`?
    "#);
}

#[test]
fn a_cycle_labels_every_dependency() {
    let text = "services:\n  a: {backend: {type: external}, dependencies: [b]}\n  b: {backend: {type: external}, dependencies: [a]}\n";
    insta::assert_snapshot!(drawn(text), @r#"
    config::cycle

      x the dependencies go round in a circle: a -> b -> a
       ,-[orch.yaml:2:49]
     1 | services:
     2 |   a: {backend: {type: external}, dependencies: [b]}
       :                                                 |
       :                                                 `-- `a` needs `b`
     3 |   b: {backend: {type: external}, dependencies: [a]}
       :                                                 |
       :                                                 `-- `b` needs `a`
       `----
      help: take one of these dependencies away; nothing in the circle could start first
    "#);
}

#[test]
fn two_files_are_both_shown() {
    let mut project = Project::empty();
    project.write("a.yaml", "services: {web: {backend: {type: external}}}\n");
    project.write("b.yaml", "services:\n  web: {backend: {type: external}}\n");
    project.options.files = vec!["a.yaml".into(), "b.yaml".into()];
    insta::assert_snapshot!(project.load().unwrap_err().render(false, 100), @r#"
    config::duplicate

      x the service `web` is defined twice
       ,-[b.yaml:2:3]
     1 | services:
     2 |   web: {backend: {type: external}}
       :   ^|^
       :    `-- again
       `----
      help: keep one of the two

    Advice: 
      > first defined here
       ,-[a.yaml:1:12]
     1 | services: {web: {backend: {type: external}}}
       :            ^^^
       `----
    "#);
}

#[test]
fn a_token_inside_a_text_is_underlined() {
    insta::assert_snapshot!(drawn(&process("      args: [\"--name=${NAME}\"]\n")), @r#"
    config::interpolation

      x `${NAME}` says no source for its value
       ,-[orch.yaml:6:22]
     5 |       binary: /bin/true
     6 |       args: ["--name=${NAME}"]
       :                      ^^^^^^^
       `----
      help: write `${var:NAME}` for a variable, `${env:NAME}` for the environment, `${file:PATH}` for
            the content of a file, `${host:name}` for the host of a service, `${service:NAME.url}` for
            where another one is reached, or `$${` for the text `${` itself
    "#);
}

#[test]
fn an_address_outside_of_its_subnet_is_shown_with_the_subnet() {
    let text = "networks:\n  office: {type: lan, subnet: 10.1.0.0/16}\nservices:\n  web:\n    backend: {type: ssh, host: 10.2.0.1, binary: web}\n    network: office\n";
    insta::assert_snapshot!(drawn(text), @r#"
    config::network

      x the host 10.2.0.1 of `web` is not in the network `office`, 10.1.0.0/16
       ,-[orch.yaml:2:31]
     1 | networks:
     2 |   office: {type: lan, subnet: 10.1.0.0/16}
       :                               ^^^^^|^^^^^
       :                                    `-- the subnet
     3 | services:
       `----
       ,-[orch.yaml:6:14]
     5 |     backend: {type: ssh, host: 10.2.0.1, binary: web}
     6 |     network: office
       :              ^^^^^^
       `----
      help: correct the address or the subnet, or take the network away
    "#);
}

#[test]
fn what_is_not_known_of_a_host_is_underlined() {
    let text = "hosts: {a: {facts: {zone: x}}, b: }\nservices:\n  web:\n    backend: {type: ssh, hosts: [a, b], binary: web, args: [\"-z${host:facts.zone}\"]}\n";
    insta::assert_snapshot!(drawn(text), @r#"
    config::host_reference

      x the host `b` has nothing for `${host:facts.zone}`
       ,-[orch.yaml:4:64]
     3 |   web:
     4 |     backend: {type: ssh, hosts: [a, b], binary: web, args: ["-z${host:facts.zone}"]}
       :                                                                ^^^^^^^^^^^^^^^^^^
       `----
      help: add `facts: {zone: ...}` to `b` under `hosts`
    "#);
}

#[test]
fn a_setting_that_orch_writes_names_its_key() {
    let text = "services:\n  web:\n    backend:\n      type: systemd\n      exec: /bin/x\n      options: {ExecStart: /bin/y}\n";
    insta::assert_snapshot!(drawn(text), @r#"
    config::invalid_value

      x `ExecStart` is written by orch
       ,-[orch.yaml:6:17]
     5 |       exec: /bin/x
     6 |       options: {ExecStart: /bin/y}
       :                 ^^^^^^^^^
       `----
      help: use the key `exec` of the backend
    "#);
}

#[test]
fn problems_are_data_too() {
    let problems = Project::new(&process("    tiemout: 5\n")).load().unwrap_err();
    insta::assert_json_snapshot!(problems.to_data(), @r#"
    [
      {
        "severity": "error",
        "code": "config::unknown_key",
        "message": "unknown key `tiemout`",
        "file": "orch.yaml",
        "line": 6,
        "column": 5,
        "end_line": 6,
        "end_column": 12,
        "help": "did you mean `timeout`?"
      }
    ]
    "#);
}

#[test]
fn colour_is_on_request() {
    let problems = Project::new("services: {a: 1}\n").load().unwrap_err();
    assert!(problems.render(true, 80).contains('\u{1b}'));
    assert!(problems.render(false, 80).is_ascii());
}
