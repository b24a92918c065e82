//! A Kubernetes cluster to test against, and the real `kubectl` and `helm` to look at it with.
//!
//! The cluster is that of `ORCH_TEST_KUBECONFIG`, or else the mock `tests/kube/apiserver`, whose controllers and
//! kubelet are played. Tests assert the same on both. So they make pods behave by what a real node would do as well,
//! as `tests/kube/player/behaviour.py` lists: an image of a registry in `.invalid`, the command `false`, a readiness
//! probe that runs `false`. On a cluster without nodes, or without controllers, these are played, too, in the tests'
//! namespaces. [`Kube::own`] is always the mock: a cluster of others is not to be stopped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::Tools;
use super::api_server::ApiServer;

/// The label of the namespaces that tests have made; what is played in a cluster of others is played in these alone.
const LABEL: &str = "orch-test/namespace";

/// A cluster.
pub(crate) struct Kube {
    kubeconfig: PathBuf,
    /// Where `kubectl` and `helm` keep what they have learned, so that nothing of the user's comes in.
    home: PathBuf,
    server: Option<ApiServer>,
    /// Plays what the cluster lacks, for as long as its standard input is open.
    _player: Option<(Child, ChildStdin)>,
}

impl Kube {
    /// The image of containers that are to start also where containers run.
    pub(crate) const IMAGE: &str = "busybox:1.36";

    /// The cluster that the tests share.
    pub(crate) fn get() -> &'static Self {
        static KUBE: OnceLock<Kube> = OnceLock::new();
        KUBE.get_or_init(|| match std::env::var_os("ORCH_TEST_KUBECONFIG") {
            Some(file) if !file.is_empty() => Self::of_others(PathBuf::from(file)),
            _ => Self::own(),
        })
    }

    /// A cluster of a test's own, which can be stopped and put out of order by [`server`](Self::server).
    pub(crate) fn own() -> Self {
        let server = ApiServer::start();
        let kubeconfig = server.kubeconfig();
        let home = server.folder().join("home");
        std::fs::create_dir(&home).unwrap();
        Self { kubeconfig, home, server: Some(server), _player: None }
    }

    fn of_others(kubeconfig: PathBuf) -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kube-home");
        std::fs::create_dir_all(&home).unwrap();
        let mut kube = Self { kubeconfig, home, server: None, _player: None };
        // Every controller manager publishes this one.
        let controlled = kube.try_kubectl(&["get", "configmap", "kube-root-ca.crt", "-n", "kube-system"]).is_ok();
        let nodes = kube.kubectl(&["get", "nodes", "-o", "name"]);
        if !controlled {
            kube._player = Some(kube.play(&[]));
        } else if nodes.is_empty() {
            kube._player = Some(kube.play(&["--kubelet-only"]));
        }
        kube
    }

    fn play(&self, more: &[&str]) -> (Child, ChildStdin) {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kube/play"));
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--kubectl").arg(Tools::get().bin("kubectl"));
        command.args(["--label", LABEL]).args(more).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().expect("python3 is needed: use `tests/run`");
        let stdin = child.stdin.take().unwrap();
        (child, stdin)
    }

    /// The server behind it, where it is a test's to put out of order.
    pub(crate) fn server(&mut self) -> &mut ApiServer {
        self.server.as_mut().expect("only a cluster of the test's own can be put out of order: use `Kube::own`")
    }

    /// The file by which `kubectl` and `helm` find it.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What the environment of `kubectl`, `helm` and `orch` has to say for them to find each other and the cluster.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        let home = self.home.display().to_string();
        let pairs = [
            ("PATH", Tools::get().path()),
            ("KUBECONFIG", self.kubeconfig.display().to_string()),
            ("HOME", home.clone()),
            ("HELM_CACHE_HOME", format!("{home}/helm/cache")),
            ("HELM_CONFIG_HOME", format!("{home}/helm/config")),
            ("HELM_DATA_HOME", format!("{home}/helm/data")),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// A new namespace, which goes with all that is in it when it is dropped.
    #[track_caller]
    pub(crate) fn namespace(&self, name: &str) -> Namespace<'_> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("orch-test-{name}-{}-{number}", std::process::id());
        self.kubectl(&["create", "namespace", &name]);
        self.kubectl(&["label", "namespace", &name, &format!("{LABEL}=")]);
        Namespace { kube: self, name }
    }

    /// What a `kubectl` command prints, without the last line's end.
    #[track_caller]
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args).unwrap_or_else(|error| panic!("kubectl {args:?}: {error}"))
    }

    /// As [`kubectl`](Self::kubectl), or what it has against it.
    pub(crate) fn try_kubectl(&self, args: &[&str]) -> Result<String, String> {
        self.run("kubectl", args, "")
    }

    /// What a command prints, of `helm` (4), `helm3` or `kubectl`, or what it has against it.
    pub(crate) fn try_tool(&self, tool: &str, args: &[&str]) -> Result<String, String> {
        self.run(tool, args, "")
    }

    fn run(&self, tool: &str, args: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new(Tools::get().bin(tool));
        command.args(args).env_clear().envs(self.env()).current_dir(&self.home);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end without reading all of it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        if !status.success() {
            return Err(format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)));
        }
        Ok(String::from_utf8(stdout).unwrap().trim_end().to_owned())
    }
}

/// A namespace of a test's own.
pub(crate) struct Namespace<'a> {
    kube: &'a Kube,
    name: String,
}

impl Namespace<'_> {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What a `kubectl` command prints that is about this namespace.
    #[track_caller]
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args).unwrap_or_else(|error| panic!("kubectl {args:?}: {error}"))
    }

    /// As [`kubectl`](Self::kubectl), or what it has against it.
    pub(crate) fn try_kubectl(&self, args: &[&str]) -> Result<String, String> {
        self.kube.try_kubectl(&[&["--namespace", &self.name], args].concat())
    }

    /// What a command of `helm` (4) or `helm3` prints that is about this namespace.
    #[track_caller]
    pub(crate) fn helm(&self, tool: &str, args: &[&str]) -> String {
        self.try_helm(tool, args).unwrap_or_else(|error| panic!("{tool} {args:?}: {error}"))
    }

    /// As [`helm`](Self::helm), or what it has against it.
    pub(crate) fn try_helm(&self, tool: &str, args: &[&str]) -> Result<String, String> {
        self.kube.try_tool(tool, &[&["--namespace", &self.name], args].concat())
    }

    /// Applies manifests as a hand other than orch's does.
    #[track_caller]
    pub(crate) fn apply(&self, manifests: &str) {
        let args = ["--namespace", &self.name, "apply", "--server-side", "--force-conflicts", "--filename", "-"];
        self.kube.run("kubectl", &args, manifests).unwrap_or_else(|error| panic!("{error}\n{manifests}"));
    }

    /// An object (`deployment/web`), if it is there.
    pub(crate) fn get(&self, object: &str) -> Option<Value> {
        let text = self.kubectl(&["get", object, "--ignore-not-found", "--output", "json"]);
        (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap())
    }

    /// Sets the status of an object, or a part of it. What a controller looks after, it soon sets again.
    #[track_caller]
    pub(crate) fn set_status(&self, object: &str, status: &Value) {
        let change = serde_json::json!({ "status": status }).to_string();
        self.kubectl(&["patch", object, "--subresource", "status", "--type", "merge", "--patch", &change]);
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        // The server of a test's own may be gone by now, and what is in the way of this is no test's business.
        let _ = self.kube.try_kubectl(&["delete", "namespace", &self.name, "--wait=false", "--request-timeout=10s"]);
    }
}
