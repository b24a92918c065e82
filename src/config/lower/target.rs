//! Where a service runs, and what its texts may say of its hosts.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Lowering;
use super::hosts::{Known, members};
use crate::config::diagnostic::{Diagnostic, closest, shorten, suggest};
use crate::config::field::{Field, OneOrMany, given};
use crate::config::raw::RawSsh;
use crate::config::source::Span;
use crate::model::{HOST_REFERENCE, Machine, SERVICE_REFERENCE, Text, map_text};

/// Where a service runs.
#[derive(Debug, Clone, Default)]
pub(crate) enum Target {
    /// On this machine.
    #[default]
    Here,
    /// On another one.
    One(Arc<Machine>),
    /// On several, one copy on each.
    Many(Vec<Arc<Machine>>),
    /// The file says it wrongly, which is in the report.
    Wrong,
}

impl Target {
    /// The machines, where it is not this one.
    pub(crate) fn machines(&self) -> &[Arc<Machine>] {
        match self {
            Self::Here | Self::Wrong => &[],
            Self::One(machine) => std::slice::from_ref(machine),
            Self::Many(list) => list,
        }
    }

    /// Whether it has folders and programs that are not this machine's.
    pub(super) fn is_elsewhere(&self) -> bool {
        !matches!(self, Self::Here)
    }
}

impl Lowering<'_> {
    /// Where a service runs that may be on a host.
    pub(super) fn target(&self, host: Option<&Field<String>>, hosts: Option<&Field<OneOrMany<String>>>) -> Target {
        match (host, hosts) {
            (None, None) => Target::Here,
            (Some(host), None) => self.one(host).map_or(Target::Wrong, Target::One),
            (None, Some(hosts)) => self.many(hosts).map_or(Target::Wrong, Target::Many),
            (Some(host), Some(hosts)) => {
                let problem = Diagnostic::error("config::host", "both `host` and `hosts` are given");
                let problem = problem.label(hosts.span, "these").label(host.span, "and this");
                self.report.push(problem.help("keep `host` for one machine, or `hosts` for a copy on each of several"));
                Target::Wrong
            }
        }
    }

    /// Where a program runs that is never on this machine; its own keys say how to log in to an address.
    pub(super) fn ssh_target(&self, raw: &RawSsh, span: Span) -> Target {
        if raw.host.is_none() && raw.hosts.is_none() {
            let problem = Diagnostic::error("config::missing_key", "the key `host` is missing").at(span);
            let help = "add `host: NAME` or `hosts: [NAME, ...]`, or use `type: process` for a program of this machine";
            self.report.push(problem.help(help));
            return Target::Wrong;
        }
        let target = self.target(raw.host.as_ref(), raw.hosts.as_ref());
        let spans = [
            ("user", raw.user.as_ref().map(|field| field.span)),
            ("port", raw.port.as_ref().map(|field| field.span)),
            ("key_file", raw.key_file.as_ref().map(|field| field.span)),
        ];
        let named =
            raw.hosts.is_some() || given(raw.host.as_ref()).is_some_and(|host| self.inventory.get(host).is_some());
        if named {
            for (key, span) in spans.into_iter().filter_map(|(key, span)| Some((key, span?))) {
                let message = format!("`{key}` says how to log in to an address, and this is a name of `hosts`");
                let help = if key == "user" {
                    "put it under the name in `hosts`; the user that the program runs as is `run_as`"
                } else {
                    "put it under the name in `hosts`"
                };
                self.error(span, message, help);
            }
            return target;
        }
        let user = self.user_name(raw.user.as_ref());
        let port = self.ssh_port(raw.port.as_ref());
        let key_file = self.home_path(raw.key_file.as_ref());
        let Target::One(machine) = target else { return target };
        let again = [("user", machine.user.is_some()), ("port", machine.port.is_some())];
        for (key, span) in spans.into_iter().filter_map(|(key, span)| Some((key, span?))) {
            if again.contains(&(key, true)) {
                let message = format!("`host` gives the {key} already");
                self.error(span, message, format!("keep `{key}`, or the one in `host`"));
            }
        }
        let mut machine = Machine::clone(&machine);
        machine.user = machine.user.or(user);
        machine.port = machine.port.or(port);
        machine.key_file = key_file;
        Target::One(Arc::new(machine))
    }

    fn one(&self, field: &Field<String>) -> Option<Arc<Machine>> {
        let (span, text) = field.located()?;
        match self.inventory.get(text) {
            Some(Known::Machine(machine)) => return Some(machine.clone()),
            Some(Known::Wrong) => return None,
            Some(Known::Group(_)) => {
                let message = format!("`{}` is a group, and `host` is one machine", shorten(text));
                self.error(span, message, format!("write `hosts: {}` for a copy on each of them", shorten(text)));
                return None;
            }
            None => {}
        }
        let login = self.login(span, text)?;
        if let (false, Some(near)) = (text.contains(['.', ':', '@']), closest(text, self.inventory.names())) {
            let message = format!("`{}` is taken for an address, `hosts` has no such name", shorten(text));
            self.report.push(
                Diagnostic::warning("config::unknown_host", message)
                    .at(span)
                    .help(format!("did you mean `{near}`? else add `{text}:` to `hosts`")),
            );
        }
        Some(Arc::new(Machine { user: login.user, port: login.port, ..Machine::at(login.address) }))
    }

    fn many(&self, field: &Field<OneOrMany<String>>) -> Option<Vec<Arc<Machine>>> {
        field.get()?;
        let mut list: Vec<Arc<Machine>> = Vec::new();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut wrong = false;
        for (span, text) in members(Some(field)) {
            let chosen = match self.inventory.get(text) {
                Some(Known::Machine(machine)) => vec![machine],
                Some(Known::Group(machines)) => machines,
                Some(Known::Wrong) => {
                    wrong = true;
                    continue;
                }
                None if text.contains('=') => match self.selected(span, text) {
                    Some(machines) => machines,
                    None => {
                        wrong = true;
                        continue;
                    }
                },
                None => {
                    let message = format!("there is no host or group `{}`", shorten(text));
                    let help = suggest(text, self.inventory.names())
                        .unwrap_or_else(|| "define it under `hosts`, or use `host` for one address".into());
                    self.report.push(Diagnostic::error("config::unknown_host", message).at(span).help(help));
                    wrong = true;
                    continue;
                }
            };
            list.extend(chosen.into_iter().filter(|machine| seen.insert(machine.name.clone())).cloned());
        }
        // A member that could not be read was reported.
        wrong |= field.get().is_some_and(|members| members.0.iter().any(|member| member.get().is_none()));
        if list.is_empty() && !wrong {
            let message = "no host is chosen";
            let help = "name machines or groups of `hosts` that have a machine, or labels that one of them has";
            self.report.push(Diagnostic::error("config::no_host", message).at(field.span).help(help));
            wrong = true;
        }
        (!wrong).then_some(list)
    }

    /// The machines that have all the labels of a selector.
    fn selected(&self, span: Span, text: &str) -> Option<Vec<&Arc<Machine>>> {
        let mut wanted = Vec::new();
        for part in text.split(',') {
            let Some((key, value)) = part.trim().split_once('=').filter(|(key, _)| !key.trim().is_empty()) else {
                let message = format!("`{}` does not choose by a label", shorten(part));
                self.error(span, message, "write it as `LABEL=VALUE`, several with commas");
                return None;
            };
            wanted.push((key.trim(), value.trim()));
        }
        let machines = self.inventory.all();
        if let Some((key, _)) =
            wanted.iter().find(|(key, _)| !machines.iter().any(|machine| machine.labels.contains_key(*key)))
        {
            let known: BTreeSet<&str> =
                machines.iter().flat_map(|machine| machine.labels.keys()).map(String::as_str).collect();
            let message = format!("no host has a label `{}`", shorten(key));
            let help = suggest(key, known).unwrap_or_else(|| "give it to machines under `hosts`".into());
            self.report.push(Diagnostic::error("config::no_host", message).at(span).help(help));
            return None;
        }
        let has = |machine: &&Arc<Machine>| {
            wanted.iter().all(|(key, value)| machine.labels.get(*key).is_some_and(|label| label == value))
        };
        Some(machines.iter().filter(has).collect())
    }

    /// Checks that what a text says of the host is known of every host of the service, and notes what it says of
    /// where services are reached.
    pub(super) fn references(&self, span: Span, text: &str) {
        for (at, _) in text.match_indices(SERVICE_REFERENCE) {
            let what = text[at + SERVICE_REFERENCE.len()..].split('}').next().unwrap_or_default();
            let span = self.token(span, &format!("${{service:{what}}}"));
            self.noted.borrow_mut().push((span, what.to_owned()));
        }
        for (at, _) in text.match_indices(HOST_REFERENCE) {
            let what = text[at + HOST_REFERENCE.len()..].split('}').next().unwrap_or_default();
            let written = format!("${{host:{what}}}");
            let code = "config::host_reference";
            let span = self.token(span, &written);
            match self.target {
                Target::Wrong => {}
                Target::Here => {
                    let message = format!("`{}` has no host that it could be about", shorten(&written));
                    let help = "give the service a `host` or `hosts`, which the backends `ssh`, `systemd` and `package` have, \
                                or write the value itself";
                    self.report.push(Diagnostic::error(code, message).at(span).help(help));
                }
                Target::One(_) | Target::Many(_) => {
                    if let Some(machine) = self.target.machines().iter().find(|machine| machine.fact(what).is_none()) {
                        self.report.push(self.not_known(machine, what, &written).at(span));
                    }
                }
            }
        }
    }

    fn not_known(&self, machine: &Machine, what: &str, written: &str) -> Diagnostic {
        let name = shorten(&machine.name);
        let message = format!("the host `{name}` has nothing for `{}`", shorten(written));
        let help = match what.split_once('.') {
            Some((kind @ ("labels" | "facts"), key)) => {
                let own = if kind == "labels" { &machine.labels } else { &machine.facts };
                let near =
                    closest(key, own.keys().map(String::as_str)).map(|near| format!("did you mean `{near}`? else "));
                let key = shorten(key);
                format!("{}add `{kind}: {{{key}: ...}}` to `{name}` under `hosts`", near.unwrap_or_default())
            }
            _ => format!("add `{what}: ...` to `{name}` under `hosts`"),
        };
        Diagnostic::error("config::host_reference", message).help(help)
    }

    /// The place of a reference inside a scalar.
    fn token(&self, span: Span, written: &str) -> Span {
        let number = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        match self.sources.slice(span).find(written) {
            Some(at) => Span { start: span.start + number(at), end: span.start + number(at + written.len()), ..span },
            None => span,
        }
    }

    /// A text as it is on each host of the service, with the host's name; where it says nothing of the
    /// host, as it is, once.
    pub(super) fn filled(&self, text: &Text) -> Vec<(String, Text)> {
        let text = &stand_in(text);
        if !text.reveal().contains(HOST_REFERENCE) {
            return vec![(String::new(), text.clone())];
        }
        // What stays was reported.
        let known = |filled: &Text| !filled.reveal().contains(HOST_REFERENCE);
        let on = |machine: &Arc<Machine>| (format!(" on the host `{}`", shorten(&machine.name)), machine.fill(text));
        self.target.machines().iter().map(on).filter(|(_, filled)| known(filled)).collect()
    }
}

/// A text with something of the same shape in the place of each reference to a service, to check its form.
fn stand_in(text: &Text) -> Text {
    map_text(text, |what| {
        let part = what.rsplit_once('.').map_or(what, |(_, part)| part);
        Some(match part {
            "url" => "http://localhost:1".to_owned(),
            "port" => "1".to_owned(),
            "authority" => "localhost:1".to_owned(),
            _ => "localhost".to_owned(),
        })
    })
}
