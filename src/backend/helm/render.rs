//! What a chart comes to with its values, by `helm template`.
//!
//! It is always rendered as an upgrade and as the first revision, so that the same chart with the same values comes
//! to the same objects whenever it is asked; the cluster says which kinds it has, and answers to `lookup`.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::try_join;
use serde_json::Value;

use super::chance::is_left_to_chance;
use super::place::Place;
use super::storage::{self, Which};
use super::tool;
use super::{Inner, chart_of};
use crate::backend::BackendError;
use crate::backend::kube;
use crate::model::{Chart, HelmSpec, KubeObject, Rendered, ServiceName, Text, Values};

/// What stands for an object that is another one each time it is rendered: a password that the chart makes up.
const ANEW: &str = "(rendered anew each time)\n";
/// The shortest secret that is looked for within a line; a shorter one would be found everywhere.
const SHORTEST: usize = 4;

impl Inner {
    /// A release with what it comes to, and the cluster that it is for.
    pub(super) async fn rendered(&self, name: &ServiceName, spec: &HelmSpec) -> Result<HelmSpec, BackendError> {
        let mut spec = spec.clone();
        spec.cluster = self.kube.resolved(&spec.cluster).await?;
        let place = Place::of(&spec);
        let (version, now) = match &spec.chart {
            // Its newest version may be another one the next moment, so that it is asked first.
            Chart::Named(_) if !spec.version.as_deref().is_some_and(is_exact) => {
                let version = self.version(name, &spec).await?;
                spec.version = Some(version.clone()).filter(|version| !version.is_empty());
                (version, self.template(name, &spec, &place).await?)
            }
            _ => try_join(self.version(name, &spec), self.template(name, &spec, &place)).await?,
        };
        let (mut objects, mut hooks) = now;
        if is_left_to_chance(&spec) && !self.is_deployed(&place, &objects).await? {
            let (again, hooks_again) = self.template(name, &spec, &place).await?;
            settle(&mut objects, &again);
            settle(&mut hooks, &hooks_again);
        }
        let secrets = spec.secret_texts().into_iter().map(Text::reveal).collect::<Vec<_>>();
        objects.iter_mut().chain(&mut hooks).for_each(|object| hide(object, &secrets));
        spec.rendered = Some(Rendered { version, objects, hooks });
        Ok(spec)
    }

    async fn template(
        &self,
        name: &ServiceName,
        spec: &HelmSpec,
        place: &Place,
    ) -> Result<(Vec<KubeObject>, Vec<KubeObject>), BackendError> {
        let doing = format!("render the chart of {name}");
        let run = async |dry_run: &str| {
            let mut args = vec!["template".to_owned(), spec.release.clone(), chart_of(spec)];
            args.extend(tool::flags(&spec.cluster, &spec.namespace));
            args.extend(["--is-upgrade", "--skip-tests", dry_run].map(str::to_owned));
            args.extend(values_args(spec));
            self.helm.look(&args, Some(&values_line(spec))).await
        };
        let mut ended = run("--dry-run=server").await?;
        // The kinds that a chart brings along itself are not there before its first installation.
        if !ended.is_success()
            && ["no matches for kind", "ensure CRDs are installed"].iter().any(|it| ended.stderr.contains(it))
        {
            ended = run("--dry-run=client").await?;
        }
        let secrets: Vec<&str> = spec.secret_texts().into_iter().map(Text::reveal).collect();
        if !ended.is_success() {
            return Err(tool::refused(&doing, &ended, &secrets));
        }
        let objects = kube::objects(&ended.text(), &place.namespace)
            .map_err(|reason| BackendError::new(format!("cannot {doing}: what it renders is no manifest: {reason}")))?;
        Ok(objects.into_iter().partition(|object| !is_hook(object)))
    }

    /// The version of the chart; empty where nothing says it.
    async fn version(&self, name: &ServiceName, spec: &HelmSpec) -> Result<String, BackendError> {
        match (&spec.chart, &spec.version) {
            (Chart::Named(_), Some(version)) if is_exact(version) => Ok(version.clone()),
            (Chart::Local(path), _) if path.is_dir() => Ok(version_of(&read_chart(path))),
            _ => {
                let mut args = vec!["show".to_owned(), "chart".to_owned(), chart_of(spec)];
                args.extend(spec.version.iter().map(|version| format!("--version={version}")));
                let ended = self.helm.look(&args, None).await?;
                if !ended.is_success() {
                    return Err(tool::refused(&format!("look at the chart of {name}"), &ended, &[]));
                }
                Ok(version_of(&ended.text()))
            }
        }
    }

    /// Whether just these objects are deployed.
    async fn is_deployed(&self, place: &Place, objects: &[KubeObject]) -> Result<bool, BackendError> {
        let which = Which::Current(&place.release);
        let stored = storage::list(&self.kube, &place.cluster, Some(&place.namespace), which).await?;
        let Some(deployed) = stored.iter().rfind(|one| one.status == "deployed") else { return Ok(false) };
        Ok(deployed.content()?.objects(&place.namespace).is_ok_and(|deployed| deployed == objects))
    }
}

/// The arguments that give a release its values: the files, what comes on the standard input, and what may be shown.
pub(super) fn values_args(spec: &HelmSpec) -> Vec<String> {
    let mut args: Vec<String> = spec.version.iter().map(|version| format!("--version={version}")).collect();
    args.extend(spec.values_files.iter().map(|file| format!("--values={}", file.path.display())));
    args.push("--values=-".to_owned());
    let open = spec.set.iter().filter(|(_, value)| !value.is_sensitive());
    args.extend(open.map(|(path, value)| format!("--set-json={path}={}", value.json())));
    args
}

/// The values that come on the standard input, as one line.
pub(super) fn values_line(spec: &HelmSpec) -> String {
    let mut values = spec.values.clone();
    for (path, value) in spec.set.iter().filter(|(_, value)| value.is_sensitive()) {
        if let Some(keys) = Values::path(path) {
            values.put(&keys, value.clone());
        }
    }
    values.json()
}

/// Whether a version is one version, and not a constraint.
fn is_exact(version: &str) -> bool {
    let digits = version.strip_prefix('v').unwrap_or(version);
    let core = digits.split(['-', '+']).next().unwrap_or_default();
    core.split('.').count() == 3 && core.split('.').all(|part| part.parse::<u64>().is_ok())
}

fn read_chart(path: &Path) -> String {
    // What cannot be read is told by Helm, which reads it too.
    std::fs::read_to_string(path.join("Chart.yaml")).unwrap_or_default()
}

/// The version that the description of a chart gives, at the start of a line.
fn version_of(chart: &str) -> String {
    let found = chart.lines().find_map(|line| line.strip_prefix("version:"));
    let value = found.map(|value| value.split(" #").next().unwrap_or_default().trim()).unwrap_or_default();
    value.trim_matches(['"', '\'']).to_owned()
}

/// Whether Helm runs an object before or after it changes the release, instead of keeping it in the release.
fn is_hook(object: &KubeObject) -> bool {
    let json: Option<Value> = serde_json::from_str(object.json.reveal()).ok();
    json.is_some_and(|json| json.pointer("/metadata/annotations/helm.sh~1hook").is_some())
}

/// Puts a mark in the place of each object that is another one when it is rendered again.
fn settle(objects: &mut [KubeObject], again: &[KubeObject]) {
    for object in objects {
        if !again.iter().any(|other| other == object) {
            object.shown = ANEW.to_owned();
            object.secrets.clear();
        }
    }
}

/// Hides what the release was given and may not be shown, wherever the chart puts it.
fn hide(object: &mut KubeObject, secrets: &[&str]) {
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        if secret.len() < SHORTEST {
            if object.shown.contains(secret) {
                let shown = std::mem::replace(&mut object.shown, "(sensitive)\n".to_owned());
                object.secrets.insert("all".to_owned(), Text::sensitive(shown));
            }
            continue;
        }
        let quoted = Value::from(*secret).to_string();
        let forms = [quoted.trim_matches('"').to_owned(), BASE64.encode(secret), (*secret).to_owned()];
        for form in forms {
            object.shown = object.shown.replace(&form, "(sensitive)");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_exact_or_constraints() {
        for exact in ["1.2.3", "v1.2.3", "1.2.3-rc.1+b"] {
            assert!(is_exact(exact), "{exact}");
        }
        for open in ["^1.2", "1.2", "1.x", ">=1.0.0", "1.2.*", ""] {
            assert!(!is_exact(open), "{open}");
        }
        assert_eq!(version_of("apiVersion: v2\nversion: \"1.2.0\" # x\ndependencies:\n- version: 9\n"), "1.2.0");
    }

    #[test]
    fn secrets_go_through_the_standard_input_and_nothing_else() {
        let mut spec = HelmSpec::new(Chart::Named("a/b".into()), "web", "shop");
        spec.values.put(&["db".into(), "password".into()], Values::Text(Text::sensitive("hunter2")));
        spec.set.insert("auth.token".into(), Values::Text(Text::sensitive("hunter3")));
        spec.set.insert("image.tag".into(), Values::Text(Text::plain("1.2")));
        let args = values_args(&spec).join(" ");
        assert_eq!(args, "--values=- --set-json=image.tag=\"1.2\"");
        assert_eq!(values_line(&spec), r#"{"auth":{"token":"hunter3"},"db":{"password":"hunter2"}}"#);
    }

    #[test]
    fn a_secret_is_hidden_wherever_a_chart_puts_it() {
        let text =
            "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: {a: \"x hunter2\", b: aHVudGVyMg==, c: zz}\n";
        let mut object = kube::objects(text, "shop").unwrap().remove(0);
        hide(&mut object, &["hunter2"]);
        assert!(
            object.shown.contains("a: x (sensitive)") && object.shown.contains("b: (sensitive)"),
            "{}",
            object.shown
        );
        hide(&mut object, &["zz"]);
        assert_eq!(object.shown, "(sensitive)\n");
        assert!(object.secrets.contains_key("all"));
    }
}
