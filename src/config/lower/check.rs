//! Health checks: probes and when they count.

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

use super::{Lowering, disk::Found, docker};
use crate::config::diagnostic::{Diagnostic, shorten};
use crate::config::field::{Entries, Field, OneOrMany, RawText, Short, given};
use crate::config::interpolate::absolute;
use crate::config::raw::{RawBackendCheck, RawBody, RawCheck};
use crate::config::secret::{mark_named, mark_url};
use crate::config::source::Span;
use crate::model::{
    BackendKind, BodyMatch, CheckPolicy, EngineCheck, HealthCheck, Probe, SERVICE_REFERENCE, StatusMatch, Text,
};

/// A check, and what it says about its service.
pub(super) struct Lowered {
    /// What orch probes; `None` for a check that only turns the image's off.
    pub(super) check: Option<HealthCheck>,
    /// The local port that it probes, with its place.
    pub(super) local_port: Option<(Span, u16)>,
    /// What the engine runs inside the container.
    pub(super) engine: Option<EngineCheck>,
}

/// Whether a check only turns the image's own check off.
pub(super) fn turns_off(raw: &RawCheck) -> bool {
    let RawCheck::Backend(raw) = raw else { return false };
    given(raw.test.as_ref()).is_some_and(docker::is_none)
}

impl Lowering<'_> {
    /// A check; `None` when a part that it cannot do without is wrong. Without a backend, which then was
    /// wrong, nothing is said that depends on it.
    pub(super) fn check(&self, raw: &RawCheck, backend: Option<BackendKind>, warn: bool) -> Option<Lowered> {
        let policy = self.policy(raw);
        let inside = backend == Some(BackendKind::Docker);
        let (mut local_port, mut engine) = (None, None);
        let probe = match raw {
            RawCheck::Http(raw) => {
                let url = raw.url.located().map(|(span, url)| (span, mark_url(url.0.clone())));
                if let Some((span, url)) = &url {
                    local_port = self.url(*span, url).map(|port| (*span, port));
                }
                Probe::Http {
                    expected_status: self.status(raw.expected_status.as_ref()),
                    body: self.body(raw.body.as_ref()),
                    headers: self.headers(given(raw.headers.as_ref())),
                    url: url?.1,
                }
            }
            RawCheck::Tcp(raw) => {
                let host = match raw.host.as_ref().and_then(Field::located) {
                    Some((span, text)) => self.tcp_host(span, &text.0),
                    None => "localhost",
                };
                let (span, port) = raw.port.located()?;
                if *port == 0 {
                    self.error(span, "nothing listens on port 0", "use a port from 1 to 65535");
                }
                local_port = is_local(host).then_some((span, *port));
                Probe::Tcp { host: host.to_owned(), port: *port }
            }
            RawCheck::Command(raw) => {
                let args = self.texts(raw.args.as_ref());
                let (span, command) = raw.command.located()?;
                // A container and a host have programs and folders of their own.
                let elsewhere = self.target.is_elsewhere();
                let command = if inside {
                    self.program_inside(span, command)
                } else if elsewhere {
                    self.program_on_host(span, command)
                } else {
                    self.program(span, command)
                };
                if warn && !inside && !elsewhere && backend.is_some() {
                    self.look_for(span, &command, None);
                }
                let expected_exit_code = given(raw.expected_exit_code.as_ref()).copied().unwrap_or(0).into();
                Probe::Command { command, args, expected_exit_code }
            }
            RawCheck::Script(raw) => {
                let (span, path) = raw.path.located()?;
                let absolute = absolute(self.sources.folder(span), path);
                let wrong = match self.disk.look(&absolute) {
                    Found::Program => None,
                    Found::Missing => Some("does not exist"),
                    Found::Folder => Some("is a folder"),
                    Found::File => Some("may not be run"),
                };
                if let (true, Some(wrong)) = (warn, wrong) {
                    let message = format!("the script `{}` {wrong}", shorten(path));
                    self.warn(span, "config::missing_script", message, "make it, and set its mode with `chmod +x`");
                }
                Probe::Script { path: absolute }
            }
            RawCheck::Backend(raw) => {
                engine = self.engine_test(raw, policy, backend);
                Probe::Backend
            }
        };
        let check = (!turns_off(raw)).then_some(HealthCheck { probe, policy });
        Some(Lowered { check, local_port, engine })
    }

    /// Checks the host of a TCP check.
    fn tcp_host<'t>(&self, span: Span, text: &'t Text) -> &'t str {
        self.no_nul(span, text.reveal());
        if text.is_sensitive() {
            let problem = Diagnostic::error("config::sensitive", "a sensitive value may not stand here").at(span);
            self.report.push(problem.help("a host is shown in plans; write it out"));
            return "localhost";
        }
        let wrong = self.filled(text).into_iter().find(|(_, host)| !is_host(host.reveal()));
        if let Some((on, host)) = wrong {
            let message = format!("`{}` is not a host name or address{on}", shorten(host.reveal()));
            self.error(span, message, "write it without scheme and port, such as `localhost` or `10.0.0.1`");
        }
        text.reveal()
    }

    fn engine_test(
        &self,
        raw: &RawBackendCheck,
        policy: CheckPolicy,
        backend: Option<BackendKind>,
    ) -> Option<EngineCheck> {
        let field = raw.test.as_ref()?;
        match backend {
            Some(BackendKind::Docker) => self.engine_check(field, policy),
            Some(_) => {
                let help = "take `test` away, or use a check of `type: command`";
                self.error(field.span, "only a container's engine runs a test", help);
                None
            }
            None => None,
        }
    }

    /// One of two spellings of a key.
    fn spelling<'f, T>(&self, [usual, other]: [Option<&'f Field<T>>; 2]) -> Option<&'f T> {
        if let (Some(first), Some(again)) = (usual, other) {
            let problem = Diagnostic::error("config::duplicate_key", "two spellings of one key are given");
            let problem = problem.label(again.span, "this is the same").label(first.span, "as this");
            self.report.push(problem.help("keep one of the two"));
        }
        given(usual.or(other))
    }

    fn policy(&self, raw: &RawCheck) -> CheckPolicy {
        let common = raw.common();
        let usual = CheckPolicy::default();
        CheckPolicy {
            interval: self.spelling(common.interval).map_or(usual.interval, |period| period.0),
            timeout: self.spelling(common.timeout).map_or(usual.timeout, |period| period.0),
            retries: self.in_range(common.retries, 0..=1_000_000, usual.retries),
            start_period: self.spelling(common.start_period).map_or(usual.start_period, |delay| delay.0),
            success_threshold: self.in_range(common.success_threshold, 1..=1000, usual.success_threshold),
            deadline: self.spelling(common.deadline).map(|period| period.0),
        }
    }

    /// Checks a URL as it is on each host of the service; its port when its host is this machine.
    fn url(&self, span: Span, url: &Text) -> Option<u16> {
        self.references(span, url.reveal());
        let mut port = None;
        for (on, filled) in self.filled(url) {
            port = self.url_on(span, &filled, &on)?;
        }
        // What a reference stands for is not known yet.
        port.filter(|_| !url.reveal().contains(SERVICE_REFERENCE))
    }

    /// Checks a URL; `None` when it is wrong.
    fn url_on(&self, span: Span, url: &Text, on: &str) -> Option<Option<u16>> {
        let help = "write it as `http://HOST:PORT/PATH` or `https://...`";
        let shown = format!("{}`{on}", shorten(url.shown()));
        let Ok(uri) = url.reveal().parse::<Uri>() else {
            self.error(span, format!("`{shown} is not a URL"), help);
            return None;
        };
        let usual = match uri.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            Some(scheme) => {
                let message = format!("the scheme `{}` is neither `http` nor `https`", shorten(scheme));
                self.error(span, message, help);
                return None;
            }
            None => {
                self.error(span, format!("the URL `{shown} has no scheme"), help);
                return None;
            }
        };
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(usual);
        let bad_port = uri.authority().is_some_and(|authority| {
            let after_host = authority.as_str().rsplit('@').next().unwrap_or_default();
            after_host.strip_prefix(host).is_some_and(|rest| !rest.is_empty()) && uri.port_u16().is_none()
        });
        if host.is_empty() || bad_port || port == 0 {
            self.error(span, format!("the host or port of `{shown} is wrong"), help);
            return None;
        }
        Some(is_local(host.trim_start_matches('[').trim_end_matches(']')).then_some(port))
    }

    fn status(&self, raw: Option<&Field<OneOrMany<u16>>>) -> StatusMatch {
        let Some((span, OneOrMany(list))) = raw.and_then(Field::located) else { return StatusMatch::Success };
        if list.is_empty() {
            self.error(span, "no status is healthy", "list at least one status, or leave the key out for 200 to 299");
        }
        for (span, status) in
            list.iter().filter_map(Field::located).filter(|(_, status)| !(100..=599).contains(*status))
        {
            self.error(span, format!("{status} is not an HTTP status"), "use a number from 100 to 599");
        }
        StatusMatch::OneOf(list.iter().filter_map(Field::get).copied().collect())
    }

    fn body(&self, raw: Option<&Field<Short<String, RawBody>>>) -> Option<BodyMatch> {
        let (span, raw) = raw.and_then(Field::located)?;
        match raw {
            Short::Short(text) => Some(BodyMatch::Contains(text.clone())),
            Short::Full(RawBody { contains: Some(text), equals: None }) => text.get().cloned().map(BodyMatch::Contains),
            Short::Full(RawBody { contains: None, equals: Some(text) }) => text.get().cloned().map(BodyMatch::Equals),
            Short::Full(_) => {
                self.error(span, "the body is matched in one way", "give `contains` or `equals`, one of the two");
                None
            }
        }
    }

    fn headers(&self, raw: Option<&Entries<RawText>>) -> Vec<(String, Text)> {
        let mut headers = Vec::new();
        for (span, name, field) in raw.into_iter().flat_map(Entries::iter) {
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                let message = format!("`{}` cannot be the name of a header", shorten(name));
                self.error(span, message, "a name has letters, digits and `-`");
            }
            let Some((span, text)) = field.located() else { continue };
            self.references(span, text.0.reveal());
            if self.filled(&text.0).iter().any(|(_, text)| HeaderValue::from_str(text.reveal()).is_err()) {
                let message = "the value of a header is one line without control characters";
                self.error(span, message, "take the line break out; a file's last one is dropped by itself");
            }
            headers.push((name.to_owned(), mark_named(name, text.0.clone())));
        }
        headers
    }
}

pub(super) fn is_host(host: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    host.parse::<std::net::IpAddr>().is_ok() || (!host.is_empty() && host.len() <= 253 && host.chars().all(name))
}

/// Whether a host is this machine.
fn is_local(host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}
