//! What is recorded: `orch state list` and `orch state show`.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::text::{escape, quote};
use super::time::{age, duration, stamp};
use super::{Cell, Look, Paint, Table};
use crate::model::{Address, FieldValue};
use crate::state::{RecordStatus, State};

fn status_word(status: RecordStatus) -> (&'static str, Paint) {
    match status {
        RecordStatus::Healthy => ("healthy", Paint::Green),
        RecordStatus::Completed => ("completed", Paint::Green),
        RecordStatus::Failed => ("failed", Paint::Red),
        RecordStatus::Stopped => ("stopped", Paint::Dim),
    }
}

/// The table of `orch state list`: every record, and every attempt whose end was never written.
#[must_use]
pub fn records(state: &State, now: Timestamp, look: Look) -> String {
    if state.records.is_empty() && state.pending.is_empty() {
        return "Nothing is recorded. `orch apply` makes the first records.\n".to_owned();
    }
    let mut table = Table::new(&["ADDRESS", "BACKEND", "KIND", "STATUS", "REVISION", "UPDATED"]);
    let unfinished = |action: &str| Cell::new(format!("unfinished {action}")).paint(Paint::Yellow);
    for (address, record) in &state.records {
        let (word, paint) = status_word(record.status);
        let status = match state.pending.get(address) {
            Some(pending) => unfinished(&pending.action),
            None => Cell::new(word).paint(paint),
        };
        table.row(vec![
            Cell::new(address.to_string()),
            Cell::new(record.backend.to_string()),
            Cell::new(record.kind.to_string()),
            status,
            Cell::new(record.revision.short()),
            Cell::new(age(now, record.updated_at)),
        ]);
    }
    for (address, pending) in state.pending.iter().filter(|(address, _)| !state.records.contains_key(address)) {
        table.row(vec![
            Cell::new(address.to_string()),
            Cell::new(pending.backend.to_string()),
            Cell::new("-"),
            unfinished(&pending.action),
            Cell::new("-"),
            Cell::new(age(now, pending.begun_at)),
        ]);
    }
    table.render(look)
}

/// Everything that is recorded of one instance; `None` when nothing is.
#[must_use]
pub fn record_details(state: &State, address: &Address, now: Timestamp, look: Look) -> Option<String> {
    let (record, pending) = (state.records.get(address), state.pending.get(address));
    if record.is_none() && pending.is_none() {
        return None;
    }
    let mut text = String::new();
    let name = address.to_string();
    let _ = writeln!(text, "{}", look.paint(Paint::Bold, escape(&name)));
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "  {key:<16} {value}");
    };
    if let Some(pending) = pending {
        let action = escape(&pending.action);
        line(
            "unfinished",
            format!("{action}, begun {} by run {}", age(now, pending.begun_at), escape(pending.run.as_str())),
        );
    }
    let Some(record) = record else { return Some(text) };
    let (word, paint) = status_word(record.status);
    let when = |at: Timestamp| format!("{} ({})", stamp(at), age(now, at));
    line("status", look.paint(paint, word).to_string());
    line("backend", record.backend.to_string());
    line("kind", record.kind.to_string());
    line("object", record.object.as_ref().map_or_else(|| "-".to_owned(), |id| escape(id.as_str()).into_owned()));
    line("op id", escape(record.op_id.as_str()).into_owned());
    line("revision", record.revision.to_string());
    line("created", when(record.created_at));
    line("updated", when(record.updated_at));
    line("took", duration(record.took_ms));
    if record.prevent_destroy {
        line("prevent_destroy", "true".to_owned());
    }
    for (index, need) in record.dependencies.iter().enumerate() {
        let restart = if need.restart { ", restarts with it" } else { "" };
        line(if index == 0 { "needs" } else { "" }, format!("{} ({}{restart})", need.service, need.condition));
    }
    let _ = writeln!(text, "  fields");
    for (path, value) in &record.fields {
        let value = match value {
            FieldValue::Plain(value) => quote(value),
            secret @ FieldValue::Secret(_) => secret.to_string(),
        };
        let _ = writeln!(text, "    {}: {value}", escape(path));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{address, at, state};
    use super::*;

    #[test]
    fn the_list_has_records_and_what_is_unfinished() {
        insta::assert_snapshot!(records(&state(), at(200), Look::plain()), @r#"
        ADDRESS  BACKEND  KIND       STATUS              REVISION      UPDATED
        api      process  permanent  unfinished replace  4b5e57f6eb2f  2 min ago
        web      process  permanent  healthy             4b5e57f6eb2f  2 min ago
        job      process  -          unfinished create   -             1 min ago
        "#);
    }

    #[test]
    fn the_details_hold_no_secret_and_no_escape_sequence() {
        let text = record_details(&state(), &address("web"), at(200), Look::plain()).expect("recorded");
        insta::assert_snapshot!(text, @r#"
        web
          status           healthy
          backend          process
          kind             permanent
          object           web-1
          op id            20261121T053210Z-3f9a1c.1
          revision         4b5e57f6eb2f42b9039b3d1e13929295f231749c510cbe341cd68036d9af97e2
          created          2026-11-21T05:32:10Z (3 min ago)
          updated          2026-11-21T05:33:10Z (2 min ago)
          took             1.2 s
          prevent_destroy  true
          needs            db (healthy, restarts with it)
          fields
            env.MOTD: "hi\u{1b}[2J\nthere"
            env.TOKEN: (sensitive)
        "#);
        insta::assert_snapshot!(
            record_details(&state(), &address("job"), at(200), Look::plain()).expect("pending"), @r#"
        job
          unfinished       create, begun 1 min ago by run 20261121T053210Z-3f9a1c
        "#);
        assert_eq!(record_details(&state(), &address("nobody"), at(200), Look::plain()), None);
    }
}
