//! Programs under keepers: on this machine in a folder of the test's own, and on hosts without systemd.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use orch::backend::host::{Hosts, Slot};
use orch::backend::ssh::detached::{Detached, Setup, name};
use orch::backend::{LogQuery, OpContext, ProgressSink};
use orch::model::{
    Address, BackendKind, Digest, DigestKey, Exit, Instance, Kind, LogPolicy, ObjectState, ObservedObject, OpId, Place,
    ProjectName, RemoteSpec, RestartMode, RestartPolicy, Service, ServiceName, Spec, StopSignal, Text, Upload,
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

const HOSTILE: [&str; 11] =
    ["", " ", "a b", "it's", "\"$(touch /tmp/orch-hostile)\"", "`id`;\n$HOME\\", "ünï😀", "-n", "!x", "%s\t*", "\n\n"];

#[tokio::test]
async fn arguments_and_variables_arrive_byte_for_byte_under_every_shell() {
    for interpreter in shells() {
        let bench = Bench::with(interpreter, LogPolicy::default());
        let mut spec = RemoteSpec::new(Place::Here, Text::plain("sleep"));
        spec.args.push(Text::sensitive("1000"));
        spec.env = (0..).map(|n| format!("V_{n}")).zip(HOSTILE.map(Text::sensitive)).collect();
        for name in ["user", "uid", "folder", "slot", "mark", "part", "PATH", "TZ"] {
            spec.env.insert(name.to_owned(), Text::plain(format!("/usr/bin:/bin:{name}")));
        }
        for name in ["UID", "IFS", "PPID", "RANDOM"] {
            spec.env.insert(name.to_owned(), Text::plain("7"));
        }
        bench.create("run.1", spec.clone()).await;
        let pid = bench.until("it sleeps", |object| {
            let comm = object.pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok());
            comm.as_deref() == Some("sleep\n")
        });
        let pid = pid.await.pid.unwrap();
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let environ: BTreeMap<String, String> = environ
            .split(|byte| *byte == 0)
            .filter_map(|entry| str::from_utf8(entry).unwrap().split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (name, value) in &spec.env {
            assert_eq!(environ.get(name).map(String::as_str), Some(value.reveal()), "{interpreter}: {name}");
        }
        assert_eq!(environ["ORCH_OP_ID"], "run.1");
        assert_eq!(environ["ORCH_ADDRESS"], "web");
        assert!(environ["HOME"].starts_with('/') && environ["LANG"] == "C.UTF-8", "{environ:?}");
        let expected = ["USER", "LOGNAME", "HOME", "SHELL", "LANG", "ORCH_SERVICE", "ORCH_ADDRESS", "ORCH_OP_ID"];
        let others = expected.iter().copied().chain(["ORCH_OBJECT", "PWD", "OLDPWD", "SHLVL", "_"]);
        let known: Vec<&str> = spec.env.keys().map(String::as_str).chain(others).collect();
        assert!(environ.keys().all(|name| known.contains(&name.as_str())), "{environ:?}");
        // No signal is ignored or blocked: a shell does both to what it starts in the background.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        for field in ["SigBlk:\t", "SigIgn:\t"] {
            let own = std::fs::read_to_string("/proc/self/status").unwrap();
            let of = |text: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap().to_owned();
                u64::from_str_radix(&line, 16).unwrap()
            };
            // SIGPIPE is ignored in a program of Rust, but not in what it starts. Those above 31 are the C library's.
            let inherited = of(&own) & !(1 << 12);
            assert_eq!(of(&status) & !inherited & 0x7fff_ffff, 0, "{interpreter}: {field}");
        }
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), PathBuf::from("/"));
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let mut open: Vec<_> = open.map(|fd| (fd.file_name(), std::fs::read_link(fd.path()).unwrap())).collect();
        // What whoever runs the tests has left open for everything below it is not the keeper's.
        open.retain(|(fd, link)| {
            std::fs::read_link(PathBuf::from("/proc/self/fd").join(fd)).ok().as_ref() != Some(link)
        });
        open.retain(|(fd, _)| !["0", "1", "2"].contains(&fd.to_str().unwrap()));
        assert_eq!(open, [], "{interpreter}");
        bench.remove().await;
    }
    assert!(!PathBuf::from("/tmp/orch-hostile").exists());
}

#[tokio::test]
async fn arguments_are_not_changed_on_their_way() {
    for interpreter in shells() {
        let bench = Bench::with(interpreter, LogPolicy::default());
        let mut spec = shell("for value; do printf '<%s>' \"$value\"; done; echo; echo end >&2");
        spec.args.push(Text::plain("sh"));
        spec.args.extend(HOSTILE.map(Text::sensitive));
        spec.restart.mode = RestartMode::Never;
        bench.create("run.1", spec).await;
        bench.until("it ends", |object| object.state == ObjectState::Exited(exited(0))).await;
        let expected: String = HOSTILE.iter().map(|value| format!("<{value}>")).collect();
        bench.until_logged("end").await;
        assert_eq!(bench.log(), format!("{expected}\nend\n"), "{interpreter}");
        bench.remove().await;
    }
}

#[tokio::test]
async fn a_secret_in_a_variable_that_shells_keep_is_refused() {
    let bench = Bench::new();
    let mut spec = shell("exec sleep 1000");
    spec.env.insert("UID".to_owned(), Text::sensitive("hush"));
    let error = bench.detached.create(&context("run.1"), &bench.slot, &instance(spec)).await.unwrap_err();
    assert!(error.message.contains("UID") && !error.message.contains("hush") && error.hint.is_some(), "{error}");
    assert!(!bench.folder().exists());
}

#[tokio::test]
async fn it_is_restarted_by_its_policy_until_it_is_a_crash_loop() {
    for interpreter in shells() {
        let bench = Bench::with(interpreter, LogPolicy::default());
        let mut spec = shell("echo once; exit 3");
        spec.restart = restarts(RestartMode::OnFailure, 3, 10);
        bench.create("run.1", spec).await;
        let object = bench.until("it gives up", |o| matches!(o.state, ObjectState::CrashLoop(_))).await;
        assert_eq!((object.state, object.restarts), (ObjectState::CrashLoop(exited(3)), 3), "{interpreter}");
        bench.until("it logged", |_| bench.log() == "once\n".repeat(4)).await;
        // Started again it has all its tries again.
        bench.detached.start(&bench.slot).await.unwrap();
        bench.until("it gives up again", |_| bench.log() == "once\n".repeat(8)).await;
        bench.until("it gives up again", |o| matches!(o.state, ObjectState::CrashLoop(_))).await;
        bench.remove().await;
    }
}

#[tokio::test]
async fn the_policy_tells_success_from_failure() {
    for (mode, script, end) in [
        (RestartMode::OnFailure, "exit 0", exited(0)),
        (RestartMode::Never, "exit 5", exited(5)),
        (RestartMode::Never, "kill -9 $$", Exit { code: None, signal: Some(9), out_of_memory: false }),
        (RestartMode::Never, "kill -9 0", Exit { code: None, signal: Some(9), out_of_memory: false }),
        (
            RestartMode::Never,
            "kill -TERM 0; exec sleep 1000",
            Exit { code: None, signal: Some(15), out_of_memory: false },
        ),
    ] {
        let bench = Bench::new();
        let mut spec = shell(script);
        spec.restart = restarts(mode, 3, 10);
        bench.create("run.1", spec).await;
        bench.until(script, |object| object.state == ObjectState::Exited(end.clone())).await;
        assert_eq!(bench.look().await.restarts, 0);
        bench.remove().await;
    }
    let bench = Bench::new();
    let mut spec = shell("exit 0");
    spec.restart = restarts(RestartMode::Always, 100, 10);
    bench.create("run.1", spec).await;
    bench.until("it is started again and again", |object| object.restarts >= 3).await;
    bench.remove().await;
}

#[tokio::test]
async fn the_exit_code_of_a_job_is_kept() {
    let bench = Bench::new();
    let mut spec = shell("echo done; exit 7");
    spec.restart.mode = RestartMode::Never;
    bench.detached.create(&context("run.1"), &bench.slot, &job(spec.clone())).await.unwrap();
    let object = bench.until("it ends", |object| object.state == ObjectState::Exited(exited(7))).await;
    assert_eq!(object.last_exit, Some(exited(7)));
    assert_eq!(bench.detached.tail(&bench.slot, 10).await.unwrap(), ["done"]);
    bench.until("nobody keeps it", |_| bench.processes().is_empty()).await;
    // The same attempt once more runs nothing.
    bench.detached.create(&context("run.1"), &bench.slot, &job(spec.clone())).await.unwrap();
    assert_eq!(bench.log(), "done\n");
    // Another one does.
    bench.detached.restart(&context("run.2"), &bench.slot, &job(spec)).await.unwrap();
    bench.until("it ran again", |_| bench.log() == "done\ndone\n").await;
    bench.remove().await;
}

/// A program that ignores the stop signal, with a child that has left its group and session, and another one that
/// has cleared its environment.
const STUBBORN: &str = "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 1001' & \
                        env -i sh -c 'trap \"\" TERM; sleep 1002' & echo up; sleep 1003; sleep 1004";

#[tokio::test]
async fn a_stop_ends_what_does_not_want_to_end() {
    for interpreter in shells() {
        let bench = Bench::with(interpreter, LogPolicy::default());
        bench.create("run.1", shell(STUBBORN)).await;
        bench.until_logged("up").await;
        let all = bench.until("all of it runs", |_| sleepers(&bench).len() == 3);
        let running = sleepers(&bench);
        all.await;
        bench.detached.stop(&bench.slot).await.unwrap();
        assert_eq!(bench.look().await.state, ObjectState::Stopped);
        assert!(running.iter().all(|pid| !is_alive(*pid)) && bench.processes().is_empty(), "{interpreter}");
        // Stopped once more it is stopped.
        bench.detached.stop(&bench.slot).await.unwrap();
        bench.detached.start(&bench.slot).await.unwrap();
        bench.until("it runs again", |object| object.state == ObjectState::Running).await;
        bench.remove().await;
    }
}

/// The `sleep 100N` of a slot: by its environment, or as a descendant of its programs.
fn sleepers(bench: &Bench) -> Vec<u32> {
    let own = bench.processes();
    let parent = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let descends = |mut pid: u32| loop {
        if own.contains(&pid) {
            return true;
        }
        match parent(pid) {
            Some(next) if next > 1 => pid = next,
            _ => return false,
        }
    };
    let sleeps =
        |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep\x00100"));
    pids().into_iter().filter(sleeps).filter(|pid| descends(*pid)).collect()
}

#[tokio::test]
async fn it_is_asked_with_its_signal_and_may_take_its_time() {
    mind_signals();
    for (signal, name) in [(StopSignal::SigInt, "INT"), (StopSignal::SigUsr1, "USR1"), (StopSignal::SigQuit, "QUIT")] {
        let bench = Bench::new();
        let script = format!("trap 'sleep 0.3; echo asked; exit 0' {name}; echo up; while :; do sleep 0.05; done");
        let spec = RemoteSpec { stop_signal: signal, stop_timeout: Duration::from_secs(20), ..shell(&script) };
        bench.create("run.1", spec).await;
        bench.until_logged("up").await;
        bench.detached.stop(&bench.slot).await.unwrap();
        assert_eq!(bench.processes(), [0; 0], "{name}: its child got the signal too");
        // What writes the log ends after what it writes down.
        bench.until_logged("asked").await;
        assert!(bench.log().starts_with("up\n"), "{name}: {}", bench.log());
        bench.remove().await;
    }
}

#[tokio::test]
async fn a_killed_keeper_is_lost_and_what_it_left_is_ended() {
    for interpreter in shells() {
        let bench = Bench::with(interpreter, LogPolicy::default());
        bench.create("run.1", shell(STUBBORN)).await;
        bench.until("all of it runs", |_| sleepers(&bench).len() == 3).await;
        let before = bench.look().await;
        kill(bench.keeper(), "KILL");
        let lost = bench.until("it is lost", |object| object.state == ObjectState::Lost).await;
        assert_eq!((lost.pid, &lost.incarnation), (before.pid, &before.incarnation), "its program still runs");
        assert!(lost.drift[0].detail.contains("is gone, its process"), "{:?}", lost.drift);
        let left = sleepers(&bench);
        assert_eq!(left.len(), 3);
        bench
            .detached
            .switch(&context("run.2"), &bench.slot, &instance(shell("echo new; exec sleep 1000")))
            .await
            .unwrap();
        assert!(left.iter().all(|pid| !is_alive(*pid)), "{interpreter}");
        bench.until("the new one runs", |object| object.state == ObjectState::Running).await;
        bench.remove().await;
    }
}

#[tokio::test]
async fn every_process_of_a_keeper_can_be_killed() {
    let bench = Bench::new();
    bench.create("run.1", shell("echo up; exec sleep 1000")).await;
    let count = bench.processes().len();
    for victim in 0..count {
        let Some(pid) = bench.processes().get(victim).copied() else { continue };
        kill(pid, "KILL");
        let op = format!("run.2{victim}");
        let spec = instance(shell("echo up; exec sleep 1000"));
        bench.detached.restart(&context(&op), &bench.slot, &spec).await.unwrap();
        let object = bench.until("it runs", |object| object.state == ObjectState::Running).await;
        assert_eq!(object.op_id.as_str(), op);
        bench.until("nothing runs twice", |_| bench.processes().len() == count).await;
    }
    bench.remove().await;
}

#[tokio::test]
async fn a_pid_that_was_given_to_another_is_not_signalled() {
    let bench = Bench::new();
    bench.create("run.1", shell("exec sleep 1000")).await;
    let stranger = Command::new("sleep").arg("1000").spawn().unwrap();
    for pid in bench.processes() {
        kill(pid, "KILL");
    }
    let status = bench.folder().join("status");
    let text = std::fs::read_to_string(&status).unwrap();
    let lines = text.lines().map(|line| match line.split_once(' ') {
        Some((key @ ("keeper" | "whole" | "leader" | "program"), rest)) => {
            format!("{key} {} {}\n", stranger.id(), rest.split_once(' ').unwrap().1)
        }
        _ => format!("{line}\n"),
    });
    std::fs::write(&status, lines.collect::<String>()).unwrap();
    let object = bench.look().await;
    assert_eq!((object.state, object.pid), (ObjectState::Lost, None));
    bench.detached.stop(&bench.slot).await.unwrap();
    let slot = bench.detached.remove(&context("run.2"), &bench.slot).await;
    let mut stranger = stranger;
    let alive = stranger.try_wait().unwrap().is_none();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    slot.unwrap();
    assert!(alive, "it is not the slot's");
}

#[tokio::test]
async fn a_switch_is_taken_back_by_the_same_path() {
    let bench = Bench::new();
    let upload = bench.store.with_extension("program");
    let target = bench.store.with_extension("d").join("bin/web");
    let spec = |text: &str| {
        std::fs::write(&upload, format!("#!/bin/sh\necho {text} \"$1\"\nexec sleep 1000\n")).unwrap();
        let content = Some(Digest::of(&std::fs::read(&upload).unwrap()));
        RemoteSpec {
            upload: Some(Upload { path: upload.clone(), content }),
            args: vec![Text::plain(format!("of {text}"))],
            ..RemoteSpec::new(Place::Here, Text::plain(target.to_str().unwrap()))
        }
    };
    let (one, two) = (instance(spec("one")), spec("two"));
    spec("one");
    let two = instance(two);
    bench.detached.create(&context("run.1"), &bench.slot, &one).await.unwrap();
    bench.until_logged("one of one").await;
    let first = bench.look().await;
    assert_eq!((first.revision, first.drift.len()), (one.revision, 0));
    spec("two");
    bench.detached.switch(&context("run.2"), &bench.slot, &two).await.unwrap();
    bench.until_logged("two of two").await;
    let second = bench.until("it runs", |object| object.state == ObjectState::Running).await;
    assert_eq!((second.op_id.as_str(), second.revision), ("run.2", two.revision));
    assert_ne!(second.incarnation, first.incarnation);

    bench.detached.revert(&context("run.2"), &bench.slot).await.unwrap();
    let back = bench.until("it runs", |object| object.state == ObjectState::Running).await;
    assert_eq!((back.op_id.as_str(), back.revision, back.drift.len()), ("run.1", one.revision, 0));
    bench.until("the old program", |_| bench.log().ends_with("one of one\n")).await;
    // Once more, as after a crash: it is back already.
    bench.detached.revert(&context("run.2"), &bench.slot).await.unwrap();
    assert_eq!(bench.look().await.incarnation, back.incarnation);

    std::fs::write(&target, "#!/bin/sh\n").unwrap();
    let edited = bench.look().await;
    assert_eq!(edited.drift[0].detail, format!("{} was edited", target.display()));
    bench.remove().await;
    assert!(!target.exists());
}

#[tokio::test]
async fn what_is_not_the_slots_is_left_alone_and_what_is_missing_is_told() {
    let bench = Bench::new();
    let foreign = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(foreign.path(), "mine").unwrap();
    let uploaded = RemoteSpec {
        upload: Some(Upload {
            path: "/bin/true".into(),
            content: Some(Digest::of(&std::fs::read("/bin/true").unwrap())),
        }),
        ..RemoteSpec::new(Place::Here, Text::plain(foreign.path().to_str().unwrap()))
    };
    let missing = RemoteSpec::new(Place::Here, Text::plain("orch-no-such-program"));
    let user = RemoteSpec { user: Some("orch-nobody".to_owned()), ..shell("true") };
    let folder = RemoteSpec { working_dir: Some("/orch/none".to_owned()), ..shell("true") };
    for (spec, told) in [
        (uploaded, "is there already, and is not of this service"),
        (missing, "there is no program orch-no-such-program"),
        (user, "there is no user orch-nobody"),
        (folder, "there is no folder /orch/none"),
    ] {
        let error = bench.detached.create(&context("run.1"), &bench.slot, &instance(spec)).await.unwrap_err();
        assert!(error.message.contains(told) && error.hint.is_some(), "{error}");
        assert!(!bench.folder().exists(), "{told}");
    }
    assert_eq!(std::fs::read_to_string(foreign.path()).unwrap(), "mine");
    // A refused switch changes nothing.
    bench.create("run.1", shell("exec sleep 1000")).await;
    let before = bench.look().await;
    let missing = instance(RemoteSpec::new(Place::Here, Text::plain("/orch/none")));
    bench.detached.switch(&context("run.2"), &bench.slot, &missing).await.unwrap_err();
    let after = bench.look().await;
    assert_eq!((after.incarnation, after.op_id, after.drift), (before.incarnation, before.op_id, before.drift));
    bench.remove().await;
}

#[tokio::test]
async fn no_line_is_lost_when_the_log_is_rotated() {
    let bench = Bench::with("/bin/sh", LogPolicy { max_size: 100_000, keep: 40 });
    let mut spec = shell("i=0; while [ $i -lt 200000 ]; do echo \"line $i\"; i=$((i + 1)); done; echo the end");
    spec.restart.mode = RestartMode::Never;
    bench.create("run.1", spec).await;
    let all = LogQuery { follow: true, ..LogQuery::default() };
    let mut lines = bench.detached.stream_log(&bench.slot, all).await.unwrap();
    let mut number = 0;
    while let Some(line) = lines.next().await {
        let line = line.unwrap().text;
        if line == "the end" {
            break;
        }
        assert_eq!(line, format!("line {number}"));
        number += 1;
    }
    assert_eq!(number, 200_000);
    drop(lines);
    assert!(bench.folder().join("log.2").exists(), "it was rotated");
    let tail = bench.detached.tail(&bench.slot, 150_001).await.unwrap();
    assert_eq!((tail.len(), tail[0].as_str(), tail[150_000].as_str()), (150_001, "line 50000", "the end"));
    bench.remove().await;
}

#[tokio::test]
async fn only_so_many_logs_are_kept() {
    let bench = Bench::with("/bin/sh", LogPolicy { max_size: 1_000, keep: 2 });
    let mut spec =
        shell("i=0; while [ $i -lt 100 ]; do head -c 50000 /dev/zero | tr '\\0' x; echo; i=$((i + 1)); done");
    spec.restart.mode = RestartMode::Never;
    bench.create("run.1", spec).await;
    bench.until("it ends", |object| object.state == ObjectState::Exited(exited(0))).await;
    bench.until("nobody writes", |_| bench.processes().is_empty()).await;
    let entries = std::fs::read_dir(bench.folder()).unwrap().map(Result::unwrap);
    let logs: Vec<_> = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with("log.")).collect();
    let size: u64 = logs.iter().map(|log| log.metadata().unwrap().len()).sum();
    assert!(logs.len() == 3 && size < 3_500_000, "{size}: {logs:?}");
    bench.remove().await;
}
