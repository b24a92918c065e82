//! The log of a container.

use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::error::{failed, is_missing};
use crate::backend::{BackendError, LogLine, LogQuery, LogStream};

/// How often a container that is down is looked at while its log is followed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The log as it comes. Followed, it goes on when the container is started again, and ends when the
/// container is removed.
pub(in crate::backend) async fn stream(
    engine: &Docker,
    container: &str,
    query: LogQuery,
) -> Result<LogStream, BackendError> {
    // What cannot be read is found out now, not by whoever reads the first line.
    inspect(engine, container).await?.ok_or_else(|| gone(container))?;
    // Who wants none of what is there wants none of it later either.
    let since = query.since.or_else(|| (query.lines == Some(0)).then(crate::sys::now));
    let first = Follow { engine: engine.clone(), container: container.to_owned(), query, last: None };
    if !query.follow {
        return Ok(Box::pin(first.read()));
    }
    let follow = stream::try_unfold((first, None::<LogStream>), move |(mut follow, lines)| async move {
        let mut lines = lines.unwrap_or_else(|| Box::pin(follow.read()));
        loop {
            if let Some(line) = lines.next().await {
                let line = line?;
                follow.last = line.at.or(follow.last);
                return Ok(Some((line, (follow, Some(lines)))));
            }
            if !follow.is_up_again().await? {
                return Ok(None);
            }
            // What was read is not read again: only what is newer than the last line.
            follow.query = LogQuery { lines: None, since: follow.last.or(since), follow: true };
            lines = Box::pin(follow.read());
        }
    });
    Ok(Box::pin(follow))
}

/// The last lines, oldest first, without their time stamps.
pub(in crate::backend) async fn tail(
    engine: &Docker,
    container: &str,
    lines: usize,
) -> Result<Vec<String>, BackendError> {
    let query = LogQuery { lines: Some(lines), since: None, follow: false };
    let lines: Vec<LogLine> = stream(engine, container, query).await?.try_collect().await?;
    Ok(lines.into_iter().map(|line| line.text).collect())
}

/// A log that is being read.
struct Follow {
    engine: Docker,
    container: String,
    query: LogQuery,
    /// When the last line that was read was written.
    last: Option<Timestamp>,
}

impl Follow {
    /// The lines, until the engine has no more of them.
    fn read(&self) -> impl Stream<Item = Result<LogLine, BackendError>> + Send + use<> {
        let LogQuery { lines, since, follow } = self.query;
        let tail = lines.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let options =
            LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true).follow(follow).tail(&tail);
        // The engine takes whole seconds; the rest is left out below.
        let second = since.map_or(0, |since| i32::try_from(since.as_second().max(0)).unwrap_or(i32::MAX));
        let frames = self.engine.logs(&self.container, Some(options.since(second).build()));
        let (container, last) = (self.container.clone(), self.last);
        let state = (Box::pin(frames), Lines::default(), Vec::<LogLine>::new().into_iter(), false);
        let lines = stream::try_unfold(state, move |(mut frames, mut lines, mut ready, mut ended)| {
            let container = container.clone();
            async move {
                loop {
                    if let Some(line) = ready.next() {
                        return Ok(Some((line, (frames, lines, ready, ended))));
                    }
                    if ended {
                        return Ok(None);
                    }
                    ready = match frames.next().await {
                        Some(frame) => lines.take(frame.map_err(|error| unreadable(&container, &error))?).into_iter(),
                        None => {
                            ended = true;
                            lines.rest().into_iter()
                        }
                    };
                }
            }
        });
        lines.try_filter(move |line| {
            let wanted = since.is_none_or(|since| line.at.is_some_and(|at| at >= since));
            let new = last.is_none_or(|last| line.at.is_some_and(|at| at > last));
            std::future::ready(wanted && new)
        })
    }

    /// Waits while the container is down: whether it came up again, or is gone.
    async fn is_up_again(&self) -> Result<bool, BackendError> {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let found @ (Some(true) | None) = inspect(&self.engine, &self.container).await? {
                return Ok(found.is_some());
            }
        }
    }
}

/// Whether a container runs; `None` when it is gone.
async fn inspect(engine: &Docker, container: &str) -> Result<Option<bool>, BackendError> {
    match engine.inspect_container(container, None::<InspectContainerOptions>).await {
        Ok(found) => Ok(Some(found.state.and_then(|state| state.running) == Some(true))),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(unreadable(container, &error)),
    }
}

fn gone(container: &str) -> BackendError {
    BackendError::new(format!("cannot read the log of container {}: it is gone", short(container)))
}

fn unreadable(container: &str, error: &bollard::errors::Error) -> BackendError {
    let told = failed(&format!("read the log of container {}", short(container)), error);
    if told.message.contains("does not support reading") {
        return told.with_hint(
            "the engine cannot read back what this logging driver takes: look where the driver sends it, \
             or have the engine log with `local` or `json-file`",
        );
    }
    told
}

fn short(container: &str) -> &str {
    container.get(..12).unwrap_or(container)
}

/// Puts lines together from the parts in which an engine sends them, for each stream on its own.
#[derive(Default)]
struct Lines {
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Lines {
    /// Takes a part; the lines that are whole now.
    fn take(&mut self, frame: LogOutput) -> Vec<LogLine> {
        let buffer = if matches!(frame, LogOutput::StdErr { .. }) { &mut self.err } else { &mut self.out };
        // The driver `local` loses the end of a line that came in parts: the next one has another time.
        let framed = !matches!(frame, LogOutput::Console { .. });
        let lost = framed && stamp(buffer).zip(stamp(frame.as_ref())).is_some_and(|(before, now)| before != now);
        let mut found = if lost { vec![parse(&std::mem::take(buffer))] } else { Vec::new() };
        buffer.extend_from_slice(frame.as_ref());
        if let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') {
            let whole: Vec<u8> = buffer.drain(..=end).collect();
            found.extend(whole[..end].split(|byte| *byte == b'\n').map(parse));
        }
        found
    }

    /// The lines that have no end.
    fn rest(&mut self) -> Vec<LogLine> {
        let parts = [std::mem::take(&mut self.out), std::mem::take(&mut self.err)];
        let mut rest: Vec<LogLine> = parts.iter().filter(|part| !part.is_empty()).map(|part| parse(part)).collect();
        rest.sort_by_key(|line| line.at);
        rest
    }
}

/// The time that a part begins with.
fn stamp(part: &[u8]) -> Option<Timestamp> {
    let end = part.iter().take(40).position(|byte| *byte == b' ')?;
    std::str::from_utf8(&part[..end]).ok()?.parse().ok()
}

/// Takes the time off a line. One that is too long for the engine comes in parts, each with the time of
/// the line again.
fn parse(line: &[u8]) -> LogLine {
    let text = String::from_utf8_lossy(line);
    // A terminal's lines end with a carriage return too.
    let text = text.strip_suffix('\r').unwrap_or(&text);
    let (stamp, rest) = text.split_once(' ').unwrap_or((text, ""));
    match stamp.parse::<Timestamp>() {
        Ok(at) => LogLine { at: Some(at), text: rest.replace(&format!("{stamp} "), "") },
        Err(_) => LogLine { at: None, text: text.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-21T05:32:10.120000001Z";

    fn out(text: &[u8]) -> LogOutput {
        LogOutput::StdOut { message: text.to_vec().into() }
    }

    fn texts(lines: Vec<LogLine>) -> Vec<String> {
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_line_loses_its_time_and_what_is_no_text_is_replaced() {
        let mut lines = Lines::default();
        let found = lines.take(out(format!("{AT} one\n{AT} \n{AT} t\r\n").as_bytes()));
        assert_eq!(found[0].at, Some(AT.parse().unwrap()));
        assert_eq!(texts(found), ["one", "", "t"]);
        assert_eq!(texts(lines.take(out(&[AT.as_bytes(), b" a\xffb\nno time\n"].concat()))), ["a\u{fffd}b", "no time"]);
    }

    #[test]
    fn parts_of_a_line_are_put_together_though_the_other_stream_speaks_between() {
        let mut lines = Lines::default();
        assert_eq!(texts(lines.take(out(format!("{AT} begin-").as_bytes()))), [""; 0]);
        let other = LogOutput::StdErr { message: format!("{AT} other\n{AT} last").into() };
        assert_eq!(texts(lines.take(other)), ["other"]);
        assert_eq!(texts(lines.take(out(format!("{AT} end\n").as_bytes()))), ["begin-end"]);
        assert_eq!(texts(lines.rest()), ["last"]);
        lines.take(out(format!("{AT} its end was lost").as_bytes()));
        assert_eq!(texts(lines.take(out(b"2026-11-21T05:32:11Z next\n"))), ["its end was lost", "next"]);
        assert_eq!(texts(lines.rest()), [""; 0]);
    }
}
