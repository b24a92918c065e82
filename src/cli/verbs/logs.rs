//! `orch logs`

use std::time::Duration;

use crate::cli::Exit;
use crate::cli::args::LogsArgs;
use crate::cli::run::print;
use crate::cli::session::{Session, block_on};
use crate::cli::signals;
use crate::ops::{LogLine, LogQuery, Logs, OpError};
use crate::report::escape;
use crate::sys;

/// How often it is looked whether anybody still reads what a followed log has to say.
const IS_READ_EVERY: Duration = Duration::from_millis(250);

pub(super) fn run(args: &LogsArgs, session: &mut Session) -> Result<Exit, OpError> {
    let project = session.project(None)?;
    let query = LogQuery {
        lines: args.lines.or(session.user.log_lines),
        since: args.since.map(|since| since.moment(sys::now())),
        follow: args.follow,
    };
    let name = args.service.to_string();
    block_on(async {
        // From here on, so that Ctrl-C is an end like any other and never a failure.
        let mut signals = signals::listen().map_err(OpError::io("listen for", "signals"))?;
        let mut logs = tokio::select! {
            logs = Logs::open(&project, &name, query) => logs?,
            _ = signals.recv() => return Ok(Exit::Interrupted),
        };
        let mut ticks = tokio::time::interval(IS_READ_EVERY);
        while !session.output.out.is_closed() {
            tokio::select! {
                _ = signals.recv() => return Ok(if args.follow { Exit::Done } else { Exit::Interrupted }),
                _ = ticks.tick() => {
                    if session.output.is_abandoned() {
                        break;
                    }
                }
                lines = logs.next() => match lines? {
                    Some(lines) => show(session, &lines, args.timestamps)?,
                    None => break,
                },
            }
        }
        Ok(Exit::Done)
    })?
}

fn show(session: &mut Session, lines: &[LogLine], timestamps: bool) -> Result<(), OpError> {
    if lines.is_empty() {
        return Ok(());
    }
    // On a terminal a log must not be able to act; in a pipe it is passed on as it is.
    let clean = session.output.is_terminal;
    let mut text = String::new();
    for line in lines {
        if let Some(at) = line.at.filter(|_| timestamps) {
            text.push_str(&format!("{at} "));
        }
        text.push_str(&if clean { escape(&line.text) } else { line.text.as_str().into() });
        text.push('\n');
    }
    print(session, &text)
}
