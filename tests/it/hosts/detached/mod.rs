//! Programs under keepers: on this machine in a folder of the test's own, and on hosts without systemd.

mod changes;
mod ends;
mod far;
mod keeping;
mod values;

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use orch::backend::host::{Hosts, Slot};
use orch::backend::ssh::detached::{Detached, Setup, name};
use orch::backend::{OpContext, ProgressSink};
use orch::model::{
    Address, BackendKind, DigestKey, Exit, Instance, Kind, LogPolicy, ObservedObject, OpId, Place, ProjectName,
    RemoteSpec, RestartMode, RestartPolicy, Service, ServiceName, Spec, Text,
};
use signal_hook::consts::signal::{SIGINT, SIGQUIT};
use signal_hook::flag;

/// Lets this process mind the signals that a shell lets what it starts with `&` ignore, so that what the tests start
/// here does not: a host's sshd sees to that, and on this machine whoever ran the tests may not have.
fn mind_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGINT, SIGQUIT] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::new(true.into())).unwrap();
        }
    });
}

/// A slot of this machine, in a store that goes with the test.
struct Bench {
    detached: Detached,
    slot: Slot,
    store: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with("/bin/sh", LogPolicy::default())
    }

    fn with(interpreter: &str, log: LogPolicy) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        // Whatever is in a path, it means nothing to a shell.
        let store = temporary.path().join("it's a $(store)");
        let project = ProjectName::new("shop").unwrap();
        let slot = Slot { host: Place::Here.key(), backend: BackendKind::Ssh, name: name(&project, &address(), true) };
        let setup = Setup { store: Some(store.to_str().unwrap().to_owned()), interpreter: interpreter.to_owned(), log };
        let detached = Detached::new(Hosts::default().on(&Place::Here), project, "scope").with_setup(setup);
        Self { detached, slot, store, _temporary: temporary }
    }

    fn folder(&self) -> PathBuf {
        self.store.join("scope").join(self.slot.folder())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log.1")).unwrap_or_default()
    }

    async fn create(&self, op: &str, spec: RemoteSpec) {
        self.detached.create(&context(op), &self.slot, &instance(spec)).await.unwrap();
    }

    async fn look(&self) -> ObservedObject {
        self.detached.inspect(&self.slot).await.unwrap().expect("it is there")
    }

    async fn until(&self, what: &str, holds: impl Fn(&ObservedObject) -> bool) -> ObservedObject {
        let start = Instant::now();
        loop {
            let object = self.look().await;
            if holds(&object) {
                return object;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{what}: {object:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_logged(&self, text: &str) {
        self.until(text, |_| self.log().contains(text)).await;
    }

    async fn remove(self) {
        self.detached.remove(&context("run.9"), &self.slot).await.unwrap();
        assert!(!self.folder().exists());
        assert_eq!(self.processes(), [0; 0]);
    }

    /// Everything that runs because of this slot, its keeper too.
    fn processes(&self) -> Vec<u32> {
        let store = self.store.to_str().unwrap();
        let mine = |pid: &u32| {
            let has = |file: &str| {
                let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                String::from_utf8_lossy(&text).contains(store)
            };
            has("environ") || has("cmdline")
        };
        pids().into_iter().filter(mine).collect()
    }

    fn keeper(&self) -> u32 {
        let status = std::fs::read_to_string(self.folder().join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("keeper ")).unwrap();
        line.split_once(' ').unwrap().0.parse().unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Of a test that failed.
        for pid in self.processes() {
            kill(pid, "KILL");
        }
    }
}

fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn kill(pid: u32, signal: &str) {
    Command::new("kill").args(["-s", signal, &pid.to_string()]).output().unwrap();
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn address() -> Address {
    "web".parse().unwrap()
}

fn context(op: &str) -> OpContext {
    OpContext { address: address(), op_id: OpId::new(op), progress: ProgressSink::default(), confirm: None }
}

fn instance(spec: RemoteSpec) -> Instance {
    of(Service::new(ServiceName::new("web").unwrap(), Spec::Ssh(Box::new(spec))))
}

fn job(spec: RemoteSpec) -> Instance {
    let service = Service::new(ServiceName::new("web").unwrap(), Spec::Ssh(Box::new(spec)));
    of(Service { kind: Kind::Job, ..service })
}

fn of(service: Service) -> Instance {
    Instance::new(address(), Arc::new(service), None, &DigestKey::new([7; 32]))
}

/// A program that is a line of shell.
fn shell(script: &str) -> RemoteSpec {
    RemoteSpec {
        args: ["-c", script].map(Text::plain).to_vec(),
        stop_timeout: Duration::from_millis(500),
        ..RemoteSpec::new(Place::Here, Text::plain("/bin/sh"))
    }
}

fn restarts(mode: RestartMode, max_restarts: u32, delay: u64) -> RestartPolicy {
    let delay = Duration::from_millis(delay);
    RestartPolicy { mode, delay, max_delay: delay * 4, max_restarts, ..RestartPolicy::default() }
}

fn exited(code: i32) -> Exit {
    Exit { code: Some(code), signal: None, out_of_memory: false }
}

/// The shells of this machine that can run keepers.
fn shells() -> Vec<&'static str> {
    let is_there = |shell: &&str| {
        let mut words = shell.split(' ');
        Command::new(words.next().unwrap()).args(words).args(["-c", "true"]).output().is_ok_and(|o| o.status.success())
    };
    let found: Vec<_> =
        ["/bin/sh", "dash", "busybox sh", "bash", "bash --posix"].into_iter().filter(is_there).collect();
    assert!(!found.is_empty());
    found
}
