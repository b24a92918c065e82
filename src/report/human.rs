//! Events as plain lines with a time, for a pipe or a log.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::narrate::{Narrator, Verbosity};
use super::time::stamp;
use super::{Look, Sink};
use crate::event::Event;

/// Writes a line for each event that matters: `2026-11-21T05:32:10Z web: created in 1.2 s`.
#[derive(Debug)]
pub struct Human<W> {
    writer: W,
    look: Look,
    narrator: Narrator,
}

impl<W: Write> Human<W> {
    /// Lines go to this writer.
    pub fn new(writer: W, look: Look, verbosity: Verbosity) -> Self {
        Self { writer, look, narrator: Narrator::new(verbosity) }
    }
}

impl<W: Write + Send> Sink for Human<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let all = self.narrator.say(event);
        if all.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        for said in all {
            let _ = write!(text, "{} ", stamp(event.at));
            let _ = match said.paint {
                Some(paint) => writeln!(text, "{}", self.look.paint(paint, &said.text)),
                None => writeln!(text, "{}", said.text),
            };
            for line in &said.below {
                let _ = writeln!(text, "    {line}");
            }
        }
        self.writer.write_all(text.as_bytes())?;
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, failing_run, finished, interrupted_run, pulling_run, started};
    use super::*;
    use crate::event::What;

    fn told(events: Vec<What>, verbosity: Verbosity) -> String {
        let mut human = Human::new(Vec::new(), Look::plain(), verbosity);
        for (what, second) in events.into_iter().zip(0..) {
            human.event(&Event { at: at(second), what }).expect("a vector takes all");
        }
        String::from_utf8(human.writer).expect("UTF-8")
    }

    #[test]
    fn a_run_that_fails_says_why_and_what_to_do() {
        insta::assert_snapshot!(told(failing_run(), Verbosity::Normal), @r#"
        2026-11-21T05:32:10Z Apply of shop: 3 steps, run 20261121T053210Z-3f9a1c.
        2026-11-21T05:32:11Z postgres: creating (new in the file)
        2026-11-21T05:32:12Z postgres: created in 1.2 s
        2026-11-21T05:32:13Z api: creating (new in the file)
        2026-11-21T05:32:14Z api: waiting for its gate
        2026-11-21T05:32:15Z api: waiting: GET http://localhost:8080/health: connection refused (probe 1)
        2026-11-21T05:32:17Z api: waiting: GET http://localhost:8080/health: 503 (probe 3)
        2026-11-21T05:32:18Z api: its last 2 log lines; all of it is kept in .orch/runs/x
            it is running
            GET http://localhost:8080/health: connection refused
            starting
            \u{1b}[2J\u{1b}[Hpanic: no\tport\r2026-11-21T05:32:10Z Apply finished
        2026-11-21T05:32:19Z api: create failed after 1.2 s: the gate was missed: 503\nall is well
        2026-11-21T05:32:20Z web: skipped: api failed
        2026-11-21T05:32:21Z Apply failed: 1 failed (api), 1 skipped (web), 1 done in 2.1 s.
            What failed is left as it is. `orch logs api` shows more. `orch plan` shows what is left, `orch apply` goes on from here.
        "#);
    }

    #[test]
    fn quiet_leaves_what_matters_and_verbose_adds_every_probe() {
        insta::assert_snapshot!(told(failing_run(), Verbosity::Quiet), @r#"
        2026-11-21T05:32:18Z api: its last 2 log lines; all of it is kept in .orch/runs/x
            it is running
            GET http://localhost:8080/health: connection refused
            starting
            \u{1b}[2J\u{1b}[Hpanic: no\tport\r2026-11-21T05:32:10Z Apply finished
        2026-11-21T05:32:19Z api: create failed after 1.2 s: the gate was missed: 503\nall is well
        2026-11-21T05:32:20Z web: skipped: api failed
        2026-11-21T05:32:21Z Apply failed: 1 failed (api), 1 skipped (web), 1 done in 2.1 s.
            What failed is left as it is. `orch logs api` shows more. `orch plan` shows what is left, `orch apply` goes on from here.
        "#);
        let probes = |verbosity| told(failing_run(), verbosity).matches("(probe ").count();
        assert_eq!((probes(Verbosity::Normal), probes(Verbosity::Verbose)), (2, 3));
    }

    #[test]
    fn a_pull_says_when_it_begins_now_and_then_how_far_it_is_and_what_came() {
        let mut human = Human::new(Vec::new(), Look::plain(), Verbosity::Normal);
        for (second, what) in pulling_run() {
            human.event(&Event { at: at(second), what }).expect("a vector takes all");
        }
        insta::assert_snapshot!(String::from_utf8(human.writer).expect("UTF-8"), @r"
        2026-11-21T05:32:10Z web: creating (new in the file)
        2026-11-21T05:32:10Z web: getting what it needs
        2026-11-21T05:32:11Z web: pulling shop/web:1.2
        2026-11-21T05:32:22Z web: pulling shop/web:1.2: 5.5 of 24.0 MB, 1 of 3 layers
        2026-11-21T05:32:33Z web: pulling shop/web:1.2: 6.5 of 24.0 MB, 2 of 3 layers
        2026-11-21T05:32:35Z web: pulled shop/web:1.2: 24.0 MB in 3 layers, 1 of them already there, in 24.0 s
        2026-11-21T05:32:35Z web: starting the new one
        2026-11-21T05:32:36Z web: created in 1.2 s
        ");
    }

    #[test]
    fn an_interrupted_run_says_that_nothing_is_lost() {
        insta::assert_snapshot!(told(interrupted_run(), Verbosity::Normal), @r#"
        2026-11-21T05:32:10Z Apply of shop: 3 steps, run 20261121T053210Z-3f9a1c.
        2026-11-21T05:32:11Z postgres: creating (new in the file)
        2026-11-21T05:32:12Z SIGINT: nothing new is started, what runs is finished. A second one cancels it.
        2026-11-21T05:32:13Z SIGINT: what runs is cancelled; the next plan says what is left.
        2026-11-21T05:32:14Z postgres: cancelled after 1.2 s while creating; the next plan finishes it
        2026-11-21T05:32:15Z Apply interrupted: 2 skipped, 1 cancelled in 2.1 s.
            All that was done is recorded. `orch plan` shows what is left, `orch apply` goes on from here.
        "#);
    }

    #[test]
    fn a_run_that_succeeds_is_one_sentence_at_the_end() {
        insta::assert_snapshot!(told(vec![started(), finished()], Verbosity::Normal), @r#"
        2026-11-21T05:32:10Z Apply of shop: 3 steps, run 20261121T053210Z-3f9a1c.
        2026-11-21T05:32:11Z Apply finished: 3 done in 2.1 s.
        "#);
    }
}
