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
            the content of a file, `${host:name}` for the host of a service, or `$${` for the text
            `${` itself
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
