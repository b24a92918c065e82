//! The names of units.

use super::super::Lowering;
use crate::config::diagnostic::shorten;
use crate::config::field::{Field, OneOrMany, given};
use crate::config::source::Span;

/// The types of units.
const TYPES: [&str; 11] =
    ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];

/// The longest name of a unit.
const MAX_NAME: usize = 255;

/// The type of a unit by its name; `None` for a name without one.
pub(super) fn kind_of(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, kind)| kind).filter(|kind| TYPES.contains(kind))
}

/// Whether a unit is a template: nothing stands between the `@` and the type.
pub(super) fn is_template(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, _)| stem.ends_with('@'))
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '.' | '-' | '\\')
}

impl Lowering<'_> {
    /// The name of a unit with its type.
    pub(super) fn typed(&self, span: Span, text: &str) -> String {
        let name = if kind_of(text).is_some() { text.to_owned() } else { format!("{text}.service") };
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
        let fits = !prefix.is_empty()
            && prefix.chars().all(is_part)
            && instance.chars().all(|c| is_part(c) || c == '@')
            && !prefix.starts_with(['.', '-'])
            && name.len() <= MAX_NAME;
        // `-.mount` and `-.slice` are the two that start with `-`, and no one's to change.
        if !fits {
            let message = format!("`{}` cannot be the name of a unit", shorten(text));
            let help = "use letters, digits, `_`, `-`, `.`, `:` and `\\`, at most 255, with a type such as `.service`";
            self.error(span, message, help);
        }
        name
    }

    /// The names of other units.
    pub(super) fn units(&self, raw: Option<&Field<OneOrMany<String>>>) -> Vec<String> {
        let list = given(raw).into_iter().flat_map(|list| &list.0).filter_map(Field::located);
        list.map(|(span, text)| self.typed(span, text)).collect()
    }

    pub(super) fn instance_name(&self, span: Span, instance: &str) {
        if instance.is_empty() || instance.len() > 128 || !instance.chars().all(is_part) {
            let message = format!("`{}` cannot be the name of an instance", shorten(instance));
            self.error(span, message, "use letters, digits, `_`, `-`, `.` and `:`; `systemd-escape` writes the rest");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_the_unit_is() {
        assert_eq!(kind_of("web.service"), Some("service"));
        assert_eq!(kind_of("web.v2"), None);
        assert_eq!(kind_of("web"), None);
        assert!(is_template("web@.service") && !is_template("web@a.service") && !is_template("web.service"));
    }
}
