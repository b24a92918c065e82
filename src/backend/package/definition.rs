//! What a host is given to bring a package up with, and to bring it up again when it goes back.

use std::collections::BTreeMap;

use super::unit::{self, Unit};
use super::{PackageSettings, slot};
use crate::backend::host::Stamp;
use crate::backend::{BackendError, OpContext};
use crate::model::{Address, BackendKind, Digest, Instance, Kind, OpId, PackageSpec, Text};
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

impl Definition {
    /// The definition of an instance whose release is unpacked at `release`, below its install path.
    pub(super) fn of(
        settings: &PackageSettings,
        op: &OpContext,
        instance: &Instance,
        spec: &PackageSpec,
        manifest: &Manifest,
        release: &str,
    ) -> Result<Self, BackendError> {
        let mut env: BTreeMap<String, Text> =
            manifest.env.iter().map(|(name, value)| (name.clone(), Text::plain(value.as_str()))).collect();
        env.extend(spec.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let unit = match entry_point(spec, manifest)? {
            Some(entry_point) => {
                let folder = format!("{}/releases/{release}", spec.install_path);
                let owner = (settings.scope.as_str(), slot(spec).folder());
                Some(unit::render(&op.address, (owner.0, &owner.1), spec, manifest, &folder, entry_point, &env)?)
            }
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
