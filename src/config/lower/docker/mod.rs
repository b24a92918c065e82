//! What runs a service: the Docker backend's keys.

mod check;
mod env;
mod image;
mod mounts;

pub(super) use check::is_none;
pub(crate) use env::parse as env_lines;

use std::collections::BTreeMap;

use super::Lowering;
use super::draft::{Draft, Join, PortClaim};
use crate::config::diagnostic::{Diagnostic, shorten};
use crate::config::field::{Entries, Field, Names, OneOrList, Pairs, RawText, Short, given};
use crate::config::raw::{GpuCount, RawDocker, RawJoin, RawUlimit};
use crate::config::secret::{has_password, mark_url};
use crate::config::source::Span;
use crate::model::{
    DockerSpec, Gpus, HOST_REFERENCE, HostPort, Kind, NetworkUse, PortMapping, RestartRule, SERVICE_REFERENCE, Text,
    Ulimit,
};

/// The least memory that an engine gives a container.
const LEAST_MEMORY: u64 = 6 << 20;

impl Lowering<'_> {
    /// A container; `None` when its image is wrong. Its ports and networks are put into the draft, for
    /// the checks that see the other services.
    pub(super) fn docker(&self, raw: &RawDocker, replicas: u32, draft: &mut Draft) -> Option<DockerSpec> {
        let image = raw.image.located().map(|(span, image)| {
            self.image(span, image);
            image.clone()
        });
        let host = self.text(raw.host.as_ref(), |host| self.host(host));
        self.join(raw, draft);
        let (ports, claims) = self.published(raw, host.as_deref(), replicas);
        draft.ports = claims;
        let (mounts, tmpfs) = self.mounts(raw, draft.active, host.is_none());
        let container_name = self.text(raw.container_name.as_ref(), |name| engine_name(name, "a container"));
        if let (Some(field), 2..) = (&raw.container_name, replicas) {
            let message = format!("{replicas} replicas cannot have one name");
            self.error(field.span, message, "leave `container_name` out; each gets a name of its own");
        }
        draft.container_name = raw.container_name.as_ref().map(|field| field.span).zip(container_name.clone());
        let flag = |field: &Option<Field<bool>>| given(field.as_ref()).copied().unwrap_or(false);
        let usual = DockerSpec::new(String::new());
        let networks = draft.networks.iter().map(|join| NetworkUse {
            name: join.name.clone(),
            engine_name: None,
            subnet: None,
            aliases: join.aliases.clone(),
        });
        let spec = DockerSpec {
            host,
            image: image.clone().unwrap_or_default(),
            pull_policy: given(raw.pull_policy.as_ref()).map_or(usual.pull_policy, |pull| pull.0),
            container_name,
            command: self.words(raw.command.as_ref()),
            entrypoint: self.words(raw.entrypoint.as_ref()),
            env: self.container_env(raw, draft.active),
            labels: self.labels(raw.labels.as_ref()),
            ports,
            mounts,
            tmpfs,
            networks: networks.collect(),
            user: self.text(raw.user.as_ref(), |user| not_empty(user, "the user")),
            working_dir: self.text(raw.working_dir.as_ref(), absolute_inside),
            hostname: self.text(raw.hostname.as_ref(), host_name),
            init: flag(&raw.init),
            read_only: flag(&raw.read_only),
            cap_add: self.capabilities(raw.cap_add.as_ref()),
            cap_drop: self.capabilities(raw.cap_drop.as_ref()),
            ulimits: self.ulimits(given(raw.ulimits.as_ref())),
            memory: self
                .size(raw.memory.as_ref().and_then(Field::located).map(|(span, size)| (span, size.0)), LEAST_MEMORY),
            nano_cpus: given(raw.cpus.as_ref()).map(|cpus| cpus.0),
            gpus: self.gpus(raw.gpus.as_ref()),
            shm_size: self.size(raw.shm_size.as_ref().and_then(Field::located).map(|(span, size)| (span, size.0)), 1),
            extra_hosts: self.extra_hosts(raw.extra_hosts.as_ref()),
            restart: self.engine_restart(raw, draft.kind),
            stop_signal: given(raw.stop_signal.as_ref()).map(|signal| signal.0.clone()),
            stop_timeout: given(raw.stop_timeout.as_ref()).map_or(usual.stop_timeout, |delay| delay.0),
            check: None,
            remove_volumes: flag(&raw.remove_volumes),
        };
        image.map(|_| spec)
    }

    /// A text that is checked: what is wrong with it, and what to do, is said at its place.
    fn text(
        &self,
        field: Option<&Field<String>>,
        check: impl Fn(&str) -> Result<(), (String, &'static str)>,
    ) -> Option<String> {
        let (span, text) = field.and_then(Field::located)?;
        self.no_nul(span, text);
        if let Err((message, help)) = check(text) {
            self.error(span, message, help);
        }
        Some(text.clone())
    }

    fn host(&self, host: &str) -> Result<(), (String, &'static str)> {
        let help = "write it as `unix:///var/run/docker.sock`, `tcp://HOST:2376` or `ssh://USER@HOST`";
        if has_password(host) {
            return Err(("the address of an engine may hold no password".into(), "use a key or a certificate"));
        }
        let known = ["unix://", "tcp://", "ssh://"].iter().filter_map(|scheme| host.strip_prefix(scheme));
        match known.into_iter().next() {
            Some("") | None => Err((format!("`{}` is not the address of an engine", shorten(host)), help)),
            Some(_) => Ok(()),
        }
    }

    /// The networks: those of the backend and the one of the service, sorted.
    fn join(&self, raw: &RawDocker, draft: &mut Draft) {
        let mut joins: Vec<Join> = match given(raw.networks.as_ref()) {
            None => Vec::new(),
            Some(Names::List(list)) => {
                let named = list.iter().filter_map(Field::located);
                named.map(|(span, name)| Join { span, name: name.clone(), aliases: Vec::new() }).collect()
            }
            Some(Names::Map(entries)) => {
                let join = |(span, name, field): (Span, &str, &Field<Option<RawJoin>>)| {
                    let raw = field.get().and_then(Option::as_ref);
                    Join { span, name: name.to_owned(), aliases: self.aliases(raw) }
                };
                entries.iter().map(join).collect()
            }
        };
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        joins.retain(|join| {
            let Some(first) = seen.get(&join.name) else {
                seen.insert(join.name.clone(), join.span);
                return true;
            };
            let message = format!("the network `{}` stands here twice", shorten(&join.name));
            let problem = Diagnostic::error("config::duplicate", message).label(join.span, "again");
            self.report.push(problem.label(*first, "first").help("keep one of the two"));
            false
        });
        // The service's own key says the same for one network.
        if let Some((span, name)) = draft.network.take().filter(|(_, name)| !seen.contains_key(name)) {
            joins.push(Join { span, name, aliases: Vec::new() });
        }
        joins.sort_by(|a, b| a.name.cmp(&b.name));
        draft.networks = joins;
    }

    fn aliases(&self, raw: Option<&RawJoin>) -> Vec<String> {
        let given = raw.and_then(|raw| given(raw.aliases.as_ref())).into_iter().flatten();
        let mut aliases: Vec<String> = given.filter_map(|alias| self.text(Some(alias), host_name)).collect();
        aliases.sort();
        aliases.dedup();
        aliases
    }

    /// The published ports, sorted, and what they take of the host.
    fn published(&self, raw: &RawDocker, host: Option<&str>, replicas: u32) -> (Vec<PortMapping>, Vec<PortClaim>) {
        let (mut ports, mut claims) = (Vec::new(), Vec::new());
        for (span, list) in given(raw.ports.as_ref()).into_iter().flatten().filter_map(Field::located) {
            for mapping in &list.0 {
                let taken = match mapping.host {
                    HostPort::Any => None,
                    HostPort::One(port) => Some((port, port)),
                    HostPort::Range(first, last) => Some((first, last)),
                };
                // What stands in the list twice is one.
                if let (Some((first, last)), false) = (taken, ports.contains(mapping)) {
                    let (protocol, address) = (mapping.protocol, mapping.address);
                    claims.push(PortClaim::new(span, first..=last, protocol, address, host));
                }
                ports.push(*mapping);
            }
            self.enough(span, &list.0, replicas);
        }
        ports.sort();
        ports.dedup();
        (ports, claims)
    }

    /// Whether each replica can have a port of the host.
    fn enough(&self, span: Span, mappings: &[PortMapping], replicas: u32) {
        let short = mappings.iter().find_map(|mapping| match mapping.host {
            HostPort::One(port) if replicas > 1 => {
                Some((port, format!("the port {port} of the host is one port"), mapping))
            }
            HostPort::Range(first, last) if u32::from(last - first) + 1 < replicas => {
                let ports = u32::from(last - first) + 1;
                Some((first, format!("the range {first}-{last} of the host has {ports} ports"), mapping))
            }
            _ => None,
        });
        if let Some((first, message, mapping)) = short {
            let last = u32::from(first) + replicas - 1;
            let help = if last > u32::from(u16::MAX) {
                format!("publish `\"{}\"` alone, on any free port", mapping.container)
            } else {
                format!(
                    "give each replica its own with `\"{first}-{last}:{port}\"`, or publish `\"{port}\"` alone, on any free port",
                    port = mapping.container
                )
            };
            self.error(span, format!("{message}, for {replicas} replicas"), help);
        }
    }

    /// A command line: a list as it is, a text in words as a shell splits them.
    fn words(&self, raw: Option<&Field<OneOrList<RawText, RawText>>>) -> Option<Vec<Text>> {
        let (span, raw) = raw.and_then(Field::located)?;
        match raw {
            OneOrList::List(list) => Some(self.text_list(list)),
            OneOrList::One(RawText(line)) => {
                self.no_nul(span, line.reveal());
                let Some(words) = shlex::split(line.reveal()) else {
                    self.error(span, "a quote is not closed", "close it, or write the words as a list");
                    return None;
                };
                let secret = |word: String| if line.is_sensitive() { Text::sensitive(word) } else { Text::plain(word) };
                Some(words.into_iter().map(|word| mark_url(secret(word))).collect())
            }
        }
    }

    fn capabilities(&self, raw: Option<&Field<Vec<Field<String>>>>) -> Vec<String> {
        let mut list = Vec::new();
        for (span, text) in given(raw).into_iter().flatten().filter_map(Field::located) {
            let upper = text.to_ascii_uppercase();
            let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
                let message = format!("`{}` is not a capability", shorten(text));
                self.error(span, message, "write it as `NET_ADMIN`, or `ALL` for all of them");
            }
            list.push(name.to_owned());
        }
        list.sort();
        list.dedup();
        list
    }

    fn ulimits(&self, raw: Option<&Entries<Short<i64, RawUlimit>>>) -> Vec<Ulimit> {
        let mut list = Vec::new();
        for (span, name, field) in raw.into_iter().flat_map(Entries::iter) {
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase()) {
                let message = format!("`{}` is not the name of a limit", shorten(name));
                self.error(span, message, "use a name such as `nofile`, `nproc` or `memlock`");
            }
            let Some((span, limit)) = field.located() else { continue };
            let (soft, hard) = match limit {
                Short::Short(limit) => (*limit, *limit),
                Short::Full(RawUlimit { soft, hard }) => match (soft.get(), hard.get()) {
                    (Some(soft), Some(hard)) => (*soft, *hard),
                    _ => continue,
                },
            };
            let unlimited = |limit: i64| if limit == -1 { i64::MAX } else { limit };
            if soft < -1 || hard < -1 {
                self.error(span, "a limit may not be negative", "use a number from 0, or -1 for no limit");
            } else if unlimited(soft) > unlimited(hard) {
                self.error(span, "the soft limit is above the hard one", "make `soft` at most `hard`");
            }
            list.push(Ulimit { name: name.to_owned(), soft, hard });
        }
        list.sort();
        list
    }

    fn size(&self, size: Option<(Span, u64)>, least: u64) -> Option<u64> {
        let (span, size) = size?;
        if size < least {
            let help =
                if least > 1 { "use at least `6m`, or leave the key out for no limit" } else { "leave the key out" };
            self.error(span, format!("{size} bytes are too few"), help);
        }
        Some(size)
    }

    fn gpus(&self, raw: Option<&Field<OneOrList<GpuCount, String>>>) -> Option<Gpus> {
        let (span, raw) = raw.and_then(Field::located)?;
        match raw {
            OneOrList::One(count) => Some(count.0.clone()),
            OneOrList::List(ids) => {
                if ids.is_empty() {
                    self.error(span, "no graphics processor is listed", "list their ids, or leave the key out");
                }
                let id = |field| self.text(Some(field), |id| not_empty(id, "a graphics processor"));
                Some(Gpus::Ids(ids.iter().filter_map(id).collect()))
            }
        }
    }

    /// Lines of `/etc/hosts` as `NAME:ADDRESS`.
    fn extra_hosts(&self, raw: Option<&Field<Pairs>>) -> Vec<String> {
        let pairs: Vec<(Span, String, Option<&RawText>)> = match given(raw) {
            None => Vec::new(),
            Some(Pairs::Map(entries)) => {
                let pairs = entries.iter().filter_map(|(span, name, field)| Some((span, name, field.get()?.as_ref())));
                pairs.map(|(span, name, value)| (span, name.to_owned(), value)).collect()
            }
            Some(Pairs::List(list)) => {
                list.iter().filter_map(Field::located).map(|(span, text)| (span, String::new(), Some(text))).collect()
            }
        };
        let help = "write it as `NAME:ADDRESS`, with an address or `host-gateway`";
        let mut lines = Vec::new();
        for (span, name, value) in pairs {
            let text = value.map_or("", |value| value.0.reveal());
            if text.contains(HOST_REFERENCE) || text.contains(SERVICE_REFERENCE) {
                self.references(span, text);
                continue;
            }
            if value.is_some_and(|value| value.0.is_sensitive()) {
                self.error(span, "a sensitive value may not stand here", help);
                continue;
            }
            let split = text.find(['=', ':']).map(|at| (&text[..at], &text[at + 1..]));
            let (name, address) = match (name.as_str(), split) {
                ("", Some(split)) => split,
                (name, _) => (name, text),
            };
            let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
            if name.is_empty() || (bare != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err()) {
                self.error(span, format!("`{}` is no line of `/etc/hosts`", shorten(text)), help);
            }
            lines.push(format!("{name}:{bare}"));
        }
        lines
    }

    fn engine_restart(&self, raw: &RawDocker, kind: Option<Kind>) -> RestartRule {
        let is_job = kind == Some(Kind::Job);
        let Some((span, rule)) = raw.restart.as_ref().and_then(Field::located) else {
            return if is_job { RestartRule::No } else { RestartRule::UnlessStopped };
        };
        if is_job && matches!(rule.0, RestartRule::Always | RestartRule::UnlessStopped) {
            let help =
                "use `on-failure` to try again after a failure, or `kind: permanent` for what should keep running";
            self.error(span, format!("a job runs to completion and may not restart `{}`", rule.0), help);
        }
        rule.0
    }
}

fn not_empty(text: &str, what: &str) -> Result<(), (String, &'static str)> {
    if text.is_empty() { Err((format!("{what} has no name"), "name one, or leave the key out")) } else { Ok(()) }
}

/// A path inside the container.
fn absolute_inside(path: &str) -> Result<(), (String, &'static str)> {
    if path.starts_with('/') {
        return Ok(());
    }
    let help = "start it with `/`; the container knows no folder that it could be relative to";
    Err((format!("`{}` is not an absolute path in the container", shorten(path)), help))
}

fn host_name(name: &str) -> Result<(), (String, &'static str)> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !name.is_empty() && name.len() <= 63 && name.chars().all(known) && !name.starts_with(['-', '.']) {
        return Ok(());
    }
    let help = "a name has letters, digits, `-`, `.` and `_`, at most 63";
    Err((format!("`{}` is not a host name", shorten(name)), help))
}

/// A name as the engine takes it for containers and volumes.
fn engine_name(name: &str, what: &str) -> Result<(), (String, &'static str)> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if name.len() >= 2 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(known) {
        return Ok(());
    }
    let help = "a name has two or more letters, digits, `_`, `-` and `.`, and starts with a letter or digit";
    Err((format!("`{}` cannot be the name of {what}", shorten(name)), help))
}
