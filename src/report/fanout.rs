//! One stream of events to every view of it.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::MissedTickBehavior;

use crate::event::{Event, What};

/// How often a sink may redraw.
const TICK: Duration = Duration::from_millis(100);

/// Takes events: the progress, the log, the NDJSON stream, the record of the run.
pub trait Sink: Send {
    /// Takes the next event.
    ///
    /// # Errors
    /// When it cannot be written. The sink is dropped then; the run and the other sinks go on.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// Some time went by; called about ten times a second.
    ///
    /// # Errors
    /// As for [`Sink::event`].
    fn tick(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Stamps events with the clock and hands each to every sink, until the run has finished or the last
/// sender is gone.
///
/// Returns why sinks were dropped, if any were: a report that cannot be written never stops a run, but
/// the user should know that its record is not whole.
pub async fn drive(
    mut receiver: UnboundedReceiver<What>,
    clock: fn() -> Timestamp,
    mut sinks: Vec<Box<dyn Sink>>,
) -> Vec<io::Error> {
    let mut errors = Vec::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            // Ticks come first: a flood of events must not freeze the live view.
            biased;
            _ = ticks.tick() => each(&mut sinks, &mut errors, |sink| sink.tick()),
            what = receiver.recv() => {
                let Some(what) = what else { break };
                let event = Event { at: clock(), what };
                each(&mut sinks, &mut errors, |sink| sink.event(&event));
                if matches!(event.what, What::RunFinished { .. }) {
                    break;
                }
            }
        }
    }
    errors
}

/// Runs [`drive`] on a thread of its own, so that a terminal or pipe that does not read (`| less`) holds up
/// the report and never the run.
///
/// # Errors
/// When the thread or its timer cannot be made.
pub fn spawn(
    receiver: UnboundedReceiver<What>,
    clock: fn() -> Timestamp,
    sinks: Vec<Box<dyn Sink>>,
) -> io::Result<std::thread::JoinHandle<Vec<io::Error>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new().name("report".to_owned()).spawn(move || runtime.block_on(drive(receiver, clock, sinks)))
}

fn each(
    sinks: &mut Vec<Box<dyn Sink>>,
    errors: &mut Vec<io::Error>,
    mut tell: impl FnMut(&mut Box<dyn Sink>) -> io::Result<()>,
) {
    sinks.retain_mut(|sink| match tell(sink) {
        Ok(()) => true,
        Err(error) => {
            errors.push(error);
            false
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::testing::{at, finished, started};
    use super::*;
    use crate::event::EventSink;

    struct Recorder(mpsc::Sender<Event>, usize);

    impl Sink for Recorder {
        fn event(&mut self, event: &Event) -> io::Result<()> {
            if self.1 == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1 -= 1;
            self.0.send(event.clone()).map_err(io::Error::other)
        }
    }

    #[test]
    fn every_sink_gets_every_event_and_a_full_disk_stops_only_its_own() {
        let (events, receiver) = EventSink::channel();
        let ((all, got_all), (one, got_one)) = (mpsc::channel(), mpsc::channel());
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Recorder(one, 1)), Box::new(Recorder(all, 9))];
        let report = spawn(receiver, || at(7), sinks).expect("a thread");
        events.emit(started());
        events.emit(finished());
        // The sender is still there: the last event ends the report, not the last handle.
        let errors = report.join().expect("no panic");
        assert_eq!(errors.len(), 1);
        assert_eq!(got_one.iter().count(), 1);
        let all: Vec<Event> = got_all.iter().collect();
        assert_eq!(all, [Event { at: at(7), what: started() }, Event { at: at(7), what: finished() }]);
    }
}
