//! Create, stop, start, restart, remove; exits and restarts.

use std::time::{Duration, Instant};

use orch::backend::{Observer, Operator};
use orch::model::{Exit, LogPolicy, ObjectState, RestartMode};
use rustix::process::Signal;

use super::bench::{Bench, alive, context, eventually, kill, pid_in};

fn code(code: i32) -> Exit {
    Exit { code: Some(code), signal: None, out_of_memory: false }
}

#[tokio::test]
async fn a_process_lives_through_create_stop_start_restart_and_remove() {
    let bench = Bench::new();
    let make = bench.program("sleep").args(&["600"]);
    let instance = make.instance();
    let id = bench.create("run.1", &make).await.unwrap();
    let first = bench.look(&id).await;
    assert_eq!((id.as_str(), first.op_id.as_str(), first.revision), ("run.1", "run.1", instance.revision));
    assert_eq!((&first.state, first.address.to_string().as_str()), (&ObjectState::Running, "web"));
    let pid = first.pid.unwrap();
    assert!(alive(pid) && first.incarnation.is_some() && first.drift.is_empty(), "{first:?}");
    // Once more, as after a crash: it is taken as it is.
    assert_eq!(bench.create("run.1", &make).await.unwrap(), id);
    assert_eq!(bench.backend.list().await.unwrap().objects, [first]);

    let op = context("web", "run.2");
    for _ in 0..2 {
        bench.backend.stop(&op, &id).await.unwrap();
        let stopped = bench.look(&id).await;
        assert_eq!((stopped.state, stopped.pid), (ObjectState::Stopped, None));
        assert!(!alive(pid));
    }
    let start = Instant::now();
    for _ in 0..2 {
        bench.backend.start(&op, &id).await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(2));
    let started = bench.look(&id).await;
    assert_eq!((&started.state, started.op_id.as_str()), (&ObjectState::Running, "run.1"));

    let other = bench.program("sleep").args(&["601"]).instance();
    bench.backend.restart(&context("web", "run.3"), &id, &other).await.unwrap();
    let restarted = bench.look(&id).await;
    assert_eq!((restarted.op_id.as_str(), restarted.revision), ("run.3", other.revision));
    assert_ne!(restarted.pid, started.pid);
    // The same attempt again finds its work done.
    bench.backend.restart(&context("web", "run.3"), &id, &other).await.unwrap();
    assert_eq!(bench.look(&id).await, restarted);

    let supervisor = bench.supervisor(&id);
    for _ in 0..2 {
        bench.backend.remove(&op, &id, false).await.unwrap();
        assert_eq!(bench.backend.inspect(&id).await.unwrap(), None);
        assert!(!supervisor.is_alive() && !alive(restarted.pid.unwrap()));
    }
    assert_eq!(std::fs::read_dir(&bench.root).unwrap().count(), 0);
}

#[tokio::test]
async fn a_job_reports_how_it_ended_and_never_runs_twice() {
    let bench = Bench::new();
    for (op, script, exit) in [
        ("run.1", "echo ran >> ran.1; exit 0", code(0)),
        ("run.2", "echo ran >> ran.2; exit 7", code(7)),
        ("run.3", "echo ran >> ran.3; kill -9 $$", Exit { code: None, signal: Some(9), out_of_memory: false }),
    ] {
        let make = bench.shell(script).job();
        let id = bench.create(op, &make).await.unwrap();
        let object = bench.until_state(&id, ObjectState::Exited(exit.clone())).await;
        assert_eq!((object.last_exit, object.pid), (Some(exit.clone()), None));
        let supervisor = bench.supervisor(&id);
        eventually("the supervisor of a finished job ends", || !supervisor.is_alive()).await;
        assert_eq!(bench.create(op, &make).await.unwrap(), id);
        assert_eq!(bench.look(&id).await.state, ObjectState::Exited(exit));
        assert_eq!(bench.read(&op.replace("run", "ran")), "ran\n");
        // A rename reaches a job that is done, too.
        bench.backend.update(&context("other", "run.9"), &id, &make.instance()).await.unwrap();
        assert_eq!(bench.look(&id).await.address.to_string(), "other");
        bench.backend.remove(&context("web", "run.9"), &id, false).await.unwrap();
    }
}

#[tokio::test]
async fn a_process_that_ignores_the_stop_signal_is_killed_with_its_group() {
    let bench = Bench::new();
    let make = bench.shell("trap '' TERM; sleep 600 & echo $! > child; wait; wait; sleep 600").stop_timeout(300);
    let id = bench.create("run.1", &make).await.unwrap();
    let child = pid_in(&bench.path("child")).await;
    let leader = bench.look(&id).await.pid.unwrap();
    let start = Instant::now();
    bench.backend.stop(&context("web", "run.2"), &id).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert!(!alive(leader) && !alive(child));
    assert_eq!(bench.look(&id).await.last_exit.unwrap().signal, Some(9));
}

#[tokio::test]
async fn what_outlives_its_leader_is_ended_too() {
    let bench = Bench::new();
    // A child in the group, a daemon in a session of its own, one that ignores the stop signal and has no environment.
    let script = "sh -c 'trap \"\" TERM; echo $$ > a; while :; do sleep 1; done' &
        setsid sh -c 'sleep 600 & echo $! > b; exit' &
        (env -i setsid sh -c 'trap \"\" TERM; echo $$ > c; while :; do sleep 1; done' &) &
        trap 'exit 3' TERM; while :; do sleep 0.1; done";
    let id = bench.create("run.1", &bench.shell(script).stop_timeout(400)).await.unwrap();
    let mut pids = Vec::new();
    for name in ["a", "b", "c"] {
        pids.push(pid_in(&bench.path(name)).await);
    }
    assert!(pids.iter().all(|pid| alive(*pid)));
    bench.backend.stop(&context("web", "run.2"), &id).await.unwrap();
    assert!(pids.iter().all(|pid| !alive(*pid)));
    let object = bench.look(&id).await;
    assert_eq!((object.state, object.last_exit), (ObjectState::Stopped, Some(code(3))));
}

#[tokio::test]
async fn a_daemon_left_by_a_job_does_not_outlive_it() {
    let bench = Bench::new();
    let id = bench.create("run.1", &bench.shell("setsid sleep 600 & echo $! > daemon; exit 0").job()).await.unwrap();
    bench.until_state(&id, ObjectState::Exited(code(0))).await;
    assert!(!alive(pid_in(&bench.path("daemon")).await));
}

#[tokio::test]
async fn a_crash_loop_is_visible_and_can_be_started_again() {
    let bench = Bench::new();
    let make = bench.shell("echo up >> ran; exit 4").restarting(RestartMode::OnFailure, 1, 3);
    let id = bench.create("run.1", &make).await.unwrap();
    let object = bench.until_state(&id, ObjectState::CrashLoop(code(4))).await;
    assert_eq!((object.restarts, bench.read("ran").lines().count()), (3, 4));
    bench.backend.start(&context("web", "run.2"), &id).await.unwrap();
    bench.until(&id, |object| object.state == ObjectState::CrashLoop(code(4)) && object.restarts == 3).await;
    eventually("it ran again", || bench.read("ran").lines().count() == 8).await;
}

#[tokio::test]
async fn a_process_killed_by_hand_is_restarted_or_reported() {
    let bench = Bench::new();
    let killed = Exit { code: None, signal: Some(9), out_of_memory: false };
    let kept = bench.program("sleep").args(&["600"]);
    let id = bench.create("run.1", &kept).await.unwrap();
    kill(bench.look(&id).await.pid.unwrap(), Signal::KILL);
    bench.until_state(&id, ObjectState::Exited(killed.clone())).await;
    let id = bench.create("run.2", &kept.restarting(RestartMode::OnFailure, 1, 3)).await.unwrap();
    let pid = bench.look(&id).await.pid;
    kill(pid.unwrap(), Signal::KILL);
    let object = bench.until(&id, |object| object.state == ObjectState::Running && object.restarts == 1).await;
    assert!(object.pid.is_some() && object.pid != pid);
    assert_eq!(object.last_exit, Some(killed));
}

#[tokio::test]
async fn an_update_changes_policy_and_address_while_it_runs() {
    let bench = Bench::new();
    let make = bench.shell("trap '' TERM; trap 'exit 9' INT; while :; do sleep 0.05; done").stop_timeout(60_000);
    let id = bench.create("run.1", &make).await.unwrap();
    let before = bench.look(&id).await;
    let mut changed = make.clone();
    changed.spec.stop_signal = orch::model::StopSignal::SigInt;
    bench.backend.update(&context("renamed", "run.2"), &id, &changed.instance()).await.unwrap();
    let after = bench.look(&id).await;
    assert_eq!((after.address.to_string().as_str(), after.pid, after.op_id), ("renamed", before.pid, before.op_id));
    bench.backend.stop(&context("renamed", "run.3"), &id).await.unwrap();
    assert_eq!(bench.look(&id).await.last_exit, Some(code(9)));
}

#[tokio::test]
async fn the_log_has_times_rotates_and_a_torrent_does_not_starve_requests() {
    let bench = Bench::new();
    let mut make = bench.shell("i=0; while :; do i=$((i+1)); echo line $i; [ $i -ge 20000 ] && exec sleep 600; done");
    make.spec.log = LogPolicy { max_size: 100_000, keep: 30 };
    let id = bench.create("run.1", &make).await.unwrap();
    let start = Instant::now();
    loop {
        let tail = bench.backend.tail(&id, 1).await.unwrap();
        if tail == ["line 20000"] {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{tail:?}");
    }
    let files = bench.backend.log_files(&id).await.unwrap();
    assert!(files.len() > 5, "{files:?}");
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    for (number, line) in text.lines().enumerate() {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.len() == 24 && time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        assert_eq!(rest, format!("line {}", number + 1));
    }
    let torrent = bench.create("run.2", &bench.program("yes")).await.unwrap();
    let start = Instant::now();
    bench.backend.stop(&context("web", "run.3"), &torrent).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn the_last_words_are_in_the_log_before_the_exit_is_known() {
    let bench = Bench::new();
    let id = bench.create("run.1", &bench.shell("echo out; echo err >&2; printf partial; exit 1").job()).await.unwrap();
    bench.until_state(&id, ObjectState::Exited(code(1))).await;
    assert_eq!(bench.backend.tail(&id, 10).await.unwrap(), ["out", "err", "partial"]);
}
