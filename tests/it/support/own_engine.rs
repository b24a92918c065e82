//! A Docker engine that a test has for itself, to stop it or to fill its disk.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{Engine, free_port, wait_until};

/// An engine with a socket, a small disk and a bridge of its own. It leaves the machine's packet filter alone, so
/// its containers reach nobody, and what is asked of them is asked inside. It ends, with all that it has, when it is
/// dropped.
///
/// Starting one takes root, or a `sudo` that asks for no password.
pub(crate) struct OwnEngine {
    folder: tempfile::TempDir,
    bridge: String,
    child: Option<Child>,
}

impl OwnEngine {
    /// An engine that runs, on a disk of this size, with the images of the tests.
    pub(crate) fn start(mib: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("orch-own-").tempdir().unwrap();
        let port = free_port();
        let mut engine = Self { folder, bridge: format!("orcht{port}"), child: None };
        std::fs::create_dir(engine.path("data")).unwrap();
        let data = engine.path("data").display().to_string();
        engine.as_root("mount", &["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs", &data]);
        // Without a bridge of its own it would take `docker0`; with `--bridge none` it would remove it. Either is
        // another engine's. The addresses are those that are set apart for tests of networks.
        engine.as_root("ip", &["link", "add", &engine.bridge, "type", "bridge"]);
        engine.as_root("ip", &["address", "add", &format!("198.18.{}.1/24", port >> 8), "dev", &engine.bridge]);
        engine.as_root("ip", &["link", "set", &engine.bridge, "up"]);
        engine.again();
        let images = engine.path("images.tar").display().to_string();
        Engine::get().docker(&["save", "--output", &images, "orch-test/web:1", "orch-test/web:2"]);
        Engine::at(engine.host()).docker(&["load", "--quiet", "--input", &images]);
        std::fs::remove_file(images).unwrap();
        engine
    }

    /// Its address.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.path("socket").display())
    }

    /// Starts it again after [`stop`](Self::stop), with what it had.
    pub(crate) fn again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = std::fs::File::create(self.path("log")).unwrap();
        let path = |name: &str| self.path(name).display().to_string();
        let mut command = root_command("dockerd");
        command.args(["--host", &self.host(), "--data-root", &path("data"), "--exec-root", &path("run")]);
        command.args(["--pidfile", &path("pid"), "--bridge", &self.bridge, "--iptables=false", "--ip-masq=false"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().expect("dockerd is needed: use `tests/run`"));
        let engine = Engine::at(self.host());
        wait_until("an engine of the test's own answers", || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", std::fs::read_to_string(self.path("log")).unwrap_or_default());
            engine.try_docker(&["version"]).is_ok()
        });
    }

    /// Ends it, and with it all containers; those with a restart rule come back with it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Its own pid, which is not that of the `sudo` that may be above it.
            let pid = std::fs::read_to_string(self.path("pid")).unwrap();
            self.as_root("kill", &["-TERM", pid.trim()]);
            let status = child.wait().unwrap();
            assert!(status.success() || status.signal().is_some(), "{status}");
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[track_caller]
    fn as_root(&self, program: &str, args: &[&str]) {
        let output = root_command(program).args(args).output().unwrap();
        assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A command that root runs.
#[expect(clippy::disallowed_methods, reason = "the test plays the part of the machine's administrator")]
fn root_command(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["--non-interactive", program]);
    command
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        let container = Engine::at(self.host()).try_docker(&["ps", "--quiet"]).unwrap_or_default();
        let running: Vec<&str> = container.lines().collect();
        if !running.is_empty() {
            // Stopping the engine would give each of them the time that it may take.
            let _ = Engine::at(self.host()).try_docker(&[&["kill"], running.as_slice()].concat());
        }
        if let Some(mut child) = self.child.take() {
            let pid = std::fs::read_to_string(self.path("pid")).unwrap_or_default();
            let _ = root_command("kill").args(["-TERM", pid.trim()]).output();
            let _ = child.wait();
        }
        // The engine mounts its folder once more on itself, and may leave that.
        let data = self.path("data").display().to_string();
        while root_command("umount").arg(&data).output().is_ok_and(|output| output.status.success()) {}
        let _ = root_command("ip").args(["link", "delete", &self.bridge]).output();
        // What root made, only root removes.
        let _ = root_command("rm").args(["-rf", "--one-file-system"]).arg(self.folder.path()).output();
    }
}
