//! What is asked of a slot's units beside what they do: their log, and commands run as they are.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::Deserialize;

use super::change::UnitSlot;
use super::rights;
use crate::backend::{Answer, BackendError, Command, ExecRequest, LogLine, LogQuery, LogStream};

/// What chooses the log of a unit.
pub(in crate::backend) const JOURNAL: &str = include_str!("scripts/journal.sh");
const TAIL: &str = include_str!("scripts/tail.sh");
const LOG: &str = include_str!("scripts/log.sh");
const INSIDE: &str = include_str!("scripts/inside.sh");
const EXEC: &str = include_str!("scripts/exec.sh");

/// What `timeout` exits with when it ended a command.
const TOOK_TOO_LONG: i32 = 124;

impl UnitSlot {
    /// The last lines that the units logged since they were last started, and what systemd said of them.
    ///
    /// # Errors
    /// When the machine cannot be asked.
    pub async fn tail(&self, lines: usize) -> Result<Vec<String>, BackendError> {
        let output = self
            .shell()
            .run(rights(self.manager()), &self.script(&[JOURNAL, TAIL], [lines.to_string().as_str()]))
            .await?;
        Ok(output.text().lines().map(str::to_owned).collect())
    }

    /// What the units logged, as it comes.
    ///
    /// # Errors
    /// When the machine cannot be asked.
    pub async fn stream_log(&self, query: LogQuery) -> Result<LogStream, BackendError> {
        let lines = query.lines.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let since = query.since.map(|since| format!("@{}", since.as_second())).unwrap_or_default();
        let follow = if query.follow { "follow" } else { "" };
        let script = self.script(&[JOURNAL, LOG], [lines.as_str(), &since, follow]);
        let entries = self.shell().stream(rights(self.manager()), &script).await?;
        let wanted = move |line: &LogLine| query.since.is_none_or(|since| line.at.is_none_or(|at| at >= since));
        let lines = entries.map_ok(|entry| futures_util::stream::iter(parse(&entry).into_iter().map(Ok))).try_flatten();
        Ok(Box::pin(lines.try_filter(move |line| std::future::ready(wanted(line))).boxed()))
    }

    /// Runs a command on the machine as the user of the units.
    ///
    /// # Errors
    /// When the machine cannot be asked, or the command takes too long.
    pub async fn probe(&self, command: &Command<'_>) -> Result<Answer, BackendError> {
        let limit = format!("{:.3}", command.timeout.as_secs_f64());
        let words = [limit.as_str(), command.program.reveal()];
        let values = words.into_iter().chain(command.args.iter().map(crate::model::Text::reveal));
        let script = self.script(&[INSIDE], values).within(command.timeout + Duration::from_secs(10));
        let output = self.shell().run(rights(self.manager()), &script).await?;
        self.judge(&output)?;
        let text = output.text();
        let (code, said) = text.split_once('\n').unwrap_or((&text, ""));
        let exit_code = code.strip_prefix("code ").and_then(|code| code.parse().ok());
        match exit_code {
            Some(TOOK_TOO_LONG) => Err(BackendError::new(format!("no end within {:?}", command.timeout))),
            Some(exit_code) => Ok(Answer { exit_code, output: said.to_owned() }),
            None => Err(self.failed("its shell did not say how the command ended")),
        }
    }

    /// Runs a command on the machine as the user of the units, with the input and output of a request.
    ///
    /// # Errors
    /// When the machine cannot be reached.
    pub async fn exec(&self, request: ExecRequest) -> Result<i32, BackendError> {
        let count = request.env.len().to_string();
        let user = request.user.clone().unwrap_or_default();
        let dir = request.working_dir.clone().unwrap_or_default();
        let mut words = vec![user, dir, count];
        words.extend(request.env.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
        words.extend(request.argv.iter().cloned());
        let script = self.script(&[EXEC], words.iter().map(String::as_str));
        self.shell().exec(rights(self.manager()), &script, request).await
    }
}

/// An entry of the journal.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    micros: Option<String>,
    #[serde(rename = "MESSAGE")]
    message: Option<Message>,
}

/// What was logged: text, or bytes where it is none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
}

/// The lines of an entry, all of one time.
fn parse(entry: &str) -> Vec<LogLine> {
    let Ok(Entry { micros, message }) = serde_json::from_str(entry) else { return Vec::new() };
    let at = micros.and_then(|micros| Timestamp::from_microsecond(micros.parse().ok()?).ok());
    let text = match message {
        Some(Message::Text(text)) => text,
        Some(Message::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        None => return Vec::new(),
    };
    let line = |text: &str| LogLine { at, text: text.strip_suffix('\r').unwrap_or(text).to_owned() };
    text.split('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_becomes_lines_with_its_time() {
        let lines = parse(r#"{"__REALTIME_TIMESTAMP":"1700000000000001","MESSAGE":"one\ntwo\r"}"#);
        let at = Some(Timestamp::from_microsecond(1_700_000_000_000_001).unwrap());
        assert_eq!(lines, [LogLine { at, text: "one".into() }, LogLine { at, text: "two".into() }]);
        assert_eq!(parse(r#"{"MESSAGE":[97,255]}"#)[0].text, "a\u{fffd}");
        assert!(parse(r#"{"MESSAGE":null}"#).is_empty() && parse("-- no entries --").is_empty());
    }
}
