//! The machines and groups of the file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use super::Lowering;
use super::login::{Login, is_address, is_user};
use crate::config::cycle;
use crate::config::diagnostic::{Diagnostic, shorten, suggest};
use crate::config::field::{Entries, Field, OneOrMany, Shaped, given};
use crate::config::interpolate::absolute;
use crate::config::merge::Named;
use crate::config::raw::{RawHost, RawMachine};
use crate::config::source::Span;
use crate::model::{Machine, ServiceName};

/// The most hosts that another one is reached through.
const MAX_JUMPS: usize = 16;

/// The machines and groups of the file, in its order.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    machines: Vec<Arc<Machine>>,
    by_name: HashMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    /// The place of a machine in the list.
    Machine(usize),
    /// The places of a group's machines.
    Group(Vec<usize>),
    /// It is wrong, which is in the report.
    Wrong,
}

/// What a name stands for.
pub(super) enum Known<'i> {
    Machine(&'i Arc<Machine>),
    Group(Vec<&'i Arc<Machine>>),
    /// Something that is wrong, which is in the report.
    Wrong,
}

impl Inventory {
    /// The machines by name.
    pub(crate) fn machines(&self) -> BTreeMap<String, Arc<Machine>> {
        self.machines.iter().map(|machine| (machine.name.clone(), machine.clone())).collect()
    }

    pub(super) fn all(&self) -> &[Arc<Machine>] {
        &self.machines
    }

    pub(super) fn get(&self, name: &str) -> Option<Known<'_>> {
        Some(match self.by_name.get(name)? {
            Entry::Machine(index) => Known::Machine(&self.machines[*index]),
            Entry::Group(list) => Known::Group(list.iter().map(|index| &self.machines[*index]).collect()),
            Entry::Wrong => Known::Wrong,
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str).collect::<BTreeSet<_>>().into_iter()
    }
}

/// Lowers the machines and groups of the file.
pub(crate) fn inventory(hosts: &[Named<RawHost>], lowering: &Lowering<'_>) -> Inventory {
    let reading = Reading { hosts, lowering, by_name: index(hosts) };
    let mut inventory = Inventory::default();
    for (index, host) in hosts.iter().enumerate() {
        if let Err(error) = ServiceName::new(&host.name) {
            let message = format!("`{}` cannot be the name of a host: {error}", shorten(&host.name));
            lowering
                .report
                .push(Diagnostic::error("config::bad_name", message).at(host.span).help("choose another name"));
        }
        let entry = match host.field.get() {
            Some(Some(Shaped::List(_))) => continue,
            Some(raw) => reading.machine(index, raw.as_ref()).map(|machine| {
                inventory.machines.push(Arc::new(machine));
                Entry::Machine(inventory.machines.len() - 1)
            }),
            None => None,
        };
        inventory.by_name.insert(host.name.clone(), entry.unwrap_or(Entry::Wrong));
    }
    reading.groups(&mut inventory);
    inventory
}

fn index(hosts: &[Named<RawHost>]) -> HashMap<&str, usize> {
    hosts.iter().enumerate().map(|(index, host)| (host.name.as_str(), index)).collect()
}

struct Reading<'a> {
    hosts: &'a [Named<RawHost>],
    lowering: &'a Lowering<'a>,
    by_name: HashMap<&'a str, usize>,
}

impl Reading<'_> {
    fn error(&self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.lowering.error(span, message, help);
    }

    /// A machine; `None` when its address is wrong.
    fn machine(&self, index: usize, raw: Option<&RawHostParts>) -> Option<Machine> {
        let named = &self.hosts[index];
        let name = named.name.clone();
        let at = |address: String| Machine { name: name.clone(), ..Machine::at(address) };
        let raw = match raw {
            // A name that is wrong was reported.
            None => return Some(at(name.clone())),
            Some(Shaped::One(text)) => {
                let login = self.lowering.login(named.field.span, text)?;
                return Some(Machine { user: login.user, port: login.port, ..at(login.address) });
            }
            Some(Shaped::Full(raw)) => raw,
            Some(Shaped::List(_)) => return None,
        };
        let address = match raw.address.as_ref() {
            None => name.clone(),
            Some(field) => {
                let (span, address) = field.located()?;
                if !is_address(address) {
                    let message = format!("`{}` is not a host name or address", shorten(address));
                    self.error(span, message, "write it without user and port, which have keys of their own");
                    return None;
                }
                address.clone()
            }
        };
        let lowering = self.lowering;
        Some(Machine {
            port: lowering.ssh_port(raw.port.as_ref()),
            user: lowering.user_name(raw.user.as_ref()),
            key_file: lowering.home_path(raw.key_file.as_ref()),
            jump: self.jump(index, &mut vec![index]),
            known_hosts: given(raw.known_hosts.as_ref()).copied().unwrap_or_default(),
            known_hosts_file: lowering.home_path(raw.known_hosts_file.as_ref()),
            sudo: given(raw.sudo.as_ref()).copied().unwrap_or(true),
            labels: self.words(raw.labels.as_ref(), "label", &[',', '=']),
            facts: self.words(raw.facts.as_ref(), "fact", &[]),
            ..at(address)
        })
    }

    /// The hosts that a machine is reached through: those of a named one come before it.
    fn jump(&self, index: usize, path: &mut Vec<usize>) -> Vec<String> {
        let Some(Some(Shaped::Full(raw))) = self.hosts[index].field.get() else { return Vec::new() };
        let mut chain = Vec::new();
        for (span, text) in given(raw.jump.as_ref()).into_iter().flat_map(|list| &list.0).filter_map(Field::located) {
            let Some(&through) = self.by_name.get(text.as_str()) else {
                if let Some(login) = self.lowering.login(span, text) {
                    chain.push(shown(login.user.as_deref(), &login.address, login.port));
                }
                continue;
            };
            let own = path.len() == 1;
            if path.contains(&through) {
                // Said once, for the machine whose key closes the circle on itself.
                if path[0] == through {
                    let message = format!("`{}` is reached through itself", shorten(&self.hosts[through].name));
                    self.error(span, message, "take one of the jumps away");
                }
                continue;
            }
            if chain.len() >= MAX_JUMPS || path.len() >= MAX_JUMPS {
                self.error(
                    span,
                    format!("a host is reached through at most {MAX_JUMPS} others"),
                    "take some of them out",
                );
                break;
            }
            match self.hosts[through].field.get() {
                Some(Some(Shaped::List(_))) => {
                    let message = format!("`{}` is a group, and a jump goes through one machine", shorten(text));
                    self.error(span, message, "name one of its machines");
                }
                Some(raw) => {
                    path.push(through);
                    chain.extend(self.jump(through, path));
                    path.pop();
                    chain.extend(self.through(through, raw.as_ref(), own.then_some(span)));
                }
                None => {}
            }
        }
        chain
    }

    /// A named machine as `ssh` takes it for a jump.
    fn through(&self, index: usize, raw: Option<&RawHostParts>, span: Option<Span>) -> Option<String> {
        let name = &self.hosts[index].name;
        let full = match raw {
            None => return Some(name.clone()),
            Some(Shaped::One(text)) => {
                let login = Login::parse(text).ok()?;
                return Some(shown(login.user.as_deref(), &login.address, login.port));
            }
            Some(Shaped::Full(full)) => full,
            Some(Shaped::List(_)) => return None,
        };
        if let (Some(span), Some(_)) = (span, &full.key_file) {
            let message = format!("the key of `{}` is not used for a jump through it", shorten(name));
            let help = "name the key under this address in `~/.ssh/config`, or have the agent hold it";
            self.lowering.warn(span, "config::jump_key", message, help);
        }
        let address = given(full.address.as_ref()).unwrap_or(name);
        Some(shown(given(full.user.as_ref()).map(String::as_str), address, given(full.port.as_ref()).copied()))
    }

    fn words(&self, raw: Option<&Field<Entries<String>>>, what: &str, forbidden: &[char]) -> BTreeMap<String, String> {
        let mut words = BTreeMap::new();
        for (span, name, field) in given(raw).into_iter().flat_map(Entries::iter) {
            let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
            if name.is_empty() || !name.chars().all(part) {
                let message = format!("`{}` cannot be the name of a {what}", shorten(name));
                self.error(span, message, "use letters, digits, `_`, `-`, `.` and `/`");
            }
            let Some((span, value)) = field.located() else { continue };
            if value.contains(|c: char| c.is_control() || forbidden.contains(&c)) {
                let message = format!("`{}` cannot be the value of a {what}", shorten(value));
                let help = if forbidden.is_empty() {
                    "a value is one line without control characters"
                } else {
                    "a value is one line without control characters, `,` and `=`"
                };
                self.error(span, message, help);
            }
            words.insert(name.to_owned(), value.clone());
        }
        words
    }

    /// Puts the groups into the inventory, each with its machines in order and once.
    fn groups(&self, inventory: &mut Inventory) {
        let members = |index: usize| match self.hosts[index].field.get() {
            Some(Some(Shaped::List(list))) => list.as_slice(),
            _ => &[],
        };
        for index in 0..self.hosts.len() {
            for (span, name) in members(index).iter().filter_map(Field::located) {
                if !self.by_name.contains_key(name.as_str()) {
                    let message = format!("there is no host or group `{}`", shorten(name));
                    let help = suggest(name, inventory.names().chain(self.by_name.keys().copied()))
                        .unwrap_or_else(|| "define it under `hosts`".into());
                    self.lowering.report.push(Diagnostic::error("config::unknown_host", message).at(span).help(help));
                }
            }
        }
        let known = |index: usize| -> Vec<usize> {
            let names = members(index).iter().filter_map(Field::get);
            names.filter_map(|name| self.by_name.get(name.as_str()).copied()).collect()
        };
        let graph: Vec<Vec<usize>> = (0..self.hosts.len()).map(known).collect();
        let mut round = BTreeSet::new();
        for cycle in cycle::find(&graph) {
            let names: Vec<&str> = cycle.iter().map(|(node, _)| self.hosts[*node].name.as_str()).collect();
            let message = format!("the groups go round in a circle: {} -> {}", names.join(" -> "), names[0]);
            let first = cycle[0].0;
            let span = members(first).iter().filter_map(Field::located).find(|(_, name)| {
                self.by_name.get(name.as_str()).is_some_and(|member| cycle.iter().any(|(node, _)| node == member))
            });
            let span = span.map_or(self.hosts[first].span, |(span, _)| span);
            self.lowering
                .report
                .push(Diagnostic::error("config::cycle", message).at(span).help("take one of them out"));
            round.extend(cycle.iter().map(|(node, _)| *node));
        }
        let groups = (0..self.hosts.len()).filter(|index| is_group(&self.hosts[*index]));
        if !round.is_empty() {
            inventory.by_name.extend(groups.map(|index| (self.hosts[index].name.clone(), Entry::Wrong)));
            return;
        }
        for (index, list) in self.resolved(groups, &graph, inventory) {
            inventory.by_name.insert(self.hosts[index].name.clone(), Entry::Group(list));
        }
    }

    /// The machines of each group; there is no circle. Groups may stand in groups as deep as a file is
    /// long, so what is not done yet is a list and no recursion.
    fn resolved(
        &self,
        groups: impl Iterator<Item = usize>,
        graph: &[Vec<usize>],
        inventory: &Inventory,
    ) -> BTreeMap<usize, Vec<usize>> {
        let mut resolved: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut open: Vec<(usize, bool)> = groups.map(|index| (index, false)).collect();
        while let Some((index, members_done)) = open.pop() {
            if resolved.contains_key(&index) {
                continue;
            }
            if !members_done {
                open.push((index, true));
                let groups = graph[index].iter().filter(|member| is_group(&self.hosts[**member]));
                open.extend(groups.map(|member| (*member, false)));
                continue;
            }
            let mut list = Vec::new();
            let mut seen = BTreeSet::new();
            for member in &graph[index] {
                let machines = match (resolved.get(member), inventory.by_name.get(&self.hosts[*member].name)) {
                    (Some(machines), _) => machines.as_slice(),
                    (None, Some(Entry::Machine(machine))) => std::slice::from_ref(machine),
                    (None, _) => &[],
                };
                list.extend(machines.iter().copied().filter(|machine| seen.insert(*machine)));
            }
            resolved.insert(index, list);
        }
        resolved
    }
}

type RawHostParts = Shaped<String, String, RawMachine>;

fn is_group(host: &Named<RawHost>) -> bool {
    matches!(host.field.get(), Some(Some(Shaped::List(_))))
}

fn shown(user: Option<&str>, address: &str, port: Option<u16>) -> String {
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{user}{address}{port}")
}

impl Lowering<'_> {
    /// Takes a login apart, or says why it is none.
    pub(super) fn login(&self, span: Span, text: &str) -> Option<Login> {
        let help = "write it as `ADDRESS`, `USER@ADDRESS` or `USER@ADDRESS:PORT`, an address of version 6 with a port as \
                    `[ADDRESS]:PORT`";
        Login::parse(text).map_err(|problem| self.error(span, problem, help)).ok()
    }

    pub(super) fn ssh_port(&self, field: Option<&Field<u16>>) -> Option<u16> {
        let (span, port) = field.and_then(Field::located)?;
        if *port == 0 {
            self.error(span, "nothing listens on port 0", "use a port from 1 to 65535");
        }
        Some(*port)
    }

    /// The name of a user or group of a host.
    pub(super) fn user_name(&self, field: Option<&Field<String>>) -> Option<String> {
        let (span, user) = field.and_then(Field::located)?;
        if !is_user(user) {
            let message = format!("`{}` is not the name of a user or group", shorten(user));
            self.error(span, message, "use letters, digits, `_`, `-`, `.`, `+` and `@`");
        }
        Some(user.clone())
    }

    /// A file of this machine: relative to the file, or to the home folder.
    pub(super) fn home_path(&self, field: Option<&Field<String>>) -> Option<PathBuf> {
        let (span, text) = field.and_then(Field::located)?;
        self.no_nul(span, text);
        if text.is_empty() {
            self.error(span, "the path is empty", "name a file, or leave the key out");
        }
        match text.strip_prefix("~/") {
            Some(rest) => {
                // Where the home folder is says nothing about what runs, so it is no input of a plan.
                let Some(home) = self.scope.peek("HOME").filter(|home| !home.is_empty()) else {
                    self.error(span, "the environment variable `HOME` is not set", "set it, or write the whole path");
                    return None;
                };
                Some(absolute(home.as_ref(), rest))
            }
            None => Some(absolute(self.sources.folder(span), text)),
        }
    }
}

/// The members of one or a list.
pub(super) fn members(raw: Option<&Field<OneOrMany<String>>>) -> impl Iterator<Item = (Span, &String)> {
    given(raw).into_iter().flat_map(|list| &list.0).filter_map(Field::located)
}
