//! Commands inside a container, for probes and for `orch exec`.

use std::pin::Pin;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::models::{ExecConfig, ExecInspectResponse};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::{failed, status};
use crate::backend::{Answer, BackendError, Command, ExecRequest, Terminal};

/// How much of the end of a probe's output is kept, in bytes.
const KEPT: usize = 4096;

/// How much input is passed on at once, in bytes.
const BLOCK: usize = 8192;

/// How often the engine is asked again about a command whose output has ended, and for how long: it
/// notes the exit code a moment later.
const AGAIN: (Duration, u32) = (Duration::from_millis(10), 500);

/// Keys that would leave the command alone with its terminal: nobody types these by accident, while
/// the engine's usual ones hold back every Ctrl-P.
const DETACH_KEYS: &str = "ctrl-^,ctrl-^,ctrl-^,ctrl-^";

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// Runs a command that probes a container, and waits no longer than it may take.
pub(super) async fn probe(engine: &Docker, container: &str, command: &Command<'_>) -> Result<Answer, BackendError> {
    let limit = command.timeout;
    tokio::time::timeout(limit, answer(engine, container, command)).await.unwrap_or_else(|_| {
        let message = format!("no answer within {limit:?}; it may run on in the container, where nothing can end it");
        Err(BackendError::new(message))
    })
}

async fn answer(engine: &Docker, container: &str, command: &Command<'_>) -> Result<Answer, BackendError> {
    let argv = std::iter::once(command.program).chain(command.args).map(|text| text.reveal().to_owned());
    let config = ExecConfig {
        cmd: Some(argv.collect()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    };
    let exec = Exec::create(engine, container, config).await?;
    let (mut output, _input) = exec.start(false).await?;
    let mut kept = Vec::new();
    while let Some(frame) = output.next().await {
        kept.extend_from_slice(frame.map_err(|error| exec.failed("read the output of", &error))?.as_ref());
        if kept.len() > 2 * KEPT {
            kept.drain(..kept.len() - KEPT);
        }
    }
    let ended = exec.ended().await?;
    let output = String::from_utf8_lossy(&kept).into_owned();
    if never_started(&ended) {
        return Err(BackendError::new(format!("cannot be run in the container: {}", cause(&output))));
    }
    Ok(Answer { exit_code: exit_code(&ended)?, output })
}

/// Runs a command with the caller's terminal or pipes; its exit code. One that cannot be started at all
/// has 127 when there is no such program and else 126, as in a shell, and its standard error says why.
pub(in crate::backend) async fn exec(
    engine: &Docker,
    container: &str,
    request: ExecRequest,
) -> Result<i32, BackendError> {
    let ExecRequest { argv, user, working_dir, env, stdin, mut stdout, mut stderr, terminal } = request;
    let program = argv.first().cloned().unwrap_or_default();
    let size = terminal.as_ref().map(|terminal| *terminal.size.borrow());
    let config = ExecConfig {
        cmd: Some(argv),
        user,
        working_dir,
        env: Some(env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()),
        attach_stdin: Some(stdin.is_some()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(terminal.is_some()),
        console_size: size.map(|(columns, rows)| vec![rows.into(), columns.into()]),
        detach_keys: terminal.is_some().then(|| DETACH_KEYS.to_owned()),
        ..ExecConfig::default()
    };
    let exec = Exec::create(engine, container, config).await?;
    let (mut output, input) = exec.start(terminal.is_some()).await?;
    let beside = async {
        tokio::join!(feed(stdin, input), resize(&exec, terminal));
        // The output says when it is over, not the input.
        std::future::pending::<()>().await;
    };
    let refusal = tokio::select! {
        refusal = exec.show(&mut output, &mut stdout, &mut stderr) => refusal?,
        () = beside => None,
    };
    if let Some(refusal) = refusal {
        let cause = cause(&refusal);
        let line = format!("cannot run `{program}` in the container: {cause}\n");
        stderr.write_all(line.as_bytes()).await.map_err(|error| exec.unwritten(&error))?;
        stderr.flush().await.map_err(|error| exec.unwritten(&error))?;
        let missing = cause.contains("executable file not found") || cause.ends_with("no such file or directory");
        return Ok(if missing && !cause.contains("chdir") { 127 } else { 126 });
    }
    exit_code(&exec.ended().await?)
}

/// A command that an engine was told of.
struct Exec<'a> {
    engine: &'a Docker,
    container: &'a str,
    id: String,
}

impl<'a> Exec<'a> {
    async fn create(engine: &'a Docker, container: &'a str, config: ExecConfig) -> Result<Self, BackendError> {
        let short = short(container);
        let created = engine.create_exec(container, config).await.map_err(|error| {
            let told = failed(&format!("run a command in container {short}"), &error);
            match status(&error) {
                Some(409) => {
                    told.with_hint("a command can run only in a container that runs: `orch status` says what does")
                }
                _ => told,
            }
        })?;
        Ok(Self { engine, container, id: created.id })
    }

    async fn start(&self, tty: bool) -> Result<(Output, Input), BackendError> {
        let options = StartExecOptions { tty, ..StartExecOptions::default() };
        match self.engine.start_exec(&self.id, Some(options)).await {
            Ok(StartExecResults::Attached { output, input }) => Ok((output, input)),
            Ok(StartExecResults::Detached) => Err(BackendError::new("the engine did not attach to the command")),
            Err(error) => Err(self.failed("start", &error)),
        }
    }

    async fn inspect(&self) -> Result<ExecInspectResponse, BackendError> {
        self.engine.inspect_exec(&self.id).await.map_err(|error| self.failed("look at", &error))
    }

    /// How it ended, once its output has.
    async fn ended(&self) -> Result<ExecInspectResponse, BackendError> {
        let (pause, times) = AGAIN;
        for _ in 0..times {
            let found = self.inspect().await?;
            if found.running != Some(true) {
                return Ok(found);
            }
            tokio::time::sleep(pause).await;
        }
        Err(BackendError::new("the connection to the command was lost before it ended")
            .with_hint("it may still run: `orch exec SVC -- ps` shows what does"))
    }

    /// Passes the output on until its end; what the engine wrote in its place when it could not start
    /// the command, which looks just like output.
    async fn show(
        &self,
        output: &mut Output,
        stdout: &mut Input,
        stderr: &mut Input,
    ) -> Result<Option<String>, BackendError> {
        let mut is_first = true;
        while let Some(frame) = output.next().await {
            let frame = frame.map_err(|error| self.failed("read the output of", &error))?;
            let may_be_refusal = std::mem::take(&mut is_first) && frame.as_ref().ends_with(b"\r\n");
            if may_be_refusal && never_started(&self.inspect().await?) {
                return Ok(Some(String::from_utf8_lossy(frame.as_ref()).into_owned()));
            }
            let to = if matches!(frame, LogOutput::StdErr { .. }) { &mut *stderr } else { &mut *stdout };
            to.write_all(frame.as_ref()).await.map_err(|error| self.unwritten(&error))?;
            to.flush().await.map_err(|error| self.unwritten(&error))?;
        }
        Ok(None)
    }

    fn failed(&self, doing: &str, error: &bollard::errors::Error) -> BackendError {
        failed(&format!("{doing} a command in container {}", short(self.container)), error)
    }

    fn unwritten(&self, error: &std::io::Error) -> BackendError {
        let short = short(self.container);
        BackendError::new(format!("cannot write the output of a command in container {short}: {error}"))
    }
}

/// Passes the input on, and closes the command's own when it ends.
async fn feed(stdin: Option<Pin<Box<dyn AsyncRead + Send>>>, mut input: Input) {
    if let Some(mut stdin) = stdin {
        let mut block = vec![0; BLOCK];
        // A command that reads no more, or has ended, is no failure: its output and exit code tell.
        while let Ok(read @ 1..) = stdin.read(&mut block).await {
            if input.write_all(&block[..read]).await.is_err() || input.flush().await.is_err() {
                break;
            }
        }
    }
    let _ = input.shutdown().await;
}

/// Gives the command's terminal the size of the caller's, now and whenever that changes.
async fn resize(exec: &Exec<'_>, terminal: Option<Terminal>) {
    let Some(Terminal { mut size }) = terminal else { return };
    loop {
        let (width, height) = *size.borrow_and_update();
        let (pause, times) = AGAIN;
        for _ in 0..times {
            // Refused until the command has its terminal, and once it has ended.
            let resized = exec.engine.resize_exec(&exec.id, ResizeExecOptions { height, width }).await;
            if resized.is_ok() || size.has_changed().unwrap_or(true) {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        if size.changed().await.is_err() {
            return;
        }
    }
}

/// Whether the engine could not even start it: it then never had a process.
fn never_started(exec: &ExecInspectResponse) -> bool {
    exec.running == Some(false) && exec.pid.unwrap_or(0) == 0 && matches!(exec.exit_code, Some(126 | 127))
}

fn exit_code(exec: &ExecInspectResponse) -> Result<i32, BackendError> {
    let code = exec.exit_code.and_then(|code| i32::try_from(code).ok());
    code.ok_or_else(|| BackendError::new("the engine does not say how the command ended"))
}

/// The part of the engine's words that says what is wrong: `exec: "psql": executable file not found in $PATH`.
fn cause(refusal: &str) -> String {
    let text = refusal.trim();
    let text = ["unable to start container process: ", "OCI runtime exec failed: "]
        .iter()
        .find_map(|lead| text.split_once(lead))
        .map_or(text, |(_, rest)| rest);
    text.strip_suffix(": unknown").unwrap_or(text).to_owned()
}

fn short(container: &str) -> &str {
    container.get(..12).unwrap_or(container)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_without_the_layers_that_it_went_through() {
        for (refusal, told) in [
            (
                "OCI runtime exec failed: exec failed: unable to start container process: exec: \"nope\": executable file not found in $PATH: unknown\r\n",
                "exec: \"nope\": executable file not found in $PATH",
            ),
            (
                "unable to find user nobody: no matching entries in passwd file\r\n",
                "unable to find user nobody: no matching entries in passwd file",
            ),
        ] {
            assert_eq!(cause(refusal), told);
        }
    }

    #[test]
    fn an_exit_code_of_its_own_is_no_refusal() {
        let exec = |running, pid, code| ExecInspectResponse {
            running: Some(running),
            pid: Some(pid),
            exit_code: Some(code),
            ..ExecInspectResponse::default()
        };
        assert!(never_started(&exec(false, 0, 126)) && never_started(&exec(false, 0, 127)));
        assert!(!never_started(&exec(false, 12, 127)) && !never_started(&exec(true, 0, 127)));
    }
}
