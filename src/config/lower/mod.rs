//! Raw types to the model: defaults are filled in, paths made absolute, values checked one by one.
//!
//! What needs to see other services comes after, in `validate`.

mod backend;
mod check;
mod compose;
mod disk;
mod docker;
mod draft;
mod endpoint;
mod helm;
mod hosts;
mod kubernetes;
mod login;
mod package;
mod remote;
mod service;
mod strategy;
mod target;
mod unit;

use std::cell::RefCell;
use std::net::IpAddr;

use super::diagnostic::{Diagnostic, Report, shorten};
use super::field::Field;
use super::merge::{Merged, Named};
use super::raw::{RawLan, RawNetwork};
use super::source::{Sources, Span};
use crate::model::{OnFailure, ProjectName, Settings};

use disk::Found;

pub(crate) use disk::Disk;
pub(crate) use docker::env_lines;
pub(crate) use draft::{Draft, DraftDependency, Join, NETWORKS, PortClaim, Slot, SlotKind};
pub(crate) use hosts::{Inventory, inventory};
pub(crate) use target::Target;

use super::interpolate::{Scope, absolute};
use std::path::Path;
use std::time::Duration;

/// What lowering needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Lowering<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) report: &'a Report,
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) disk: &'a Disk<'a>,
    pub(crate) inventory: &'a Inventory,
    pub(crate) project: &'a ProjectName,
    /// Where the service runs that is being lowered.
    pub(crate) target: &'a Target,
    pub(crate) default_timeout: Duration,
    pub(crate) profiles: &'a [String],
    /// Whether what a backend can build is built, in the place of what the file says.
    pub(crate) build: Option<bool>,
    /// What the texts of the service say of where services are reached, with the places.
    pub(crate) noted: &'a RefCell<Vec<(Span, String)>>,
}

impl Lowering<'_> {
    fn error(&self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.report.push(Diagnostic::error("config::invalid_value", message).at(span).help(help));
    }

    fn warn(&self, span: Span, code: &'static str, message: String, help: &str) {
        self.report.push(Diagnostic::warning(code, message).at(span).help(help));
    }

    /// The value of an optional key in a range, or its default.
    fn in_range(&self, field: Option<&Field<u32>>, range: std::ops::RangeInclusive<u32>, default: u32) -> u32 {
        let Some((span, value)) = field.and_then(Field::located) else { return default };
        if !range.contains(value) {
            let (least, most) = (range.start(), range.end());
            self.error(span, format!("{value} is out of range"), format!("use a number from {least} to {most}"));
        }
        *value
    }
}

/// The project's name: as given, or made from the folder's.
pub(crate) fn project(merged: &Merged, folder: &Path, report: &Report) -> ProjectName {
    let fallback = || {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '-' }).collect();
        let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        ProjectName::new(&name[..name.len().min(63)])
            .or_else(|_| ProjectName::new("project"))
            .unwrap_or_else(|_| unreachable!("`project` is a name"))
    };
    let Some((span, name)) = merged.project.as_ref().and_then(Field::located) else { return fallback() };
    ProjectName::new(name).unwrap_or_else(|error| {
        let message = format!("`{}` cannot be the name of a project: {error}", shorten(name));
        report.push(Diagnostic::error("config::bad_name", message).at(span));
        fallback()
    })
}

/// The settings with their defaults.
pub(crate) fn settings(merged: &Merged, base_dir: &Path, sources: &Sources, report: &Report) -> Settings {
    let raw = &merged.settings;
    let state_dir = match raw.state_dir.as_ref().and_then(Field::located) {
        Some((span, dir)) if dir.is_empty() => {
            report.push(Diagnostic::error("config::invalid_value", "the folder for state has no name").at(span));
            base_dir.to_owned()
        }
        Some((span, dir)) => absolute(sources.folder(span), dir),
        None => base_dir.join(".orch"),
    };
    let max_parallel = raw.max_parallel.as_ref().and_then(Field::located);
    if let Some((span, number)) = max_parallel.filter(|(_, number)| !(1..=1000).contains(*number)) {
        let problem = Diagnostic::error("config::invalid_value", format!("{number} is out of range")).at(span);
        report.push(problem.help("use a number from 1 to 1000"));
    }
    Settings {
        state_dir,
        max_parallel: max_parallel.map_or(4, |(_, number)| *number as usize),
        default_timeout: raw
            .default_timeout
            .as_ref()
            .and_then(Field::get)
            .map_or(Duration::from_secs(300), |period| period.0),
        on_failure: raw.on_failure.as_ref().and_then(Field::get).copied().unwrap_or(OnFailure::Rollback),
    }
}

/// Checks the networks by themselves.
pub(crate) fn check_networks(networks: &[Named<RawNetwork>], disk: &Disk<'_>, sources: &Sources, report: &Report) {
    for network in networks.iter().filter_map(|network| network.field.get()) {
        match network {
            RawNetwork::Lan(lan) => {
                check_engine_name(lan, report);
                let Some((span, subnet)) = lan.subnet.as_ref().and_then(Field::located) else { continue };
                let help = match start_of(subnet) {
                    Some(start) if start == *subnet => continue,
                    Some(start) => format!("it starts at `{start}`"),
                    None => "write an address and a prefix length, such as `192.168.1.0/24`".to_owned(),
                };
                let message = format!("`{}` is not a subnet", shorten(subnet));
                report.push(Diagnostic::error("config::invalid_value", message).at(span).help(help));
            }
            RawNetwork::Wireguard(wireguard) => {
                let Some((span, path)) = wireguard.config.located() else { continue };
                if disk.look(&absolute(sources.folder(span), path)) == Found::Missing {
                    let message = format!("the WireGuard configuration `{}` does not exist", shorten(path));
                    let problem = Diagnostic::warning("config::missing_file", message).at(span);
                    report.push(problem.help("make it, or correct the path"));
                }
            }
        }
    }
}

/// Checks what the engine calls a network, and that nothing is asked of one that others make.
fn check_engine_name(lan: &RawLan, report: &Report) {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if let Some((span, name)) = lan.name.as_ref().and_then(Field::located)
        && !(name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(known))
    {
        let message = format!("`{}` cannot be the name of a network on an engine", shorten(name));
        let help = "use letters, digits, `_`, `-` and `.`, and start with a letter or digit";
        report.push(Diagnostic::error("config::bad_name", message).at(span).help(help));
    }
    let external = lan.external.as_ref().and_then(Field::located).filter(|(_, external)| **external);
    if let (Some((span, _)), Some(subnet)) = (external, &lan.subnet) {
        let problem =
            Diagnostic::error("config::network", "a network that others make has the subnet that they gave it");
        report.push(problem.at(subnet.span).label(span, "others make it").help("take `subnet` or `external` away"));
    }
}

/// The subnet that an address with a prefix length is in, as an engine names it: without the bits after
/// the prefix.
pub(crate) fn start_of(text: &str) -> Option<String> {
    let (address, length) = text.split_once('/')?;
    let length: u32 = Some(length).filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
    let start = match address.parse().ok()? {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(length)?).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(length)?).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    };
    Some(format!("{start}/{length}"))
}
