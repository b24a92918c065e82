//! What runs a service: the process backend's keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Lowering, disk::Found};
use crate::config::diagnostic::shorten;
use crate::config::field::{Entries, Field, RawText, Short, given};
use crate::config::interpolate::absolute;
use crate::config::raw::{Delay, RawLog, RawProcess, RawRestart, Signal};
use crate::config::secret::{mark_named, mark_url};
use crate::config::source::Span;
use crate::model::{Kind, LogPolicy, ProcessSpec, RestartMode, RestartPolicy, StopSignal, Text};

/// How long a process may take to stop where the file does not say; as Compose.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The signal that asks a program to stop.
pub(super) fn stop_signal(raw: Option<&Field<Signal>>) -> StopSignal {
    given(raw).map_or(StopSignal::default(), |signal| signal.0)
}

/// How long a program may take to stop.
pub(super) fn stop_timeout(raw: Option<&Field<Delay>>) -> Duration {
    given(raw).map_or(STOP_TIMEOUT, |delay| delay.0)
}

impl Lowering<'_> {
    /// A process; `None` when a part that it cannot do without is wrong. `warn` is off for a service
    /// that the active profiles leave out.
    pub(super) fn process(&self, raw: &RawProcess, kind: Option<Kind>, warn: bool) -> Option<ProcessSpec> {
        let env = self.env(raw.env.as_ref());
        let working_dir = self.working_dir(raw, warn);
        let binary = raw.binary.located().map(|(span, text)| (span, self.program(span, text)));
        if let (true, Some((span, program))) = (warn, &binary) {
            self.look_for(*span, program, env.get("PATH").map(Text::reveal));
        }
        if let (true, Some((span, user))) = (warn, raw.user.as_ref().and_then(Field::located)) {
            self.user(span, user);
        }
        Some(ProcessSpec {
            binary: binary?.1,
            args: self.texts(raw.args.as_ref()),
            env,
            working_dir,
            user: given(raw.user.as_ref()).cloned(),
            ports: Vec::new(),
            stop_signal: stop_signal(raw.stop_signal.as_ref()),
            stop_timeout: stop_timeout(raw.stop_timeout.as_ref()),
            log: self.log(given(raw.log.as_ref())),
            restart: self.restart(raw.restart.as_ref(), kind),
        })
    }

    /// A program: a path is relative to the file that names it, a bare name stays as it is.
    pub(super) fn program(&self, span: Span, text: &RawText) -> Text {
        let value = text.0.reveal();
        self.no_nul(span, value);
        if value.is_empty() {
            self.error(span, "the program has no name", "name a file, or a program in `PATH`");
        }
        if !value.contains('/') {
            return text.0.clone();
        }
        let path = absolute(self.sources.folder(span), value).display().to_string();
        if text.0.is_sensitive() { Text::sensitive(path) } else { Text::plain(path) }
    }

    /// A program of a container, which has folders of its own.
    pub(super) fn program_inside(&self, span: Span, text: &RawText) -> Text {
        self.no_nul(span, text.0.reveal());
        if text.0.reveal().is_empty() {
            self.error(span, "the program has no name", "name a program of the container");
        }
        text.0.clone()
    }

    /// Warns when a program is not there; it may be made before it is needed.
    pub(super) fn look_for(&self, span: Span, program: &Text, own_path: Option<&str>) {
        let name = program.reveal();
        let wrong = if !name.contains('/') {
            (!name.is_empty() && !self.disk.has_program(name, own_path)).then_some("is not in `PATH`")
        } else {
            match self.disk.look(Path::new(name)) {
                Found::Program => None,
                Found::Missing => Some("does not exist"),
                Found::Folder => Some("is a folder"),
                Found::File => Some("may not be run"),
            }
        };
        if let Some(wrong) = wrong {
            let message = format!("the program `{}` {wrong}", shorten(program.shown()));
            self.warn(
                span,
                "config::missing_binary",
                message,
                "make it before `orch apply` needs it, or correct the path",
            );
        }
    }

    fn user(&self, span: Span, user: &str) {
        if user.is_empty() {
            self.error(span, "the user has no name", "name a user of this machine, or leave the key out");
        } else if !rustix::process::geteuid().is_root() {
            let message = format!("running as the user `{}` needs root", shorten(user));
            self.warn(span, "config::user", message, "apply as root, or leave `user` out");
        }
    }

    /// Checks what holds for every text: no NUL, and nothing of a host that is not known.
    pub(super) fn no_nul(&self, span: Span, value: &str) {
        self.references(span, value);
        if value.contains('\0') {
            self.error(
                span,
                "a NUL character may not stand here",
                "the operating system ends the text there; take it out",
            );
        }
    }

    /// A list of texts for a command line.
    pub(super) fn texts(&self, raw: Option<&Field<Vec<Field<RawText>>>>) -> Vec<Text> {
        self.text_list(given(raw).map_or(&[], Vec::as_slice))
    }

    pub(super) fn text_list(&self, list: &[Field<RawText>]) -> Vec<Text> {
        let texts = list.iter().filter_map(Field::located).map(|(span, text)| {
            self.no_nul(span, text.0.reveal());
            mark_url(text.0.clone())
        });
        texts.collect()
    }

    pub(super) fn env(&self, raw: Option<&Field<Entries<RawText>>>) -> BTreeMap<String, Text> {
        let mut env = BTreeMap::new();
        for (span, name, field) in given(raw).into_iter().flat_map(Entries::iter) {
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("`{}` cannot be the name of an environment variable", shorten(name));
                self.error(span, message, "a name is not empty and holds neither `=` nor NUL");
            }
            if let Some((span, text)) = field.located() {
                self.no_nul(span, text.0.reveal());
                env.insert(name.to_owned(), mark_named(name, text.0.clone()));
            }
        }
        env
    }

    fn working_dir(&self, raw: &RawProcess, warn: bool) -> PathBuf {
        let Some((span, dir)) = raw.working_dir.as_ref().and_then(Field::located) else {
            return self.sources.folder(raw.binary.span).to_owned();
        };
        self.no_nul(span, dir);
        let path = absolute(self.sources.folder(span), dir);
        if warn && self.disk.look(&path) != Found::Folder {
            let message = format!("the folder `{}` does not exist", shorten(dir));
            self.warn(span, "config::missing_folder", message, "make it before `orch apply` needs it");
        }
        path
    }

    fn log(&self, raw: Option<&RawLog>) -> LogPolicy {
        let usual = LogPolicy::default();
        let Some(raw) = raw else { return usual };
        if let Some((span, size)) = raw.max_size.as_ref().and_then(Field::located)
            && size.0 < 1024
        {
            self.error(span, format!("a log file of {} bytes is too small", size.0), "use at least 1024 bytes");
        }
        LogPolicy {
            max_size: given(raw.max_size.as_ref()).map_or(usual.max_size, |size| size.0),
            keep: self.in_range(raw.keep.as_ref(), 0..=1000, usual.keep),
        }
    }

    pub(super) fn restart(
        &self,
        raw: Option<&Field<Short<RestartMode, RawRestart>>>,
        kind: Option<Kind>,
    ) -> RestartPolicy {
        let is_job = kind == Some(Kind::Job);
        let mode = if is_job { RestartMode::Never } else { RestartMode::OnFailure };
        let usual = RestartPolicy { mode, ..RestartPolicy::default() };
        let Some((span, raw)) = raw.and_then(Field::located) else { return usual };
        let (mode_span, policy) = match raw {
            Short::Short(mode) => (span, RestartPolicy { mode: *mode, ..usual }),
            Short::Full(raw) => {
                (raw.policy.as_ref().map_or(span, |policy| policy.span), self.restart_in_full(raw, usual))
            }
        };
        if is_job && policy.mode == RestartMode::Always {
            let help =
                "use `on-failure` to try again after a failure, or `kind: permanent` for what should keep running";
            self.error(mode_span, "a job runs to completion and may not restart always", help);
        }
        policy
    }

    fn restart_in_full(&self, raw: &RawRestart, usual: RestartPolicy) -> RestartPolicy {
        let delay = given(raw.delay.as_ref()).map_or(usual.delay, |delay| delay.0);
        let max_delay = given(raw.max_delay.as_ref()).map_or(usual.max_delay.max(delay), |delay| delay.0);
        if let (true, Some(field)) = (max_delay < delay, &raw.max_delay) {
            self.error(
                field.span,
                "the longest wait is shorter than the first one",
                "make `max_delay` at least `delay`",
            );
        }
        RestartPolicy {
            mode: given(raw.policy.as_ref()).copied().unwrap_or(usual.mode),
            delay,
            max_delay,
            max_restarts: given(raw.max_restarts.as_ref()).copied().unwrap_or(usual.max_restarts),
            reset_after: given(raw.reset_after.as_ref()).map_or(usual.reset_after, |period| period.0),
        }
    }
}
