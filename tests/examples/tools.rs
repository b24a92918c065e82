//! The tools and the cluster that the examples run with.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::root;

/// Where programs are: the real Compose, `helm` and `kubectl` of `tests/tools`, and what this machine has.
#[expect(clippy::disallowed_methods, reason = "the environment says where the tests' tools are")]
pub(crate) fn path() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let tools = std::env::var("ORCH_TEST_TOOLS").unwrap_or_else(|_| {
            let output = Command::new(root().join("tests/tools")).stdin(Stdio::null()).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
        });
        assert!(
            Path::new(&tools).join("bin/docker-compose").is_file(),
            "{tools:?} is no folder with bin/docker-compose; `tests/run` makes one"
        );
        format!("{tools}/bin:{}", std::env::var("PATH").unwrap_or_default())
    })
}

/// The kubeconfig of a cluster: that of `ORCH_TEST_KUBECONFIG`, or of an API server that ends with this process.
#[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
pub(crate) fn kubeconfig() -> &'static Path {
    static KUBECONFIG: OnceLock<PathBuf> = OnceLock::new();
    static SERVER: OnceLock<Child> = OnceLock::new();
    KUBECONFIG.get_or_init(|| {
        if let Some(file) = std::env::var_os("ORCH_TEST_KUBECONFIG").filter(|file| !file.is_empty()) {
            return PathBuf::from(file);
        }
        let folder = tempfile::Builder::new().prefix("kube-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
        let kubeconfig = folder.join("kubeconfig");
        let mut command = Command::new(root().join("tests/kube/apiserver"));
        command.args(["--play", "--until-eof", "--kubeconfig"]).arg(&kubeconfig);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.starts_with("ready "), "the API server does not start: {said}");
        // It ends when its standard input does, which is with this process.
        SERVER.set(child).unwrap();
        kubeconfig
    })
}
