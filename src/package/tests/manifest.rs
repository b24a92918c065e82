//! Manifests: what they may say, and how errors in them are told.

use crate::package::manifest::{Manifest, read};

fn problems(text: &str) -> Vec<String> {
    let faults = read(text.as_bytes()).map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>());
    let lines = faults.unwrap_err().into_iter();
    lines.map(|line| line.trim_start_matches("is wrong in line ").to_owned()).collect()
}

#[test]
fn every_key_is_read() {
    let text = "\
# A comment.
name: hello
version: 1.10
description: >
  Says
  hello.
entry_point: bin/service
args: [--port, 8080, \"${PORT}\", 'it''s', yes]
env: {PORT: 8080, GREETING: \"a\\nb\"}
checksums:
  bin/service: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
  \"lib/a b\": E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855
";
    let Manifest { name, version, description, entry_point, args, env, checksums } = read(text.as_bytes()).unwrap();
    assert_eq!((name.as_str(), version.as_str()), ("hello", "1.10"));
    assert_eq!(description.as_deref(), Some("Says hello.\n"));
    assert_eq!(entry_point.as_deref(), Some("bin/service"));
    assert_eq!(args, ["--port", "8080", "${PORT}", "it's", "yes"]);
    assert_eq!(
        env.into_iter().collect::<Vec<_>>(),
        [("GREETING", "a\nb"), ("PORT", "8080")].map(|(k, v)| (k.into(), v.into()))
    );
    assert_eq!(checksums.values().collect::<std::collections::BTreeSet<_>>().len(), 1);
    assert_eq!(checksums.into_keys().collect::<Vec<_>>(), ["bin/service", "lib/a b"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_place() {
    insta::assert_debug_snapshot!(problems("\
nmae: hello
version: ../1
entry_point: lib/x
args: [[a], ~]
env: {A=B: 1, C: [x], D: \"\\0\"}
checksums: {../x: abc, ./y: abc}
entry_point: bin/x
zebra: 1
"), @r#"
    [
        "7, column 1: the key `entry_point` stands in line 3 already",
        "1, column 1: unknown key `nmae`; did you mean `name`?",
        "8, column 1: unknown key `zebra`; known are `args`, `checksums`, `description`, `entry_point`, `env`, `name`, `version`",
        "1, column 1: the key `name` is missing",
        "2, column 10: `../1` is no version: it has letters, digits, `.`, `_`, `+`, `~` and `-`, at most 64, and starts with a letter or digit",
        "3, column 14: `lib/x` is not below `bin/`",
        "4, column 8: expected a text",
        "4, column 13: expected a text",
        "5, column 7: `A=B` cannot be the name of an environment variable",
        "5, column 18: expected a text",
        "5, column 26: a NUL character may not stand here",
        "6, column 13: `../x` has `..` in its path",
        "6, column 19: `abc` is no digest: `sha256:` and 64 hexadecimal digits are expected",
        "6, column 24: `./y` begins with `./`",
        "6, column 29: `abc` is no digest: `sha256:` and 64 hexadecimal digits are expected",
    ]
    "#);
}

#[test]
fn what_is_no_manifest() {
    for (text, expected) in [
        ("", "1, column 1: it is empty"),
        ("# nothing\n", "1, column 1: it is empty"),
        ("- a\n", "1, column 1: expected a map with `name` and `version`"),
        ("name: a\nversion: 1\n---\nname: b\n", "3, column 1: a second document starts here"),
        ("name: &a b\nversion: *a\n", "1, column 7: anchors and tags are not taken in a manifest"),
        ("name: !!str b\nversion: 1\n", "1, column 7: anchors and tags are not taken in a manifest"),
        ("name: a\nversion: 1\nargs: [[[[a]]]]\n", "3, column 10: nothing in a manifest is nested so deep"),
        ("name: a\nversion: 1\n? [x]\n: y\n", "3, column 3: a key is a text"),
        ("name: a/b\nversion: 1\n", "1, column 7: a name has letters, digits, `_`, `-` and `.` only, not '/'"),
        ("name: a\nversion: 1\nentry_point: bin/../x\n", "3, column 14: `bin/../x` has `..` in its path"),
        ("name: a\nversion: 1\nentry_point: x\n", "3, column 14: `x` is not below `bin/`"),
        ("name: a\nversion: 1\nargs: a\n", "3, column 7: expected a list"),
        ("name: a\nversion: 1\nenv: [a]\n", "3, column 6: expected a map"),
        ("name: a\nversion:\n", "2, column 8: expected a text"),
    ] {
        assert_eq!(problems(text)[0], expected, "{text}");
    }
    assert!(problems("name: [\n")[0].contains("this is not YAML"));
    assert_eq!(read(b"name: \xff").unwrap_err()[0].to_string(), "is wrong in line 1, column 1: it is not UTF-8");
    let deep = &problems(&"[".repeat(100_000))[0];
    assert!(deep.contains("recursion limit"), "{deep}");
    for version in ["../1", "-1", "1 0", "1/0", &"1".repeat(65)] {
        assert!(problems(&format!("name: a\nversion: \"{version}\"\n"))[0].contains("is no version"), "{version}");
    }
}
