//! Variables: what declares them, and where their values come from.

use std::collections::BTreeMap;

use super::diagnostic::{Diagnostic, Report, shorten, suggest};
use super::field::Entries;
use super::load::LoadOptions;
use super::raw::RawVariable;
use super::source::{Sources, Span};
use super::toml_file;
use super::tree::{Tree, Value};
use crate::model::Text;

/// The start of the environment variables that give values to variables.
const ENV_PREFIX: &str = "ORCH_VAR_";

/// A declared variable.
#[derive(Debug)]
pub(crate) struct Variable {
    /// Where its name stands.
    span: Span,
    /// Whether the file says that it is sensitive.
    pub(crate) sensitive: bool,
    /// Its value; `None` when it has none, or one that its pattern forbids.
    pub(crate) value: Option<Text>,
}

/// Every declared variable, by name.
#[derive(Debug, Default)]
pub(crate) struct Variables(BTreeMap<String, Variable>);

/// A value from outside the configuration files.
#[derive(Debug)]
struct Given {
    name: String,
    value: String,
    /// Its place in a variable file; `None` for `--var`.
    span: Option<Span>,
}

impl Variables {
    /// Finds the value of every variable: `--var`, then variable files (the last one first), then
    /// `ORCH_VAR_*`, then the default.
    pub(crate) fn new(
        declared: &[Entries<RawVariable>],
        files: &[u32],
        options: &LoadOptions,
        sources: &Sources,
        report: &Report,
    ) -> Self {
        let mut given: Vec<Given> =
            files.iter().filter_map(|file| read_file(*file, sources, report)).flatten().collect();
        given.extend(options.vars.iter().map(|(name, value)| Given {
            name: name.clone(),
            value: value.clone(),
            span: None,
        }));
        let by_name: BTreeMap<&str, &Given> = given.iter().map(|given| (given.name.as_str(), given)).collect();

        let mut variables = Self::default();
        for (span, name, field) in declared.iter().flat_map(Entries::iter) {
            let Some(raw) = field.get() else {
                // It is declared, if badly: what uses it is not wrong for that.
                variables.0.entry(name.to_owned()).or_insert(Variable { span, sensitive: true, value: None });
                continue;
            };
            if let Some(first) = variables.0.get(name) {
                report.push(
                    Diagnostic::error(
                        "config::duplicate",
                        format!("the variable `{}` is declared twice", shorten(name)),
                    )
                    .label(span, "again")
                    .label(first.span, "first declared here")
                    .help("keep one of the two"),
                );
                continue;
            }
            if !is_name(name) {
                let message = format!("`{}` cannot be the name of a variable", shorten(name));
                let help = "a name has letters, digits and `_` and does not start with a digit";
                report.push(Diagnostic::error("config::bad_name", message).at(span).help(help));
            }
            let sensitive = given_flag(raw);
            let outside = by_name
                .get(name)
                .map(|given| (given.value.clone(), given.span))
                .or_else(|| options.env.get(&format!("{ENV_PREFIX}{name}")).map(|value| (value.clone(), None)));
            let value = match (outside, &raw.default) {
                (Some((value, place)), _) => Some((Text::plain(value), place)),
                // A wrong default was reported; an absent or empty one is no default.
                (None, Some(default)) => default.located().map(|(place, default)| (default.0.clone(), Some(place))),
                (None, None) => {
                    report.push(no_value(name, span));
                    None
                }
            };
            let value = value.and_then(|(value, place)| {
                let value = if sensitive { value.into_sensitive() } else { value };
                check_pattern(name, raw, &value, place.unwrap_or(span), report).then_some(value)
            });
            variables.0.insert(name.to_owned(), Variable { span, sensitive, value });
        }
        for given in given.iter().filter(|given| !variables.0.contains_key(&given.name)) {
            report.push(undeclared(given, &variables));
        }
        variables
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Variable> {
        self.0.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.0.iter().map(|(name, variable)| (name.as_str(), variable))
    }
}

fn given_flag(raw: &RawVariable) -> bool {
    match &raw.sensitive {
        // A flag that could not be read protects rather than shows.
        Some(flag) => flag.get().copied().unwrap_or(true),
        None => false,
    }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn no_value(name: &str, span: Span) -> Diagnostic {
    let name = shorten(name);
    Diagnostic::error("config::unset_variable", format!("the variable `{name}` has no value")).at(span).help(format!(
        "give it one with `--var {name}=...`, in a file named with `--var-file`, or as `{ENV_PREFIX}{name}` in the \
         environment; or give it a `default`"
    ))
}

fn undeclared(given: &Given, variables: &Variables) -> Diagnostic {
    let message = format!("the variable `{}` is given a value but no file declares it", shorten(&given.name));
    let problem = Diagnostic::error("config::unknown_variable", message);
    let problem = match given.span {
        Some(span) => problem.at(span),
        None => problem,
    };
    let help = suggest(&given.name, variables.names());
    problem.help(help.unwrap_or_else(|| "declare it under `variables`, or do not give it".into()))
}

/// Whether a value is what the pattern of its variable allows.
fn check_pattern(name: &str, raw: &RawVariable, value: &Text, place: Span, report: &Report) -> bool {
    let Some((pattern_span, pattern)) = raw.pattern.as_ref().and_then(|pattern| pattern.located()) else { return true };
    let pattern_text = shorten(pattern);
    match regex_lite::Regex::new(&format!("^(?:{pattern})$")) {
        Ok(regex) if regex.is_match(value.reveal()) => true,
        Ok(_) => {
            let name = shorten(name);
            let message = if value.is_sensitive() {
                format!("the value of the sensitive variable `{name}` does not match its pattern `{pattern_text}`")
            } else {
                format!(
                    "the value `{}` of the variable `{name}` does not match `{pattern_text}`",
                    shorten(value.reveal())
                )
            };
            let problem = Diagnostic::error("config::pattern", message).at(place).label(pattern_span, "the pattern");
            report.push(problem.help("the whole value must match"));
            false
        }
        Err(error) => {
            let message = format!("`{pattern_text}` is not a regular expression: {error}");
            report.push(Diagnostic::error("config::pattern", message).at(pattern_span));
            false
        }
    }
}

/// Reads a flat map of scalars from a YAML or, by its ending, TOML file.
fn read_file(file: u32, sources: &Sources, report: &Report) -> Option<Vec<Given>> {
    let source = sources.get(file)?;
    if source.path().extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
        return read_toml(file, sources, report);
    }
    let tree = Tree::parse(file, source, report)?;
    let root = tree.node(tree.root());
    let Value::Map(entries) = &root.value else {
        report.push(not_flat(root.span));
        return None;
    };
    let given = entries.iter().filter_map(|(key, value)| {
        let span = tree.node(*value).span;
        let Some(text) = tree.text(*value).filter(|_| !tree.is_null(*value)) else {
            report.push(not_flat(span));
            return None;
        };
        Some(Given { name: tree.text(*key)?.to_owned(), value: text.to_owned(), span: Some(span) })
    });
    Some(given.collect())
}

fn not_flat(span: Span) -> Diagnostic {
    Diagnostic::error("config::wrong_type", "a variable file is a map from names to texts, numbers, true or false")
        .at(span)
        .help("write one `NAME: value` on each line")
}

fn read_toml(file: u32, sources: &Sources, report: &Report) -> Option<Vec<Given>> {
    let given = toml_file::read(file, sources, report)?.into_iter().filter_map(|entry| {
        let value = match entry.value {
            toml::Value::String(text) => text,
            toml::Value::Array(_) | toml::Value::Table(_) => {
                report.push(not_flat(entry.span));
                return None;
            }
            // A number or a flag counts as it is written.
            _ => sources.slice(entry.span).to_owned(),
        };
        Some(Given { name: entry.name, value, span: Some(entry.span) })
    });
    Some(given.collect())
}
