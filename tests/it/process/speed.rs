//! Figures, on request: `cargo test --release --test it speed -- --ignored --nocapture`.

use std::time::Instant;

use orch::backend::{Observer, Operator};

use super::bench::{Bench, context};

const PROCESSES: usize = 200;
const IN_FLIGHT: usize = 16;

#[tokio::test]
#[ignore = "measures"]
async fn two_hundred_processes_up_and_down() {
    let bench = Bench::new();
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..PROCESSES {
        if tasks.len() >= IN_FLIGHT {
            tasks.join_next().await.unwrap().unwrap();
        }
        let (backend, make) = (bench.backend.clone(), bench.program("sleep").args(&["600"]));
        let create =
            async move { backend.create(&context("web", &format!("run.{n}")), &make.instance()).await.unwrap() };
        tasks.spawn(create);
    }
    while tasks.join_next().await.is_some() {}
    println!("create {PROCESSES}, {IN_FLIGHT} in flight: {:?}", start.elapsed());
    let start = Instant::now();
    let objects = bench.backend.list().await.unwrap().objects;
    println!("list {}: {:?}", objects.len(), start.elapsed());
    assert!(objects.len() == PROCESSES && objects.iter().all(|object| object.pid.is_some()));
    let supervisor = bench.supervisor(&objects[0].id).pid;
    let memory = std::fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap();
    for line in memory.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("Rss")) {
        println!("supervisor {line}");
    }
    let start = Instant::now();
    for object in objects {
        if tasks.len() >= IN_FLIGHT {
            tasks.join_next().await.unwrap().unwrap();
        }
        let backend = bench.backend.clone();
        tasks.spawn(async move {
            backend.remove(&context("web", "run.x"), &object.id, false).await.unwrap();
            object.id
        });
    }
    while tasks.join_next().await.is_some() {}
    println!("remove {PROCESSES}, {IN_FLIGHT} in flight: {:?}", start.elapsed());
}
