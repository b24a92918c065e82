//! What the store costs; run with `cargo test --release --lib state::tests::speed -- --ignored --nocapture`.

use std::time::Instant;

use super::*;
use crate::state::format::{self, Keep, Snapshot};

#[test]
#[ignore = "a measurement, not a check"]
fn a_thousand_steps_four_at_once() {
    let (_folder, store) = store();
    let writer = shared(lock(&store).begin_run(header(RUN, None, 1000)).unwrap());
    let started = Instant::now();
    let tasks = (0..4).map(|task| {
        let writer = writer.clone();
        async move {
            for step in (task * 250 + 1)..=(task * 250 + 250) {
                let name = format!("s{step}");
                writer.begin(step, &address(&name), pending(step)).await.unwrap();
                writer.end(put(step, &name)).await.unwrap();
            }
        }
    });
    wait(together(tasks));
    let stepped = started.elapsed();
    writer.finish("succeeded", at()).unwrap();
    println!("1,000 steps, four at once: {stepped:?}, with the fold at the end {:?}", started.elapsed());
}

#[test]
#[ignore = "a measurement, not a check"]
fn many_records() {
    let (_folder, store) = store();
    drop(lock(&store));
    for count in [10_000, 100_000] {
        let records = (0..count).map(|n| (address(&format!("service-{n:06}")), record(n))).collect();
        let state = State { lineage: "lineage".into(), serial: 1, records, ..State::default() };
        let snapshot = Snapshot { state, journal: 0 };
        let started = Instant::now();
        format::write(&store.state_path(), &snapshot, "speed", Keep::AsBackup).unwrap();
        let written = started.elapsed();
        let started = Instant::now();
        assert_eq!(format::read(&store.state_path()).unwrap().unwrap(), snapshot);
        let read = started.elapsed();
        let bytes = std::fs::metadata(store.state_path()).unwrap().len();
        println!("{count} records, {bytes} bytes: written in {written:?}, read in {read:?}");
    }
}
