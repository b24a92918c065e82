//! Commands and logs of the pods of a rollout.

use std::process::Stdio;

use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::{Kube, Pod, Tool, flags, trouble};
use crate::backend::{BackendError, ExecRequest, LogLine, LogQuery, LogStream};
use crate::model::KubeCluster;

/// How much is copied at once, in bytes.
const BLOCK: usize = 16 * 1024;

impl Kube {
    /// Runs a command in the best off of the pods of a rollout.
    pub(in crate::backend) async fn exec(
        &self,
        cluster: &KubeCluster,
        pods: Vec<Pod>,
        request: ExecRequest,
    ) -> Result<i32, BackendError> {
        let none = || BackendError::new("no pod of it runs").with_hint("see `orch status`");
        // The worst off come first.
        let Pod { namespace, name: pod } = pods.into_iter().next_back().ok_or_else(none)?;
        if request.user.is_some() {
            return Err(BackendError::new("kubectl cannot run a command as another user")
                .with_hint("leave the user out: it is the container's"));
        }
        let mut args = flags(cluster);
        args.extend(["exec".to_owned(), format!("--namespace={namespace}"), pod.clone()]);
        args.extend(request.stdin.is_some().then(|| "--stdin".to_owned()));
        args.push("--".to_owned());
        if !request.env.is_empty() {
            args.push("env".to_owned());
            args.extend(request.env.iter().map(|(name, value)| format!("{name}={value}")));
        }
        if let Some(folder) = &request.working_dir {
            args.extend(["sh", "-c", "cd \"$0\" && exec \"$@\"", folder].map(str::to_owned));
        }
        args.extend(request.argv);
        let mut command = self.tool().await?.command();
        command.args(&args).stdin(if request.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let failed = |error: std::io::Error| BackendError::new(format!("cannot run kubectl: {error}"));
        let mut child = command.spawn().map_err(failed)?;
        let (input, output, complaint) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = request.stdin.zip(input).map(|(mut from, mut to)| {
            tokio::spawn(async move {
                // A command that ended reads no more.
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            })
        });
        let (mut stdout, mut stderr) = (request.stdout, request.stderr);
        let out = async {
            match output {
                Some(mut output) => copy(&mut output, &mut stdout).await,
                None => Ok(()),
            }
        };
        let complain = async {
            match complaint {
                Some(mut complaint) => copy(&mut complaint, &mut stderr).await,
                None => Ok(()),
            }
        };
        let (out, complained) = tokio::join!(out, complain);
        out.and(complained).map_err(failed)?;
        let status = child.wait().await.map_err(failed)?;
        if let Some(feed) = feed {
            feed.abort();
        }
        status.code().ok_or_else(|| BackendError::new("a signal ended kubectl"))
    }

    /// The log of all pods of a rollout.
    pub(in crate::backend) async fn log(
        &self,
        cluster: &KubeCluster,
        pods: Vec<Pod>,
        query: LogQuery,
    ) -> Result<LogStream, BackendError> {
        let tool = self.tool().await?.clone();
        let mut streams = Vec::new();
        let several = pods.len() > 1;
        for Pod { namespace, name: pod } in pods {
            let mut args = flags(cluster);
            args.extend(["logs".to_owned(), format!("--namespace={namespace}"), pod.clone()]);
            args.extend(["--all-containers", "--timestamps", "--ignore-errors"].map(str::to_owned));
            args.extend(query.lines.map(|lines| format!("--tail={lines}")));
            args.extend(query.since.map(|since| format!("--since-time={since}")));
            args.extend(query.follow.then(|| "--follow".to_owned()));
            let name = several.then(|| pod.clone());
            streams.push(follow(tool.clone(), args, name)?);
        }
        if query.follow {
            return Ok(Box::pin(futures_util::stream::select_all(streams)));
        }
        let mut lines: Vec<Result<LogLine, BackendError>> = Vec::new();
        for stream in streams {
            lines.extend(stream.collect::<Vec<_>>().await);
        }
        lines.sort_by_key(|line| line.as_ref().ok().and_then(|line| line.at));
        if let Some(most) = query.lines {
            lines.drain(..lines.len().saturating_sub(most));
        }
        Ok(Box::pin(futures_util::stream::iter(lines)))
    }
}

async fn copy(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin)) -> std::io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        match from.read(&mut block).await? {
            0 => return Ok(()),
            read => {
                to.write_all(&block[..read]).await?;
                to.flush().await?;
            }
        }
    }
}

/// The lines that a `kubectl logs` prints.
fn follow(tool: Tool, args: Vec<String>, name: Option<String>) -> Result<LogStream, BackendError> {
    let mut command = tool.command();
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let failed = |error: std::io::Error| BackendError::new(format!("cannot run kubectl: {error}"));
    let mut child = command.spawn().map_err(failed)?;
    let pipes = (child.stdout.take(), child.stderr.take());
    let (Some(stdout), Some(stderr)) = pipes else { return Err(BackendError::new("kubectl has no pipes")) };
    let state = (child, BufReader::new(stdout), Some(stderr), name);
    Ok(Box::pin(futures_util::stream::unfold(state, |(mut child, mut output, mut stderr, name)| async move {
        let mut line = Vec::new();
        match output.read_until(b'\n', &mut line).await {
            Ok(1..) => {
                let line = log_line(&String::from_utf8_lossy(&line), name.as_deref());
                Some((Ok(line), (child, output, stderr, name)))
            }
            Ok(0) => {
                let mut said = String::new();
                let _ = stderr.take()?.read_to_string(&mut said).await;
                let ended = child.wait().await.ok()?;
                let failed = !ended.success() && !said.trim().is_empty();
                failed.then(|| (Err(trouble("read the log", &said)), (child, output, None, name)))
            }
            Err(error) => {
                stderr.take()?;
                let error = BackendError::new(format!("cannot read the log: {error}"));
                Some((Err(error), (child, output, None, name)))
            }
        }
    })))
}

fn log_line(text: &str, pod: Option<&str>) -> LogLine {
    let text = text.trim_end_matches(['\n', '\r']);
    let stamped = text.split_once(' ').and_then(|(at, rest)| Some((at.parse::<Timestamp>().ok()?, rest)));
    let (at, text) = stamped.map_or((None, text), |(at, rest)| (Some(at), rest));
    let text = pod.map_or_else(|| text.to_owned(), |pod| format!("{pod}: {text}"));
    LogLine { at, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_pod_has_its_time_and_its_pod() {
        let line = log_line("2026-11-21T10:00:00.5Z hello world\n", Some("web-1"));
        assert_eq!((line.text.as_str(), line.at.is_some()), ("web-1: hello world", true));
        assert_eq!(log_line("hello world\n", None), LogLine { at: None, text: "hello world".to_owned() });
    }
}
