//! Compose's `${...}` as orch's: `${env:NAME:-default}`.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::has_password;
use crate::import::secret;
use crate::import::words::{Part, Words};

/// Where values come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    /// The environment, for what orch's file cannot say.
    pub(super) env: &'a BTreeMap<String, String>,
    /// The `.env` files, which the environment wins over.
    pub(super) dotenv: &'a BTreeMap<String, String>,
}

/// What became of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) words: Words,
    /// Secrets that are left to the environment.
    pub(super) secrets: BTreeSet<String>,
    /// What differs, or was fixed, as fragments.
    pub(super) notes: BTreeSet<String>,
}

/// One `${...}`.
struct Reference<'t> {
    name: &'t str,
    operator: &'t str,
    argument: &'t str,
}

/// Translates a text. `Err` is what is wrong with it.
pub(super) fn translate(text: &str, values: Values<'_>) -> Result<Translated, String> {
    let mut translated = Translated::default();
    each(text, &mut |part| {
        match part {
            Found::Literal(text) => translated.words.push(Part::Literal(text.to_owned())),
            Found::Reference(reference) => one(&reference, values, &mut translated)?,
        }
        Ok(())
    })?;
    if translated.words.is_unwritable() {
        translated
            .notes
            .insert("a `$` before a variable cannot be written: the variable has the value of now".to_owned());
        let secrets = std::mem::take(&mut translated.secrets);
        translated = Translated { words: Words::literal(evaluate(text, values)?), secrets, notes: translated.notes };
    }
    Ok(translated)
}

/// The names that a text takes from outside.
pub(super) fn names(text: &str, into: &mut BTreeSet<String>) {
    let mut found = Vec::new();
    let _ = each(text, &mut |part| {
        if let Found::Reference(reference) = part {
            found.push((reference.name.to_owned(), reference.argument.to_owned()));
        }
        Ok(())
    });
    for (name, argument) in found {
        into.insert(name);
        names(&argument, into);
    }
}

fn one(reference: &Reference<'_>, values: Values<'_>, translated: &mut Translated) -> Result<(), String> {
    let Reference { name, operator, argument } = *reference;
    let known = values.dotenv.get(name).map(String::as_str);
    let secret = secret::is_name(name) || has_password(argument) || known.is_some_and(has_password);
    if secret && !matches!(operator, ":+" | "+") {
        translated.secrets.insert(name.to_owned());
        translated.words.push(Part::Reference(format!("env:{name}")));
        return Ok(());
    }
    let fixed = |translated: &mut Translated, value: String| {
        translated.notes.insert(format!("`{name}` is used in a way that orch does not have, and has the value of now"));
        translated.words.push(Part::Literal(value));
    };
    let default = match (operator, known) {
        (":+" | "+", _) => {
            fixed(translated, value_of(reference, values)?);
            return Ok(());
        }
        (":?" | "?", None) => {
            translated.words.push(Part::Reference(format!("env:{name}")));
            return Ok(());
        }
        (_, Some(known)) if !known.is_empty() || !operator.starts_with(':') => known.to_owned(),
        ("", _) => String::new(),
        (":-" | "-", _) => {
            let mut inner = BTreeSet::new();
            names(argument, &mut inner);
            if let Some(first) = inner.first() {
                let note = format!("the default of `{name}` refers to `{first}`, and is the value of now");
                translated.notes.insert(note);
            }
            evaluate(argument, values)?
        }
        _ => String::new(),
    };
    if operator == "-" {
        translated.notes.insert(format!("an empty `{name}` counts as not set"));
    }
    if default.contains(['}', '$']) {
        fixed(translated, value_of(reference, values)?);
    } else {
        translated.words.push(Part::Reference(format!("env:{name}:-{default}")));
    }
    Ok(())
}

/// The text with the values of now.
fn evaluate(text: &str, values: Values<'_>) -> Result<String, String> {
    let mut result = String::new();
    each(text, &mut |part| {
        match part {
            Found::Literal(text) => result.push_str(text),
            Found::Reference(reference) => result.push_str(&value_of(&reference, values)?),
        }
        Ok(())
    })?;
    Ok(result)
}

fn value_of(reference: &Reference<'_>, values: Values<'_>) -> Result<String, String> {
    let Reference { name, operator, argument } = *reference;
    let value = values.env.get(name).or_else(|| values.dotenv.get(name)).map(String::as_str);
    let given = if operator.starts_with(':') { value.filter(|value| !value.is_empty()) } else { value };
    match (operator, given) {
        (":+" | "+", Some(_)) => evaluate(argument, values),
        (":+" | "+", None) => Ok(String::new()),
        (_, Some(value)) => Ok(value.to_owned()),
        (":-" | "-", None) => evaluate(argument, values),
        (_, None) => Ok(String::new()),
    }
}

enum Found<'t> {
    Literal(&'t str),
    Reference(Reference<'t>),
}

/// Calls `f` with each piece of a text.
fn each<'t>(text: &'t str, f: &mut dyn FnMut(Found<'t>) -> Result<(), String>) -> Result<(), String> {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        f(Found::Literal(&rest[..at]))?;
        let after = &rest[at + 1..];
        rest = if let Some(more) = after.strip_prefix('$') {
            f(Found::Literal("$"))?;
            more
        } else if let Some(inner) = after.strip_prefix('{') {
            let end = closing(inner).ok_or("a `${` is not closed")?;
            f(Found::Reference(reference(&inner[..end])?))?;
            &inner[end + 1..]
        } else {
            let length = name_length(after);
            if length == 0 {
                return Err("a `$` is followed by no name; Compose wants `$$` for the character".to_owned());
            }
            f(Found::Reference(Reference { name: &after[..length], operator: "", argument: "" }))?;
            &after[length..]
        };
    }
    f(Found::Literal(rest))
}

/// Where the `}` is that closes what begins here.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                depth += 1;
                at += 1;
            }
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

fn name_length(text: &str) -> usize {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts { text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len()) } else { 0 }
}

fn reference(inner: &str) -> Result<Reference<'_>, String> {
    let length = name_length(inner);
    let (name, rest) = inner.split_at(length);
    let operator = [":-", ":?", ":+", "-", "?", "+"].into_iter().find(|operator| rest.starts_with(operator));
    match operator {
        _ if length == 0 => Err("a `${` is followed by no name".to_owned()),
        Some(operator) => Ok(Reference { name, operator, argument: &rest[operator.len()..] }),
        None if rest.is_empty() => Ok(Reference { name, operator: "", argument: "" }),
        None => Err("a `${...}` has an operator that Compose does not know".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<(String, Vec<String>), String> {
        let env = BTreeMap::from([("SET".to_owned(), "of env".to_owned())]);
        let dotenv = [("TAG", "1.27"), ("DB_PASSWORD", "hunter22"), ("EMPTY", ""), ("ODD", "a}b")];
        let dotenv = dotenv.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let translated = translate(text, Values { env: &env, dotenv: &dotenv })?;
        assert!(!translated.words.written().contains("hunter22"));
        Ok((translated.words.written(), translated.notes.into_iter().chain(translated.secrets).collect()))
    }

    #[test]
    fn what_both_have_is_written_as_orch_has_it() {
        for (text, written) in [
            ("plain", "plain"),
            ("$$HOME $${x}", "$HOME $${x}"),
            ("${A}/$B-c", "${env:A:-}/${env:B:-}-c"),
            ("a:${TAG}", "a:${env:TAG:-1.27}"),
            ("${TAG:-9}", "${env:TAG:-1.27}"),
            ("${EMPTY:-9}", "${env:EMPTY:-9}"),
            ("${A:-x y}", "${env:A:-x y}"),
            ("${A:?must}", "${env:A}"),
            ("${A?}", "${env:A}"),
        ] {
            assert_eq!(run(text), Ok((written.to_owned(), Vec::new())), "{text}");
        }
    }

    #[test]
    fn what_orch_does_not_have_is_fixed_or_told() {
        for (text, written, told) in [
            ("${SET:+yes}", "yes", "`SET` is used in a way that orch does not have, and has the value of now"),
            ("${A:-${SET}}", "${env:A:-of env}", "the default of `A` refers to `SET`, and is the value of now"),
            ("${A-x}", "${env:A:-x}", "an empty `A` counts as not set"),
            ("${ODD}", "a}b", "`ODD` is used in a way that orch does not have, and has the value of now"),
            ("${DB_PASSWORD:-x}", "${env:DB_PASSWORD}", "DB_PASSWORD"),
            ("$$${SET}", "$of env", "a `$` before a variable cannot be written: the variable has the value of now"),
        ] {
            assert_eq!(run(text), Ok((written.to_owned(), vec![told.to_owned()])), "{text}");
        }
        for text in ["${A", "$", "a $ b", "${}", "${A!b}"] {
            assert!(run(text).is_err(), "{text}");
        }
        let mut found = BTreeSet::new();
        names("$A ${B:-${C}} $$D", &mut found);
        assert_eq!(Vec::from_iter(found), ["A", "B", "C"]);
    }
}
