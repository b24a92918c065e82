//! orch or a supervisor dies at the wrong moment.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use orch::backend::process::ProcessBackend;
use orch::backend::{Observer, Operator};
use orch::model::{Exit, ObjectState, RestartMode};
use orch::sys::{Durability, Identity, write_atomic};
use serde_json::json;

use super::bench::{Bench, ORCH, alive, context, eventually, kill, pid_in};

#[tokio::test]
async fn a_killed_supervisor_is_seen_and_what_it_left_is_removed() {
    let bench = Bench::new();
    let script = "(env -i setsid sh -c 'echo $$ > nameless; exec sleep 600' &)
        setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 1; done' & exec sleep 600";
    let id = bench.create("run.1", &bench.shell(script).stop_timeout(200)).await.unwrap();
    let daemon = pid_in(&bench.path("daemon")).await;
    let nameless = pid_in(&bench.path("nameless")).await;
    let leader = bench.look(&id).await.pid.unwrap();
    let in_cgroup = bench.status(&id)["cgroup"].is_string();
    bench.kill_supervisor(&id).await;
    let lost = bench.look(&id).await;
    assert_eq!((&lost.state, lost.pid), (&ObjectState::Lost, Some(leader)));
    assert!(lost.drift[0].detail.contains("still runs"), "{lost:?}");
    let error = bench.backend.start(&context("web", "run.2"), &id).await.unwrap_err();
    assert!(error.message.contains("supervisor is gone"), "{error:?}");
    bench.backend.remove(&context("web", "run.2"), &id, false).await.unwrap();
    assert!(!alive(leader) && !alive(daemon));
    // Without a name, a parent or a group, only a control group can tell that it is ours.
    if in_cgroup {
        assert!(!alive(nameless));
    } else if alive(nameless) {
        kill(nameless, rustix::process::Signal::KILL);
    }
    assert_eq!(bench.backend.list().await.unwrap().objects, []);
}

#[tokio::test]
async fn a_lost_process_is_stopped_made_again_or_restarted_and_never_doubled() {
    let bench = Bench::new();
    let make = bench.shell("echo $$ >> pids; exec sleep 600");
    let id = bench.create("run.1", &make).await.unwrap();
    let starts = || bench.read("pids").lines().count();
    eventually("a start", || starts() == 1).await;
    bench.kill_supervisor(&id).await;
    bench.backend.stop(&context("web", "run.2"), &id).await.unwrap();
    assert_eq!(bench.look(&id).await.pid, None);
    bench.create("run.1", &make).await.unwrap();
    eventually("two starts", || starts() == 2).await;
    bench.kill_supervisor(&id).await;
    bench.backend.restart(&context("web", "run.3"), &id, &make.instance()).await.unwrap();
    let object = bench.look(&id).await;
    assert_eq!((object.state, object.op_id.as_str()), (ObjectState::Running, "run.3"));
    eventually("three starts", || starts() == 3).await;
    let running: Vec<u32> =
        bench.read("pids").lines().map(|pid| pid.parse().unwrap()).filter(|pid| alive(*pid)).collect();
    assert_eq!(running, [object.pid.unwrap()]);
}

#[tokio::test]
async fn a_reused_pid_is_never_signalled() {
    let bench = Bench::new();
    let mut stranger = sleeper();
    let id = bench.create("run.1", &bench.program("sleep").args(&["600"])).await.unwrap();
    let leader = bench.look(&id).await.pid.unwrap();
    bench.kill_supervisor(&id).await;
    let mut forged = bench.status(&id);
    let identity = Identity::of(stranger.id()).unwrap();
    for (pid, ticks, boot) in [
        (identity.pid, identity.start_ticks + 1, identity.boot_id.as_str()),
        (identity.pid, identity.start_ticks, "another boot"),
    ] {
        forged["child"] = json!({"pid": pid, "start_ticks": ticks, "boot_id": boot});
        let path = bench.root.join("run.1/status.json");
        write_atomic(&path, forged.to_string().as_bytes(), Durability::Atomic).unwrap();
        assert_eq!(bench.look(&id).await.pid, None);
        bench.backend.stop(&context("web", "run.2"), &id).await.unwrap();
        // What was really left is found by its environment.
        assert!(!alive(leader));
        assert!(stranger.try_wait().unwrap().is_none());
    }
    bench.backend.remove(&context("web", "run.2"), &id, false).await.unwrap();
    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_copy_of_a_state_folder_does_not_touch_what_the_original_runs() {
    let bench = Bench::new();
    let id = bench.create("run.1", &bench.program("sleep").args(&["600"])).await.unwrap();
    let copy = Bench::new();
    orch::sys::create_private_dir(&copy.root.join("run.1")).unwrap();
    for name in ["object.json", "status.json", "supervisor.lock"] {
        std::fs::copy(bench.root.join("run.1").join(name), copy.root.join("run.1").join(name)).unwrap();
    }
    let lost = copy.look(&id).await;
    assert_eq!((&lost.state, lost.pid), (&ObjectState::Lost, None));
    assert!(lost.drift[0].detail.contains("copy"), "{lost:?}");
    copy.backend.remove(&context("web", "run.2"), &id, false).await.unwrap();
    assert_eq!(copy.backend.list().await.unwrap().objects, []);
    assert_eq!(bench.look(&id).await.state, ObjectState::Running);
    // A folder that was moved stays what it was.
    let moved = bench.folder.join("moved");
    std::fs::rename(&bench.root, &moved).unwrap();
    let backend = ProcessBackend::new(moved.clone(), ORCH.into(), BTreeMap::new());
    backend.stop(&context("web", "run.2"), &id).await.unwrap();
    assert_eq!(backend.inspect(&id).await.unwrap().unwrap().state, ObjectState::Stopped);
    std::fs::rename(&moved, &bench.root).unwrap();
}

#[tokio::test]
async fn a_launch_that_is_cut_off_starts_nothing_and_a_whole_one_needs_no_listener() {
    let bench = Bench::new();
    let launch = |op: &str| {
        json!({
            "stamp": {"address": "web", "op_id": op, "revision": "0".repeat(64), "kind": "permanent"},
            "program": {"file": "/bin/sh", "name": "sh", "shown": "sh", "args": ["-c", "echo $$ > started; exec sleep 600"],
                "env": {}, "working_dir": bench.folder.clone(), "user": null},
            "policy": {"stop_signal": "SIGTERM", "stop_timeout": {"secs": 1, "nanos": 0},
                "log": {"max_size": 1000, "keep": 1},
                "restart": {"mode": "never", "delay": {"secs": 1, "nanos": 0}, "max_delay": {"secs": 1, "nanos": 0},
                    "max_restarts": 1, "reset_after": {"secs": 1, "nanos": 0}}},
            "binary": null
        })
        .to_string()
    };
    let whole = launch("run.1");
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        supervise(&bench, "run.1", &whole[..cut]).wait().unwrap();
        assert_eq!(bench.backend.list().await.unwrap().objects, []);
    }
    assert!(!bench.path("started").exists());
    let mut supervisor = supervise(&bench, "run.1", &whole);
    let pid = pid_in(&bench.path("started")).await;
    let object = bench.backend.list().await.unwrap().objects.remove(0);
    assert_eq!(bench.until_state(&object.id, ObjectState::Running).await.pid, Some(pid));
    bench.backend.remove(&context("web", "run.2"), &object.id, false).await.unwrap();
    assert!(!alive(pid));
    supervisor.wait().unwrap();
}

/// Starts a supervisor as orch does, and dies as orch may: with the launch cut off, without waiting for the answer.
fn supervise(bench: &Bench, op: &str, launch: &str) -> Child {
    let folder = bench.root.join(op);
    orch::sys::create_private_dir(&folder).unwrap();
    let stamp = json!({"address": "web", "op_id": op, "revision": "0".repeat(64), "kind": "permanent"});
    write_atomic(&folder.join("object.json"), stamp.to_string().as_bytes(), Durability::Atomic).unwrap();
    let lock = std::fs::OpenOptions::new().append(true).create(true).open(folder.join("supervisor.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test plays the part of orch")]
    let mut child = Command::new(ORCH)
        .args(["__supervise".as_ref(), folder.as_os_str()])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(lock)
        .process_group(0)
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(launch.as_bytes()).unwrap();
    child
}

#[tokio::test]
async fn a_request_that_is_cut_off_was_not_made_and_a_whole_one_needs_no_listener() {
    let bench = Bench::new();
    let id = bench.create("run.1", &bench.program("sleep").args(&["600"])).await.unwrap();
    let socket = bench.root.join("run.1/control.sock");
    let send = |text: &str| UnixStream::connect(&socket).unwrap().write_all(text.as_bytes()).unwrap();
    for text in ["\"stop\"", "", "\"st", "nonsense\n", "\0\n"] {
        send(text);
    }
    // An answer means that what came before was looked at.
    assert_eq!(bench.create("run.1", &bench.program("sleep")).await.unwrap(), id);
    assert_eq!(bench.look(&id).await.state, ObjectState::Running);
    send("\"stop\"\n");
    bench.until_state(&id, ObjectState::Stopped).await;
}

#[tokio::test]
async fn a_job_that_ends_while_the_disk_is_full_is_not_forgotten() {
    let bench = Bench::new();
    if !rustix::process::geteuid().is_root() || !mount(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"], &bench.root) {
        return;
    }
    let waits = bench.shell("while ! [ -e go ]; do sleep 0.02; done; exit 5").job();
    let id = bench.create("run.2", &waits).await.unwrap();
    let filler = bench.root.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let error = bench.create("run.3", &waits).await.unwrap_err();
    assert!(error.hint.unwrap().contains("free space"), "{}", error.message);
    bench.write("go", b"", 0o600);
    let leader = bench.look(&id).await.pid;
    eventually("the job ends", || leader.is_none_or(|pid| !alive(pid))).await;
    assert!(bench.supervisor(&id).is_alive());
    // A file that is open keeps its room.
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    let exit = Exit { code: Some(5), signal: None, out_of_memory: false };
    bench.until_state(&id, ObjectState::Exited(exit)).await;
    bench.backend.remove(&context("web", "run.4"), &id, false).await.unwrap();
    assert_eq!(bench.backend.list().await.unwrap().objects, []);
    unmount(&bench.root);
}

fn mount(args: &[&str], folder: &Path) -> bool {
    orch::sys::create_private_dir(folder).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test needs a small disk")]
    Command::new("mount").args(args).arg(folder).output().is_ok_and(|output| output.status.success())
}

fn unmount(folder: &Path) {
    #[expect(clippy::disallowed_methods, reason = "the test needs a small disk")]
    let status = Command::new("umount").arg(folder).status().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn half_made_and_damaged_objects_are_seen_and_removed() {
    let bench = Bench::new();
    let id = bench.create("run.1", &bench.program("sleep").args(&["600"])).await.unwrap();
    for (op, file, content) in [
        ("run.2", "object.json", json!({"address": "db", "op_id": "run.2", "revision": "0".repeat(64), "kind": "job"})),
        ("run.3", "status.json", json!({"state": 7})),
        (".run.4.new", "object.json", json!(null)),
    ] {
        let folder = bench.root.join(op);
        orch::sys::create_private_dir(&folder).unwrap();
        write_atomic(&folder.join(file), content.to_string().as_bytes(), Durability::Atomic).unwrap();
    }
    let mut seen: Vec<_> = bench.backend.list().await.unwrap().objects;
    seen.sort_by(|a, b| a.id.cmp(&b.id));
    let summary: Vec<_> = seen.iter().map(|o| (o.id.as_str(), o.address.to_string(), o.state.clone())).collect();
    let expected = [
        ("run.1", "web".to_owned(), ObjectState::Running),
        ("run.2", "db".to_owned(), ObjectState::Lost),
        ("run.3", "run.3".to_owned(), ObjectState::Lost),
    ];
    assert_eq!(summary, expected);
    assert!(seen[1..].iter().all(|object| !object.drift.is_empty()));
    for object in seen.iter().skip(1) {
        bench.backend.remove(&context("db", "run.5"), &object.id, false).await.unwrap();
    }
    assert_eq!(bench.backend.list().await.unwrap().objects.len(), 1);
    assert_eq!(bench.look(&id).await.state, ObjectState::Running);
}

#[tokio::test]
async fn the_same_attempt_made_twice_at_once_makes_one_process() {
    let bench = Bench::new();
    let make = bench.shell("echo $$ >> pids; exec sleep 600").restarting(RestartMode::Always, 1, 9);
    let twice = || bench.create("run.1", &make);
    let (a, b, c, d) = tokio::join!(twice(), twice(), twice(), twice());
    for id in [&a, &b, &c, &d] {
        assert_eq!(id.as_ref().unwrap().as_str(), "run.1");
    }
    let id = a.unwrap();
    eventually("it wrote its pid", || bench.read("pids").ends_with('\n')).await;
    assert_eq!(bench.read("pids").trim(), bench.look(&id).await.pid.unwrap().to_string());
}

#[expect(clippy::disallowed_methods, reason = "a process that orch does not own")]
fn sleeper() -> Child {
    Command::new("sleep").arg("600").spawn().unwrap()
}
