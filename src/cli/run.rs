//! From a prepared plan to its end: show, ask, execute, report.

use std::io::BufRead;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::Exit;
use super::session::Session;
use super::signals;
use crate::event::{EventSink, RunOutcome};
use crate::execute::{Ask, GoOn, Signal};
use crate::ops::{Adopting, OpError, Prepared};
use crate::report::{self, Ndjson, Sink, Verbosity, adoption, adoption_notices, plan_human};
use crate::state::LockHolder;
use crate::sys;

/// How a plan is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Approval {
    /// By a person at the terminal.
    Ask,
    /// By a flag, by review of a saved plan, or by the verb itself.
    Given,
}

/// Shows a prepared plan, has it approved, executes it, and reports.
pub(super) async fn run(
    session: &mut Session,
    prepared: Prepared<'_>,
    approval: Approval,
    json: bool,
) -> Result<Exit, OpError> {
    // Where nothing is asked and something is done, the events of the run tell it.
    let told_here = approval == Approval::Ask || prepared.plan().is_empty();
    for notice in prepared.notices().into_iter().filter(|_| told_here) {
        tell(session, &format!("Warning: {notice}."))?;
    }
    if prepared.plan().is_empty() {
        if json {
            let (events, receiver) = EventSink::channel();
            prepared.tell_nothing_to_do(&events);
            report::drive(receiver, sys::now, vec![session.output.sink(json, session.verbosity, sys::now)]).await;
        } else {
            print(session, &plan_human(prepared.plan(), session.output.look))?;
        }
        return Ok(Exit::Done);
    }
    let mut signals = signals::listen().map_err(OpError::io("listen for", "signals"))?;
    // Nobody approves what was not shown.
    if !json && (session.verbosity > Verbosity::Quiet || approval == Approval::Ask) {
        print(session, &plan_human(prepared.plan(), session.output.look))?;
    }
    if approval == Approval::Ask {
        let answer = tokio::select! {
            answer = ask(session, "Apply these changes?") => answer?,
            _ = signals.recv() => Answer::Interrupted,
        };
        match answer {
            Answer::Yes => prepared.check_still_true().await?,
            Answer::No => {
                tell(session, "Nothing was changed.")?;
                return Ok(Exit::Error);
            }
            Answer::Interrupted => {
                tell(session, "\nInterrupted. Nothing was changed.")?;
                return Ok(Exit::Interrupted);
            }
        }
    }
    execute(session, prepared, approval, json, signals).await
}

/// Shows what was found to take over, has it approved, and records it.
pub(super) async fn adopt(
    session: &mut Session,
    adopting: Adopting<'_>,
    approval: Approval,
    json: bool,
) -> Result<Exit, OpError> {
    let nothing = adopting.adoption.found.is_empty();
    let notices = if json { adoption_notices(&adopting.adoption) } else { Vec::new() };
    if !json && (session.verbosity > Verbosity::Quiet || nothing || approval == Approval::Ask) {
        for notice in adopting.prepared().notices().into_iter().filter(|_| nothing || approval == Approval::Ask) {
            tell(session, &format!("Warning: {notice}."))?;
        }
        print(session, &adoption(&adopting.adoption, session.output.look))?;
    }
    if nothing {
        if json {
            let (events, receiver) = EventSink::channel();
            adopting.into_prepared(notices).tell_nothing_to_do(&events);
            report::drive(receiver, sys::now, vec![session.output.sink(json, session.verbosity, sys::now)]).await;
        }
        return Ok(Exit::Done);
    }
    let mut signals = signals::listen().map_err(OpError::io("listen for", "signals"))?;
    if approval == Approval::Ask {
        let answer = tokio::select! {
            answer = ask(session, "Record these as orch's own?") => answer?,
            _ = signals.recv() => Answer::Interrupted,
        };
        match answer {
            Answer::Yes => adopting.check_still_true().await?,
            Answer::No => {
                tell(session, "Nothing was changed.")?;
                return Ok(Exit::Error);
            }
            Answer::Interrupted => {
                tell(session, "\nInterrupted. Nothing was changed.")?;
                return Ok(Exit::Interrupted);
            }
        }
    }
    execute(session, adopting.into_prepared(notices), Approval::Given, json, signals).await
}

/// Executes a plan that was approved, and reports.
pub(super) async fn execute(
    session: &mut Session,
    prepared: Prepared<'_>,
    approval: Approval,
    json: bool,
    signals: mpsc::UnboundedReceiver<Signal>,
) -> Result<Exit, OpError> {
    let (events, receiver) = EventSink::channel();
    let mut sinks: Vec<Box<dyn Sink>> = vec![session.output.sink(json, session.verbosity, sys::now)];
    sinks.push(Box::new(Ndjson::new(std::io::BufWriter::new(prepared.event_log()?))));
    let reporter = report::spawn(receiver, sys::now, sinks).map_err(OpError::io("start", "the report"))?;
    let ask: Arc<dyn Ask> = match approval {
        Approval::Ask => Arc::new(AtTerminal),
        Approval::Given => Arc::new(GoOn),
    };
    let ended = prepared.execute(events, signals, ask).await;
    // The report ends with the run's last event, or when the last sender of events is gone.
    let problems = reporter.join().unwrap_or_default();
    for problem in problems {
        tell(session, &format!("Warning: the report is not whole: {problem}."))?;
    }
    Ok(match ended?.outcome {
        RunOutcome::Succeeded => Exit::Done,
        RunOutcome::Failed => Exit::ApplyFailed,
        RunOutcome::Interrupted => Exit::Interrupted,
    })
}

/// Asks the person who approved the plan. The report has put the question.
struct AtTerminal;

#[async_trait]
impl Ask for AtTerminal {
    async fn go_on(&self, _: &str) -> bool {
        read_answer().await.is_ok_and(|answer| answer == "yes")
    }
}

/// A line that is typed. The terminal is read by a thread of its own, so that Ctrl-C is heard while it
/// waits.
async fn read_answer() -> std::io::Result<String> {
    let read = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    Ok(read.await.map_err(std::io::Error::other)??.trim().to_owned())
}

/// What a person said.
enum Answer {
    Yes,
    No,
    Interrupted,
}

/// Asks for `yes`; anything else is no.
async fn ask(session: &mut Session, question: &str) -> Result<Answer, OpError> {
    print(session, &format!("\n{question} Only `yes` is taken as yes: "))?;
    let answer = read_answer().await.map_err(OpError::io("read", "the answer"))?;
    Ok(if answer == "yes" { Answer::Yes } else { Answer::No })
}

/// Prints to stdout.
pub(super) fn print(session: &mut Session, text: &str) -> Result<(), OpError> {
    session.output.print(text).map_err(OpError::io("write to", "stdout"))
}

/// Prints a sentence to stderr.
pub(super) fn tell(session: &mut Session, sentence: &str) -> Result<(), OpError> {
    session.output.note(sentence).map_err(OpError::io("write to", "stderr"))
}

/// Prints data as JSON, one document, to stdout.
pub(super) fn print_json(session: &mut Session, value: &impl serde::Serialize) -> Result<(), OpError> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| OpError::io("write", "the JSON output")(error.into()))?;
    print(session, &format!("{text}\n"))
}

/// Tells, once, that the lock is waited for.
pub(super) fn on_wait(session: &Session) -> impl FnMut(Option<&LockHolder>) + use<> {
    let mut output = session.output.clone();
    move |holder| {
        let whom = holder.map_or_else(|| "someone else".to_owned(), ToString::to_string);
        // Waiting goes on whether or not it can be told.
        let _ = output.note(&format!("Waiting for the lock, which {whom} holds ..."));
    }
}
