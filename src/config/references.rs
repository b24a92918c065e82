//! `${service:NAME.ENDPOINT.url}`: a tie to the other service, and where it is reached as far as that is known.

use std::collections::HashMap;

use super::diagnostic::{Diagnostic, Report, shorten, suggest};
use super::lower::{Draft, DraftDependency};
use super::source::Span;
use crate::model::{Endpoint, Kind, Known, Part, Reach, Reference, Seat, Service, Viewer, map_text};

/// The services by name, and what references to them mean.
struct Lookup<'d> {
    drafts: &'d [Draft],
    by_name: HashMap<&'d str, usize>,
}

/// What a reference means.
struct Meant<'d> {
    /// The service, by its place among the drafts.
    index: usize,
    name: &'d str,
    endpoint: &'d Endpoint,
    part: Part,
}

/// What is wrong with a reference: the message and what to do.
type Wrong = (String, String);

impl<'d> Lookup<'d> {
    fn new(drafts: &'d [Draft]) -> Self {
        let by_name = drafts.iter().enumerate().map(|(index, draft)| (draft.name.as_str(), index)).collect();
        Self { drafts, by_name }
    }

    /// The service that a reference names, and what follows its name: names have dots in them.
    fn service<'t>(&self, what: &'t str) -> Option<(usize, &'t str)> {
        let mut ends: Vec<usize> = what.match_indices('.').map(|(at, _)| at).collect();
        ends.reverse();
        ends.into_iter().find_map(|end| Some((*self.by_name.get(&what[..end])?, &what[end + 1..])))
    }

    /// What a reference means; `None` where its service is wrong, which was reported.
    fn find(&self, what: &str) -> Result<Option<Meant<'d>>, Wrong> {
        let Some((index, rest)) = self.service(what) else {
            let name = what.split('.').next().unwrap_or_default();
            let names = self.drafts.iter().map(|draft| draft.name.as_str());
            let help = suggest(name, names).unwrap_or_else(|| "write it as `${service:NAME.ENDPOINT.url}`".into());
            return Err((format!("there is no service `{}`", shorten(name)), help));
        };
        let draft = &self.drafts[index];
        let (name, part) = rest.rsplit_once('.').map_or((None, rest), |(name, part)| (Some(name), part));
        let Some(part) = Part::named(part) else {
            let message = format!("`{}` is nothing that is known of an endpoint", shorten(part));
            return Err((message, suggest(part, Part::ALL.iter().map(|(name, _)| *name)).unwrap_or_default()));
        };
        let Some(service) = &draft.service else { return Ok(None) };
        let known: Vec<String> = service.endpoints.keys().map(|name| format!("`{name}`")).collect();
        let known = known.join(", ");
        let found = match (name, service.endpoints.len()) {
            (_, 0) => {
                let message = format!("the service `{}` has no endpoint", draft.name);
                return Err((message, format!("add `endpoints: {{NAME: PORT}}` to `{}`", draft.name)));
            }
            (None, 1) => service.endpoints.iter().next(),
            (None, _) => {
                let message = format!("the service `{}` has several endpoints", draft.name);
                return Err((message, format!("name one of {known}: `${{service:{}.NAME.url}}`", draft.name)));
            }
            (Some(name), _) => service.endpoints.get_key_value(name),
        };
        match found {
            Some((name, endpoint)) => Ok(Some(Meant { index, name, endpoint, part })),
            None => {
                let name = name.unwrap_or_default();
                let message = format!("the service `{}` has no endpoint `{}`", draft.name, shorten(name));
                let near = suggest(name, service.endpoints.keys().map(String::as_str));
                Err((message, near.unwrap_or_else(|| format!("it has {known}"))))
            }
        }
    }
}

fn report_at(report: &Report, span: Span, (message, help): Wrong) {
    report.push(Diagnostic::error("config::service_reference", message).at(span).help(help));
}

/// Makes each reference a dependency, as if it stood under `dependencies`.
pub(crate) fn tie(drafts: &mut [Draft], report: &Report) {
    let ties: Vec<Vec<DraftDependency>> = {
        let lookup = Lookup::new(drafts);
        let of = |(index, draft): (usize, &Draft)| {
            let mut ties: Vec<DraftDependency> = Vec::new();
            let mut told: Vec<Span> = Vec::new();
            for (span, what) in &draft.references {
                match lookup.find(what) {
                    Err(wrong) if !told.contains(span) => {
                        told.push(*span);
                        report_at(report, *span, wrong);
                    }
                    Ok(Some(meant)) if meant.index != index => {
                        let name = lookup.drafts[meant.index].name.to_string();
                        let named = |tie: &DraftDependency| tie.name == name;
                        if !draft.dependencies.iter().any(named) && !ties.iter().any(named) {
                            ties.push(DraftDependency { name, span: *span, condition: None, restart: false });
                        }
                    }
                    _ => {}
                }
            }
            ties
        };
        drafts.iter().enumerate().map(of).collect()
    };
    for (draft, ties) in drafts.iter_mut().zip(ties) {
        draft.dependencies.extend(ties);
    }
}

/// Puts in what is known before anything runs, and leaves a reference for what is known only later. `engine_here`
/// says whether the engine that the environment names is this machine's.
pub(crate) fn fill(drafts: &mut [Draft], engine_here: bool, report: &Report) {
    let filled: Vec<Option<Service>> = {
        let lookup = Lookup::new(drafts);
        let of = |(index, draft): (usize, &Draft)| {
            let service = draft.service.as_ref().filter(|_| !draft.references.is_empty())?;
            Some(Filling { lookup: &lookup, draft, index, service, engine_here, report }.fill())
        };
        drafts.iter().enumerate().map(of).collect()
    };
    for (draft, filled) in drafts.iter_mut().zip(filled) {
        if let Some(service) = filled {
            draft.service = Some(service);
        }
    }
}

/// One service whose references are filled in.
struct Filling<'d> {
    lookup: &'d Lookup<'d>,
    draft: &'d Draft,
    index: usize,
    service: &'d Service,
    engine_here: bool,
    report: &'d Report,
}

impl Filling<'_> {
    fn fill(&self) -> Service {
        let mut service = self.service.clone();
        let (mut met, mut later) = (Vec::new(), Vec::new());
        service.each_text(&mut |text, seat| {
            *text = map_text(text, |what| {
                met.push(what.to_owned());
                self.value(what, seat, &mut later)
            });
        });
        for (span, what) in self.draft.references.iter().filter(|(_, what)| !met.contains(what)) {
            let help = "it may stand in command lines, `env` and the like, and in `url`, `headers`, `host`, `command` and \
                        `args` of a check";
            report_at(
                self.report,
                *span,
                (format!("`${{service:{}}}` may not stand here", shorten(what)), help.into()),
            );
        }
        // Another one in the place of what was reached is reached elsewhere. A job has done its work.
        if service.kind != Kind::Job {
            for name in later {
                if !service.lifecycle.replace_triggered_by.contains(&name) {
                    service.lifecycle.replace_triggered_by.push(name);
                }
            }
        }
        service
    }

    fn value(&self, what: &str, seat: Seat, later: &mut Vec<crate::model::ServiceName>) -> Option<String> {
        let meant = self.lookup.find(what).ok()??;
        let own = meant.index == self.index;
        let provider = self.lookup.drafts[meant.index].service.as_ref()?;
        let known = if own {
            provider.known_to_itself(meant.endpoint, seat, self.engine_here)
        } else {
            // What orch asks a program on another machine it asks from there.
            let from_here = seat == Seat::Probe && self.service.spec.place().is_none() && self.service.hosts.is_none();
            let viewer = if from_here { Viewer::Here } else { Viewer::of(self.service) };
            provider.known(meant.endpoint, viewer, self.engine_here)
        };
        let known = match known {
            Known::Later(_) if seat == Seat::Program && self.service.spec.is_rendered() => Known::Never(
                "where that is, is known only once it runs, and what this service comes to is planned before",
                "give the endpoint a fixed port, or a `host`",
            ),
            Known::Later(_) if !own && meant.endpoint.port_forward.is_some() => Known::Never(
                "a port is forwarded only while orch needs it",
                "run `kubectl port-forward` as a service of its own, or give the endpoint a `host`",
            ),
            known => known,
        };
        match known {
            Known::At(reach) => Some(meant.part.of(meant.endpoint, &reach)),
            Known::Later(from) => {
                if !own && seat == Seat::Program {
                    later.push(provider.name.clone());
                }
                let marker = |part| {
                    Reference { service: provider.name.clone(), endpoint: meant.name.to_owned(), part, from }.marker()
                };
                Some(match meant.part {
                    // Scheme and path are known, so that a change of them is a change of who uses them.
                    Part::Url => {
                        let nothing = Reach { host: String::new(), port: 0 };
                        meant.endpoint.url(&nothing).replacen(&nothing.to_string(), &marker(Part::Authority), 1)
                    }
                    part => marker(part),
                })
            }
            Known::Never(why, help) => {
                let span = self.draft.references.iter().find(|(_, noted)| noted == what).map(|(span, _)| *span);
                let message = format!(
                    "`{}` cannot reach the endpoint `{}` of `{}`: {why}",
                    self.draft.name, meant.name, provider.name
                );
                report_at(self.report, span.unwrap_or(self.draft.span), (message, help.to_owned()));
                None
            }
        }
    }
}
