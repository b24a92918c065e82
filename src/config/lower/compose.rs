//! What runs a service: the Compose backend's keys.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Lowering, Slot};
use crate::config::diagnostic::shorten;
use crate::config::field::{Field, OneOrMany, given};
use crate::config::raw::RawCompose;
use crate::config::source::Span;
use crate::model::{CheckPolicy, ComposeSpec, HealthCheck, Probe};

impl Lowering<'_> {
    /// A Compose project; `None` when it names no file. `service` is its own name and place, `timeout` what it
    /// has where nothing is said of how long it may take to be well.
    pub(super) fn compose(
        &self,
        raw: &RawCompose,
        (service, span): (&str, Span),
        timeout: Duration,
        active: bool,
        slots: &mut Vec<Slot>,
    ) -> Option<ComposeSpec> {
        let project_name = match raw.project_name.as_ref().and_then(Field::located) {
            Some((span, name)) => {
                self.compose_name(span, name);
                slots.push(Slot::compose(span, name.clone()));
                name.clone()
            }
            None => {
                let name = usual_name(self.project.as_str(), service);
                slots.push(Slot::compose(span, name.clone()));
                name
            }
        };
        let files = self.compose_files(Some(&raw.files), active);
        if let (Some((span, list)), true) = (raw.files.located(), files.is_empty())
            && list.0.is_empty()
        {
            self.error(span, "no Compose file is named", "name at least one, such as `docker-compose.yml`");
        }
        let flag = |field: &Option<Field<bool>>| given(field.as_ref()).copied();
        let services = self.compose_services(raw.services.as_ref());
        let gate = self.compose_services(raw.gate.as_ref());
        let mut profiles = self.compose_services(raw.profiles.as_ref());
        profiles.sort();
        let env = self.interpolated(raw.env.as_ref(), active);
        let folder = files.first()?.parent().unwrap_or(Path::new("/")).to_owned();
        Some(ComposeSpec {
            files,
            folder,
            project_name,
            profiles,
            env_files: self.compose_files(raw.env_file.as_ref(), active),
            env,
            build: self.build.or(flag(&raw.build)),
            pull: given(raw.pull.as_ref()).copied(),
            services,
            gate,
            remove_orphans: flag(&raw.remove_orphans).unwrap_or(true),
            remove_volumes: flag(&raw.remove_volumes).unwrap_or(false),
            wait_timeout: given(raw.wait_timeout.as_ref()).map_or(timeout, |period| period.0),
            settle: Duration::ZERO,
            rendered: None,
        })
    }

    /// The check that a Compose project always has: that its services are well. What the file says of it goes
    /// before what is usual.
    pub(super) fn compose_check(&self, spec: &ComposeSpec, checks: &mut Vec<HealthCheck>) {
        match checks.iter_mut().find(|check| check.probe == Probe::Backend) {
            Some(check) => check.policy.deadline = check.policy.deadline.or(Some(spec.wait_timeout)),
            None => {
                let policy = CheckPolicy {
                    start_period: spec.wait_timeout,
                    deadline: Some(spec.wait_timeout),
                    ..CheckPolicy::default()
                };
                checks.insert(0, HealthCheck { probe: Probe::Backend, policy });
            }
        }
    }

    fn compose_name(&self, span: Span, name: &str) {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(known) || name.starts_with(['-', '_']) {
            let message = format!("`{}` cannot be the name of a Compose project", shorten(name));
            let help = "a name has lower-case letters, digits, `-` and `_`, and starts with a letter or digit";
            self.error(span, message, help);
        }
    }

    /// Files, which become inputs of a plan: whoever reviewed it reviewed what is in them.
    fn compose_files(&self, field: Option<&Field<OneOrMany<String>>>, active: bool) -> Vec<PathBuf> {
        let list = given(field).map_or(&[][..], |OneOrMany(list)| list);
        let file = |(span, text): (Span, &String)| {
            let path = self.path(span, text)?;
            if active {
                match self.disk.sha256(&path) {
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        let message = format!("the file `{}` does not exist", shorten(text));
                        self.warn(span, "config::missing_file", message, "make it, or correct the path");
                    }
                    Err(reason) => {
                        let message = format!("the file `{}` cannot be read: {reason}", shorten(text));
                        self.error(span, message, "name a file that this user can read");
                    }
                }
            }
            Some(path)
        };
        list.iter().filter_map(Field::located).filter_map(file).collect()
    }

    /// Names of services or profiles of a Compose file, sorted.
    fn compose_services(&self, field: Option<&Field<Vec<Field<String>>>>) -> Vec<String> {
        let mut names = Vec::new();
        for (span, name) in given(field).into_iter().flatten().filter_map(Field::located) {
            let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            if name.is_empty() || !name.chars().all(known) || name.starts_with('-') {
                let message = format!("`{}` is no name that a Compose file can have", shorten(name));
                self.error(span, message, "a name has letters, digits, `.`, `_` and `-`");
            }
            names.push(name.clone());
        }
        names.sort();
        names.dedup();
        names
    }
}

/// The name of a project that is not given one: Compose takes no capital letters and no dots.
fn usual_name(project: &str, service: &str) -> String {
    let known =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c.to_ascii_lowercase() } else { '-' };
    let name: String = format!("{project}-{service}").chars().map(known).collect();
    name.trim_start_matches(['-', '_']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_a_name_that_compose_takes() {
        assert_eq!(usual_name("Shop.2", "Data_Stack"), "shop-2-data_stack");
        assert_eq!(usual_name("_x", "a"), "x-a");
    }
}
