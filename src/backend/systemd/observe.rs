//! What a slot is doing, and how it differs from what it was made as.

use super::state::{exit, health, schedule, state, worst};
use super::units::{Found, SeenFile, Shown};
use crate::backend::host::{Slot, Stamp};
use crate::model::{Digest, Drift, DriftKind, ObjectState, ObservedObject, Repair};

/// A slot that was found on a machine; `None` where nothing says whose it is.
pub(in crate::backend) fn object(host: &str, found: &Found) -> Option<ObservedObject> {
    let stamp = found.stamp.as_ref().or(found.pending.as_ref())?;
    let units = Units::of(found);
    let states = units.started().map(|unit| state(unit, stamp.kind, found.stopped));
    let slot = Slot { host: host.to_owned(), backend: stamp.backend, name: stamp.slot.clone() };
    let mut object = ObservedObject::new(
        stamp.backend,
        slot.id(),
        stamp.op_id.clone(),
        stamp.address.clone(),
        stamp.revision,
        worst(states),
    );
    object.incarnation = units.incarnation();
    object.restarts =
        units.all().filter_map(|unit| unit.number("NRestarts")).sum::<u64>().try_into().unwrap_or(u32::MAX);
    let main_pid = |unit: &Shown| unit.number("MainPID").filter(|pid| *pid != 0).and_then(|pid| pid.try_into().ok());
    object.pid = units.all().find_map(main_pid);
    object.since = units.changed_last().and_then(|micros| found.clock.moment(micros));
    object.last_exit = units.all().find_map(exit);
    object.reported = match units.timer() {
        Some((timer, service)) => Some(schedule(timer, service)),
        None => units.started().map(health).max_by_key(|health| !health.healthy),
    };
    note_drift(found, stamp, &units, &mut object);
    if found.is_pending {
        // What is there may be half the one and half the other: only another switch makes it whole.
        object.revision = interrupted();
        if let Some(pending) = &found.pending {
            object.op_id = pending.op_id.clone();
        }
        object.repair = None;
        object.drift = vec![config("a change of it was interrupted")];
        if object.state == ObjectState::Lost {
            object.state = ObjectState::Stopped;
        }
    }
    Some(object)
}

/// The revision of what nobody knows: no definition has it.
fn interrupted() -> Digest {
    "0".repeat(64).parse().unwrap_or_else(|_| unreachable!("64 digits are a digest"))
}

fn config(detail: impl Into<String>) -> Drift {
    Drift { kind: DriftKind::Config, detail: detail.into() }
}

/// The units of a slot, by name.
struct Units<'a> {
    found: &'a Found,
}

impl<'a> Units<'a> {
    fn of(found: &'a Found) -> Self {
        Self { found }
    }

    fn named(&self) -> impl Iterator<Item = (&'a str, &'a Shown)> {
        self.found.manifest.units.iter().map(String::as_str).zip(&self.found.units)
    }

    fn all(&self) -> impl Iterator<Item = &'a Shown> {
        self.named().map(|(_, unit)| unit)
    }

    fn started(&self) -> impl Iterator<Item = &'a Shown> {
        let start = &self.found.manifest.start;
        self.named().filter(|(name, _)| start.iter().any(|started| started == name)).map(|(_, unit)| unit)
    }

    /// The timer and what it starts.
    fn timer(&self) -> Option<(&'a Shown, &'a Shown)> {
        let (name, timer) = self.named().next().filter(|(name, _)| name.ends_with(".timer"))?;
        let service = self.named().find(|(other, _)| *other != name)?;
        Some((timer, service.1))
    }

    /// Which start of the units this is: systemd names each.
    fn incarnation(&self) -> Option<String> {
        let ids: Vec<&str> = self
            .started()
            .filter(|unit| !matches!(unit.get("ActiveState"), "inactive" | "failed" | ""))
            .map(|unit| unit.get("InvocationID"))
            .filter(|id| !id.is_empty())
            .collect();
        match ids.as_slice() {
            [] => None,
            [one] => Some((*one).to_owned()),
            many => Some(Digest::of(many.join(" ").as_bytes()).short()),
        }
    }

    /// When the first of them last changed, in microseconds since the boot.
    fn changed_last(&self) -> Option<u64> {
        self.started().filter_map(|unit| unit.number("StateChangeTimestampMonotonic")).filter(|at| *at != 0).max()
    }

    /// When the last of them was started, in microseconds since the boot.
    fn began(&self) -> Option<u64> {
        let began = |unit: &Shown| unit.number("InactiveExitTimestampMonotonic").filter(|at| *at != 0);
        self.started().filter_map(began).min()
    }
}

fn note_drift(found: &Found, stamp: &Stamp, units: &Units<'_>, object: &mut ObservedObject) {
    let manifest = &found.manifest;
    let unread = units.all().any(|unit| unit.get("NeedDaemonReload") == "yes");
    let began = units.began().map(|micros| found.clock.second_there(micros));
    let mut notes: Vec<(String, Option<Repair>)> = Vec::new();
    let mut note = |detail: String, by: Option<Repair>| notes.push((detail, by));
    for (path, digest) in &stamp.files {
        let Some(seen) = found.files.get(path) else {
            // As long as the manager has not read its files again, what runs is what was there.
            note(format!("{path} is gone"), Some(if unread { Repair::Update } else { Repair::Restart }));
            continue;
        };
        let since = if runs_with(seen, began) && !unread { Repair::Restart } else { Repair::Update };
        if seen.digest != *digest {
            note(format!("{path} was edited"), Some(since));
        } else if let Some((wanted, _)) = manifest.files.get(path)
            && let (Ok(wanted), Some(mode)) = (u32::from_str_radix(wanted, 8), seen.mode)
            && wanted != mode
        {
            note(format!("{path} has mode {mode:04o}, not {wanted:04o}"), Some(Repair::Update));
        }
    }
    for (name, unit) in units.named() {
        if !manifest.others {
            for path in unit.words("DropInPaths").filter(|path| is_added(path, name, found)) {
                // It is not orch's, so that orch does not take it away.
                note(format!("{path} was added by hand: remove it, or put it into the file"), None);
            }
        }
        if unit.get("LoadState") == "masked" {
            note(format!("{name} is masked"), Some(Repair::Update));
            continue;
        }
        if manifest.others || found.stopped {
            continue;
        }
        // Units without an `[Install]` are neither.
        let unwanted = match unit.get("UnitFileState") {
            "disabled" => &manifest.enable,
            "enabled" => &manifest.disable,
            _ => continue,
        };
        if unwanted.iter().any(|unit| unit == name) {
            note(format!("{name} is {}", unit.get("UnitFileState")), Some(Repair::Update));
        }
    }
    if unread && notes.is_empty() {
        notes.push(("systemd has not read its files again".to_owned(), Some(Repair::Update)));
    }
    object.repair = notes.iter().filter_map(|(_, by)| *by).max();
    object.drift = notes.into_iter().map(|(detail, _)| config(detail)).collect();
}

/// Whether what runs was started after a file was last changed, and so may have been started with what is in it now.
fn runs_with(seen: &SeenFile, began: Option<i64>) -> bool {
    match (seen.changed, began) {
        (Some(changed), Some(began)) => changed <= began + 1,
        _ => true,
    }
}

/// Whether a drop-in is one of this very unit, that orch did not write and no package brought.
fn is_added(path: &str, unit: &str, found: &Found) -> bool {
    let own = found.manifest.files.keys().any(|own| path.ends_with(own.trim_start_matches('~')));
    let template =
        unit.split_once('@').zip(unit.rsplit_once('.')).map(|((stem, _), (_, kind))| format!("{stem}@.{kind}.d"));
    let folder = path.rsplit_once('/').and_then(|(folder, _)| folder.rsplit('/').next()).unwrap_or_default();
    let of_unit = folder == format!("{unit}.d") || template.is_some_and(|template| folder == template);
    of_unit && !own && !path.starts_with("/usr/lib/") && !path.starts_with("/lib/")
}
