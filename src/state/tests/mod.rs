//! Tests of the store as a whole: what holds after a crash, damage, a full disk, two at once.

mod damage;
mod journal;
#[cfg(feature = "failpoints")]
mod kill;
mod run;
mod speed;
mod transfer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::model::{Address, BackendKind, Digest, Kind, ObjectId, RunId};

const RUN: &str = "20261121T053210Z-3f9a1c";

fn at() -> Timestamp {
    "2026-11-21T05:32:10.123Z".parse().unwrap()
}

fn address(name: &str) -> Address {
    name.parse().unwrap()
}

fn header(run: &str, plan: Option<&str>, steps: u32) -> RunHeader {
    RunHeader {
        run: RunId::new(run),
        who: "alice@laptop".into(),
        verb: "apply".into(),
        project: "shop".parse().unwrap(),
        plan_digest: plan.map(|plan| Digest::of(plan.as_bytes())),
        steps,
        at: at(),
        lineage: String::new(),
        serial: 0,
    }
}

fn pending(step: u32) -> Pending {
    let run = RunId::new(RUN);
    Pending { op_id: run.op(step), run, action: "create".into(), backend: BackendKind::Process, begun_at: at() }
}

fn record(step: u32) -> Record {
    Record {
        kind: Kind::Permanent,
        backend: BackendKind::Process,
        object: Some(ObjectId::new(format!("object-{step}"))),
        machine: None,
        op_id: RunId::new(RUN).op(step),
        revision: Digest::of(b"revision"),
        status: RecordStatus::Healthy,
        fields: [("args".to_owned(), crate::model::FieldValue::Plain("[\"--port\", \"8080\"]".into()))].into(),
        dependencies: Vec::new(),
        claims: Vec::new(),
        prevent_destroy: false,
        created_at: at(),
        updated_at: at(),
        took_ms: 12,
    }
}

fn end(step: u32, name: &str, record: RecordChange) -> End {
    End { step, address: address(name), outcome: "done".into(), done: true, record, renamed_from: None, at: at() }
}

fn put(step: u32, name: &str) -> End {
    end(step, name, RecordChange::Put(record(step)))
}

fn request(doing: &str) -> LockRequest<'_> {
    LockRequest { doing, at: at(), timeout: Duration::from_secs(10) }
}

/// A store in a new folder that goes with the returned guard.
fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("orch"));
    (folder, store)
}

fn lock(store: &Store) -> Locked {
    store.lock(request("apply"), |_| {}).unwrap()
}

/// Waits for something that only waits for the journal.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A run that begins and ends one step for each name.
fn apply(store: &Store, run: &str, names: &[&str]) -> State {
    let steps = names.len() as u32;
    let writer = lock(store).begin_run(header(run, None, steps)).unwrap();
    wait(async {
        for (step, name) in (1..).zip(names) {
            writer.begin(step, &address(name), pending(step)).await.unwrap();
            writer.end(put(step, name)).await.unwrap();
        }
    });
    writer.finish("succeeded", at()).unwrap()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

fn write(path: &Path, bytes: &[u8]) {
    crate::sys::write_atomic(path, bytes, crate::sys::Durability::Atomic).unwrap();
}

/// Runs tasks at the same time on one thread, as the executor does.
async fn together<F: Future<Output = ()> + Send + 'static>(tasks: impl Iterator<Item = F>) {
    let tasks: Vec<_> = tasks.map(tokio::spawn).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn shared(writer: RunWriter) -> Arc<RunWriter> {
    Arc::new(writer)
}
