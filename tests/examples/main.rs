//! Every folder in `examples/` validates, plans, and is what `schemas/config.json` describes; those of containers,
//! hosts, Compose, a chart and a harness also run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chart;
mod containers;
mod every;
mod harness;
mod hosts;
mod tools;
mod yaml;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs orch in the folder of an example, with the tools and the cluster of the tests and nothing of the user's.
#[expect(clippy::disallowed_methods, reason = "a test starts the binary that it is about")]
fn orch(example: &Path, state: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orch"));
    command.arg("-C").arg(example).arg("--state-dir").arg(state).args(args);
    command.env("PATH", tools::path()).env("KUBECONFIG", tools::kubeconfig()).env("HOME", state);
    command.env("XDG_CONFIG_HOME", state).env_remove("ORCH_FILE").env_remove("ORCH_PROFILES").output().unwrap()
}

/// The same; what it says, when its exit code is this one.
#[track_caller]
fn orch_exits(example: &Path, state: &Path, args: &[&str], code: i32) -> String {
    let Output { status, stdout, stderr } = orch(example, state, args);
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert_eq!(status.code(), Some(code), "orch {args:?}: {said}");
    said
}

/// Writes the definition of an example into a folder of the test's own, each of these texts changed into another one.
fn copy_definition(example: &str, folder: &Path, changes: &[(&str, &str)]) {
    let definition = std::fs::read_to_string(root().join("examples").join(example).join("orch.yaml")).unwrap();
    let changed = changes.iter().fold(definition, |text, (from, to)| {
        assert!(text.contains(from), "examples/{example}/orch.yaml has no {from:?}");
        text.replace(from, to)
    });
    #[expect(clippy::disallowed_methods, reason = "the test writes the example as a user does")]
    std::fs::write(folder.join("orch.yaml"), changed).unwrap();
}

/// A folder of a test's own, and its name, which is a project's.
fn own_folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::Builder::new().prefix("orch-example-").tempdir().unwrap();
    let name = folder.path().file_name().unwrap().to_string_lossy().to_lowercase();
    (folder, name)
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The images of `examples/docker`, which its plan asks the engine about.
fn make_images() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let script = root().join("examples/docker/make-images");
        #[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
        let Output { status, stderr, .. } = Command::new(script).output().unwrap();
        let problems = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "the images cannot be made; `tests/run` has what they need: {problems}");
    });
}
