//! A program as a unit of systemd.

use std::time::Duration;

use super::upload;
use crate::backend::BackendError;
use crate::backend::host::Slot;
use crate::backend::systemd::manager_of;
use crate::backend::systemd::units::{Body, Definition, Origin, Piece, UnitSlot, literal, render, span};
use crate::model::{
    Address, Exec, Instance, InstanceKey, ProjectName, RemoteSpec, RestartMode, RestartPolicy, Text, UnitDefinition,
    UnitScope, UnitSource, UnitSpec,
};

/// What the unit of a new object is called. A `:` is in no name, so that `web[2]` and `web-2` are two units.
pub(super) fn name(project: &ProjectName, address: &Address) -> String {
    let copy = match &address.key {
        InstanceKey::Replica(index) => format!(":{index}"),
        // Each machine has a name of its own for it.
        InstanceKey::Only | InstanceKey::Host(_) => String::new(),
    };
    format!("orch-{project}-{}{copy}.service", address.service)
}

/// Lays out a program as a unit, and its binary beside it where it is uploaded.
pub(super) fn definition(
    spec: &RemoteSpec,
    instance: &Instance,
    project: &ProjectName,
    slot: &Slot,
    unit: &UnitSlot,
) -> Result<Definition, BackendError> {
    let manager = manager_of(slot);
    if let (UnitScope::User, Some(user)) = (manager, &spec.user) {
        return Err(BackendError::new(format!("cannot run a program as {user} on {}", spec.place))
            .with_hint("that takes root: log in as root or as that user, or let the user use `sudo -n`"));
    }
    let name = slot.name.strip_prefix("user/").unwrap_or(&slot.name);
    let limits = limits(&spec.restart);
    let origin = Origin {
        project,
        address: &instance.address,
        kind: instance.service.kind,
        folder: &unit.folder(),
        unit_settings: &limits,
    };
    let mut definition = render(&unit_spec(spec, name, manager), &origin)?;
    if let Some(binary) = upload::binary(spec)? {
        let piece = Piece {
            path: spec.binary.reveal().to_owned(),
            body: Body::Copy { from: upload::path(unit, &binary.sha256), sha256: binary.sha256 },
            mode: 0o755,
            owner: None,
        };
        definition.pieces.insert(0, piece);
    }
    Ok(definition)
}

fn unit_spec(spec: &RemoteSpec, name: &str, scope: UnitScope) -> UnitSpec {
    let words = std::iter::once(spec.binary.clone()).chain(spec.args.iter().cloned()).collect();
    let mode = match spec.restart.mode {
        RestartMode::Always => "always",
        RestartMode::OnFailure => "on-failure",
        RestartMode::Never => "no",
    };
    let mut unit = UnitDefinition::new(Exec::Args(words));
    unit.restart = mode.to_owned();
    unit.restart_delay = Some(spec.restart.delay);
    unit.user = spec.user.as_deref().map(literal);
    unit.working_dir = spec.working_dir.as_deref().map(literal);
    unit.options.insert("KillSignal".to_owned(), vec![Text::plain(spec.stop_signal.to_string())]);
    UnitSpec {
        scope,
        env: spec.env.clone(),
        ports: spec.ports.clone(),
        stop_timeout: spec.stop_timeout,
        ..UnitSpec::new(spec.place.clone(), name, UnitSource::Written(Box::new(unit)))
    }
}

/// The limits on restarts in a row. systemd counts starts in a span of time: as many runs in a row, each shorter than
/// what makes one count as good, take no longer than this one.
fn limits(restart: &RestartPolicy) -> [(&'static str, String); 2] {
    let each = restart.reset_after.saturating_add(restart.delay);
    let all = each.saturating_mul(restart.max_restarts.max(1)).min(Duration::from_secs(365 * 24 * 3600));
    [("StartLimitIntervalSec", span(all)), ("StartLimitBurst", restart.max_restarts.saturating_add(1).to_string())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_called_after_what_they_are() {
        let project = ProjectName::new("shop").unwrap();
        let named = |address: &str| name(&project, &address.parse().unwrap());
        assert_eq!(named("web"), "orch-shop-web.service");
        assert_eq!(named("web@h1"), "orch-shop-web.service");
        assert_eq!(named("web[2]"), "orch-shop-web:2.service");
        assert_ne!(named("web-2"), named("web[2]"));
    }

    #[test]
    fn a_crash_loop_is_as_long_as_for_a_process() {
        let restart = RestartPolicy {
            max_restarts: 5,
            delay: Duration::from_millis(100),
            reset_after: Duration::from_secs(10),
            ..RestartPolicy::default()
        };
        let [(_, interval), (_, burst)] = limits(&restart);
        assert_eq!((interval.as_str(), burst.as_str()), ("50500000us", "6"));
    }
}
