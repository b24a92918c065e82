//! What the tests of the process backend share.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use orch::backend::process::ProcessBackend;
use orch::backend::{BackendError, Observer, OpContext, Operator, ProgressSink};
use orch::model::{
    Address, DigestKey, Instance, Kind, ObjectId, ObjectState, ObservedObject, OpId, ProcessSpec, RestartMode,
    RestartPolicy, Service, ServiceName, Spec, Text,
};
use orch::sys::Identity;

pub(crate) const ORCH: &str = env!("CARGO_BIN_EXE_orch");

/// A folder with a process backend in it; what runs is ended when it is dropped.
pub(crate) struct Bench {
    pub(crate) folder: PathBuf,
    temporary: Option<tempfile::TempDir>,
    pub(crate) root: PathBuf,
    pub(crate) backend: ProcessBackend,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::below("process")
    }

    /// A bench whose objects are in a folder below the temporary one.
    pub(crate) fn below(path: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join(path);
        Self { root: root.clone(), backend: backend(root), folder: folder.path().to_owned(), temporary: Some(folder) }
    }

    /// The bench of another process, which keeps it.
    #[cfg(feature = "failpoints")]
    pub(crate) fn inside(folder: PathBuf) -> Self {
        let root = folder.join("process");
        Self { root: root.clone(), backend: backend(root), folder, temporary: None }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn write(&self, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = self.path(name);
        orch::sys::write_atomic(&path, content, orch::sys::Durability::Atomic).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// A service that runs a shell script in the bench's folder.
    pub(crate) fn shell(&self, script: &str) -> Make {
        self.program("/bin/sh").args(&["-c", script])
    }

    pub(crate) fn program(&self, binary: &str) -> Make {
        Make {
            name: "web".into(),
            kind: Kind::Permanent,
            spec: ProcessSpec {
                restart: RestartPolicy { mode: RestartMode::Never, ..RestartPolicy::default() },
                ..ProcessSpec::new(Text::plain(binary), self.folder.clone())
            },
        }
    }

    pub(crate) async fn create(&self, op: &str, make: &Make) -> Result<ObjectId, BackendError> {
        self.backend.create(&context(&make.name, op), &make.instance()).await
    }

    pub(crate) async fn look(&self, id: &ObjectId) -> ObservedObject {
        self.backend.inspect(id).await.unwrap().unwrap()
    }

    /// Waits until an object is as wanted.
    pub(crate) async fn until(&self, id: &ObjectId, wanted: impl Fn(&ObservedObject) -> bool) -> ObservedObject {
        let start = Instant::now();
        loop {
            let object = self.look(id).await;
            if wanted(&object) {
                return object;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{object:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until_state(&self, id: &ObjectId, state: ObjectState) -> ObservedObject {
        self.until(id, |object| object.state == state).await
    }

    /// The content of `status.json`, for what no observer needs.
    pub(crate) fn status(&self, id: &ObjectId) -> serde_json::Value {
        let text = std::fs::read(self.root.join(id.as_str()).join("status.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    pub(crate) fn supervisor(&self, id: &ObjectId) -> Identity {
        serde_json::from_value(self.status(id)["supervisor"].clone()).unwrap()
    }

    /// Kills the supervisor of an object as an administrator's mistake would.
    pub(crate) async fn kill_supervisor(&self, id: &ObjectId) {
        let supervisor = self.supervisor(id);
        kill(supervisor.pid, rustix::process::Signal::KILL);
        eventually("the supervisor ends", || !supervisor.is_alive()).await;
    }
}

fn backend(root: PathBuf) -> ProcessBackend {
    let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/"), ("LC_ALL", "C"), ("AWS_SECRET", "hunter1")];
    let env: BTreeMap<String, String> = env.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    ProcessBackend::new(root, PathBuf::from(ORCH), env)
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.temporary.is_none() {
            return;
        }
        let backend = self.backend.clone();
        let clean = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for object in backend.list().await.unwrap_or_default().objects {
                    let _ = backend.remove(&context("web", "cleanup"), &object.id, false).await;
                }
            });
        };
        let _ = std::thread::spawn(clean).join();
    }
}

/// A service in the making.
#[derive(Clone)]
pub(crate) struct Make {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) spec: ProcessSpec,
}

impl Make {
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.spec.args = args.iter().map(|arg| Text::plain(*arg)).collect();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.spec.env.insert(name.into(), Text::sensitive(value));
        self
    }

    pub(crate) fn job(mut self) -> Self {
        self.kind = Kind::Job;
        self
    }

    pub(crate) fn restarting(mut self, mode: RestartMode, delay: u64, max_restarts: u32) -> Self {
        let delay = Duration::from_millis(delay);
        self.spec.restart = RestartPolicy { mode, delay, max_restarts, ..RestartPolicy::default() };
        self
    }

    pub(crate) fn stop_timeout(mut self, millis: u64) -> Self {
        self.spec.stop_timeout = Duration::from_millis(millis);
        self
    }

    pub(crate) fn instance(&self) -> Instance {
        let name = ServiceName::new(&self.name).unwrap();
        let spec = Spec::Process(Box::new(self.spec.clone()));
        let service = Service { kind: self.kind, timeout: Duration::from_secs(60), ..Service::new(name, spec) };
        Instance::new(Address::only(service.name.clone()), Arc::new(service), None, &DigestKey::new([7; 32]))
    }
}

pub(crate) fn context(name: &str, op: &str) -> OpContext {
    OpContext { address: name.parse().unwrap(), op_id: OpId::new(op), progress: ProgressSink::default(), confirm: None }
}

pub(crate) fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

pub(crate) fn alive(pid: u32) -> bool {
    Identity::of(pid).is_some_and(|identity| identity.is_alive())
}

pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a script has written a pid to a file, and reads it.
pub(crate) async fn pid_in(path: &Path) -> u32 {
    let read = || std::fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'))?.trim().parse().ok();
    eventually(&format!("a pid in {}", path.display()), || read().is_some()).await;
    read().unwrap()
}
