//! Several files as one: what stands in two of them is an error that shows both places.

use std::collections::HashMap;

use super::diagnostic::{Diagnostic, Report, shorten};
use super::field::{Entries, Field};
use super::raw::{RawFile, RawHost, RawNetwork, RawService, RawSettings};
use super::source::Span;

/// All files together.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) project: Option<Field<String>>,
    pub(crate) settings: RawSettings,
    pub(crate) hosts: Vec<Named<RawHost>>,
    pub(crate) networks: Vec<Named<RawNetwork>>,
    pub(crate) services: Vec<Named<RawService>>,
    /// Whether any file has the key `services`.
    pub(crate) has_services: bool,
}

/// An entry with its name.
#[derive(Debug)]
pub(crate) struct Named<T> {
    pub(crate) name: String,
    /// Where the name stands.
    pub(crate) span: Span,
    pub(crate) field: Field<T>,
}

/// Puts files together.
pub(crate) fn merge(files: Vec<RawFile>, report: &Report) -> Merged {
    let mut merged = Merged::default();
    let (mut hosts, mut networks, mut services) = (HashMap::new(), HashMap::new(), HashMap::new());
    for file in files {
        check_version(file.version.as_ref(), report);
        take(&mut merged.project, file.project, "project", report);
        if let Some(settings) = file.settings.and_then(|settings| settings.value) {
            let into = &mut merged.settings;
            take(&mut into.state_dir, settings.state_dir, "settings.state_dir", report);
            take(&mut into.max_parallel, settings.max_parallel, "settings.max_parallel", report);
            take(&mut into.default_timeout, settings.default_timeout, "settings.default_timeout", report);
            take(&mut into.on_failure, settings.on_failure, "settings.on_failure", report);
            take(&mut into.deployment, settings.deployment, "settings.deployment", report);
        }
        merged.has_services |= file.services.is_some();
        extend(&mut merged.hosts, &mut hosts, file.hosts, "host", report);
        extend(&mut merged.networks, &mut networks, file.networks, "network", report);
        extend(&mut merged.services, &mut services, file.services, "service", report);
    }
    merged
}

fn check_version(version: Option<&Field<String>>, report: &Report) {
    let Some((span, version)) = version.and_then(Field::located) else { return };
    if !matches!(version.as_str(), "1.0" | "1") {
        let message = format!("version `{}` of the file format is not known", shorten(version));
        report
            .push(Diagnostic::error("config::version", message).at(span).help("this version of orch reads `\"1.0\"`"));
    }
}

fn duplicate(what: &str, again: Span, first: Span) -> Diagnostic {
    Diagnostic::error("config::duplicate", format!("{what} is defined twice"))
        .label(again, "again")
        .label(first, "first defined here")
        .help("keep one of the two")
}

fn take<T>(into: &mut Option<Field<T>>, from: Option<Field<T>>, what: &str, report: &Report) {
    match (&into, &from) {
        (Some(first), Some(again)) => report.push(duplicate(&format!("`{what}`"), again.span, first.span)),
        (None, Some(_)) => *into = from,
        (_, None) => {}
    }
}

fn extend<T>(
    into: &mut Vec<Named<T>>,
    seen: &mut HashMap<String, Span>,
    from: Option<Field<Entries<T>>>,
    what: &str,
    report: &Report,
) {
    for (key, field) in from.and_then(|from| from.value).unwrap_or_default().0 {
        let (span, Some(name)) = (key.span, key.value) else { continue };
        match seen.get(&name) {
            Some(first) => report.push(duplicate(&format!("the {what} `{}`", shorten(&name)), span, *first)),
            None => {
                seen.insert(name.clone(), span);
                into.push(Named { name, span, field });
            }
        }
    }
}
