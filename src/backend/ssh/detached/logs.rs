//! The logs of slots.

use futures_util::StreamExt;

use super::{Detached, QUICK, rights};
use crate::backend::host::Slot;
use crate::backend::{BackendError, LogLine, LogQuery, LogStream};

const TAIL: &str = include_str!("scripts/tail.sh");
const FOLLOW: &str = include_str!("scripts/follow.sh");

impl Detached {
    /// The last lines of a log, oldest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn tail(&self, slot: &Slot, lines: usize) -> Result<Vec<String>, BackendError> {
        let lines = lines.to_string();
        let output = self.run(slot, &self.script(TAIL, &slot.folder(), [lines.as_str()]).within(QUICK)).await?;
        Ok(output.text().lines().map(str::to_owned).collect())
    }

    /// The lines of a log as they come, across its rotation. They have no time: what writes the log is a shell, which
    /// would take too long for each. So all of it is from `since` on.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn stream_log(&self, slot: &Slot, query: LogQuery) -> Result<LogStream, BackendError> {
        let lines = query.lines.map(|lines| lines.to_string()).unwrap_or_default();
        let follow = if query.follow { "follow" } else { "" };
        let script = self.script(FOLLOW, &slot.folder(), [lines.as_str(), follow]);
        let lines = self.shell.stream(rights(slot), &script).await?;
        Ok(Box::pin(lines.map(|line| line.map(|text| LogLine { at: None, text }))))
    }
}
