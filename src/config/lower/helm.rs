//! What runs a service: a release of a Helm chart.

use std::collections::BTreeMap;
use std::path::Path;

use super::disk::Found;
use super::{Draft, Lowering, Slot};
use crate::config::diagnostic::{Diagnostic, shorten};
use crate::config::field::{Entries, Field, OneOrMany, RawScalar, RawTree, given};
use crate::config::interpolate::absolute;
use crate::config::raw::RawHelm;
use crate::config::secret::{is_secret_name, mark_url};
use crate::config::source::Span;
use crate::model::{Chart, HelmSpec, KubeCluster, Text, Values, ValuesFile};

/// The longest name of a release: Helm leaves room for what charts add to it.
const RELEASE: usize = 53;
/// The longest name of a namespace.
const NAMESPACE: usize = 63;

impl Lowering<'_> {
    /// A release; `None` when its chart is wrong.
    pub(super) fn helm(&self, raw: &RawHelm, draft: &mut Draft) -> Option<HelmSpec> {
        let chart = raw.chart.located().and_then(|(span, text)| self.chart(span, text, raw, draft.active));
        let (span, release) = match raw.release.as_ref().and_then(Field::located) {
            Some((span, name)) => (span, name.clone()),
            None => (draft.span, draft.name.as_str().to_owned()),
        };
        let help = if raw.release.is_some() { "" } else { "; give it one with `release: NAME`" };
        self.dns_name(span, &release, ("release", RELEASE, true), help);
        let namespace = raw.namespace.as_ref().and_then(Field::located).map_or_else(
            || "default".to_owned(),
            |(span, name)| {
                self.dns_name(span, name, ("namespace", NAMESPACE, false), "");
                name.clone()
            },
        );
        for (span, name) in [&raw.kube_context].into_iter().flatten().filter_map(Field::located) {
            self.one_line(span, name);
            if name.is_empty() {
                self.error(span, "the context has no name", "name a context of the kubeconfig, or leave the key out");
            }
        }
        let context = given(raw.kube_context.as_ref()).cloned();
        let of = context.as_ref().map_or_else(String::new, |context| format!(" ({context})"));
        draft.slots.push(Slot::release(span, format!("{namespace}/{release}{of}")));
        let mut values = self.tree_map(raw.values.as_ref().and_then(Field::get));
        for (_, profile, over) in given(raw.profile_values.as_ref()).into_iter().flat_map(Entries::iter) {
            draft.profiles_of_values.push(profile.to_owned());
            let over = self.tree_map(over.get());
            if self.profiles.iter().any(|active| active == profile) {
                values.merge(&over);
            }
        }
        let active = draft.active;
        let files = given(raw.values_files.as_ref()).into_iter().flat_map(|OneOrMany(list)| list);
        let values_files = files.filter_map(Field::located).map(|(span, path)| ValuesFile {
            path: absolute(self.sources.folder(span), path),
            // What an inactive service would read need not be there.
            content: if active { self.scope.content(path, span).map(Text::sensitive) } else { None },
        });
        Some(HelmSpec {
            version: given(raw.version.as_ref()).cloned(),
            create_namespace: given(raw.create_namespace.as_ref()).copied().unwrap_or(false),
            values_files: values_files.collect(),
            values,
            set: self.set(raw),
            cluster: KubeCluster {
                kubeconfig: self.home_path(raw.kubeconfig.as_ref()).map(|path| path.display().to_string()),
                context,
            },
            timeout: given(raw.timeout.as_ref()).map(|period| period.0),
            history_max: self.in_range(raw.history_max.as_ref(), 2..=1000, 10),
            ..HelmSpec::new(chart?, release, namespace)
        })
    }

    fn chart(&self, span: Span, text: &str, raw: &RawHelm, active: bool) -> Option<Chart> {
        self.one_line(span, text);
        if text.is_empty() || text.starts_with('-') {
            self.error(
                span,
                format!("`{}` is no chart", shorten(text)),
                "name a folder, REPOSITORY/NAME or an address",
            );
            return None;
        }
        if ["oci://", "https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) {
            if mark_url(Text::plain(text)).is_sensitive() {
                let help = "log in with `helm registry login`, or add the repository with `helm repo add`";
                self.error(span, "the address of a chart may not hold a password", help);
            }
            return Some(Chart::Named(text.to_owned()));
        }
        let path = absolute(self.sources.folder(span), text);
        let is_path = ["./", "../", "/"].iter().any(|start| text.starts_with(start)) || text == "." || text == "..";
        let found = self.disk.look(&path);
        if !is_path && found == Found::Missing {
            if text.matches('/').count() != 1 || text.ends_with('/') {
                let message = format!("`{}` is no chart that is there", shorten(text));
                let help = "write `REPOSITORY/NAME` for a chart of a repository, or `./PATH` for one of this machine";
                self.warn(span, "config::missing_file", message, help);
            }
            return Some(Chart::Named(text.to_owned()));
        }
        if let Some((span, _)) = raw.version.as_ref().and_then(Field::located) {
            let help = "take the key away: the version stands in the chart's `Chart.yaml`";
            self.error(span, "a chart of this machine has its own version", help);
        }
        if active && !self.is_chart(&path, found) {
            let message = format!("there is no chart in `{}`", shorten(text));
            self.warn(span, "config::missing_file", message, "make it before `orch plan`, or correct the path");
        }
        Some(Chart::Local(path))
    }

    fn is_chart(&self, path: &Path, found: Found) -> bool {
        match found {
            Found::Missing => false,
            Found::Folder => self.disk.look(&path.join("Chart.yaml")) != Found::Missing,
            Found::File | Found::Program => true,
        }
    }

    /// Checks a name that the cluster has to take.
    pub(super) fn dns_name(&self, span: Span, name: &str, (what, longest, dots): (&str, usize, bool), more: &str) {
        let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || (dots && c == '.');
        let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_name = name.chars().all(part)
            && name.starts_with(ends)
            && name.ends_with(ends)
            && name.len() <= longest
            && !name.contains("..");
        if !is_name {
            let message = format!("`{}` cannot be the name of a {what}", shorten(name));
            let dots = if dots { ", `-` and `.`" } else { " and `-`" };
            self.error(span, message, format!("use lower-case letters, digits{dots}, at most {longest}{more}"));
        }
    }

    /// The values that go before all others, by Helm's paths.
    fn set(&self, raw: &RawHelm) -> BTreeMap<String, Values> {
        let mut set = BTreeMap::new();
        for (key_span, path, field) in given(raw.set.as_ref()).into_iter().flat_map(Entries::iter) {
            let Some((span, scalar)) = field.located() else { continue };
            let is_path = !path.is_empty() && !path.contains(['=', ',', '{', '}']) && !path.contains(char::is_control);
            if !is_path {
                let message = format!("`{}` is no path of a value", shorten(path));
                self.error(key_span, message, "write keys with dots between them, such as `image.tag`");
                continue;
            }
            let secret = path.split(['.', '[']).any(is_secret_name);
            let value = match scalar {
                Some(scalar) => self.scalar(span, scalar, secret),
                None => Values::null(),
            };
            if value.is_sensitive() && Values::path(path).is_none() {
                // With an index it could only be an argument, which others on this machine can read.
                let message = "a secret may not be set at an index of a list";
                let problem = Diagnostic::error("config::sensitive", message).at(span);
                self.report.push(problem.help("write the whole list in `values`"));
            }
            set.insert(path.to_owned(), value);
        }
        set
    }

    fn tree_map(&self, map: Option<&Entries<RawTree>>) -> Values {
        Values::Map(map.map(|map| self.entries(map, false)).unwrap_or_default())
    }

    /// The values of a map; below a name that looks secret everything is.
    fn entries(&self, map: &Entries<RawTree>, secret: bool) -> BTreeMap<String, Values> {
        let value = |(_, key, field): (Span, &str, &Field<RawTree>)| {
            let (span, tree) = field.located()?;
            Some((key.to_owned(), self.tree(span, tree, secret || is_secret_name(key))))
        };
        map.iter().filter_map(value).collect()
    }

    fn tree(&self, span: Span, tree: &RawTree, secret: bool) -> Values {
        match tree {
            RawTree::Null => Values::null(),
            RawTree::Scalar(scalar) => self.scalar(span, scalar, secret),
            RawTree::List(list) => {
                let items = list.iter().filter_map(Field::located);
                Values::List(items.map(|(span, item)| self.tree(span, item, secret)).collect())
            }
            RawTree::Map(map) => Values::Map(self.entries(map, secret)),
        }
    }

    fn scalar(&self, span: Span, scalar: &RawScalar, secret: bool) -> Values {
        self.no_nul(span, scalar.text.reveal());
        let literal = if scalar.bare { literal(scalar.text.reveal()) } else { None };
        match literal {
            // Whether a flag is on is no secret for its name. What is put in as a secret is a text, whatever it is.
            Some(literal) if !scalar.text.is_sensitive() => {
                let hidden = secret && literal.starts_with(|c: char| c.is_ascii_digit() || c == '-');
                Values::Literal(if hidden { Text::sensitive(literal) } else { Text::plain(literal) })
            }
            _ if secret => Values::Text(scalar.text.clone().into_sensitive()),
            _ => Values::Text(mark_url(scalar.text.clone())),
        }
    }
}

/// What a scalar without quotes is, as JSON writes it, by YAML's core schema; `None` for a text. A number that
/// a chart could not read as such stays a text.
fn literal(text: &str) -> Option<String> {
    match text {
        "true" | "True" | "TRUE" => return Some("true".to_owned()),
        "false" | "False" | "FALSE" => return Some("false".to_owned()),
        _ => {}
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(|number| number.to_string());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(|number| number.to_string());
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.trim_start_matches('+').parse::<i64>().ok().map(|number| number.to_string());
    }
    let part = |byte: u8| byte.is_ascii_digit() || b".eE+-".contains(&byte);
    let number: f64 = Some(text).filter(|_| unsigned.bytes().all(part))?.parse().ok()?;
    serde_json::Number::from_f64(number).map(|number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn scalars_are_what_the_core_schema_says() {
        for (text, json) in [
            ("1", "1"),
            ("-12", "-12"),
            ("+3", "3"),
            ("007", "7"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("1.5", "1.5"),
            (".5", "0.5"),
            ("1e3", "1000.0"),
            ("true", "true"),
            ("FALSE", "false"),
        ] {
            assert_eq!(literal(text).as_deref(), Some(json), "{text}");
        }
        for text in ["", "yes", "no", "on", "1.2.3", "1_000", "v1", "0x", "12:30", "1e", "99999999999999999999", "-"] {
            assert_eq!(literal(text), None, "{text}");
        }
    }
}
