//! What a keeper does by itself: it starts again, tells how it ended, and writes the log.

use futures_util::StreamExt;
use orch::backend::LogQuery;
use orch::model::{Exit, LogPolicy, ObjectState, RestartMode};

use super::{Bench, context, exited, job, restarts, shell, shells};

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
