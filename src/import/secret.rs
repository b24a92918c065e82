//! Secrets that stand in a source as they are: the file gets a reference to the environment in their place,
//! never the value.

use std::collections::BTreeMap;

use super::words::{Part, Words};
use crate::config::{has_password, is_secret_name};

/// The names that secrets get in the environment.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By name, the value that it stands for.
    given: BTreeMap<String, String>,
    /// Names that mean something already, with the value where it is known.
    taken: BTreeMap<String, Option<String>>,
}

impl Names {
    pub(super) fn new(taken: BTreeMap<String, Option<String>>) -> Self {
        Self { given: BTreeMap::new(), taken }
    }

    /// The name for a value: one that has the value already, else one made of the key that it stands under.
    fn give(&mut self, service: &str, key: &str, value: &str) -> String {
        if let Some((name, _)) = self.given.iter().find(|(_, given)| *given == value) {
            return name.clone();
        }
        let upper = |text: &str| -> String {
            let known = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
            text.trim_start_matches('-').chars().map(known).collect()
        };
        // What orch takes from the environment is a secret by its name.
        let key = match upper(key) {
            key if is_secret_name(&key) => key,
            key => format!("{key}_PASSWORD"),
        };
        let service = upper(service);
        let mut names =
            [key.clone(), format!("{service}_{key}")].into_iter().chain((2..).map(|n| format!("{service}_{key}_{n}")));
        let is_value = |name: &String| match self.taken.get(name) {
            None => true,
            Some(known) => known.as_deref() == Some(value),
        };
        let is_free = |name: &String| is_value(name) && !self.given.contains_key(name);
        let name = names.find(is_free).unwrap_or(key);
        let name = if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name };
        self.given.insert(name.clone(), value.to_owned());
        name
    }

    /// A value under a key: itself, or with references in the place of what is secret in it, whose names are
    /// the second part.
    pub(super) fn hide(&mut self, service: &str, key: &str, words: Words) -> (Words, Vec<String>) {
        if let Some(text) = words.plain()
            && is_secret(key, text)
        {
            let name = self.give(service, key, text);
            return (Words::environment(&name), vec![name]);
        }
        let (mut hidden, mut names) = (Words::default(), Vec::new());
        for part in words.0 {
            match part {
                Part::Literal(text) if has_password(&text) => {
                    self.hide_urls(service, key, &text, &mut hidden, &mut names)
                }
                part => hidden.push(part),
            }
        }
        (hidden, names)
    }

    fn hide_urls(&mut self, service: &str, key: &str, text: &str, hidden: &mut Words, names: &mut Vec<String>) {
        let mut rest = text;
        while let Some(at) = rest.find("://") {
            let (before, after) = rest.split_at(at + 3);
            hidden.push(Part::Literal(before.to_owned()));
            let end = after.find(['/', '?', '#', ' ', '\n', '"', '\'']).unwrap_or(after.len());
            let (authority, tail) = after.split_at(end);
            let password = authority.rsplit_once('@').and_then(|(user, host)| {
                let (user, password) = user.split_once(':').filter(|(_, password)| !password.is_empty())?;
                Some((user, password, host))
            });
            match password {
                Some((user, password, host)) => {
                    let name = self.give(service, &format!("{key}_PASSWORD"), password);
                    hidden.push(Part::Literal(format!("{user}:")));
                    hidden.push(Part::Reference(format!("env:{name}")));
                    hidden.push(Part::Literal(format!("@{host}")));
                    names.push(name);
                }
                None => hidden.push(Part::Literal(authority.to_owned())),
            }
            rest = tail;
        }
        hidden.push(Part::Literal(rest.to_owned()));
    }

    /// The words of a command line: values of `--password=...`, what follows `--password`, `NAME=value`, and
    /// passwords in URLs.
    pub(super) fn hide_list(&mut self, service: &str, list: Vec<Words>) -> (Vec<Words>, Vec<String>) {
        let (mut hidden, mut names) = (Vec::new(), Vec::new());
        let mut flag: Option<String> = None;
        for words in list {
            let before = flag.take();
            let (words, more) = match (words.plain(), before) {
                (Some(text), Some(flag)) if !text.starts_with('-') => self.hide(service, &flag, words),
                (Some(text), _) => match text.split_once('=') {
                    Some((name, value)) if is_secret(name, value) && !name.contains(char::is_whitespace) => {
                        let given = self.give(service, name, value);
                        let start = Part::Literal(format!("{name}="));
                        (Words(vec![start, Part::Reference(format!("env:{given}"))]), vec![given])
                    }
                    _ => {
                        flag = (text.starts_with('-') && is_name(text)).then(|| text.to_owned());
                        self.hide(service, "COMMAND", words)
                    }
                },
                (None, _) => self.hide(service, "COMMAND", words),
            };
            hidden.push(words);
            names.extend(more);
        }
        (hidden, names)
    }
}

/// Whether a name says that what it names is secret; `DB_PASS` too, which orch itself leaves alone.
pub(super) fn is_name(name: &str) -> bool {
    let last = name.rsplit(['_', '-', '.']).next().unwrap_or_default().to_ascii_uppercase();
    is_secret_name(name) || last == "PASS" || last == "REQUIREPASS"
}

/// Whether a value under a name is a secret: not a path, a switch or nothing.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    let switch =
        matches!(value.to_ascii_lowercase().as_str(), "" | "true" | "false" | "yes" | "no" | "0" | "1" | "on" | "off");
    let upper = name.to_ascii_uppercase();
    let path = ["_FILE", "-FILE", "_PATH", "-PATH", "_DIR"].iter().any(|end| upper.ends_with(end))
        || value.starts_with("/run/secrets/");
    is_name(name) && !switch && !path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hide(key: &str, text: &str) -> String {
        Names::default().hide("api", key, Words::literal(text)).0.written()
    }

    #[test]
    fn values_that_are_secret_become_references() {
        assert_eq!(hide("POSTGRES_PASSWORD", "hunter22"), "${env:POSTGRES_PASSWORD}");
        assert_eq!(hide("DB_PASS", "hunter22"), "${env:DB_PASS_PASSWORD}");
        assert_eq!(
            hide("DATABASE_URL", "pg://app:hunter22@db:5432/x"),
            "pg://app:${env:DATABASE_URL_PASSWORD}@db:5432/x"
        );
        for (key, text) in [
            ("POSTGRES_PASSWORD_FILE", "/run/secrets/pw"),
            ("ALLOW_EMPTY_PASSWORD", "yes"),
            ("URL", "http://db:80/a@b:c"),
            ("PORT", "80"),
        ] {
            assert_eq!(hide(key, text), text);
        }
    }

    #[test]
    fn one_value_has_one_name_and_one_name_has_one_value() {
        let mut names = Names::new(BTreeMap::from([("API_TOKEN".to_owned(), None)]));
        let mut hide =
            |service: &str, key: &str, text: &str| names.hide(service, key, Words::literal(text)).0.written();
        assert_eq!(hide("db", "PASSWORD", "one"), "${env:PASSWORD}");
        assert_eq!(hide("api", "DB_URL", "x://a:one@b"), "x://a:${env:PASSWORD}@b");
        assert_eq!(hide("api", "PASSWORD", "two"), "${env:API_PASSWORD}");
        assert_eq!(hide("web", "API_TOKEN", "three"), "${env:WEB_API_TOKEN}");
    }

    #[test]
    fn commands_are_looked_through() {
        let line = ["redis-server", "--requirepass", "hunter22", "--port", "80", "--api-token=abc", "A=b"];
        let (hidden, names) = Names::default().hide_list("redis", line.map(Words::literal).into());
        let shown: Vec<String> = hidden.iter().map(Words::written).collect();
        let expected = [
            "redis-server",
            "--requirepass",
            "${env:REQUIREPASS_PASSWORD}",
            "--port",
            "80",
            "--api-token=${env:API_TOKEN}",
            "A=b",
        ];
        assert_eq!(shown, expected);
        assert_eq!(names, ["REQUIREPASS_PASSWORD", "API_TOKEN"]);
    }
}
