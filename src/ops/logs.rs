//! `orch logs`: the log of one instance, from files or as its backend streams it.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::time::{Interval, MissedTickBehavior};

use super::find::find;
use super::log_files::LogFiles;
use super::{OpError, Project};
use crate::backend::{LogLine, LogQuery, LogStream};
use crate::model::Address;

/// How often followed files are read. A rotation renames files, which a watch on one of them misses.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How many lines are handed on at once, at most, of a stream that has more of them ready.
const AT_ONCE: usize = 1000;

/// The log of one instance.
pub struct Logs {
    address: Address,
    source: Source,
}

enum Source {
    /// Files; whether what is there was read, and when to look for more.
    Files { files: Box<LogFiles>, begun: bool, ticks: Option<Interval> },
    /// A stream of the backend's.
    Stream(LogStream),
}

impl Logs {
    /// Finds the log of a service, or of one copy of it.
    ///
    /// # Errors
    /// When the service is not known, has never run, or its backend keeps no log that can be read.
    pub async fn open(project: &Project, service: &str, query: LogQuery) -> Result<Self, OpError> {
        let found = find(project, service, false).await?;
        let address = found.address;
        let Some((_, observer, object)) = found.object else {
            return Err(OpError::request(
                format!("{address} has no log: orch runs nothing of it"),
                "`orch status` shows what runs",
            ));
        };
        let failed = |error| OpError::backend(format!("looking for the log of {address}"), error);
        let source = match observer.stream_log(&object.id, query).await.map_err(failed)? {
            Some(stream) => Source::Stream(stream),
            None => {
                let files = observer.log_files(&object.id).await.map_err(failed)?;
                let files = Box::new(LogFiles::new(files, query));
                Source::Files { files, begun: false, ticks: query.follow.then(ticks) }
            }
        };
        Ok(Self { address, source })
    }

    /// The next lines; `None` at the end, which a log that is followed has when what logs is removed.
    /// May be dropped and called again.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<LogLine>>, OpError> {
        match &mut self.source {
            Source::Files { files, begun: begun @ false, .. } => {
                *begun = true;
                files.read().map(Some)
            }
            Source::Files { ticks: None, .. } => Ok(None),
            Source::Files { files, ticks: Some(ticks), .. } => loop {
                ticks.tick().await;
                let lines = files.added()?;
                if !lines.is_empty() {
                    return Ok(Some(lines));
                }
            },
            Source::Stream(stream) => {
                let failed = |error| OpError::backend(format!("reading the log of {}", self.address), error);
                let Some(first) = stream.next().await else { return Ok(None) };
                let mut lines = vec![first.map_err(failed)?];
                while lines.len() < AT_ONCE
                    && let Some(Some(more)) = stream.next().now_or_never()
                {
                    lines.push(more.map_err(failed)?);
                }
                Ok(Some(lines))
            }
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
