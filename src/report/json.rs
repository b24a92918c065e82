//! Events for programs: one JSON object a line.

use std::io::{self, Write};

use super::Sink;
use crate::event::Event;

/// Writes each event as a line of JSON and flushes it; the first line carries the version of the format.
#[derive(Debug)]
pub struct Ndjson<W>(W);

impl<W: Write> Ndjson<W> {
    /// Events go to this writer.
    pub fn new(writer: W) -> Self {
        Self(writer)
    }
}

impl<W: Write + Send> Sink for Ndjson<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        // One write for a line: a reader never sees half of one while this process lives.
        self.0.write_all(&line)?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, failing_run, pulling_run};
    use super::*;

    #[test]
    fn each_event_is_a_line_that_reads_back() {
        let mut sink = Ndjson::new(Vec::new());
        let events: Vec<Event> = failing_run()
            .into_iter()
            .chain(pulling_run().into_iter().map(|(_, what)| what))
            .zip(0..)
            .map(|(what, s)| Event { at: at(s), what })
            .collect();
        events.iter().for_each(|event| sink.event(event).expect("a vector takes all"));
        let text = String::from_utf8(sink.0).expect("UTF-8");
        let first = text.lines().next().expect("a line");
        insta::assert_snapshot!(first, @r#"{"at":"2026-11-21T05:32:10Z","event":"run_started","format":1,"orch":"0.1.0","run":"20261121T053210Z-3f9a1c","project":"shop","mode":"apply","steps":3}"#);
        let read: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
        assert_eq!(read, events);
    }
}
