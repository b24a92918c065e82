//! The mock of a Kubernetes API server, `tests/kube/apiserver`: started, stopped, and told to be out of order.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// An API server of the tests. It ends when it is dropped, and also with the process that started it.
pub(crate) struct ApiServer {
    folder: tempfile::TempDir,
    port: u16,
    running: Option<(Child, ChildStdin)>,
}

impl ApiServer {
    /// A server that runs, which plays the controllers and the kubelet.
    pub(crate) fn start() -> Self {
        // The folder of a server that all tests share is removed by the server: nobody else is left by then.
        let folder = tempfile::Builder::new().prefix("kube-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut server = Self { folder, port: 0, running: None };
        server.again();
        server
    }

    /// The file by which `kubectl` and `helm` find it.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// A folder that goes with it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it again after [`stop`](Self::stop), on the same port and with the same objects.
    pub(crate) fn again(&mut self) {
        assert!(self.running.is_none(), "it runs");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kube/apiserver");
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(script);
        command.args(["--play", "--until-eof", "--port", &self.port.to_string()]);
        command.arg("--kubeconfig").arg(self.kubeconfig()).arg("--data").arg(self.folder.path().join("data"));
        command.arg("--folder").arg(self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("python3 is needed: use `tests/run`");
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let port = said.trim_end().strip_prefix("ready http://127.0.0.1:").and_then(|port| port.parse().ok());
        self.port = port.unwrap_or_else(|| panic!("the API server does not start: {}", self.log()));
        let stdin = child.stdin.take().unwrap();
        self.running = Some((child, stdin));
    }

    /// Ends it, as if it were killed: whoever waits for an answer loses the connection.
    pub(crate) fn stop(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What it has against what was asked of it, if it failed itself.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Answers nothing any more (`hang`), closes connections without an answer (`close`) or answers 503 to everything
    /// (`unavailable`), until [`resume`](Self::resume).
    pub(crate) fn pause(&self, mode: &str) {
        self.tell("pause", &json!({ "mode": mode }));
    }

    /// Answers again.
    pub(crate) fn resume(&self) {
        self.tell("resume", &json!({}));
    }

    /// Refuses all credentials, until [`renew`](Self::renew).
    pub(crate) fn expire(&self) {
        self.tell("expire", &json!({}));
    }

    /// Takes credentials again.
    pub(crate) fn renew(&self) {
        self.tell("renew", &json!({}));
    }

    /// Lets requests fail, as `tests/kube/mock/admin.py` describes:
    /// `{"method": "PATCH", "path": "/configmaps/", "code": 500, "message": "...", "count": 1, "when": "after"}`.
    pub(crate) fn fault(&self, fault: &Value) {
        self.tell("fault", fault);
    }

    /// Ends all watches, and refuses new ones from before now.
    pub(crate) fn compact(&self) {
        self.tell("compact", &json!({}));
    }

    /// The requests that it has had, each as `METHOD PATH`, without those of its own controllers.
    pub(crate) fn requests(&self) -> Vec<String> {
        let all = self.ask("GET", "requests", "");
        let line = |one: &Value| format!("{} {}", one["method"].as_str().unwrap(), one["path"].as_str().unwrap());
        all.as_array().unwrap().iter().map(line).collect()
    }

    /// All that it has stored, as text.
    pub(crate) fn state(&self) -> String {
        self.ask("GET", "state", "").to_string()
    }

    fn tell(&self, what: &str, body: &Value) {
        self.ask("POST", what, &body.to_string());
    }

    fn ask(&self, method: &str, what: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!("{method} /orch-test/{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop();
    }
}
