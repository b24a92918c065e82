//! What an interface is doing, from its stamp and from what the kernel has under its name.

use std::io;

use super::object_id;
use super::stamp::{Stamp, Standing};
use crate::model::{Address, BackendKind, Digest, Drift, DriftKind, ObjectState, ObservedObject, OpId, ServiceName};
use crate::sys;

/// What became of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It is being brought up or changed.
    Starting,
    /// It is up, with this number.
    Up(u32),
    /// It was stopped on request.
    Stopped,
    /// It is not there as it should be.
    Lost(Drift),
}

impl State {
    pub(super) fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }
}

/// Looks at one interface; `None` when orch knows nothing of it.
pub(super) fn observe(name: &str, found: io::Result<Option<(Stamp, Standing)>>) -> Option<ObservedObject> {
    let (stamp, standing) = match found {
        Ok(found) => found?,
        Err(error) => return unreadable(name, &error),
    };
    let (state, index, drift) = match state(&stamp, standing) {
        State::Starting => (ObjectState::Starting, None, None),
        State::Up(index) => (ObjectState::Running, Some(index), None),
        State::Stopped => (ObjectState::Stopped, None, None),
        State::Lost(drift) => (ObjectState::Lost, None, Some(drift)),
    };
    // What is under way is to be the new version; what ended halfway is nobody's.
    let pending = stamp.pending.as_ref().map(|pending| &pending.version);
    let version = pending.unwrap_or(&stamp.version);
    let boot = stamp.place.boot_id.as_deref().unwrap_or("-");
    Some(ObservedObject {
        incarnation: index.map(|index| format!("{boot}:{index}")),
        since: Some(stamp.since),
        drift: drift.into_iter().collect(),
        ..ObservedObject::new(
            BackendKind::Wireguard,
            object_id(name),
            version.op_id.clone(),
            stamp.address.clone(),
            version.revision,
            state,
        )
    })
}

/// What became of an interface, by its stamp.
pub(super) fn state(stamp: &Stamp, standing: Standing) -> State {
    let name = &stamp.interface;
    let there = sys::interface_index(name).unwrap_or_default();
    let missing = |detail: String| State::Lost(Drift { kind: DriftKind::Missing, detail });
    if standing == Standing::UnderWay {
        return State::Starting;
    }
    if standing == Standing::Halfway {
        return missing(format!("a change of the interface {name} was killed halfway"));
    }
    if stamp.stopped {
        return State::Stopped;
    }
    match (stamp.foreign, standing, there, stamp.index) {
        // Of an interface that others bring up, any is fine.
        (true, _, Some(there), _) => State::Up(there),
        (false, Standing::Settled, Some(there), Some(own)) if there == own => State::Up(own),
        (false, _, Some(_), _) => State::Lost(Drift {
            kind: DriftKind::Unmanaged,
            detail: format!("the interface {name} that is up is not the one that orch brought up"),
        }),
        (false, Standing::Elsewhere, None, _) => {
            missing(format!("the interface {name} is down since the machine was rebooted"))
        }
        (_, _, None, _) => missing(format!("the interface {name} is down")),
    }
}

/// An interface whose stamp is damaged: it goes by its name, and is not touched.
fn unreadable(name: &str, error: &io::Error) -> Option<ObservedObject> {
    let detail = format!("the stamp of the interface {name} cannot be read: {error}");
    let object = ObservedObject::new(
        BackendKind::Wireguard,
        object_id(name),
        OpId::new(name),
        Address::only(ServiceName::new(name).ok()?),
        "0".repeat(64).parse::<Digest>().ok()?,
        ObjectState::Lost,
    );
    Some(ObservedObject { drift: vec![Drift { kind: DriftKind::Missing, detail }], ..object })
}
