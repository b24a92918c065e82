//! How programs and keepers end: when they are asked to, and when they are killed.

use std::process::Command;
use std::time::Duration;

use orch::model::{LogPolicy, ObjectState, RemoteSpec, StopSignal};

use super::{Bench, context, instance, is_alive, kill, mind_signals, pids, shell, shells};

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
    bench.until("the program runs", |_| sleepers(&bench).len() == 1).await;
    // Some of these may only be on their way; they are no less to be killed.
    for victim in 0..bench.processes().len() {
        let Some(pid) = bench.processes().get(victim).copied() else { continue };
        kill(pid, "KILL");
        let op = format!("run.2{victim}");
        let spec = instance(shell("echo up; exec sleep 1000"));
        bench.detached.restart(&context(&op), &bench.slot, &spec).await.unwrap();
        let object = bench.until("it runs", |object| object.state == ObjectState::Running).await;
        assert_eq!(object.op_id.as_str(), op);
        bench.until("nothing runs twice", |_| sleepers(&bench).len() == 1).await;
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
