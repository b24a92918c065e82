//! The unit that runs the entry point of a package.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::backend::BackendError;
use crate::backend::host::Slot;
use crate::backend::systemd::units::{self, Body, Origin};
use crate::model::{
    Address, Digest, Exec, Instance, PackageSpec, ProjectName, RestartMode, Text, UnitDefinition, UnitScope,
    UnitSource, UnitSpec,
};
use crate::package::Manifest;

/// A unit, and the environment that only the manager reads.
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) text: Text,
    pub(super) env: Text,
}

/// What a unit is written for.
pub(super) struct Runs<'a> {
    pub(super) project: &'a ProjectName,
    pub(super) scope: &'a str,
    pub(super) slot: &'a Slot,
    pub(super) address: &'a Address,
    pub(super) instance: &'a Instance,
    pub(super) spec: &'a PackageSpec,
    pub(super) manifest: &'a Manifest,
    pub(super) env: &'a BTreeMap<String, Text>,
    /// The folder of the slot on the host, where the environment is.
    pub(super) folder: &'a str,
    /// The folder of the release.
    pub(super) release: &'a str,
    pub(super) entry_point: &'a str,
    pub(super) manager: UnitScope,
}

/// The name of the unit of a slot: of the install path for people, and of its digest to tell two apart.
pub(super) fn name(scope: &str, slot: &Slot) -> String {
    let last = slot.name.rsplit('/').find(|part| !part.is_empty()).unwrap_or("package");
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let last: String = last.chars().take(40).map(plain).collect();
    let digest = Digest::of(format!("{scope} {}", slot.name).as_bytes()).to_string();
    format!("orch-{last}-{}.service", &digest[..8])
}

/// The line by which a unit is known to be a slot's.
fn mark(scope: &str, slot: &Slot) -> String {
    format!("# orch {scope} {}\n", slot.folder())
}

/// Writes the unit of a release's entry point.
pub(super) fn render(runs: &Runs<'_>) -> Result<Unit, BackendError> {
    let Runs { spec, manifest, .. } = runs;
    check(runs.env)?;
    let mut command = vec![Text::plain(format!("{}/{}", runs.release, runs.entry_point))];
    command.extend(manifest.args.iter().map(|arg| Text::plain(arg.as_str())));
    command.extend(spec.args.iter().cloned());
    let restart = &spec.restart;
    let restart_mode = match restart.mode {
        RestartMode::Always => "always",
        RestartMode::OnFailure => "on-failure",
        RestartMode::Never => "no",
    };
    let network = || vec!["network-online.target".to_owned()];
    let definition = UnitDefinition {
        description: Some(format!("{}: {} {}", runs.address, manifest.name, manifest.version).replace('%', "%%")),
        user: spec.user.clone(),
        working_dir: Some(runs.release.replace('%', "%%")),
        restart: restart_mode.to_owned(),
        restart_delay: Some(restart.delay),
        after: network(),
        wants: network(),
        options: BTreeMap::from([("KillSignal".to_owned(), vec![Text::plain(spec.stop_signal.to_string())])]),
        ..UnitDefinition::new(Exec::Args(command))
    };
    let name = name(runs.scope, runs.slot);
    let source = UnitSource::Written(Box::new(definition));
    let unit = UnitSpec {
        scope: runs.manager,
        env: runs.env.clone(),
        stop_timeout: spec.stop_timeout,
        ..UnitSpec::new(spec.place.clone(), name.clone(), source)
    };
    // Longer than so many restarts can take, so that they are seen as a loop.
    let interval = restart.delay.max(Duration::from_millis(100)) * restart.max_restarts.saturating_add(1);
    let unit_settings = [
        ("StartLimitIntervalSec", (interval + restart.reset_after).as_secs().max(1).to_string()),
        ("StartLimitBurst", restart.max_restarts.saturating_add(1).to_string()),
    ];
    let origin = Origin {
        project: runs.project,
        address: runs.address,
        kind: runs.instance.service.kind,
        folder: runs.folder,
        unit_settings: &unit_settings,
    };
    let (mut text, mut env) = (None, Text::plain(""));
    for piece in units::render(&unit, &origin)?.pieces {
        match piece.body {
            Body::Text(content) if piece.path.ends_with(&format!("/{name}")) => text = Some(content),
            Body::Text(content) => env = content,
            Body::Copy { .. } | Body::Link(_) => {}
        }
    }
    let text = text.ok_or_else(|| BackendError::new(format!("{name} was rendered without its unit file")))?;
    let marked = format!("{}{}", mark(runs.scope, runs.slot), text.reveal());
    let text = if text.is_sensitive() { Text::sensitive(marked) } else { Text::plain(marked) };
    Ok(Unit { name, text, env })
}

/// Refuses what the manager would leave out without a word.
fn check(env: &BTreeMap<String, Text>) -> Result<(), BackendError> {
    let bad = |value: &Text| value.reveal().chars().any(|c| c.is_control() && c != '\n' && c != '\t');
    match env.iter().find(|(_, value)| bad(value)) {
        Some((name, _)) => Err(BackendError::new(format!(
            "cannot give a unit the variable `{name}`: systemd takes no control characters but tab and newline"
        ))
        .with_hint("give the value in a file, or encode it")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BackendKind;

    #[test]
    fn a_value_that_systemd_would_leave_out_is_refused() {
        let env = |value: &str| BTreeMap::from([("A".to_owned(), Text::plain(value))]);
        assert!(check(&env("a\n\tb ü")).is_ok());
        assert!(check(&env("a\u{1}")).is_err());
    }

    #[test]
    fn a_unit_is_named_after_its_path_and_told_apart_by_scope() {
        let slot = Slot { host: "web1".into(), backend: BackendKind::Package, name: "/opt/my app".into() };
        assert_ne!(name("a", &slot), name("b", &slot));
        assert!(name("a", &slot).starts_with("orch-my_app-"));
    }
}
