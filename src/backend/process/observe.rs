//! What an object is doing, read from its folder.

use std::io;
use std::time::{Duration, Instant};

use super::binary::Digests;
use super::folder::Folder;
use super::wire::{Stamp, Status};
use crate::model::{
    Address, BackendKind, Digest, Drift, DriftKind, Kind, ObjectId, ObjectState, ObservedObject, OpId, Repair,
    ServiceName,
};

/// Looks at one object; `None` when there is none.
///
/// One that cannot be read is reported as lost, so that it can be seen and removed and does not hide
/// the others.
pub(super) fn observe(folder: &Folder, id: &str, digests: &Digests) -> Option<ObservedObject> {
    let start = Instant::now();
    let mut found = read(folder);
    while found.as_ref().is_ok_and(|found| start.elapsed() < patience(found)) {
        std::thread::sleep(Duration::from_millis(2));
        found = read(folder);
    }
    match found {
        Ok((_, None, None)) if !folder.path().exists() => None,
        Ok((supervised, Some(status), _)) => {
            let copied = folder.place().is_ok_and(|place| place != status.place);
            Some(known(id, supervised, copied, status, digests))
        }
        Ok((true, None, Some(stamp))) => Some(bare(id, &stamp, ObjectState::Starting, None)),
        Ok((false, None, Some(stamp))) => {
            Some(bare(id, &stamp, ObjectState::Lost, Some("its start was interrupted before anything ran".to_owned())))
        }
        Ok((_, None, None)) => unreadable(folder, id, "it has no stamp"),
        Err(error) => unreadable(folder, id, &error.to_string()),
    }
}

/// How long a look waits for a supervisor that is about to say more.
fn patience((supervised, status, stamp): &(bool, Option<Status>, Option<Stamp>)) -> Duration {
    match (supervised, status, stamp) {
        // A first start is decided within milliseconds: it runs, or nothing of it stays.
        (true, None, Some(_)) => Duration::from_secs(1),
        // The process has ended, and its supervisor is about to notice. What it left behind may take longer.
        (true, Some(status), _) if status.child.as_ref().is_some_and(|child| !child.is_alive()) => {
            Duration::from_millis(100)
        }
        _ => Duration::ZERO,
    }
}

/// Whether it is supervised, its status and its stamp. First the lock: a supervisor that ends in
/// between has written its last status by then.
fn read(folder: &Folder) -> io::Result<(bool, Option<Status>, Option<Stamp>)> {
    let supervised = folder.is_supervised()?;
    Ok((supervised, folder.status()?, folder.stamp()?))
}

fn known(id: &str, supervised: bool, copied: bool, status: Status, digests: &Digests) -> ObservedObject {
    let child = status.child.as_ref().filter(|child| !copied && child.is_alive());
    let mut object = bare(id, &status.stamp, status.state.clone(), None);
    object.incarnation = child.map(ToString::to_string);
    object.pid = child.map(|child| child.pid);
    object.since = Some(status.since);
    object.restarts = status.restarts;
    object.last_exit = status.last_exit.clone();
    if !supervised && !status.is_final() {
        object.state = ObjectState::Lost;
        object.drift.push(Drift { kind: DriftKind::Missing, detail: lost(&status, copied) });
    }
    if let (true, Some(binary)) = (object.is_up(), &status.binary)
        && let Some(drift) = digests.drift(binary)
    {
        object.drift.push(drift);
        object.repair = Some(Repair::Restart);
    }
    object
}

fn lost(status: &Status, copied: bool) -> String {
    if copied {
        return "its folder is a copy of another one, and what ran belongs to that one".to_owned();
    }
    let supervisor = status.supervisor.pid;
    if crate::sys::boot_id().as_deref() != Some(&status.supervisor.boot_id) {
        return "the machine was rebooted since it ran".to_owned();
    }
    match status.child.as_ref().filter(|child| child.is_alive()) {
        Some(child) => format!("its supervisor (pid {supervisor}) is gone, its process (pid {}) still runs", child.pid),
        None => format!("its supervisor (pid {supervisor}) is gone"),
    }
}

fn bare(id: &str, stamp: &Stamp, state: ObjectState, missing: Option<String>) -> ObservedObject {
    ObservedObject {
        drift: missing.map(|detail| Drift { kind: DriftKind::Missing, detail }).into_iter().collect(),
        ..ObservedObject::new(
            BackendKind::Process,
            ObjectId::new(id),
            stamp.op_id.clone(),
            stamp.address.clone(),
            stamp.revision,
            state,
        )
    }
}

/// An object whose status is damaged, under the stamp that it was made with; one whose stamp is
/// damaged too goes by the name of its folder.
fn unreadable(folder: &Folder, id: &str, why: &str) -> Option<ObservedObject> {
    let detail = format!("{} cannot be read: {why}", folder.path().display());
    let stamp = match folder.stamp() {
        Ok(Some(stamp)) => stamp,
        _ => Stamp {
            address: Address::only(ServiceName::new(id).ok()?),
            op_id: OpId::new(id),
            revision: "0".repeat(64).parse::<Digest>().ok()?,
            kind: Kind::Permanent,
        },
    };
    Some(bare(id, &stamp, ObjectState::Lost, Some(detail)))
}
