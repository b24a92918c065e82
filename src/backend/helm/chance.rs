//! Whether a chart can come to something else each time that it is rendered: one that makes up a password, say.
//!
//! Such a chart is rendered twice, to know what is not a change. Most need not be: what they are made of calls nothing
//! that depends on chance, on the time or on an order that Helm does not keep. Where that cannot be known, as of a
//! chart that is packed, it is taken for one that can.

use std::path::Path;

use super::render::values_line;
use crate::model::{Chart, HelmSpec};

/// How much is read of a chart, in bytes; a larger one is taken as it comes.
const MOST: u64 = 16 << 20;
/// How deep the folders of a chart go; a deeper one may go in circles.
const DEEPEST: usize = 16;
/// The functions of templates that do not always answer the same, by how their names begin.
const FAMILIES: &[&str] = &["rand", "gen", "uuid", "encrypt"];
/// The others; `keys` and `values` answer in any order.
const OTHERS: &[&str] = &["ago", "bcrypt", "getHostByName", "htpasswd", "keys", "now", "shuffle", "values"];

/// Whether a release may come to something else the next time.
pub(super) fn is_left_to_chance(spec: &HelmSpec) -> bool {
    let Chart::Local(path) = &spec.chart else { return true };
    let mut left = MOST;
    let mut files = spec.values_files.iter();
    !path.is_dir()
        || calls_any(&values_line(spec))
        || files.any(|file| file_calls_any(&file.path, &mut left))
        || folder_calls_any(path, DEEPEST, &mut left)
}

fn folder_calls_any(folder: &Path, deeper: usize, left: &mut u64) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return true };
    entries.into_iter().any(|entry| {
        let Ok(path) = entry.map(|entry| entry.path()) else { return true };
        match path.is_dir() {
            true => deeper == 0 || folder_calls_any(&path, deeper - 1, left),
            false => file_calls_any(&path, left),
        }
    })
}

fn file_calls_any(path: &Path, left: &mut u64) -> bool {
    let is_packed = path.extension().is_some_and(|end| end == "tgz" || end == "gz");
    let Some(rest) = std::fs::metadata(path).ok().and_then(|file| left.checked_sub(file.len())) else { return true };
    *left = rest;
    is_packed || std::fs::read(path).map_or(true, |bytes| calls_any(&String::from_utf8_lossy(&bytes)))
}

/// Whether the actions of a template, `{{ ... }}`, call one of the functions.
fn calls_any(text: &str) -> bool {
    let actions = text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap_or(rest));
    let mut code = actions.filter(|action| !action.trim_start_matches(['-', ' ']).starts_with("/*"));
    code.any(|action| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
        // A field of something is no call, and what a call gives may have fields: `.Values.now`, `now.Unix`.
        let mut words = action.split(|c| !is_part(c)).map(|word| word.split('.').next().unwrap_or_default());
        words.any(|word| OTHERS.contains(&word) || FAMILIES.iter().any(|family| word.starts_with(family)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Durability, write_atomic};

    #[test]
    fn calls_are_found_in_actions_only() {
        for text in [
            "a: {{ randAlphaNum 8 | b64enc }}",
            "{{- $ca := genCA \"x\" 365 -}}",
            "at: {{ now | date \"2006\" }}",
            "{{ range keys .Values.map }}",
            "{{ tpl \"{{ uuidv4 }}\" . }}",
            "{{ list (shuffle \"abc\") }}",
            "{{ now.Unix }}",
        ] {
            assert!(calls_any(text), "{text}");
        }
        for text in [
            "# the keys and values of now, randomly generated",
            "{{/* uuidv4 is not called */}}{{- /* nor now */ -}}",
            "{{ .Values.keys }}{{ $now }}{{ .Values.random.now }}",
            "{{ include \"web.labels\" . | nindent 4 }}{{ .Release.Name }}",
        ] {
            assert!(!calls_any(text), "{text}");
        }
    }

    #[test]
    fn a_folder_is_known_and_what_is_packed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            write_atomic(&path, text.as_bytes(), Durability::Atomic).unwrap();
        };
        write("Chart.yaml", "name: web\n");
        write("templates/web.yaml", "name: {{ .Release.Name }}\n");
        write("charts/db/templates/db.yaml", "name: db\n");
        let mut spec = HelmSpec::new(Chart::Local(folder.path().into()), "web", "shop");
        assert!(!is_left_to_chance(&spec));
        spec.values.put(&["note".into()], crate::model::Values::Text(crate::model::Text::plain("{{ now }}")));
        assert!(is_left_to_chance(&spec), "a value may be a template");
        spec.values = HelmSpec::new(Chart::Named("a".into()), "a", "a").values;
        write("charts/db/templates/secret.yaml", "a: {{ randAlpha 3 }}\n");
        assert!(is_left_to_chance(&spec));
        write("charts/db/templates/secret.yaml", "a: b\n");
        assert!(!is_left_to_chance(&spec));
        write("charts/cache-1.0.0.tgz", "");
        assert!(is_left_to_chance(&spec));
        assert!(is_left_to_chance(&HelmSpec::new(Chart::Named("a/b".into()), "web", "shop")));
    }
}
