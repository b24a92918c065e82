//! A Procfile as local processes, as foreman runs them.

use std::collections::BTreeMap;

use super::document::Document;
use super::secret::Names;
use super::words::Words;
use super::yaml::{Entry, Yaml};
use super::{Finding, FindingKind, ImportError, Imported, Place};
use crate::config::{env_lines, shorten};
use crate::model::ServiceName;

/// The port of the first process, and what the next ones add, as foreman counts.
const FIRST_PORT: u16 = 5000;
const NEXT_PORT: u16 = 100;

/// What is to be imported.
#[derive(Debug, Clone, Default)]
pub struct Procfile {
    /// The name of the file, as it is shown.
    pub name: String,
    /// The file.
    pub text: String,
    /// The `.env` beside it: its name, as it is shown, and what it holds.
    pub env: Option<(String, String)>,
    /// The folder of the file as orch's file names it: `.`, `../shop`.
    pub folder: String,
}

/// A line of the file.
struct Line<'t> {
    number: usize,
    name: &'t str,
    command: &'t str,
}

/// Imports a Procfile.
///
/// # Errors
/// When a line of it makes no sense.
pub fn procfile(what: &Procfile) -> Result<Imported, ImportError> {
    let lines = lines(what)?;
    let env = environment(what)?;
    let mut names = Names::default();
    let mut findings = Vec::new();
    let mut shared: Vec<Entry> = Vec::new();
    for (name, (value, number)) in env.iter().filter(|(name, _)| *name != "PORT") {
        let (words, secrets) = names.hide("", name, Words::literal(value));
        let place = what.env.as_ref().map(|(file, _)| Place { file: file.clone(), line: *number });
        for secret in secrets {
            let message = format!("`{secret}` is a secret, and is taken from the environment; its value stands there");
            findings.push(Finding { kind: FindingKind::ToSet, place: place.clone(), service: None, message });
        }
        shared.push(Entry::new(name, Yaml::text(words.written())));
    }
    let first = match env.get("PORT") {
        None => FIRST_PORT,
        Some((port, _)) => port.parse().map_err(|_| {
            ImportError::request(format!("the PORT of .env, `{}`, is no port", shorten(port)), "write a number")
        })?,
    };
    let release = lines.iter().find(|line| line.name == "release").map(|line| line.name);
    let anchored = lines.len() > 1 && shared.len() > 1;
    let mut services = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let place_of = || Some(Place { file: what.name.clone(), line: line.number });
        let offset = u16::try_from(place).unwrap_or(u16::MAX).saturating_mul(NEXT_PORT);
        let port = first.checked_add(offset).ok_or_else(|| {
            ImportError::request(format!("{} has more processes than ports", what.name), "split it into two projects")
        })?;
        let mut env = match anchored {
            true => vec![Entry::new("<<", Yaml::Bare("*env".to_owned()))],
            false => shared.clone(),
        };
        env.push(Entry::new("PORT", Yaml::text(port.to_string())));
        let mut backend = vec![Entry::new("type", Yaml::text("process"))];
        let (program, secrets) = program(line, what, &mut names)?;
        for secret in secrets {
            let message = format!("`{secret}` is a secret, and is taken from the environment; its value stands there");
            let service = Some(line.name.to_owned());
            findings.push(Finding { kind: FindingKind::ToSet, place: place_of(), service, message });
        }
        backend.extend(program);
        if what.folder != "." {
            backend.push(Entry::new("working_dir", Yaml::text(what.folder.clone())));
        }
        backend.push(Entry::new("env", Yaml::Map(env)));
        let mut service = Vec::new();
        if release == Some(line.name) {
            let message = "it is a job that the others wait for, which is what `release` is for".to_owned();
            let of = Some(line.name.to_owned());
            findings.push(Finding { kind: FindingKind::Note, place: place_of(), service: of, message });
            service.push(Entry::new("kind", Yaml::text("job")));
        }
        service.push(Entry::new("backend", Yaml::Map(backend)));
        if let Some(release) = release.filter(|release| *release != line.name) {
            service.push(Entry::new("dependencies", Yaml::texts([release])));
        }
        services.push(Entry::new(line.name, Yaml::Map(service)));
    }
    if !services.is_empty() {
        let message =
            format!("PORT is as foreman counts: {first} for the first process, {NEXT_PORT} more for each next one");
        findings.push(Finding { kind: FindingKind::Note, place: None, service: None, message });
    }
    let shared = anchored.then(|| {
        let from = what.env.as_ref().map_or(".env", |(name, _)| name.as_str());
        Entry {
            comment: vec![format!("What {from} holds.")],
            ..Entry::new("x-env", Yaml::Anchored("env".to_owned(), shared))
        }
    });
    let document = Document { from: what.name.clone(), shared, services, ..Document::default() };
    Ok(document.imported(findings))
}

fn lines(what: &Procfile) -> Result<Vec<Line<'_>>, ImportError> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (number, text) in what.text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let wrong = |why: &str| {
            let message = format!("{}:{number}: {why}", what.name);
            ImportError::request(message, "a line of a Procfile is `NAME: COMMAND`")
        };
        let (name, command) = text.split_once(':').ok_or_else(|| wrong("there is no `:`"))?;
        let command = command.trim();
        if ServiceName::new(name).is_err() {
            return Err(wrong(&format!("`{}` cannot be the name of a process", shorten(name))));
        }
        if command.is_empty() {
            return Err(wrong("there is no command"));
        }
        if lines.iter().any(|line| line.name == name) {
            return Err(wrong(&format!("`{name}` stands here twice")));
        }
        lines.push(Line { number, name, command });
    }
    if lines.is_empty() {
        let message = format!("{} has no processes", what.name);
        return Err(ImportError::request(message, "a line of a Procfile is `NAME: COMMAND`"));
    }
    Ok(lines)
}

/// The variables of `.env` with their lines.
fn environment(what: &Procfile) -> Result<BTreeMap<String, (String, usize)>, ImportError> {
    let Some((file, text)) = &what.env else { return Ok(BTreeMap::new()) };
    let values = env_lines(text).map_err(|(line, why)| {
        ImportError::request(format!("line {line} of {file} {why}"), "write lines of `NAME=value`")
    })?;
    let line_of = |name: &str| {
        let is_of = |line: &str| {
            let line = line.trim_start().strip_prefix("export ").unwrap_or(line.trim_start());
            line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
        };
        text.lines().position(is_of).map_or(1, |at| at + 1)
    };
    Ok(values
        .into_iter()
        .filter_map(|(name, value)| {
            let line = line_of(&name);
            Some((name, (value?, line)))
        })
        .collect())
}

/// What runs: the program itself where the command is just that, else a shell, as foreman has one.
fn program(line: &Line<'_>, what: &Procfile, names: &mut Names) -> Result<(Vec<Entry>, Vec<String>), ImportError> {
    let needs_shell = |c: char| "$|&;<>()`*?[]{}~#!\n".contains(c);
    let words = shlex::split(line.command).ok_or_else(|| {
        let message = format!("{}:{}: a quote is not closed", what.name, line.number);
        ImportError::request(message, "close it")
    })?;
    let assigns = words.first().is_some_and(|word| word.contains('=') && !word.starts_with(['.', '/']));
    let (hidden, secrets) = names.hide_list(line.name, words.into_iter().map(Words::literal).collect());
    if !line.command.contains(needs_shell) && !assigns {
        let mut words = hidden.iter().map(Words::written);
        let binary = words.next().unwrap_or_default();
        // A path is relative to orch's file, and was to the Procfile.
        let relative = binary.contains('/') && !binary.starts_with('/') && what.folder != ".";
        let binary = if relative { format!("{}/{}", what.folder, binary.trim_start_matches("./")) } else { binary };
        let mut entries = vec![Entry::new("binary", Yaml::text(binary))];
        let args: Vec<String> = words.collect();
        entries.extend((!args.is_empty()).then(|| Entry::new("args", Yaml::texts(args))));
        return Ok((entries, secrets));
    }
    // One simple command takes the shell's place, so that it gets the signals itself.
    let simple = !line.command.contains(['|', '&', ';', '<', '>', '(', ')', '`', '{', '}', '\n'])
        || is_braced_only(line.command);
    let exec = if simple && !assigns && !line.command.starts_with("exec ") { "exec " } else { "" };
    let script = Words::literal(format!("{exec}{}", line.command));
    let (script, more) = names.hide(line.name, "COMMAND", script);
    let entries = vec![
        Entry::new("binary", Yaml::text("/bin/sh")),
        Entry::new("args", Yaml::texts(["-c".to_owned(), script.written()])),
    ];
    Ok((entries, more))
}

/// Whether braces are only those of `${NAME}`.
fn is_braced_only(command: &str) -> bool {
    let others = ['|', '&', ';', '<', '>', '(', ')', '`', '\n'];
    let opened = command.matches('{').count();
    !command.contains(others) && opened == command.matches("${").count() && opened == command.matches('}').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(text: &str, env: Option<&str>) -> Imported {
        let env = env.map(|env| (".env".to_owned(), env.to_owned()));
        let what = Procfile { name: "Procfile".to_owned(), text: text.to_owned(), env, folder: ".".to_owned() };
        procfile(&what).expect("a Procfile")
    }

    #[test]
    fn processes_are_written_as_foreman_runs_them() {
        let text = "# the shop\nrelease: bin/migrate\nweb: bundle exec puma -p ${PORT:-3000}\n\nworker:   bin/work --queue \"a b\"\n\
                    log: FOO=1 tail -f log | grep x\n";
        let imported =
            import(text, Some("RACK_ENV=production\nexport API_TOKEN='hunter22'\nDATABASE_URL=pg://a:hunter22@db/x\n"));
        insta::assert_snapshot!(imported.text);
        assert!(!imported.text.contains("hunter22"));
        assert_eq!(imported.services, 4);
    }

    #[test]
    fn a_port_of_the_file_is_where_counting_starts() {
        let text = import("web: ./web\nother: ./other", Some("PORT=7000")).text;
        assert!(text.contains("PORT: \"7000\"") && text.contains("PORT: \"7100\""), "{text}");
    }

    #[test]
    fn lines_that_make_no_sense_are_named() {
        for (text, why) in [
            ("", "has no processes"),
            ("web", "Procfile:1: there is no `:`"),
            ("# x\nweb:", "Procfile:2: there is no command"),
            ("a: b\na: c", "Procfile:2: `a` stands here twice"),
            ("a b: c", "Procfile:1: `a b` cannot be the name"),
            ("a: 'b", "Procfile:1: a quote is not closed"),
        ] {
            let what = Procfile { name: "Procfile".to_owned(), text: text.to_owned(), ..Procfile::default() };
            let Err(ImportError::Request { message, .. }) = procfile(&what) else { panic!("{text} was taken") };
            assert!(message.contains(why), "{text}: {message}");
        }
    }
}
