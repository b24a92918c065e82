//! What runs a service: a program on a host.

use super::Lowering;
use super::backend::{stop_signal, stop_timeout};
use crate::config::diagnostic::shorten;
use crate::config::field::{Entries, Field, RawText, given};
use crate::config::interpolate::absolute;
use crate::config::raw::RawSsh;
use crate::config::source::Span;
use crate::model::{Digest, Kind, Place, RemoteSpec, Text, Upload};

impl Lowering<'_> {
    /// A program on a host, its place still this machine and its ports still empty; `None` when its name is
    /// wrong.
    pub(super) fn ssh(&self, raw: &RawSsh, kind: Option<Kind>, active: bool) -> Option<RemoteSpec> {
        let upload = raw.upload.as_ref().and_then(Field::located).map(|(span, path)| self.upload(span, path, active));
        let env = self.host_env(raw.env.as_ref());
        let working_dir = raw.working_dir.as_ref().and_then(Field::located).map(|(span, dir)| {
            self.host_path(span, dir);
            dir.clone()
        });
        let user = self.user_name(raw.run_as.as_ref());
        let restart = self.restart(raw.restart.as_ref(), kind);
        let args = self.texts(raw.args.as_ref());
        let (span, binary) = raw.binary.located()?;
        let binary = self.program_on_host(span, binary);
        if upload.is_some() {
            for (on, path) in self.filled(&binary) {
                let path = path.reveal();
                if !path.starts_with('/') || normal(path).as_deref() != Some(path) {
                    let message =
                        format!("`{}` is no path that a file can be uploaded to{on}", shorten(binary.shown()));
                    self.error(span, message, "write the absolute path that it gets there, without `.` and `..`");
                    break;
                }
            }
        }
        Some(RemoteSpec {
            upload,
            args,
            env,
            working_dir,
            user,
            stop_signal: stop_signal(raw.stop_signal.as_ref()),
            stop_timeout: stop_timeout(raw.stop_timeout.as_ref()),
            restart,
            ..RemoteSpec::new(Place::Here, binary)
        })
    }

    fn upload(&self, span: Span, text: &str, active: bool) -> Upload {
        self.no_nul(span, text);
        let path = absolute(self.sources.folder(span), text);
        let content = if active { self.file_digest(span, text, "the file to upload") } else { None };
        Upload { path, content }
    }

    /// The SHA-256 of a file that goes to a host; where it does not exist yet, a warning.
    pub(super) fn file_digest(&self, span: Span, text: &str, what: &str) -> Option<Digest> {
        match self.disk.sha256(&absolute(self.sources.folder(span), text)) {
            Ok(None) => {
                let message = format!("{what}, `{}`, does not exist", shorten(text));
                let help = "make it before `orch plan`, which needs its content, or correct the path";
                self.warn(span, "config::missing_file", message, help);
                None
            }
            Ok(digest) => digest,
            Err(reason) => {
                let message = format!("{what}, `{}`, cannot be read: {reason}", shorten(text));
                self.error(span, message, "name a file that this user can read");
                None
            }
        }
    }

    /// A program of a host, which has folders of its own: an absolute path or a bare name.
    pub(super) fn program_on_host(&self, span: Span, text: &RawText) -> Text {
        self.no_nul(span, text.0.reveal());
        for (on, filled) in self.filled(&text.0) {
            let value = filled.reveal();
            if value.is_empty() {
                self.error(span, format!("the program has no name{on}"), "name a program of the host");
            } else if value.contains('/') && !value.starts_with('/') {
                let message = format!("`{}` is no path of the host{on}", shorten(text.0.shown()));
                self.error(span, message, "write an absolute path, or a bare name that is looked up in `PATH` there");
            } else {
                continue;
            }
            break;
        }
        text.0.clone()
    }

    /// Checks an absolute path of a host that stands on a line by itself.
    pub(super) fn host_path(&self, span: Span, path: &str) {
        self.one_line(span, path);
        if !path.starts_with('/') {
            let message = format!("`{}` is no absolute path", shorten(path));
            self.error(span, message, "write the whole path on the host, from `/`");
        } else if path.split('/').any(|part| part == "..") {
            self.error(span, "a path of a host may not go up with `..`", "write where it leads");
        }
    }

    /// The environment of a service of systemd, which drops names that a shell would not take.
    pub(super) fn host_env(&self, raw: Option<&Field<Entries<RawText>>>) -> std::collections::BTreeMap<String, Text> {
        for (span, name, _) in given(raw).into_iter().flat_map(Entries::iter) {
            let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let is_name = name.chars().all(part) && !name.starts_with(|c: char| c.is_ascii_digit());
            // What no environment can have is said by `env`.
            if !is_name && !name.is_empty() && !name.contains(['=', '\0']) {
                let message = format!("systemd takes no environment variable `{}`", shorten(name));
                self.error(span, message, "use letters, digits and `_`, and do not start with a digit");
            }
        }
        self.env(raw)
    }

    /// Checks a text that becomes one line of a file: nothing in it may begin another one.
    pub(super) fn one_line(&self, span: Span, text: &str) {
        if let Some(c) = text.chars().find(|c| c.is_control() && *c != '\t') {
            let message = format!("the character {c:?} may not stand here");
            self.error(span, message, "write the value on one line; `>-` makes one of several");
        }
    }
}

/// An absolute path without empty parts, `.` and a `/` at its end; `None` where it has `..`.
pub(super) fn normal(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.contains(&"..")).then(|| format!("/{}", parts.join("/")))
}
