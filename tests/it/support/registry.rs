//! An image registry of a test's own, on a port of loopback, which engines talk to without TLS.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::engine::{Engine, web_root};
use super::{free_port, get, wait_until};

/// An image registry; it ends, and its images go, when it is dropped.
pub(crate) struct Registry {
    port: u16,
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Registry {
    /// A registry that runs.
    pub(crate) fn start() -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let store = folder.path().join("store").display().to_string();
        let config = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {store}}}\n  delete: {{enabled: true}}\n\
             http:\n  addr: 127.0.0.1:{port}\n"
        );
        std::fs::write(folder.path().join("config.yml"), config).unwrap();
        let mut registry = Self { port, folder, child: None };
        registry.again();
        registry
    }

    /// Lets it in only who is named in a line of an htpasswd file, from its next start on.
    pub(crate) fn protect(&self, line: &str) {
        let file = self.folder.path().join("htpasswd");
        std::fs::write(&file, line).unwrap();
        let config = self.folder.path().join("config.yml");
        let text = std::fs::read_to_string(&config).unwrap();
        let auth = format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", file.display());
        std::fs::write(config, text + &auth).unwrap();
    }

    /// Starts it again after [`stop`](Self::stop), on the same port and with the same images.
    #[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
    pub(crate) fn again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(self.folder.path().join("config.yml")).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().expect("docker-registry is needed: use `tests/run`"));
        wait_until("the registry answers", || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the registry ended: {}", self.log());
            get(self.port, "/v2/")
                .is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 401"))
        });
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Makes it hang in the middle of whatever it does, until [`resume`](Self::resume).
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // It is this process's child and not reaped yet, so its pid means what it meant.
        let pid = self.child.as_ref().expect("it runs").id();
        kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The name under which engines find an image of this registry: `127.0.0.1:PORT/NAME:TAG`.
    pub(crate) fn name(&self, image: &str) -> String {
        format!("127.0.0.1:{}/{image}", self.port)
    }

    /// Puts an image of the engine (`orch-test/web:1`) into the registry as `NAME:TAG`; its digest. The engine then no
    /// longer has the registry's name for it, though it has its layers.
    #[track_caller]
    pub(crate) fn push(&self, engine: &Engine, image: &str, as_: &str) -> String {
        let name = self.name(as_);
        engine.docker(&["tag", image, &name]);
        engine.docker(&["push", "--quiet", &name]);
        let digests = engine.inspect(&name)["RepoDigests"].clone();
        let repository = name.rsplit_once(':').unwrap().0;
        let all = digests.as_array().unwrap().iter().filter_map(|digest| digest.as_str()?.split_once('@'));
        let mut own = all.filter(|(of, _)| *of == repository).map(|(_, digest)| digest.to_owned());
        let digest = own.next().unwrap_or_else(|| panic!("{name} has no digest: {digests}"));
        // The image may have been pushed to this repository under another tag before.
        let _ = engine.try_docker(&["rmi", &name]);
        let _ = engine.try_docker(&["rmi", &format!("{repository}@{digest}")]);
        digest
    }

    /// Puts a `web` image into the registry that no engine has a layer of, so that a pull really takes this many MiB;
    /// its digest.
    #[track_caller]
    pub(crate) fn push_new(&self, engine: &Engine, version: &str, as_: &str, mib: usize) -> String {
        let root = web_root(version);
        let mut random = std::fs::File::open("/dev/urandom").unwrap();
        let mut ballast = std::fs::File::create(root.path().join("ballast")).unwrap();
        let wanted = u64::try_from(mib.max(1) * 1024 * 1024).unwrap();
        std::io::copy(&mut std::io::Read::take(&mut random, wanted), &mut ballast).unwrap();
        let local = format!("orch-test/new:{}-{}", self.port, version.to_lowercase());
        engine.import(root.path(), &local, &["CMD [\"web\", \"serve\"]", "ENV PATH=/bin", "EXPOSE 80"]);
        let digest = self.push(engine, &local, as_);
        engine.docker(&["rmi", &local]);
        digest
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
        // What engines pulled from it has no other use. Only the names go that are this registry's.
        let engine = Engine::get();
        let prefix = self.name("");
        let list = ["images", "--format", "{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}", "--digests"];
        for line in engine.try_docker(&list).unwrap_or_default().lines().filter(|line| line.starts_with(&prefix)) {
            for name in line.split(' ').filter(|name| !name.contains("<none>")) {
                let _ = engine.try_docker(&["rmi", name]);
            }
        }
    }
}
