//! `docs/reference.md`, written from the types: the file's keys from the JSON Schema, the verbs and
//! flags from clap, the exit codes, the events from their schema.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::{ArgAction, CommandFactory as _};
use orch::cli::Exit;
use orch::cli::args::Cli;
use orch::ops::{SchemaOf, schema};
use serde_json::Value;

const HEAD: &str = "\
# Reference

This file is made from the code by `UPDATE=1 cargo test --test generated`. Do not edit it by hand.

- [The file](#the-file)
- [Commands](#commands)
- [Exit codes](#exit-codes)
- [Environment](#environment)
- [The user's defaults](#the-users-defaults)
- [The state folder](#the-state-folder)
- [Events](#events)
- [Schemas](#schemas)

## The file

orch reads `orch.yaml`, or `orch.yml`, of the current folder; `--file` and `ORCH_FILE` name another file, several, or a
folder, whose files are merged. A relative path is relative to the file that names it. A bare number where a duration is
asked for is seconds; `300ms`, `5m` and `1h30m` work too. Keys that start with `x-` are free. Unknown keys are errors.

In every value, `${var:NAME}` stands for a variable, `${env:NAME}` for an environment variable, `${env:NAME:-default}`
for one that may be unset or empty, `${file:PATH}` for the content of a file without its last line break (which counts as a
secret), and `$${` for the text `${` itself. In texts of a service on a host, and of its checks, `${host:name}`,
`${host:address}`, `${host:user}`, `${host:labels.NAME}` and `${host:facts.NAME}` stand for what is known of the host.
";

/// The whole reference.
pub(crate) fn text() -> String {
    let mut out = HEAD.to_owned();
    let config: Value = serde_json::from_str(&schema(SchemaOf::Config)).unwrap();
    Keys { root: &config, out: &mut out, seen: BTreeSet::new() }.object("", "Top level", &config, &BTreeSet::new());
    commands(&mut out);
    exit_codes(&mut out);
    out.push_str(ENVIRONMENT);
    events(&mut out);
    out.push_str(SCHEMAS);
    out
}

/// Text as it can stand in a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

struct Keys<'a> {
    root: &'a Value,
    out: &'a mut String,
    seen: BTreeSet<String>,
}

impl<'a> Keys<'a> {
    /// What a `$ref` points at, and the schema itself where it is none.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => &self.root["$defs"][reference.trim_start_matches("#/$defs/")],
            None => schema,
        }
    }

    /// The alternatives that a schema stands for, all references followed and absence left out.
    fn flat(&self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolve(schema);
        match schema["anyOf"].as_array() {
            Some(list) => list.iter().flat_map(|one| self.flat(one)).collect(),
            None => vec![schema],
        }
    }

    /// A section for an object, and for each object below it.
    fn object(&mut self, path: &str, title: &str, schema: &'a Value, elsewhere: &BTreeSet<&str>) {
        if !self.seen.insert(title.to_owned()) {
            return;
        }
        let Some(properties) = schema["properties"].as_object() else { return };
        let described = schema["description"].as_str().map(cell).unwrap_or_default();
        write!(self.out, "\n### {title}\n\n{described}\n").unwrap();
        self.table(schema, |name| !elsewhere.contains(name));
        for (name, property) in properties {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.below(&path, property);
        }
    }

    /// The table of those keys of an object that are wanted.
    fn table(&mut self, schema: &'a Value, wanted: impl Fn(&str) -> bool) {
        self.out.push_str("\n| Key | Type | Default | Description |\n|---|---|---|---|\n");
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema["properties"].as_object().into_iter().flatten();
        for (name, property) in properties.filter(|(name, _)| wanted(name)) {
            if let Some(value) = property["const"].as_str() {
                writeln!(self.out, "| `{name}` | `{value}` | required | Chooses what is described here. |").unwrap();
                continue;
            }
            let (text, default) = split_default(property["description"].as_str().unwrap_or_default());
            let default = if required.contains(&name.as_str()) { "required".to_owned() } else { default };
            let kinds = self.kinds(property);
            writeln!(self.out, "| `{name}` | {kinds} | {default} | {} |", cell(&text)).unwrap();
        }
    }

    /// The sections of the variants that a `type` chooses among; what all of them have comes once.
    fn variants(&mut self, path: &str, variants: &'a [Value]) {
        let kind = |variant: &'a Value| variant["properties"]["type"]["const"].as_str();
        let chosen: Vec<(&str, &Value)> = variants.iter().filter_map(|one| Some((kind(one)?, one))).collect();
        let Some((_, first)) = chosen.first().copied() else { return };
        // A key that means something else in another type is not common to both.
        let said = |variant: &Value, key: &str| variant["properties"][key]["description"].clone();
        let has = |variant: &Value, key: &str| {
            variant["properties"].get(key).is_some() && said(variant, key) == said(first, key)
        };
        let mut common: BTreeSet<&str> =
            first["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        common.retain(|key| *key != "type" && chosen.iter().all(|(_, variant)| has(variant, key)));
        let title = format!("`{path}` of any type");
        if !common.is_empty() && self.seen.insert(title.clone()) {
            write!(self.out, "\n### {title}\n\nBeside these, each type has keys of its own.\n").unwrap();
            self.table(first, |name| common.contains(name));
        }
        for (kind, variant) in chosen {
            self.object(path, &format!("`{path}` of type `{kind}`"), variant, &common);
        }
    }

    /// The sections of what a property may hold.
    fn below(&mut self, path: &str, property: &'a Value) {
        for schema in self.flat(property) {
            if let Some(variants) = schema["oneOf"].as_array() {
                self.variants(path, variants);
            } else if schema["properties"].is_object() {
                self.object(path, &format!("`{path}`"), schema, &BTreeSet::new());
            } else if schema["additionalProperties"].is_object() {
                let below = format!("{path}.<name>");
                self.below(&below, &schema["additionalProperties"]);
            } else if schema["items"].is_object() {
                self.below(path, &schema["items"]);
            }
        }
    }

    /// What a property may hold, in words.
    fn kinds(&self, property: &'a Value) -> String {
        let flat = self.flat(property);
        let mut kinds: Vec<String> = Vec::new();
        for schema in flat {
            // `${...}` is taken everywhere, which is said once.
            if schema["pattern"] == "\\$\\{" {
                continue;
            }
            for kind in self.kind(schema) {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        kinds.join(" or ")
    }

    fn kind(&self, schema: &'a Value) -> Vec<String> {
        if let Some(variants) = schema["oneOf"].as_array() {
            let fixed: Vec<String> =
                variants.iter().filter_map(|one| one["const"].as_str()).map(|one| format!("`{one}`")).collect();
            return if fixed.is_empty() { vec!["map with `type`".to_owned()] } else { fixed };
        }
        if let Some(fixed) = schema["enum"].as_array() {
            return fixed.iter().filter_map(Value::as_str).map(|one| format!("`{one}`")).collect();
        }
        if schema["items"].is_object() {
            return vec![format!("list of {}", self.kinds(&schema["items"]))];
        }
        if schema["additionalProperties"].is_object() {
            return vec![format!("map from names to {}", self.kinds(&schema["additionalProperties"]))];
        }
        if schema["properties"].is_object() {
            return vec!["map".to_owned()];
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => return Vec::new(),
        };
        let has = |name: &str| types.contains(&name);
        match () {
            () if has("string") && has("boolean") => vec!["text".to_owned()],
            () if has("string") && has("number") && schema.get("maximum").is_some() => vec!["number".to_owned()],
            () if has("string") && has("number") => vec!["duration".to_owned()],
            () if has("string") && has("integer") && schema.get("pattern").is_some() => {
                vec!["whole number".to_owned(), "text".to_owned()]
            }
            () if has("string") && has("integer") => vec!["size".to_owned()],
            () if has("string") => vec!["text".to_owned()],
            () if has("integer") => vec!["whole number".to_owned()],
            () if has("number") => vec!["number".to_owned()],
            () if has("boolean") => vec!["true or false".to_owned()],
            () => Vec::new(),
        }
    }
}

/// Takes the sentence that begins with `Default:` out of a description.
fn split_default(text: &str) -> (String, String) {
    let text = cell(text);
    match text.split_once("Default: ") {
        Some((before, default)) => (before.trim().to_owned(), default.trim_end_matches('.').to_owned()),
        None => (text, String::new()),
    }
}

fn commands(out: &mut String) {
    let mut orch = Cli::command();
    orch.build();
    out.push_str("\n## Commands\n\nEvery command takes these, before or after the verb:\n\n");
    let shared: BTreeSet<String> = ["Global options", "Definition"].iter().map(|&heading| heading.to_owned()).collect();
    flags(out, orch.get_arguments().filter(|arg| arg.get_help_heading().is_some_and(|h| shared.contains(h))));
    out.push_str(
        "\n`orch init`, `package`, `schema` and `completions` read no file, so the flags about it change nothing there.\n",
    );
    for verb in orch.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        command(out, "orch", verb, &shared);
    }
}

fn command(out: &mut String, before: &str, verb: &clap::Command, shared: &BTreeSet<String>) {
    let name = format!("{before} {}", verb.get_name());
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    write!(out, "\n### `{name}`\n\n{about}.\n").unwrap();
    let below: Vec<_> = verb.get_subcommands().filter(|below| below.get_name() != "help").collect();
    if !below.is_empty() {
        below.into_iter().for_each(|below| command(out, &name, below, shared));
        return;
    }
    let mut usage = name;
    for arg in verb.get_positionals() {
        let value = arg.get_value_names().map(|names| names[0].to_string()).unwrap_or_default();
        let value = if arg.is_required_set() { format!("<{value}>") } else { format!("[{value}]") };
        let more = matches!(arg.get_action(), ArgAction::Append);
        write!(usage, " {value}{}", if more { "..." } else { "" }).unwrap();
    }
    write!(out, "\n```text\n{usage} [OPTIONS]\n```\n").unwrap();
    let own: Vec<_> = verb
        .get_arguments()
        .filter(|arg| !arg.get_help_heading().is_some_and(|heading| shared.contains(heading)))
        .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        .collect();
    if !own.is_empty() {
        out.push('\n');
        flags(out, own.into_iter());
    }
}

fn flags<'a>(out: &mut String, args: impl Iterator<Item = &'a clap::Arg>) {
    out.push_str("| Argument | Meaning |\n|---|---|\n");
    for arg in args {
        let value = arg.get_value_names().map(|names| names[0].to_string()).unwrap_or_default();
        let takes = arg.get_action().takes_values();
        let mut forms = Vec::new();
        if arg.is_positional() {
            forms.push(value.clone());
        }
        forms.extend(arg.get_short().map(|short| format!("-{short}")));
        forms.extend(arg.get_long().map(|long| format!("--{long}")));
        if let (true, false, Some(last)) = (takes, arg.is_positional(), forms.last_mut()) {
            write!(last, "{}{value}", if arg.is_require_equals_set() { "=" } else { " " }).unwrap();
        }
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        writeln!(out, "| `{}` | {} |", cell(&forms.join(", ")), cell(&help)).unwrap();
    }
}

fn exit_codes(out: &mut String) {
    out.push_str("\n## Exit codes\n\n| Code | Meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        let meaning = match exit {
            Exit::OfCommand(_) => continue,
            Exit::Done => "Done, or nothing to do.",
            Exit::Error => "An error; nothing was changed by this command.",
            Exit::Changes => "`orch plan --detailed-exitcode` found changes.",
            Exit::PlanRefused => "The saved plan is stale, altered or already applied.",
            Exit::Locked => "Someone else holds the lock.",
            Exit::ApplyFailed => "The apply failed or a gate was missed; some steps may be done.",
            Exit::Interrupted => "A signal ended the run.",
            Exit::Usage => "The command line is wrong.",
        };
        writeln!(out, "| {} | {meaning} |", exit.code()).unwrap();
    }
    out.push_str("\n`orch exec` ends with the exit code of its command.\n");
}

fn events(out: &mut String) {
    out.push_str(
        "\n## Events\n\n`--json` of the verbs that change something prints one event on each line; \
         `runs/<run>/events.ndjson` keeps the same. Every event has `at`, the time, and `event`, its name. The first one \
         carries the version of the format. An event holds no secret.\n\n| `event` | Meaning | Fields |\n|---|---|---|\n",
    );
    let schema: Value = serde_json::from_str(&schema(SchemaOf::Event)).unwrap();
    for variant in schema["oneOf"].as_array().unwrap() {
        let properties = variant["properties"].as_object().unwrap();
        let name = properties["event"]["const"].as_str().unwrap();
        let fields: Vec<_> = properties.keys().filter(|key| *key != "event").map(|key| format!("`{key}`")).collect();
        let meaning = cell(variant["description"].as_str().unwrap_or_default());
        writeln!(out, "| `{name}` | {meaning} | {} |", fields.join(", ")).unwrap();
    }
    out.push_str(
        "\n`step_started`, `step_finished` and `step_skipped` also have the `action`, and a replace its `order`.\n",
    );
}

const ENVIRONMENT: &str = "
## Environment

| Variable | Meaning |
|---|---|
| `ORCH_FILE` | The file or folder to read where no `--file` is given. |
| `ORCH_PROFILES` | The active profiles, with commas, where no `--profile` is given. |
| `ORCH_VAR_<NAME>` | The value of variable `NAME` where no `--var` or `--var-file` gives one. |
| `NO_COLOR` | Turns colours off. |
| `CLICOLOR_FORCE` | Turns colours on in a pipe. |
| `XDG_CONFIG_HOME` | Where `orch/config.toml` is; `~/.config` where it is not set. |

A service of the process backend gets, of orch's own environment, `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`, `LC_*`,
`TZ` and `TMPDIR`, then its own `env`, and then `ORCH_SERVICE`, `ORCH_ADDRESS`, `ORCH_OP_ID` and `ORCH_OBJECT`.

## The user's defaults

`$XDG_CONFIG_HOME/orch/config.toml`. The command line and the project's own settings win over it.

| Key | Type | Meaning |
|---|---|---|
| `color` | `\"auto\"`, `\"always\"` or `\"never\"` | When output is coloured. |
| `lock_timeout` | duration | How long to wait for a lock that someone else holds. |
| `log_lines` | whole number | How many lines `orch logs` shows. |
| `max_parallel` | 1 to 1000 | How many steps run at once, where the project does not say. |

## The state folder

`.orch` beside the file, or what `settings.state_dir` or `--state-dir` names. Mode 0700, its files 0600.

| Path | What it is |
|---|---|
| `state.json` | One record for each instance, with a checksum. |
| `state.json.backup` | The state before the last write that changed something. |
| `state.json.damaged` | A damaged state that `orch state push` replaced. |
| `journal.ndjson` | Intents and ends that are not in `state.json` yet. |
| `lock` | Who is changing the project. It is never removed. |
| `digest.key` | The key under which secrets are digested. Without it, every secret looks changed. |
| `runs/<run>/run.json` | Who ran what, when, and how it ended. |
| `runs/<run>/plan.json` | The plan that was executed. |
| `runs/<run>/events.ndjson` | Its events. |
| `runs/<run>/evidence/<address>/` | `error.txt` and `log.txt` of a step that failed. |
| `process/<op-id>/` | One object of the process backend: stamp, status, lock, socket and log. |
";

const SCHEMAS: &str = "
## Schemas

`orch schema config|plan|state|event` prints the JSON Schema of each format; `schemas/` has the same. An editor with a YAML
language server checks a file that starts with

```yaml
# yaml-language-server: $schema=path/to/schemas/config.json
```
";
