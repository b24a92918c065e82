//! `orch logs`

use std::time::Duration;

use crate::cli::Exit;
use crate::cli::args::LogsArgs;
use crate::cli::run::print;
use crate::cli::session::{Session, block_on};
use crate::cli::signals;
use crate::ops::{LogLine, Logs, LogsOptions, OpError};
use crate::report::escape;
use crate::sys;

/// How often a followed log is read. A rotation renames files, which a watch on one of them misses.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) fn run(args: &LogsArgs, session: &mut Session) -> Result<Exit, OpError> {
    let project = session.project(None)?;
    let options = LogsOptions {
        lines: args.lines.or(session.user.log_lines),
        since: args.since.map(|since| since.moment(sys::now())),
    };
    block_on(async {
        let mut logs = Logs::open(&project, &args.service.to_string(), options).await?;
        let lines = logs.read()?;
        show(session, &lines, args.timestamps)?;
        if !args.follow {
            return Ok(Exit::Done);
        }
        let mut signals = signals::listen().map_err(OpError::io("listen for", "signals"))?;
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        while !session.output.out.is_closed() {
            tokio::select! {
                _ = signals.recv() => break,
                _ = ticks.tick() => {
                    let lines = logs.added()?;
                    show(session, &lines, args.timestamps)?;
                }
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
