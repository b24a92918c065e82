//! The runs there were: `orch history`.

use super::time::{duration, stamp};
use super::{Cell, Look, Paint, Table};
use crate::state::RunRecord;

/// The table of `orch history`, in the order of the rows.
#[must_use]
pub fn history(rows: &[RunRecord], look: Look) -> String {
    if rows.is_empty() {
        return "No runs yet. `orch apply` makes the first.\n".to_owned();
    }
    let mut table = Table::new(&["RUN", "STARTED", "WHO", "WHAT", "OUTCOME", "STEPS", "TOOK"]);
    for row in rows {
        let (outcome, paint) = match row.outcome.as_deref() {
            Some(outcome @ "succeeded") => (outcome, Paint::Green),
            Some(outcome @ "failed") => (outcome, Paint::Red),
            Some(outcome) => (outcome, Paint::Yellow),
            None => ("unfinished", Paint::Yellow),
        };
        let took = row.ended_at.map(|end| end.duration_since(row.started_at).as_millis());
        let took = took.and_then(|ms| u64::try_from(ms).ok());
        table.row(vec![
            Cell::new(row.run.as_str()),
            Cell::new(stamp(row.started_at)),
            Cell::new(&row.who),
            Cell::new(&row.verb),
            Cell::new(outcome).paint(paint),
            Cell::new(steps(row)),
            Cell::maybe(took.map(duration)).right(),
        ]);
    }
    table.render(look)
}

fn steps(row: &RunRecord) -> String {
    let mut text = format!("{} done", row.done);
    for (n, what) in [(row.failed, "failed"), (row.skipped, "skipped"), (row.cancelled, "cancelled")] {
        if n > 0 {
            text.push_str(&format!(", {n} {what}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, run};
    use super::*;

    #[test]
    fn each_run_is_a_row() {
        let row = RunRecord {
            run: run(),
            verb: "apply".into(),
            who: "ana@build\x1b[0m-1".into(),
            command: None,
            plan_digest: None,
            started_at: at(0),
            ended_at: Some(at(62)),
            outcome: Some("failed".into()),
            done: 3,
            failed: 1,
            skipped: 2,
            cancelled: 0,
        };
        let verb = "destroy".to_owned();
        let killed = RunRecord { verb, outcome: None, ended_at: None, failed: 0, skipped: 0, ..row.clone() };
        insta::assert_snapshot!(history(&[row, killed], Look::plain()), @r#"
        RUN                      STARTED               WHO                   WHAT     OUTCOME     STEPS                        TOOK
        20261121T053210Z-3f9a1c  2026-11-21T05:32:10Z  ana@build\u{1b}[0m-1  apply    failed      3 done, 1 failed, 2 skipped  1 min 2 s
        20261121T053210Z-3f9a1c  2026-11-21T05:32:10Z  ana@build\u{1b}[0m-1  destroy  unfinished  3 done                               -
        "#);
        assert_eq!(history(&[], Look::plain()), "No runs yet. `orch apply` makes the first.\n");
    }
}
