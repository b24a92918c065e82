//! What reaches the program, what does not leak, and what is said when it cannot be started.

use std::path::Path;

use orch::backend::{Observer, Operator};
use orch::model::{Exit, ObjectState, Text};
use orch::sys::ProcessStat;
use rustix::process::Signal;

use super::bench::{Bench, alive, context, eventually, kill};

const DONE: ObjectState = ObjectState::Exited(Exit { code: Some(0), signal: None, out_of_memory: false });

#[tokio::test]
async fn arguments_and_environment_arrive_byte_for_byte() {
    let bench = Bench::new();
    let hostile = ["", " ", "a b", "'", "\"", "$(touch pwned)", "`x`", "line\nbreak", "ünï→🦀", "\\", "*", "-n", "%s"];
    let script = "printf '%s\\0' \"$@\" > args; cat /proc/self/environ > environ";
    let mut make = bench.shell(script).job();
    make.spec.args.push(Text::plain("sh"));
    make.spec.args.extend(hostile.iter().map(|arg| Text::sensitive(*arg)));
    let make = make.env("HOSTILE", "'\"$(x)\nü= ");
    let id = bench.create("run.1", &make).await.unwrap();
    bench.until_state(&id, DONE).await;
    let args = bench.read("args");
    assert_eq!(args.strip_suffix('\0').unwrap().split('\0').collect::<Vec<_>>(), hostile);
    assert!(!bench.path("pwned").exists());
    let environ = bench.read("environ");
    let environ: Vec<&str> = environ.split('\0').collect();
    for expected in ["HOSTILE='\"$(x)\nü= ", "ORCH_SERVICE=web", "ORCH_ADDRESS=web", "ORCH_OP_ID=run.1", "LC_ALL=C"] {
        assert!(environ.contains(&expected), "{environ:?}");
    }
    assert!(!environ.iter().any(|entry| entry.starts_with("AWS_SECRET")));
}

#[tokio::test]
async fn secrets_are_in_no_file_and_not_on_the_supervisor() {
    let bench = Bench::new();
    let mut make = bench.program("sleep").args(&["600"]).env("PASSWORD", "hunter2");
    make.spec.args = vec![Text::sensitive("6001"), Text::sensitive("6002")];
    let id = bench.create("run.1", &make).await.unwrap();
    let supervisor = bench.supervisor(&id).pid;
    let mut seen = Vec::new();
    for name in ["cmdline", "environ"] {
        seen.extend(std::fs::read(format!("/proc/{supervisor}/{name}")).unwrap());
    }
    bench.backend.restart(&context("web", "run.2"), &id, &make.instance()).await.unwrap();
    for entry in std::fs::read_dir(bench.root.join(id.as_str())).unwrap() {
        let path = entry.unwrap().path();
        seen.extend(std::fs::read(&path).unwrap_or_default());
    }
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("__supervise") && seen.contains("run.1"));
    for secret in ["hunter1", "hunter2", "6001", "6002"] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_said_clearly_and_leaves_nothing() {
    let bench = Bench::new();
    let plain = bench.write("plain", b"#!/bin/sh\n", 0o644);
    let orphan = bench.write("orphan", b"#!/no/such/interpreter\n", 0o755);
    let garbage = bench.write("garbage", b"\x7fnot a program", 0o755);
    let program = |path: &Path| bench.program(path.to_str().unwrap());
    let mut homeless = bench.program("sleep");
    homeless.spec.working_dir = bench.path("nowhere");
    let mut secret = program(&bench.path("hunter2"));
    secret.spec.binary = secret.spec.binary.clone().into_sensitive();
    let mut somebody = bench.program("sleep");
    somebody.spec.user = Some("no-such-user".into());
    for (make, message, hint) in [
        (program(&bench.path("none")), "no such file or directory", "binary"),
        (bench.program("no-such-program"), "in no directory of PATH", "binary"),
        (program(&plain), "permission denied", "chmod +x"),
        (program(&orphan), "interpreter does not exist", "#!"),
        (program(&garbage), "not a program for this machine", "#!/bin/sh"),
        (program(&bench.folder), "permission denied", "binary"),
        (homeless, "working directory", "working_dir"),
        (secret, "(sensitive)", "binary"),
        (somebody, "no user no-such-user", "user"),
        (bench.program("sleep").args(&["a\0b"]), "nul byte", ""),
    ] {
        let error = bench.create("run.1", &make).await.unwrap_err();
        assert!(error.message.contains(message), "{error:?}");
        assert!(error.hint.clone().unwrap_or_default().contains(hint), "{error:?}");
        assert!(!error.message.contains("hunter2"), "{error:?}");
        assert!(bench.backend.list().await.unwrap().objects.is_empty());
        let left = std::fs::read_dir(&bench.root).map(|entries| entries.count()).unwrap_or_default();
        assert_eq!(left, 0, "{message}");
    }
}

#[tokio::test]
async fn a_deep_folder_is_no_obstacle() {
    let bench = Bench::below(&["deep".repeat(20), "deeper".repeat(20), "process".into()].join("/"));
    let id = bench.create("run.1", &bench.program("sleep").args(&["600"])).await.unwrap();
    bench.backend.stop(&context("web", "run.2"), &id).await.unwrap();
    bench.backend.start(&context("web", "run.2"), &id).await.unwrap();
    assert_eq!(bench.look(&id).await.state, ObjectState::Running);
}

#[tokio::test]
async fn a_user_is_taken_with_its_groups() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let bench = Bench::new();
    let mut make = bench.shell("id -u; id -G; readlink /proc/self/fd/0; echo again > /dev/stdout").job();
    make.spec.user = Some("nobody".into());
    make.spec.working_dir = "/".into();
    let id = bench.create("run.1", &make).await.unwrap();
    bench.until_state(&id, DONE).await;
    let tail = bench.backend.tail(&id, 9).await.unwrap();
    assert!(tail.len() == 4 && tail[0] != "0" && tail[2] == "/dev/null", "{tail:?}");
    assert!(!tail[1].split(' ').any(|group| group == "0"), "{tail:?}");
}

#[tokio::test]
async fn what_the_terminal_sends_reaches_neither_supervisor_nor_service() {
    let bench = Bench::new();
    let id = bench.create("run.1", &bench.program("sleep").args(&["600"])).await.unwrap();
    let supervisor = bench.supervisor(&id);
    let pid = bench.look(&id).await.pid.unwrap();
    // From /proc, because the session of the test itself may be outside its pid namespace.
    let session = |pid: u32| ProcessStat::of(pid).unwrap().session;
    assert_eq!(session(supervisor.pid), supervisor.pid);
    assert_eq!(session(pid), session(supervisor.pid));
    assert_eq!(ProcessStat::of(pid).unwrap().group, pid);
    assert_ne!(session(pid), session(std::process::id()));
    for signal in [Signal::HUP, Signal::QUIT, Signal::TSTP, Signal::USR1] {
        kill(supervisor.pid, signal);
    }
    bench.backend.stop(&context("web", "run.2"), &id).await.unwrap();
    bench.backend.start(&context("web", "run.2"), &id).await.unwrap();
    assert!(supervisor.is_alive());
    // SIGTERM ends the service gracefully, and then the supervisor.
    let pid = bench.look(&id).await.pid.unwrap();
    kill(supervisor.pid, Signal::TERM);
    eventually("the supervisor ends", || !supervisor.is_alive()).await;
    assert!(!alive(pid));
    assert_eq!(bench.look(&id).await.state, ObjectState::Lost);
}
