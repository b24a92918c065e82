//! Live progress on a terminal: a line for each running step, what is done above, a count below.
//!
//! All live lines are one indicatif bar with a message of several lines, so that they are drawn together
//! and never interleave. Lines that stay are gathered and written at most once a tick: a thousand steps
//! that end at once redraw the live part once.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::narrate::{Narrator, Said, Verbosity, noun};
use super::output::{draw_target, terminal_size};
use super::plan_facts::doing;
use super::pull::Pull;
use super::text::{cut, escape, width};
use super::time::seconds;
use super::{Look, Output, Paint, Sink, Stream};
use crate::event::{Event, What};
use crate::model::{Address, Pause};
use crate::plan::{Action, Mode, StepId};

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const ASCII_SPINNER: [&str; 4] = ["|", "/", "-", "\\"];
/// Where the terminal does not say how large it is.
const USUAL_SIZE: (usize, usize) = (80, 24);
/// Rows that are left for what was there before: the overall line, the cursor, and one to see.
const SPARE_ROWS: usize = 3;

/// A step that is being done.
struct Running {
    address: Address,
    action: Action,
    since: Timestamp,
    /// The operation that it is at.
    detail: Option<String>,
    /// How many probes answered, and what the last one said.
    probe: Option<(u32, bool, String)>,
    /// The image that is on its way.
    pull: Option<Pull>,
}

/// Draws what is going on, and prints what has ended above it.
pub struct Progress {
    bar: ProgressBar,
    out: Stream,
    look: Look,
    clock: fn() -> Timestamp,
    size: fn() -> Option<(usize, usize)>,
    narrator: Narrator,
    mode: Mode,
    steps: usize,
    ended: usize,
    interrupted: u8,
    /// Whether a person is being asked, who must see what is typed.
    asking: bool,
    running: BTreeMap<StepId, Running>,
    printed: String,
    frame: usize,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("steps", &self.steps).field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Progress {
    /// Draws on stdout, which is a terminal, and writes what stays to the output.
    #[must_use]
    pub fn new(output: &Output, verbosity: Verbosity, clock: fn() -> Timestamp) -> Self {
        Self::on(draw_target(), output, verbosity, clock, terminal_size)
    }

    fn on(
        target: ProgressDrawTarget,
        output: &Output,
        verbosity: Verbosity,
        clock: fn() -> Timestamp,
        size: fn() -> Option<(usize, usize)>,
    ) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            out: output.out.clone(),
            look: output.look,
            clock,
            size,
            narrator: Narrator::new(verbosity),
            mode: Mode::Apply,
            steps: 0,
            ended: 0,
            interrupted: 0,
            asking: false,
            running: BTreeMap::new(),
            printed: String::new(),
            frame: 0,
        }
    }

    fn follow(&mut self, event: &Event) {
        match &event.what {
            What::RunStarted { mode, steps, .. } => (self.mode, self.steps) = (*mode, *steps),
            What::StepStarted { step, address, action, .. } => {
                let (address, action) = (address.clone(), *action);
                let (detail, probe, pull) = (None, None, None);
                self.running.insert(*step, Running { address, action, since: event.at, detail, probe, pull });
            }
            What::Operation { step, detail, .. } => self.change(*step, |running| {
                running.detail = Some(detail.clone());
                running.pull = None;
            }),
            What::Progressed { step, progress, .. } => {
                let at = event.at;
                self.change(*step, |running| match &mut running.pull {
                    Some(pull) if pull.is_of(progress) => pull.take(progress),
                    other => *other = Some(Pull::new(progress, at)),
                });
            }
            What::RollbackStarted { step, .. } => self.change(*step, |running| {
                running.detail = Some("going back to the last healthy version".to_owned());
                running.probe = None;
                running.pull = None;
            }),
            What::Probed { step, attempt, healthy, detail, .. } => {
                self.change(*step, |running| running.probe = Some((*attempt, *healthy, detail.clone())));
            }
            What::StepFinished { step, .. } => {
                self.running.remove(step);
                self.ended += 1;
            }
            What::StepSkipped { .. } => self.ended += 1,
            What::Interrupted { level, .. } => self.interrupted = *level,
            What::RollPaused { pause, .. } => self.asking = *pause == Pause::Ask,
            What::RollBatch { .. } | What::RollStopped { .. } => self.asking = false,
            What::UndoStarted { step, address } => {
                // It was counted when it was done, and is again when it has been put back.
                self.ended = self.ended.saturating_sub(1);
                let detail = Some("going back, because its roll stopped".to_owned());
                let (action, since) = (Action::Update, event.at);
                let running = Running { address: address.clone(), action, since, detail, probe: None, pull: None };
                self.running.insert(*step, running);
            }
            What::Evidence { .. } | What::Warning { .. } | What::RunFinished { .. } => {}
        }
    }

    fn change(&mut self, step: StepId, with: impl FnOnce(&mut Running)) {
        if let Some(running) = self.running.get_mut(&step) {
            with(running);
        }
    }

    fn keep(&mut self, said: &Said) {
        let mark = match (said.paint, self.look.unicode) {
            (Some(Paint::Green), true) => "✓ ",
            (Some(Paint::Red), true) => "✗ ",
            (Some(Paint::Yellow), true) => "! ",
            _ => "",
        };
        let text = format!("{mark}{}", said.text);
        match said.paint {
            Some(paint) => self.printed.push_str(&self.look.paint(paint, text).to_string()),
            None => self.printed.push_str(&text),
        }
        self.printed.push('\n');
        for line in &said.below {
            self.printed.push_str("    ");
            self.printed.push_str(line);
            self.printed.push('\n');
        }
    }

    /// Writes what stays above the live lines.
    fn print(&mut self) -> io::Result<()> {
        if self.printed.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.printed);
        // Not `println`: it fills each line with spaces to the terminal's width, which shows when copied,
        // and miscounts the rows of text with wide characters.
        self.bar.suspend(|| write_all(&mut self.out, &text))
    }

    /// Takes the live lines away and writes the last words where they were.
    fn end(&mut self) -> io::Result<()> {
        self.bar.finish_and_clear();
        write_all(&mut self.out, &std::mem::take(&mut self.printed))
    }

    /// The live lines, each no wider than the terminal, and no more of them than it has room for.
    fn live(&self, now: Timestamp) -> Vec<String> {
        let (columns, rows) = (self.size)().unwrap_or(USUAL_SIZE);
        // A line that fills the last column wraps on some terminals.
        let columns = columns.saturating_sub(1);
        let room = rows.saturating_sub(SPARE_ROWS).max(1);
        let shown = if self.running.len() > room { room.saturating_sub(1).max(1) } else { self.running.len() };
        let steps: Vec<(&Running, String, String)> = self
            .running
            .values()
            .take(shown)
            .map(|running| (running, running.address.to_string(), elapsed(running.since, now)))
            .collect();
        let name = steps.iter().map(|(_, address, _)| address.len()).max().unwrap_or(0);
        let time = steps.iter().map(|(.., elapsed)| elapsed.len()).max().unwrap_or(0);
        let mut lines = Vec::new();
        // Every step comes before the layers of any.
        let mut spare = room.saturating_sub(self.running.len());
        for (running, address, elapsed) in &steps {
            lines.push(self.line(running, &format!(" {address:name$}  {elapsed:>time$}  "), columns));
            let layers = running.pull.as_ref().map(|pull| pull.lines(self.look)).unwrap_or_default();
            let shown = layers.len().min(spare);
            spare -= shown;
            lines.extend(
                layers[..shown]
                    .iter()
                    .map(|layer| cut(&plain(&format!("    {}", escape(layer))), columns, self.look).into_owned()),
            );
        }
        if shown < self.running.len() {
            lines.push(cut(&format!("  + {} more", self.running.len() - shown), columns, self.look).into_owned());
        }
        let mut overall = format!("{}: {}/{} steps", noun(self.mode), self.ended, self.steps);
        overall.push_str(match self.interrupted {
            0 => "",
            1 => ", finishing what runs (Ctrl-C again cancels it)",
            _ => ", cancelling",
        });
        let overall = cut(&overall, columns, self.look);
        lines.push(self.look.paint(Paint::Bold, overall).to_string());
        lines
    }

    fn line(&self, running: &Running, lead: &str, columns: usize) -> String {
        let spinner = match self.look.unicode {
            true => SPINNER[self.frame % SPINNER.len()],
            false => ASCII_SPINNER[self.frame % ASCII_SPINNER.len()],
        };
        let pull = running.pull.as_ref().map(Pull::so_far);
        let detail = pull.as_deref().or(running.detail.as_deref()).unwrap_or_else(|| doing(running.action));
        let mut what = format!("{lead}{}", escape(detail));
        if let Some((count, healthy, said)) = &running.probe {
            let probes = if *healthy { "passed" } else { "waiting" };
            what.push_str(&format!(" | probe {count} {probes}: {}", escape(said)));
        }
        let what = plain(&what);
        let what = cut(&what, columns.saturating_sub(width(spinner)), self.look);
        format!("{}{what}", self.look.paint(Paint::of_action(running.action), spinner))
    }
}

/// Text of which every character takes one column: indicatif fills a line by its number of characters,
/// and one of another width would make it wrap.
fn plain(text: &str) -> String {
    text.chars().map(|c| if width(c.encode_utf8(&mut [0; 4])) == 1 { c } else { '?' }).collect()
}

/// How long a step has run, in whole seconds: tenths that jump by the redraw rate only distract.
fn elapsed(since: Timestamp, now: Timestamp) -> String {
    seconds(u64::try_from(now.as_second().saturating_sub(since.as_second())).unwrap_or(0))
}

fn write_all(out: &mut Stream, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

impl Sink for Progress {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.follow(event);
        for said in self.narrator.say(event) {
            if !said.passing {
                self.keep(&said);
            }
        }
        if matches!(event.what, What::RunFinished { .. }) {
            self.end()?;
        }
        Ok(())
    }

    fn tick(&mut self) -> io::Result<()> {
        self.frame += 1;
        let live = self.live((self.clock)());
        if self.asking {
            // What is typed must stay to be seen.
            self.bar.set_message("");
        } else if self.steps > 0 && !self.bar.is_finished() {
            // Printing redraws the live lines too, so they must be the new ones by then.
            self.bar.set_message(live.join("\n"));
        }
        self.print()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // A run that ended without its last event must not leave half a line on the terminal.
        if !self.bar.is_finished() {
            // There is nobody left to tell that the terminal is gone.
            let _ = self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::super::testing::{at, failing_run, interrupted_run, probed, pulling_run, started, step_started};
    use super::*;

    fn progress(target: ProgressDrawTarget, size: fn() -> Option<(usize, usize)>) -> Progress {
        let output = Output::plain(Box::new(io::sink()), Box::new(io::sink()));
        Progress::on(target, &output, Verbosity::Normal, || at(75), size)
    }

    fn after(events: Vec<What>, size: fn() -> Option<(usize, usize)>) -> String {
        let mut progress = progress(ProgressDrawTarget::hidden(), size);
        for (what, second) in events.into_iter().zip(0..) {
            progress.event(&Event { at: at(second), what }).expect("hidden");
        }
        progress.live(at(75)).join("\n")
    }

    #[test]
    fn each_running_step_has_a_line() {
        let mut events = failing_run();
        events.truncate(7);
        events.push(step_started(3, "a-long-name@host1"));
        events.push(probed(3, "a-long-name@host1", 4, "evil\x1b[2J\nline"));
        insta::assert_snapshot!(after(events, || Some((120, 24))), @r#"
        ⠋ api                1 min 12 s  waiting for its gate | probe 2 waiting: GET http://localhost:8080/health: connection …
        ⠋ a-long-name@host1   1 min 8 s  creating | probe 4 waiting: evil\u{1b}[2J\nline
        Apply: 1/3 steps
        "#);
    }

    fn pulling(events: usize, size: fn() -> Option<(usize, usize)>) -> String {
        let mut progress = progress(ProgressDrawTarget::hidden(), size);
        progress.event(&Event { at: at(0), what: started() }).expect("hidden");
        for (second, what) in pulling_run().into_iter().take(events) {
            progress.event(&Event { at: at(second), what }).expect("hidden");
        }
        progress.live(at(15)).join("\n")
    }

    #[test]
    fn a_pull_has_a_bar_for_each_layer_until_it_is_over() {
        insta::assert_snapshot!(pulling(11, || Some((100, 24))), @r"
        ⠋ web  15 s  pulling shop/web:1.2: 6.5 of 24.0 MB, 1 of 3 layers
            1a1b2c3d4e5f  extracting   ████████████░░░░░░░░░░░░  2.0 of 4.0 MB
            2a1b2c3d4e5f  downloading  ███░░░░░░░░░░░░░░░░░░░░░  2.5 of 20.0 MB
            layers: 1 done
        Apply: 0/3 steps
        ");
        // Where there is no room, the steps go first; and on a narrow terminal nothing wraps.
        insta::assert_snapshot!(pulling(11, || Some((60, 5))), @r"
        ⠋ web  15 s  pulling shop/web:1.2: 6.5 of 24.0 MB, 1 of 3 …
            1a1b2c3d4e5f  extracting   ████████████░░░░░░░░░░░░  2…
        Apply: 0/3 steps
        ");
        insta::assert_snapshot!(pulling(15, || Some((100, 24))), @r"
        ⠋ web  15 s  starting the new one
        Apply: 0/3 steps
        ");
    }

    #[test]
    fn lines_fit_a_narrow_terminal() {
        let mut events = failing_run();
        events.truncate(7);
        let text = after(events, || Some((40, 24)));
        assert!(text.lines().all(|line| width(line) < 40), "{text}");
        insta::assert_snapshot!(text, @r#"
        ⠋ api  1 min 12 s  waiting for its gat…
        Apply: 1/3 steps
        "#);
    }

    #[test]
    fn sixty_four_steps_leave_room_on_the_screen() {
        let steps = (1..=64).map(|n| step_started(n, &format!("svc-{n}")));
        let text = after(std::iter::once(started()).chain(steps).collect(), || Some((80, 8)));
        insta::assert_snapshot!(text, @r#"
        ⠋ svc-1  1 min 14 s  creating
        ⠋ svc-2  1 min 13 s  creating
        ⠋ svc-3  1 min 12 s  creating
        ⠋ svc-4  1 min 11 s  creating
          + 60 more
        Apply: 0/3 steps
        "#);
    }

    #[test]
    fn an_interrupt_says_what_happens_now() {
        let mut events = interrupted_run();
        events.truncate(3);
        insta::assert_snapshot!(after(events, || None), @r#"
        ⠋ postgres  1 min 14 s  creating
        Apply: 0/3 steps, finishing what runs (Ctrl-C again cancels it)
        "#);
    }

    /// A terminal that keeps what is written to it, by indicatif and beside it.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Screen {
        fn put(&self, text: &str) -> io::Result<()> {
            self.0.lock().map_err(|_| io::Error::other("poisoned"))?.push_str(text);
            Ok(())
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.put(&String::from_utf8_lossy(bytes)).map(|()| bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            self.put(&if n > 0 { format!("<up {n}>") } else { String::new() })
        }
        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.put(&if n > 0 { format!("<down {n}>") } else { String::new() })
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.put(&format!("{text}\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.put(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.put("<clear>")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_ended_is_written_once_and_the_live_lines_go() {
        let screen = Screen::default();
        let output = Output::plain(Box::new(screen.clone()), Box::new(io::sink()));
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let mut progress = Progress::on(target, &output, Verbosity::Normal, || at(75), || Some((100, 24)));
        for (what, second) in failing_run().into_iter().zip(0..) {
            progress.event(&Event { at: at(second), what }).expect("a screen takes all");
            progress.tick().expect("a screen takes all");
        }
        drop(progress);
        let written = screen.0.lock().expect("not poisoned").clone();
        assert!(!written.contains('\x1b'), "{written}");
        assert!(written.contains("probe 3 waiting: GET http://localhost:8080/health: 503"), "{written}");
        // What stays ends with a line break; what is live never does.
        let kept: Vec<&str> = written.lines().map(|line| line.rsplit("<clear>").next().unwrap_or(line)).collect();
        insta::assert_snapshot!(kept.join("\n"), @r#"
        Apply of shop: 3 steps, run 20261121T053210Z-3f9a1c.
        ✓ postgres: created in 1.2 s
        <up 1>✗ api: its last 2 log lines; all of it is kept in .orch/runs/x
            it is running
            GET http://localhost:8080/health: connection refused
            starting
            \u{1b}[2J\u{1b}[Hpanic: no\tport\r2026-11-21T05:32:10Z Apply finished
        ✗ api: create failed after 1.2 s: the gate was missed: 503\nall is well
        ! web: skipped: api failed
        ✗ Apply failed: 1 failed (api), 1 skipped (web), 1 done in 2.1 s.
            What failed is left as it is. `orch logs api` shows more. `orch plan` shows what is left, `orch apply` goes on from here.
        "#);
    }
}
