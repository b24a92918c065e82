//! Which of its backends a service runs on, where it has several.

use std::collections::BTreeSet;

use super::diagnostic::{Diagnostic, Report, shorten, suggest};
use super::field::{Entries, Field};
use super::merge::{Merged, Named};
use super::raw::{RawBackend, RawService};
use super::source::Span;

/// Puts the backend of the chosen deployment into each service that has several; which deployment that is.
pub(crate) fn choose(merged: &mut Merged, given: Option<&str>, report: &Report) -> Option<String> {
    let setting = merged.settings.deployment.as_ref().and_then(Field::located);
    // What the file says wrongly was reported, and nothing more is to be said about it.
    let wrong = merged.settings.deployment.as_ref().is_some_and(|setting| setting.get().is_none()) && given.is_none();
    let chosen: Option<String> = given.map(str::to_owned).or_else(|| setting.map(|(_, name)| name.clone()));
    let span = setting.map(|(span, _)| span).filter(|_| given.is_none());
    let known: BTreeSet<String> = merged.services.iter().flat_map(alternatives).map(str::to_owned).collect();
    let is_known = chosen.as_ref().is_none_or(|name| known.contains(name));
    if let (false, Some(name)) = (is_known, &chosen) {
        unknown(name, span, &known, report);
    }
    for service in &mut merged.services {
        let (at, Some(raw)) = (service.span, &mut service.field.value) else { continue };
        let Some(mut backends) = raw.backends.take() else {
            if raw.backend.span == Span::default() {
                let problem = Diagnostic::error("config::missing_key", "the key `backend` is missing").at(at);
                report.push(problem.help("add `backend: ...`"));
            }
            continue;
        };
        if raw.backend.span != Span::default() {
            let problem = Diagnostic::error("config::backend", "both `backend` and `backends` are given");
            let problem = problem.label(backends.span, "these").label(raw.backend.span, "and this");
            report.push(problem.help("keep `backend` for one, or `backends` for one in each deployment"));
            continue;
        }
        let Some(entries) = &mut backends.value else { continue };
        match &chosen {
            Some(name) => match entries.0.iter().position(|(key, _)| key.get() == Some(name)) {
                Some(at) => {
                    raw.backend = entries.0.swap_remove(at).1;
                    // The others are done with; that there were some lets keys stand that are for them.
                    raw.backends = Some(Field { span: backends.span, value: None });
                }
                None if is_known => missing(&service.name, name, &backends, report),
                None => {}
            },
            None if wrong => {}
            None => {
                let problem = Diagnostic::error("config::deployment", "no deployment is chosen").at(backends.span);
                let names: Vec<String> = entries.iter().map(|(_, key, _)| format!("`{}`", shorten(key))).collect();
                let help = format!(
                    "add `deployment: NAME` to `settings`, or give `--deployment NAME`; there is {}",
                    names.join(", ")
                );
                report.push(problem.help(help));
            }
        }
    }
    chosen
}

fn alternatives(service: &Named<RawService>) -> impl Iterator<Item = &str> {
    let backends = service.field.get().and_then(|raw| raw.backends.as_ref()).and_then(Field::get);
    backends.into_iter().flat_map(Entries::iter).map(|(_, key, _)| key)
}

fn unknown(name: &str, span: Option<Span>, known: &BTreeSet<String>, report: &Report) {
    let mut problem =
        Diagnostic::error("config::deployment", format!("no service has the deployment `{}`", shorten(name)));
    if let Some(span) = span {
        problem = problem.at(span);
    }
    let help = suggest(name, known.iter().map(String::as_str));
    report.push(problem.help(help.unwrap_or_else(|| "give a service `backends: {NAME: {type: ...}}`".into())));
}

fn missing(service: &str, name: &str, backends: &Field<Entries<RawBackend>>, report: &Report) {
    let message = format!("`{}` has no backend for the deployment `{}`", shorten(service), shorten(name));
    let help = format!("add `{}: {{type: ...}}` to its `backends`, or choose another deployment", shorten(name));
    report.push(Diagnostic::error("config::deployment", message).at(backends.span).help(help));
}
