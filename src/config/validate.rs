//! Checks that need to see all services, and the ties that they make.

mod networks;
mod ports;
mod reach;

use std::collections::{BTreeSet, HashMap};

use super::cycle;
use super::diagnostic::{Diagnostic, Report, closest, shorten, suggest};
use super::lower::{Draft, DraftDependency};
use super::merge::Named;
use super::raw::RawNetwork;
use super::source::Span;
use crate::model::{Condition, Dependency, Kind, Spec};

pub(crate) use networks::{Networks, networks};

/// How many steps of a cycle are shown before the rest is left out.
const MAX_CYCLE: usize = 8;

/// The services by name, and what is checked about them.
struct Services<'d> {
    drafts: &'d [Draft],
    by_name: HashMap<&'d str, usize>,
    networks: BTreeSet<&'d str>,
    report: &'d Report,
}

/// Checks the ties between services and puts the dependencies, their conditions filled in, into them.
pub(crate) fn validate<'d>(
    drafts: &'d mut [Draft],
    networks: &'d [Named<RawNetwork>],
    profiles: &[String],
    report: &'d Report,
) {
    let ties: Vec<Vec<Dependency>> = {
        let by_name = drafts.iter().enumerate().map(|(index, draft)| (draft.name.as_str(), index)).collect();
        let networks = networks.iter().map(|network| network.name.as_str()).collect();
        let services = Services { drafts, by_name, networks, report };
        services.check(profiles);
        drafts.iter().map(|draft| services.dependencies(draft)).collect()
    };
    for (draft, dependencies) in drafts.iter_mut().zip(ties) {
        if let Some(service) = &mut draft.service {
            service.dependencies = dependencies;
        }
    }
}

impl<'d> Services<'d> {
    fn get(&self, name: &str) -> Option<&'d Draft> {
        self.by_name.get(name).map(|index| &self.drafts[*index])
    }

    fn error(&self, code: &'static str, span: Span, message: String, help: impl Into<String>) {
        self.report.push(Diagnostic::error(code, message).at(span).help(help));
    }

    /// What to say about a name that no service has. In a large file comparing with every name costs
    /// too much for an error that may stand there thousands of times.
    fn near(&self, name: &str, otherwise: &str) -> String {
        const MAX_COMPARED: usize = 2_000;
        let names = self.drafts.iter().take(MAX_COMPARED).map(|draft| draft.name.as_str());
        suggest(name, names).unwrap_or_else(|| otherwise.to_owned())
    }

    fn check(&self, profiles: &[String]) {
        for draft in self.drafts {
            self.check_names(draft);
        }
        self.check_renames();
        ports::check(self.drafts, self.report);
        ports::check_names(self.drafts, self.report);
        ports::check_slots(self.drafts, self.report);
        self.check_cycles();
        self.check_profiles(profiles);
    }

    fn check_names(&self, draft: &Draft) {
        for (span, name) in &draft.replace_triggered_by {
            if name == draft.name.as_str() {
                let message = "a service cannot be replaced because of itself".into();
                self.error("config::self_reference", *span, message, "take it out of `replace_triggered_by`");
            } else if self.get(name).is_none() {
                let message = format!("there is no service `{}`", shorten(name));
                self.error(
                    "config::unknown_service",
                    *span,
                    message,
                    self.near(name, "name a service of this project"),
                );
            }
        }
        let own = draft.network.iter().map(|(span, name)| (*span, name));
        let joined = draft.networks.iter().map(|join| (join.span, &join.name));
        for (span, name) in own.chain(joined).filter(|(_, name)| !self.networks.contains(name.as_str())) {
            let help = suggest(name, self.networks.iter().copied());
            let help = help.unwrap_or_else(|| "declare it under `networks`, or take the key away".into());
            self.error("config::unknown_network", span, format!("there is no network `{}`", shorten(name)), help);
        }
    }

    fn check_renames(&self) {
        let mut renamed: HashMap<&str, Span> = HashMap::new();
        for draft in self.drafts {
            let Some((span, old)) = &draft.renamed_from else { continue };
            if let Some(existing) = self.get(old.as_str()) {
                self.report.push(
                    Diagnostic::error("config::rename", format!("the service `{old}` still exists"))
                        .at(*span)
                        .label(existing.span, "it is defined here")
                        .help("`renamed_from` names a service that is no longer in the file"),
                );
            } else if let Some(first) = renamed.insert(old.as_str(), *span) {
                self.report.push(
                    Diagnostic::error("config::rename", format!("two services were renamed from `{old}`"))
                        .at(*span)
                        .label(first, "the other one")
                        .help("one of them can take over what runs; the other one is new"),
                );
            }
        }
    }

    fn check_cycles(&self) {
        let other = |draft: &Draft, dependency: &DraftDependency| dependency.name != draft.name.as_str();
        let targets = |draft: &Draft| -> Vec<usize> {
            let known = draft.dependencies.iter().filter(|dependency| other(draft, dependency));
            known.filter_map(|dependency| self.by_name.get(dependency.name.as_str()).copied()).collect()
        };
        let graph: Vec<Vec<usize>> = self.drafts.iter().map(targets).collect();
        for cycle in cycle::find(&graph) {
            let names: Vec<&str> = cycle.iter().map(|(node, _)| self.drafts[*node].name.as_str()).collect();
            let first = names[0];
            let path = if names.len() > 2 * MAX_CYCLE {
                let left_out = names.len() - MAX_CYCLE - 1;
                let last = names[names.len() - 1];
                format!("{} -> ... {left_out} more ... -> {last} -> {first}", names[..MAX_CYCLE].join(" -> "))
            } else {
                format!("{} -> {first}", names.join(" -> "))
            };
            let mut problem =
                Diagnostic::error("config::cycle", format!("the dependencies go round in a circle: {path}"));
            for (node, _) in cycle.iter().take(2 * MAX_CYCLE) {
                let draft = &self.drafts[*node];
                let at = names.iter().position(|name| *name == draft.name.as_str()).unwrap_or(0);
                let next = names[(at + 1) % names.len()];
                let span = draft.dependencies.iter().find(|dependency| dependency.name == next).map(|found| found.span);
                if let Some(span) = span {
                    problem = problem.label(span, format!("`{}` needs `{next}`", draft.name));
                }
            }
            self.report
                .push(problem.help("take one of these dependencies away; nothing in the circle could start first"));
        }
    }

    fn check_profiles(&self, profiles: &[String]) {
        let known: BTreeSet<&str> = self
            .drafts
            .iter()
            .flat_map(|draft| draft.profiles.iter().chain(&draft.profiles_of_values))
            .map(String::as_str)
            .collect();
        for profile in profiles.iter().filter(|profile| !known.contains(profile.as_str())) {
            let message = format!("no service has the profile `{}`", shorten(profile));
            let near = closest(profile, known.iter().copied());
            let help =
                near.map_or("check the name given to `--profile`".into(), |near| format!("did you mean `{near}`?"));
            // Taken as an inactive profile, a slip of the pen would plan to delete what has the right one.
            self.report.push(Diagnostic::error("config::unknown_profile", message).help(help));
        }
    }

    /// The dependencies of a service, sorted by name, without the wrong ones.
    fn dependencies(&self, draft: &Draft) -> Vec<Dependency> {
        let mut named: HashMap<&str, Span> = HashMap::with_capacity(draft.dependencies.len());
        let mut dependencies = Vec::with_capacity(draft.dependencies.len());
        for dependency in &draft.dependencies {
            if let Some(first) = named.insert(&dependency.name, dependency.span) {
                let message = format!("the dependency `{}` stands here twice", shorten(&dependency.name));
                let problem = Diagnostic::error("config::duplicate", message);
                let problem = problem.label(dependency.span, "again").label(first, "first");
                self.report.push(problem.help("keep one of the two"));
                continue;
            }
            dependencies.extend(self.dependency(draft, dependency));
        }
        dependencies.sort_by(|a, b| a.service.cmp(&b.service));
        dependencies
    }

    fn dependency(&self, draft: &Draft, dependency: &DraftDependency) -> Option<Dependency> {
        let name = &dependency.name;
        if name == draft.name.as_str() {
            let message = format!("the service `{name}` depends on itself");
            self.error("config::self_reference", dependency.span, message, "take the dependency away");
            return None;
        }
        let Some(target) = self.get(name) else {
            let message = format!("there is no service `{}`", shorten(name));
            let help = self.near(name, "define it under `services`, or take the dependency away");
            self.error("config::unknown_service", dependency.span, message, help);
            return None;
        };
        if let (true, false, Some(profile)) = (draft.active, target.active, target.profiles.first()) {
            self.report.push(
                Diagnostic::error("config::inactive_dependency", format!("the active profiles leave `{name}` out"))
                    .label(dependency.span, format!("`{}` needs it", draft.name))
                    .label(target.span, "it is defined here")
                    .help(format!("add `--profile {}`, or give `{}` the same profiles", shorten(profile), draft.name)),
            );
        }
        let condition = match dependency.condition {
            Some((span, condition)) => {
                self.check_condition(span, condition, target);
                condition
            }
            None if target.kind == Some(Kind::Job) => Condition::Completed,
            None if target.has_check => Condition::Healthy,
            None => Condition::Started,
        };
        Some(Dependency { service: target.name.clone(), condition, restart: dependency.restart })
    }

    fn check_condition(&self, span: Span, condition: Condition, target: &Draft) {
        // A kind that could not be read was reported, and says nothing about the condition.
        let Some(kind) = target.kind else { return };
        let name = &target.name;
        let code = "config::condition";
        match (condition, kind) {
            (Condition::Completed, Kind::Permanent | Kind::Periodic) => {
                let message = format!("`{name}` runs until it is stopped, it does not complete");
                self.error(code, span, message, format!("use `started` or `healthy`, or give `{name}` `kind: job`"));
            }
            (Condition::Healthy, Kind::Job) => {
                let message = format!("`{name}` is a job and has no health");
                self.error(code, span, message, "use `completed`, which is also the default here");
            }
            (Condition::Healthy, Kind::Permanent | Kind::Periodic) if !target.has_check => {
                let message = format!("`{name}` has no health check");
                let external = target.service.as_ref().is_some_and(|service| matches!(service.spec, Spec::External(_)));
                let otherwise = if external {
                    "it counts as started at once"
                } else {
                    "it counts as started once it keeps running"
                };
                let help = format!("give `{name}` a `health_check`, or use `started`: {otherwise}");
                self.error(code, span, message, help);
            }
            (Condition::Started | Condition::Completed | Condition::Healthy, _) => {}
        }
    }
}
