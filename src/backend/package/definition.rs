//! What a host is given to bring a package up with, and to bring it up again when it goes back.

use std::collections::BTreeMap;

use super::PackageSettings;
use super::unit::{self, Runs, Unit};
use crate::backend::host::{Slot, Stamp};
use crate::backend::{BackendError, OpContext};
use crate::model::{Address, BackendKind, Digest, Instance, Kind, OpId, PackageSpec, Text, UnitScope};
use crate::package::Manifest;

/// A definition, as its files on the host.
pub(super) struct Definition {
    /// What it is called there: after the attempt that made it.
    pub(super) name: String,
    pub(super) stamp: String,
    /// The commands before the switch, for `sh -e`.
    pub(super) before: String,
    /// Those after it.
    pub(super) after: String,
    /// What `.` reads to set the environment of the commands.
    pub(super) env: String,
    /// What runs the entry point, where it is run.
    pub(super) unit: Option<Unit>,
}

/// What a definition is made for.
pub(super) struct Deployment<'a> {
    pub(super) settings: &'a PackageSettings,
    pub(super) op: &'a OpContext,
    pub(super) instance: &'a Instance,
    pub(super) spec: &'a PackageSpec,
    pub(super) manifest: &'a Manifest,
    pub(super) slot: &'a Slot,
    /// The folder of the slot on the host.
    pub(super) folder: &'a str,
    /// The name of its release there.
    pub(super) release: &'a str,
    pub(super) manager: UnitScope,
}

impl Definition {
    pub(super) fn of(deployment: &Deployment<'_>) -> Result<Self, BackendError> {
        let Deployment { settings, op, instance, spec, manifest, .. } = *deployment;
        let mut env: BTreeMap<String, Text> =
            manifest.env.iter().map(|(name, value)| (name.clone(), Text::plain(value.as_str()))).collect();
        env.extend(spec.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let unit = match entry_point(spec, manifest)? {
            Some(entry_point) => Some(unit::render(&Runs {
                project: &settings.project,
                scope: &settings.scope,
                slot: deployment.slot,
                address: &op.address,
                instance,
                spec,
                manifest,
                env: &env,
                folder: deployment.folder,
                release: &format!("{}/releases/{}", spec.install_path, deployment.release),
                entry_point,
                manager: deployment.manager,
            })?),
            None => None,
        };
        Ok(Self {
            name: name(&op.op_id),
            stamp: stamp(settings, op, instance, spec)?,
            before: commands(&spec.pre_install),
            after: commands(&spec.post_install),
            env: exports(&env),
            unit,
        })
    }
}

/// The entry point that is run as a service, if one is.
pub(super) fn entry_point<'m>(spec: &PackageSpec, manifest: &'m Manifest) -> Result<Option<&'m str>, BackendError> {
    match (spec.run, &manifest.entry_point) {
        (Some(false), _) | (None, None) => Ok(None),
        (_, Some(entry_point)) => Ok(Some(entry_point)),
        (Some(true), None) => Err(BackendError::new(format!(
            "the package {} {} has no entry point to run",
            manifest.name, manifest.version
        ))
        .with_hint("give its manifest an `entry_point`, or set `run: false`")),
    }
}

/// What a definition is called on the host; an op-id consists of letters that no shell minds, but a
/// record may come from anywhere.
pub(super) fn name(op_id: &OpId) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = op_id.as_str().chars().map(plain).collect();
    format!("d{name}")
}

pub(super) fn stamp(
    settings: &PackageSettings,
    op: &OpContext,
    instance: &Instance,
    spec: &PackageSpec,
) -> Result<String, BackendError> {
    write(&Stamp {
        project: settings.project.clone(),
        scope: settings.scope.clone(),
        address: op.address.clone(),
        op_id: op.op_id.clone(),
        revision: instance.revision,
        kind: instance.service.kind,
        backend: BackendKind::Package,
        slot: spec.install_path.clone(),
        files: BTreeMap::new(),
    })
}

/// The stamp of what runs already, at another address.
pub(super) fn moved(
    settings: &PackageSettings,
    address: &Address,
    op_id: &OpId,
    revision: Digest,
    kind: Kind,
    spec: &PackageSpec,
) -> Result<String, BackendError> {
    write(&Stamp {
        project: settings.project.clone(),
        scope: settings.scope.clone(),
        address: address.clone(),
        op_id: op_id.clone(),
        revision,
        kind,
        backend: BackendKind::Package,
        slot: spec.install_path.clone(),
        files: BTreeMap::new(),
    })
}

/// One line, because the list of a host has a line for each.
fn write(stamp: &Stamp) -> Result<String, BackendError> {
    serde_json::to_string(stamp).map_err(|error| BackendError::new(format!("cannot write a stamp: {error}")))
}

/// Commands as a script: each one is the user's own text.
fn commands(commands: &[Text]) -> String {
    commands.iter().map(Text::reveal).collect::<Vec<_>>().join("\n")
}

/// Assignments for a shell. A name that no shell takes is left to the entry point alone.
fn exports(env: &BTreeMap<String, Text>) -> String {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let quoted = |value: &Text| match shlex::try_quote(value.reveal()) {
        Ok(quoted) => quoted.into_owned(),
        Err(_) => String::from("''"),
    };
    let line = |(name, value): (&String, &Text)| format!("{name}={}\nexport {name}", quoted(value));
    env.iter().filter(|(name, _)| is_name(name)).map(line).collect::<Vec<_>>().join("\n")
}
