//! What `orch adopt` found.

use std::fmt::Write as _;

use super::plan_human::field_changes;
use super::text::{count, escape};
use super::{Cell, Look, Paint, Table};
use crate::plan::{Adoptable, Adoption, Disputed};

/// What was found, as a table, with the fields in which the file differs below it.
#[must_use]
pub fn adoption(adoption: &Adoption, look: Look) -> String {
    let Adoption { found, disputed, without, owned } = adoption;
    let mut text = String::new();
    if found.is_empty() {
        text.push_str("Nothing was found to take over.\n");
    } else {
        let mut table = Table::new(&["SERVICE", "CONTAINER", "MATCHED BY", "IS"]);
        for one in found {
            let (is, paint) = match one.changes.len() {
                0 => ("as the file wants".to_owned(), Paint::Green),
                n => (format!("other than the file in {}", count(n, "field")), Paint::Yellow),
            };
            table.row(vec![
                Cell::new(one.address.to_string()),
                Cell::new(&one.name),
                Cell::new(&one.matched_by),
                Cell::new(is).paint(paint),
            ]);
        }
        text.push_str(&table.render(look));
    }
    for one in found.iter().filter(|one| !one.changes.is_empty()) {
        let _ = writeln!(text, "\n{}", difference(one));
        text.push_str(&field_changes(&one.changes, look));
    }
    let mut notes: Vec<String> = found.iter().filter_map(beyond).collect();
    notes.extend(disputed.iter().map(dispute));
    notes.extend(owned.iter().map(|address| format!("{} has an object of orch's already.", name(address))));
    if !without.is_empty() {
        let names: Vec<String> = without.iter().map(name).collect();
        notes.push(format!("Nothing that runs could be {}.", names.join(", ")));
    }
    if !notes.is_empty() {
        let _ = write!(text, "\n{}\n", notes.join("\n"));
    }
    text
}

/// The same as sentences, for who reads events.
#[must_use]
pub fn adoption_notices(adoption: &Adoption) -> Vec<String> {
    let differs = adoption.found.iter().filter(|one| !one.changes.is_empty()).map(|one| {
        let paths: Vec<&str> = one.changes.iter().map(|change| change.path.as_str()).collect();
        format!("{} is other than the file wants it: {}", name(&one.address), escape(&paths.join(", ")))
    });
    let disputed = adoption.disputed.iter().map(dispute);
    differs.chain(adoption.found.iter().filter_map(beyond)).chain(disputed).collect()
}

fn name(address: &crate::model::Address) -> String {
    escape(&address.to_string()).into_owned()
}

fn difference(one: &Adoptable) -> String {
    let then = if one.is_replaced_next() { "replaces it" } else { "changes it in place" };
    format!("{} is taken over as it is; the next apply {then}:", name(&one.address))
}

fn beyond(one: &Adoptable) -> Option<String> {
    if one.beyond.is_empty() {
        return None;
    }
    let (service, has) = (name(&one.address), escape(&one.beyond.join(", ")).into_owned());
    Some(format!("{service} runs with what a file cannot say ({has}): a new container would be without it."))
}

fn dispute(one: &Disputed) -> String {
    let Disputed { address, matched_by, names } = one;
    let (service, by) = (name(address), escape(matched_by));
    let names: Vec<String> = names.iter().map(|name| escape(name).into_owned()).collect();
    match names.as_slice() {
        [only] => {
            format!("{service} could be {only} ({by}), which is not certain: name it if it is, `{service}={only}`.")
        }
        several => {
            let (all, first) = (several.join(", "), several.first().map_or("CONTAINER", String::as_str));
            format!("{service} could be any of {all} ({by}): name one, `{service}={first}`.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{address, change};
    use super::*;

    fn some() -> Adoption {
        let one = |service: &str, changes| Adoptable {
            address: address(service),
            name: format!("shop-{service}-1"),
            matched_by: format!("label com.docker.compose.service={service}"),
            changes,
            beyond: Vec::new(),
        };
        let forced = |path: &str, old: Option<&str>, new: Option<&str>| crate::plan::Change {
            forces: true,
            ..change(path, old, new)
        };
        Adoption {
            found: vec![
                one(
                    "api",
                    vec![
                        forced("env.LEVEL", Some("debug"), Some("info")),
                        change("restart", Some("no"), Some("always")),
                    ],
                ),
                one("cache", vec![change("memory", Some("1"), Some("2"))]),
                Adoptable { beyond: vec!["privileged".to_owned()], ..one("web", Vec::new()) },
            ],
            disputed: vec![
                Disputed {
                    address: address("db"),
                    matched_by: "image postgres:15".to_owned(),
                    names: vec!["a\x1b[2J".to_owned(), "b".to_owned()],
                },
                Disputed { address: address("mq"), matched_by: "port 1".to_owned(), names: vec!["c".to_owned()] },
            ],
            without: vec![address("queue")],
            owned: vec![address("proxy")],
        }
    }

    #[test]
    fn the_table_says_what_each_is_and_what_differs() {
        insta::assert_snapshot!(adoption(&some(), Look::plain()), @r#"
        SERVICE  CONTAINER     MATCHED BY                              IS
        api      shop-api-1    label com.docker.compose.service=api    other than the file in 2 fields
        cache    shop-cache-1  label com.docker.compose.service=cache  other than the file in 1 field
        web      shop-web-1    label com.docker.compose.service=web    as the file wants

        api is taken over as it is; the next apply replaces it:
              ~ env.LEVEL: "debug" -> "info"  # forces replacement
              ~ restart: "no" -> "always"

        cache is taken over as it is; the next apply changes it in place:
              ~ memory: "1" -> "2"

        web runs with what a file cannot say (privileged): a new container would be without it.
        db could be any of a\u{1b}[2J, b (image postgres:15): name one, `db=a\u{1b}[2J`.
        mq could be c (port 1), which is not certain: name it if it is, `mq=c`.
        proxy has an object of orch's already.
        Nothing that runs could be queue.
        "#);
        assert_eq!(adoption(&Adoption::default(), Look::plain()), "Nothing was found to take over.\n");
    }

    #[test]
    fn events_say_the_same() {
        insta::assert_snapshot!(adoption_notices(&some()).join("\n"), @r"
        api is other than the file wants it: env.LEVEL, restart
        cache is other than the file wants it: memory
        web runs with what a file cannot say (privileged): a new container would be without it.
        db could be any of a\u{1b}[2J, b (image postgres:15): name one, `db=a\u{1b}[2J`.
        mq could be c (port 1), which is not certain: name it if it is, `mq=c`.
        ");
    }
}
