//! Puts values in for `${var:..}`, `${env:..}` and `${file:..}`, leaves `${host:..}` for each host and
//! `${service:..}` for when all services are known, and remembers what was read.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Report, closest, shorten, suggest};
use super::secret::is_secret_name;
use super::source::{Sources, Span, read_limited, reason};
use super::variables::Variables;
use crate::model::{ContentDigest, HOST_REFERENCE, SERVICE_REFERENCE};

/// The largest file that may be put into a value.
const MAX_FILE: u64 = 1 << 20;

/// What `${host:..}` may name of every host; labels and facts are the file's own.
const FACTS: [&str; 3] = ["name", "address", "user"];

/// Where values come from, and what was asked for.
pub(crate) struct Scope<'a> {
    sources: &'a Sources,
    report: &'a Report,
    env: &'a BTreeMap<String, String>,
    /// `None` while the variables themselves are read.
    variables: Option<&'a Variables>,
    reads: RefCell<Reads>,
}

/// What a definition read besides its own files.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// Environment variables; `None` for one that is not set.
    pub(crate) env: BTreeMap<String, Option<ContentDigest>>,
    /// Files, by absolute path.
    pub(crate) files: HashMap<PathBuf, Option<(Arc<str>, ContentDigest)>>,
}

/// A text with its values put in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expanded {
    pub(crate) text: String,
    pub(crate) sensitive: bool,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(sources: &'a Sources, report: &'a Report, env: &'a BTreeMap<String, String>) -> Self {
        Self { sources, report, env, variables: None, reads: RefCell::default() }
    }

    /// The same scope, in which variables are known.
    pub(crate) fn with_variables(self, variables: &'a Variables) -> Self {
        Self { variables: Some(variables), ..self }
    }

    /// A variable of the environment that does not enter the definition.
    pub(crate) fn peek(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str)
    }

    /// What was read.
    pub(crate) fn into_reads(self) -> Reads {
        self.reads.into_inner()
    }

    /// Puts the values into the text of a scalar; `None` when one is missing, which is then reported.
    pub(crate) fn expand(&self, text: &str, span: Span) -> Option<Expanded> {
        let place = Place { raw: self.sources.slice(span), span };
        let mut result = Some(Expanded { text: String::with_capacity(text.len()), sensitive: false });
        let mut rest = text;
        let mut seen = 0;
        while let Some(at) = rest.find("${") {
            let before = &rest[..at];
            let literal = before.strip_suffix('$');
            let token_end =
                if literal.is_some() { at + 2 } else { rest[at..].find('}').map_or(rest.len(), |end| at + end + 1) };
            let token = &rest[at..token_end];
            if let Some(expanded) = &mut result {
                expanded.text.push_str(literal.unwrap_or(before));
            }
            let value = if literal.is_some() {
                Some(("${".into(), false))
            } else {
                self.value(token, place.token(token, seen))
            };
            match (value, &mut result) {
                (Some((value, sensitive)), Some(expanded)) => {
                    expanded.text.push_str(&value);
                    expanded.sensitive |= sensitive;
                }
                // The other tokens of the text are still looked at, for their errors.
                _ => result = None,
            }
            seen += 1;
            rest = &rest[token_end..];
        }
        if let Some(expanded) = &mut result {
            expanded.text.push_str(rest);
        }
        result
    }

    fn fail<T>(&self, code: &'static str, span: Span, message: String, help: impl Into<String>) -> Option<T> {
        self.report.push(Diagnostic::error(code, message).at(span).help(help));
        None
    }

    /// The value of one `${...}` and whether it is sensitive.
    fn value(&self, token: &str, span: Span) -> Option<(Arc<str>, bool)> {
        let code = "config::interpolation";
        let Some(inner) = token.strip_prefix("${").and_then(|token| token.strip_suffix('}')) else {
            return self.fail(
                code,
                span,
                "`${` has no `}`".into(),
                "close it, or write `$${` for the text `${` itself",
            );
        };
        match inner.split_once(':') {
            Some(("var", name)) => self.variable(name, span),
            Some(("env", name)) => self.environment(name, span),
            Some(("file", path)) => self.file(path, span),
            Some(("host", what)) => self.host(what, span),
            Some(("service", what)) => self.service(what, span),
            _ => {
                let name = shorten(inner.split(':').next().unwrap_or_default());
                let message = format!("`{}` says no source for its value", shorten(token));
                let help = format!(
                    "write `${{var:{name}}}` for a variable, `${{env:{name}}}` for the environment, `${{file:PATH}}` for the \
                     content of a file, `${{host:name}}` for the host of a service, `${{service:NAME.url}}` for where another one is reached, \
                     or `$${{` for the text `${{` itself"
                );
                self.fail(code, span, message, help)
            }
        }
    }

    /// A reference to the host, which stays: what it stands for differs from host to host.
    fn host(&self, what: &str, span: Span) -> Option<(Arc<str>, bool)> {
        if self.variables.is_none() {
            let message = "a variable may not refer to a host".into();
            return self.fail("config::interpolation", span, message, "write the reference where the variable is used");
        }
        let key = |kind: &str| what.strip_prefix(kind).is_some_and(|key| !key.is_empty());
        if !FACTS.contains(&what) && !key("labels.") && !key("facts.") {
            let message = format!("`{}` is nothing that is known of a host", shorten(what));
            let known = FACTS.into_iter().chain(["labels.NAME", "facts.NAME"]);
            let help = suggest(what, known).unwrap_or_default();
            return self.fail("config::interpolation", span, message, help);
        }
        Some((format!("{HOST_REFERENCE}{what}}}").into(), false))
    }

    /// A reference to where a service is reached, which stays until all services are known.
    fn service(&self, what: &str, span: Span) -> Option<(Arc<str>, bool)> {
        if self.variables.is_none() {
            let message = "a variable may not refer to a service".into();
            return self.fail("config::interpolation", span, message, "write the reference where the variable is used");
        }
        Some((format!("{SERVICE_REFERENCE}{what}}}").into(), false))
    }

    fn variable(&self, name: &str, span: Span) -> Option<(Arc<str>, bool)> {
        let Some(variables) = self.variables else {
            let message = "a variable may not refer to another variable".into();
            return self.fail(
                "config::interpolation",
                span,
                message,
                "write the value itself, `${env:..}` or `${file:..}`",
            );
        };
        match variables.get(name) {
            // A variable without a value is reported once, where it is declared.
            Some(variable) => variable.value.as_ref().map(|value| (value.reveal().into(), value.is_sensitive())),
            None => {
                let message = format!("the variable `{}` is not declared", shorten(name));
                let help = suggest(name, variables.names())
                    .unwrap_or_else(|| format!("declare it: `variables: {{{}: {{description: ...}}}}`", shorten(name)));
                self.fail("config::unknown_variable", span, message, help)
            }
        }
    }

    /// The value of an environment variable, by `NAME` or `NAME:-default`, and whether it is sensitive.
    pub(crate) fn environment(&self, inner: &str, span: Span) -> Option<(Arc<str>, bool)> {
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        let value = self.env.get(name);
        let digest = value.map(|value| ContentDigest::of(value.as_bytes()));
        self.reads.borrow_mut().env.insert(name.to_owned(), digest);
        let sensitive = is_secret_name(name);
        match (value, default) {
            // As in a shell, `:-` stands in for an empty value too.
            (Some(value), Some(default)) if value.is_empty() => Some((default.into(), sensitive)),
            (Some(value), _) => Some((value.as_str().into(), sensitive)),
            (None, Some(default)) => Some((default.into(), sensitive)),
            (None, None) => {
                let name = shorten(name);
                let message = format!("the environment variable `{name}` is not set");
                let near = closest(&name, self.env.keys().map(String::as_str));
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let help = format!("set it (`export {name}=...`) or give a default: `${{env:{name}:-...}}`{near}");
                self.fail("config::unset_environment", span, message, help)
            }
        }
    }

    /// The content of a file without its last line break, and that it is sensitive.
    pub(crate) fn file(&self, path: &str, span: Span) -> Option<(Arc<str>, bool)> {
        let content = self.content(path, span)?;
        let trimmed = content.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
        Some((trimmed.map_or_else(|| content.clone(), Arc::from), true))
    }

    /// The content of a file, which is text of at most a megabyte.
    pub(crate) fn content(&self, path: &str, span: Span) -> Option<Arc<str>> {
        let absolute = absolute(self.sources.folder(span), path);
        // A file that could not be read is reported at each place that needs it.
        if let Some(Some((content, _))) = self.reads.borrow().files.get(&absolute) {
            return Some(content.clone());
        }
        let text = read_limited(&absolute, MAX_FILE).map_err(|error| reason(&error)).and_then(|bytes| {
            let digest = ContentDigest::of(&bytes);
            let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
            if text.contains('\0') { Err("it is not text".to_owned()) } else { Ok((text, digest)) }
        });
        let (text, digest) = match text {
            Ok(read) => read,
            Err(reason) => {
                self.reads.borrow_mut().files.insert(absolute, None);
                let message = format!("the file `{}` cannot be read: {reason}", shorten(path));
                return self.fail(
                    "config::unreadable",
                    span,
                    message,
                    "a relative path is relative to this configuration file",
                );
            }
        };
        let content: Arc<str> = text.into();
        self.reads.borrow_mut().files.insert(absolute, Some((content.clone(), digest)));
        Some(content)
    }

    /// The content of a file that need not be there yet.
    ///
    /// # Errors
    /// When it is there and cannot be read, as a reason for the user.
    pub(crate) fn optional_content(&self, absolute: &Path) -> Result<Option<Arc<str>>, String> {
        let read = match read_limited(absolute, MAX_FILE) {
            Ok(bytes) => {
                let digest = ContentDigest::of(&bytes);
                let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned());
                text.map(|text| Some((Arc::<str>::from(text), digest)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(reason(&error)),
        };
        let content = read.clone().ok().flatten();
        self.reads.borrow_mut().files.insert(absolute.to_owned(), content);
        Ok(read?.map(|(text, _)| text))
    }
}

/// A path that is relative to a folder, without `.` parts. `..` stays: the folder before it may be a
/// symbolic link.
pub(crate) fn absolute(folder: &Path, path: &str) -> PathBuf {
    folder.join(path).components().collect()
}

/// Where a scalar stands.
struct Place<'s> {
    raw: &'s str,
    span: Span,
}

impl Place<'_> {
    /// The place of the `nth` `${` of the scalar. Escapes and folded lines keep the order of the
    /// tokens, so counting finds them where comparing offsets does not.
    fn token(&self, token: &str, nth: usize) -> Span {
        let Some((at, _)) = self.raw.match_indices("${").nth(nth) else { return self.span };
        if !self.raw[at..].starts_with(token) {
            return self.span;
        }
        let number = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        let start = self.span.start + number(at);
        Span { start, end: start + number(token.len()), ..self.span }
    }
}
