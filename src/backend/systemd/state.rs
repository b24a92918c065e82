//! What a unit does, in orch's words.

use super::units::Shown;
use crate::model::{Exit, Health, Kind, ObjectState};

/// Exit codes with which systemd says that it could not even start the program: no such file, no such user, no such
/// folder. Trying again does not help.
const NEVER_STARTED: [i32; 5] = [200, 203, 216, 217, 226];

/// What one unit does. `stopped`: whether orch stopped it.
pub(super) fn state(unit: &Shown, kind: Kind, stopped: bool) -> ObjectState {
    let exit = exit(unit);
    let waits = unit.number("Job").is_some_and(|job| job != 0);
    let restarts = unit.number("NRestarts").unwrap_or(0);
    match (unit.get("ActiveState"), unit.get("SubState")) {
        // The manager has been told to do something with it and has not begun: what runs is still the old one.
        ("active" | "reloading" | "inactive" | "failed", _) if waits => ObjectState::Starting,
        ("active", "exited") if kind == Kind::Job => ObjectState::Exited(exit.unwrap_or(SUCCESS)),
        ("active" | "reloading" | "refreshing", _) => ObjectState::Running,
        ("activating", "auto-restart" | "auto-restart-queued") => match exit {
            Some(exit) if exit.code.is_some_and(|code| NEVER_STARTED.contains(&code)) => ObjectState::Exited(exit),
            _ => ObjectState::Restarting,
        },
        // A job of this type is what it does to start.
        ("activating", "start") if unit.get("Type") == "oneshot" && kind == Kind::Job => ObjectState::Running,
        ("activating", _) => ObjectState::Starting,
        ("deactivating", _) => ObjectState::Restarting,
        ("failed", _) => {
            let gave_up = unit.get("Result") == "start-limit-hit" || restarts > 0;
            let exit = exit.unwrap_or(UNKNOWN);
            if gave_up { ObjectState::CrashLoop(exit) } else { ObjectState::Exited(exit) }
        }
        _ => match exit {
            Some(exit) if !stopped && exit.code.is_some() => ObjectState::Exited(exit),
            _ => ObjectState::Stopped,
        },
    }
}

const SUCCESS: Exit = Exit { code: Some(0), signal: None, out_of_memory: false };
const UNKNOWN: Exit = Exit { code: None, signal: None, out_of_memory: false };

/// How its main process ended the last time, if it did since the unit was last started.
pub(super) fn exit(unit: &Shown) -> Option<Exit> {
    let status = i32::try_from(unit.number("ExecMainStatus")?).ok()?;
    let out_of_memory = unit.get("Result") == "oom-kill";
    // As the kernel counts them: exited, killed, dumped.
    match unit.get("ExecMainCode") {
        "1" => Some(Exit { code: Some(status), signal: None, out_of_memory }),
        "2" | "3" => Some(Exit { code: None, signal: Some(status), out_of_memory }),
        _ => None,
    }
}

/// Which of several units is the worst off: what a slot of several does.
pub(super) fn worst(states: impl IntoIterator<Item = ObjectState>) -> ObjectState {
    let rank = |state: &ObjectState| match state {
        ObjectState::Running => 0,
        ObjectState::Starting => 1,
        ObjectState::Restarting => 2,
        ObjectState::Stopped => 3,
        ObjectState::Lost => 4,
        ObjectState::Exited(exit) if exit.is_success() => 1,
        ObjectState::Exited(_) => 5,
        ObjectState::CrashLoop(_) => 6,
    };
    states.into_iter().max_by_key(rank).unwrap_or(ObjectState::Stopped)
}

/// What systemd itself says of a unit that is up.
pub(super) fn health(unit: &Shown) -> Health {
    let state = unit.get("ActiveState");
    let (sub, status) = (unit.get("SubState"), unit.get("StatusText"));
    let detail = if status.is_empty() { format!("{state} ({sub})") } else { format!("{state} ({sub}): {status}") };
    Health { healthy: state == "active" || state == "reloading", detail }
}

/// When a timer runs its service next, and how that went the last time.
pub(super) fn schedule(timer: &Shown, service: &Shown) -> Health {
    let at = |name| timer.moment(name).map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string());
    let next = at("NextElapseUSecRealtime").map_or_else(|| "no next run".to_owned(), |at| format!("next {at}"));
    let exit = exit(service);
    let result = service.get("Result");
    let last = match (service.get("ActiveState"), &exit) {
        ("active" | "activating" | "deactivating", _) => "runs now".to_owned(),
        _ if at("LastTriggerUSec").is_none() => "has not run yet".to_owned(),
        (_, Some(exit)) if !exit.is_success() => format!("last {exit}"),
        _ if result == "success" || result.is_empty() => "last ok".to_owned(),
        _ => format!("last {result}"),
    };
    Health { healthy: matches!(result, "" | "success"), detail: format!("{next}, {last}") }
}
