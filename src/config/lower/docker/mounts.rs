//! Volumes, folders and folders in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::disk::Found;
use super::{Lowering, absolute_inside, engine_name};
use crate::config::diagnostic::{Diagnostic, shorten};
use crate::config::field::{Field, OneOrMany, Short, given};
use crate::config::interpolate::absolute;
use crate::config::raw::{AnyMount, RawDocker, RawMount};
use crate::config::source::Span;
use crate::model::{Mount, MountSource};

impl Lowering<'_> {
    /// The volumes, sorted by where they are in the container, and the folders in memory. Whether a bind
    /// is there is looked at for an engine of this machine.
    pub(super) fn mounts(
        &self,
        raw: &RawDocker,
        active: bool,
        usual_engine: bool,
    ) -> (Vec<Mount>, BTreeMap<String, String>) {
        let is_local = usual_engine && self.scope.peek("DOCKER_HOST").is_none_or(|host| host.starts_with("unix://"));
        let mut targets: BTreeMap<String, Span> = BTreeMap::new();
        let mut once = |span: Span, target: &str| {
            if let Some(first) = targets.insert(target.to_owned(), span) {
                let message = format!("two volumes are at `{}`", shorten(target));
                let problem = Diagnostic::error("config::duplicate", message).label(span, "again");
                self.report.push(problem.label(first, "first").help("give one of them another path"));
            }
        };
        let mut mounts = Vec::new();
        for field in given(raw.volumes.as_ref()).into_iter().flatten() {
            let Some((span, mount)) = self.mount(field) else { continue };
            if let (MountSource::Bind(path), true) = (&mount.source, active && is_local) {
                self.look_for_bind(span, path);
            }
            once(span, &mount.target);
            mounts.push(mount);
        }
        mounts.sort_by(|a, b| a.target.cmp(&b.target));
        let mut tmpfs = BTreeMap::new();
        let list = given(raw.tmpfs.as_ref()).map_or(&[][..], |OneOrMany(list)| list);
        for (span, text) in list.iter().filter_map(Field::located) {
            let (target, options) = text.split_once(':').unwrap_or((text, ""));
            if let Err((message, help)) = absolute_inside(target) {
                self.error(span, message, help);
            }
            once(span, target);
            tmpfs.insert(target.to_owned(), options.to_owned());
        }
        (mounts, tmpfs)
    }

    fn mount(&self, field: &AnyMount) -> Option<(Span, Mount)> {
        let (span, raw) = field.located()?;
        let (source, target, read_only) = match raw {
            Short::Short(text) => {
                let source = match &text.source {
                    None => MountSource::Anonymous,
                    Some(source) if source.starts_with(['.', '/', '~']) => MountSource::Bind(self.path(span, source)?),
                    Some(name) => self.volume(span, name, false),
                };
                (source, text.target.clone(), text.read_only)
            }
            Short::Full(RawMount::Bind(raw)) => {
                let (span, source) = raw.source.located()?;
                let source = MountSource::Bind(self.path(span, source)?);
                let read_only = given(raw.read_only.as_ref()).copied().unwrap_or(false);
                (source, self.text(Some(&raw.target), absolute_inside)?, read_only)
            }
            Short::Full(RawMount::Volume(raw)) => {
                let external = given(raw.external.as_ref()).copied().unwrap_or(false);
                let read_only = given(raw.read_only.as_ref()).copied().unwrap_or(false);
                let source = match raw.source.as_ref().map(Field::located) {
                    Some(source) => source.map(|(span, name)| self.volume(span, name, external))?,
                    None => {
                        if external || read_only {
                            let message = "a volume without a name is new and empty for each container";
                            self.error(span, message, "name it with `source`, or take `external` and `read_only` away");
                        }
                        MountSource::Anonymous
                    }
                };
                (source, self.text(Some(&raw.target), absolute_inside)?, read_only)
            }
        };
        Some((span, Mount { source, target, read_only }))
    }

    fn volume(&self, span: Span, name: &str, external: bool) -> MountSource {
        if let Err((message, help)) = engine_name(name, "a volume") {
            self.error(span, message, format!("{help}; a folder starts with `./`, `/` or `~/`"));
        }
        MountSource::Volume { name: name.to_owned(), external }
    }

    /// A path relative to the file that names it, or to the home folder.
    pub(in crate::config::lower) fn path(&self, span: Span, text: &str) -> Option<PathBuf> {
        self.no_nul(span, text);
        if text.is_empty() {
            self.error(span, "the path is empty", "name a file or folder");
        }
        match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                let (home, _) = self.scope.environment("HOME", span)?;
                Some(absolute(home.as_ref().as_ref(), rest.trim_start_matches('/')))
            }
            Some(_) => {
                let message = format!("`{}` is in the home folder of another user", shorten(text));
                self.error(span, message, "write the whole path, or `./~...` for a file of that name");
                None
            }
            None => Some(absolute(self.sources.folder(span), text)),
        }
    }

    fn look_for_bind(&self, span: Span, path: &std::path::Path) {
        if self.disk.look(path) == Found::Missing {
            let message =
                format!("`{}`, which the container is to see, does not exist", shorten(&path.display().to_string()));
            self.warn(
                span,
                "config::missing_file",
                message,
                "make it before `orch apply` needs it, or correct the path",
            );
        }
    }
}
