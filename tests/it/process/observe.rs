//! Drift and conflicts.

use std::net::TcpListener;

use orch::backend::{Observer, Operator};
use orch::model::{DriftKind, ObjectState};

use super::bench::{Bench, context};

#[tokio::test]
async fn a_binary_that_changed_on_disk_is_drift_until_the_next_start() {
    let bench = Bench::new();
    let first = bench.write("server", b"#!/bin/sh\nwhile :; do sleep 0.1; done\n", 0o755);
    let id = bench.create("run.1", &bench.program(first.to_str().unwrap())).await.unwrap();
    assert_eq!(bench.look(&id).await.drift, []);
    // Touched, with the same content: no drift.
    bench.write("server", b"#!/bin/sh\nwhile :; do sleep 0.1; done\n", 0o755);
    assert_eq!(bench.look(&id).await.drift, []);
    bench.write("server", b"#!/bin/sh\nwhile :; do sleep 0.2; done\n", 0o755);
    let object = bench.look(&id).await;
    assert_eq!((object.state, object.drift[0].kind), (ObjectState::Running, DriftKind::Config));
    assert!(object.drift[0].detail.ends_with("server changed on disk since it was started"), "{:?}", object.drift);
    bench.backend.stop(&context("web", "run.2"), &id).await.unwrap();
    bench.backend.start(&context("web", "run.2"), &id).await.unwrap();
    assert_eq!(bench.look(&id).await.drift, []);
}

#[tokio::test]
async fn a_stranger_on_a_port_is_a_conflict() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut make = bench.program("sleep");
    make.spec.ports = vec![port];
    let (instance, free) = (make.instance(), bench.program("sleep").instance());
    let conflicts = bench.backend.conflicts(&[&instance, &free]).await.unwrap();
    let (address, found) = conflicts.first_key_value().unwrap();
    assert_eq!((conflicts.len(), address, found.len()), (1, &instance.address, 1));
    assert_eq!(found[0].what, format!("port {port}"));
    assert!(found[0].holder.starts_with(&format!("pid {} (", std::process::id())), "{found:?}");
    drop(listener);
    assert!(bench.backend.conflicts(&[&instance]).await.unwrap().is_empty());
}
