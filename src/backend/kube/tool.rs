//! A command-line tool as a child: its pipes, its end, and how it is told to stop.
//!
//! What a tool is told goes through its standard input or a private file, never through its arguments, where every
//! user of the machine could read it. A tool whose result nobody waits for any more is sent SIGINT, as a person
//! would, and is waited for; it is never killed outright, as it may hold something half done.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

use crate::backend::BackendError;

/// What a tool gets beside its arguments.
#[derive(Debug, Clone, Default)]
pub struct Tool {
    /// The program, absolute.
    pub program: PathBuf,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
}

/// How a tool ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: String,
}

impl Ended {
    /// Whether it exited 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// What it wrote, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Tool {
    /// Finds a program in the `PATH` of an environment; `None` where it is not there.
    #[must_use]
    pub fn find(name: &str, env: &BTreeMap<String, String>) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt;
        let path = env.get("PATH")?;
        let is_program = |path: &PathBuf| {
            std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        let program = std::env::split_paths(path).map(|folder| folder.join(name)).find(is_program)?;
        Some(Self { program, env: env.clone() })
    }

    /// The command, with no argument yet. It is in a process group of its own, so that what a terminal sends to
    /// orch does not reach it.
    #[expect(clippy::disallowed_methods, reason = "the tools of a cluster are how its backends do their work")]
    pub(in crate::backend) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(&self.env).process_group(0);
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started, or its end is not known.
    pub async fn run<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        stdin: Option<&[u8]>,
    ) -> Result<Ended, BackendError> {
        let mut command = self.command();
        command.args(args).stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = self.name();
        let failed = |error: io::Error| BackendError::new(format!("cannot run {name}: {error}"));
        let mut running = Running(Some(command.spawn().map_err(failed)?));
        let Some(child) = running.0.as_mut() else { return Err(BackendError::new("the tool is gone")) };
        let input = child.stdin.take();
        let write = async {
            if let (Some(mut input), Some(bytes)) = (input, stdin) {
                // A tool that ended early does not read all of it; how it ended says more than that.
                let _ = input.write_all(bytes).await;
                let _ = input.shutdown().await;
            }
        };
        let ended = hear(child, write).await.map_err(failed)?;
        running.0 = None;
        Ok(ended)
    }

    fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// A tool that runs; dropped before its end it is interrupted, and waited for.
struct Running(Option<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            end(child, Signal::INT);
        }
    }
}

/// Hears a child out while it is fed, and waits for its end.
pub(in crate::backend) async fn hear(child: &mut Child, fed: impl Future<Output = ()>) -> io::Result<Ended> {
    let (output, complaint) = (child.stdout.take(), child.stderr.take());
    let ((), stdout, stderr) = tokio::join!(fed, all_of(output), all_of(complaint));
    let (stdout, stderr) = (stdout?, stderr?);
    let status = child.wait().await?;
    Ok(Ended { code: status.code(), stdout, stderr: String::from_utf8_lossy(&stderr).trim().to_owned() })
}

async fn all_of(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// Asks a child to end, and leaves a task behind that waits for that.
pub(super) fn end(mut child: Child, signal: Signal) {
    // It was not waited for yet, so that its pid is still its own.
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, signal);
    }
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move { child.wait().await });
    }
}

/// A child that only looks, and that ends with orch however orch ends: its shell waits for the end of a pipe. What the
/// shell is given first is a folder that goes then, or nothing.
const KEEPER: &str = "f=$1; shift; exec 3<&0; \"$@\" </dev/null & p=$!; \
                      (cat <&3 >/dev/null 2>&1; kill -TERM $p) >/dev/null 2>&1 & \
                      w=$!; exec 3<&-; wait $p; s=$?; kill $w 2>/dev/null; [ -z \"$f\" ] || rm -rf \"$f\"; exit $s";

/// A tool that runs for as long as this is kept, and no longer than orch itself.
pub(super) struct Kept {
    child: Option<Child>,
    /// Open for as long as it is to run; apart from the child, as waiting for that would close it.
    input: Option<ChildStdin>,
}

impl Kept {
    /// Starts a tool; its output can be taken. A folder that it is given goes when it has ended.
    pub(super) fn start(tool: &Tool, args: &[String], folder: Option<&Path>) -> Result<Self, BackendError> {
        let shell = Tool { program: PathBuf::from("/bin/sh"), env: tool.env.clone() };
        let mut command = shell.command();
        let folder = folder.unwrap_or(Path::new(""));
        command.arg("-c").arg(KEEPER).arg("sh").arg(folder).arg(&tool.program).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error: io::Error| BackendError::new(format!("cannot run {}: {error}", tool.name()));
        let mut child = command.spawn().map_err(failed)?;
        Ok(Self { input: child.stdin.take(), child: Some(child) })
    }

    pub(super) fn child(&mut self) -> Option<&mut Child> {
        self.child.as_mut()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The end of its standard input ends it.
        drop(self.input.take());
        if let (Some(mut child), Ok(runtime)) = (self.child.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { child.wait().await });
        }
    }
}

/// Waits until something holds that a tool of a test is to bring about.
#[cfg(test)]
pub(in crate::backend) async fn until(what: &str, holds: impl Fn() -> bool) {
    let patience = std::time::Duration::from_secs(60);
    let waiting = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(patience, waiting).await.is_ok(), "waited {patience:?} in vain: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Tool {
        Tool { program: PathBuf::from("/bin/sh"), env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]) }
    }

    #[tokio::test]
    async fn a_tool_is_fed_and_heard() {
        let ended = shell().run(["-c", "cat; echo wrong >&2; exit 3"], Some(b"given")).await.unwrap();
        assert_eq!(ended, Ended { code: Some(3), stdout: b"given".to_vec(), stderr: "wrong".to_owned() });
    }

    #[tokio::test]
    async fn a_tool_that_is_given_up_is_interrupted_and_not_killed() {
        let folder = tempfile::tempdir().unwrap();
        let (up, mark) = (folder.path().join("up"), folder.path().join("interrupted"));
        let script =
            format!("trap 'echo > {}; exit' INT; : > {}; while :; do sleep 0.01; done", mark.display(), up.display());
        let tool = shell();
        let running = tokio::spawn(async move { tool.run(["-c".to_owned(), script], None).await });
        until("it is up", || up.exists()).await;
        running.abort();
        until("it was interrupted", || mark.exists()).await;
    }

    #[tokio::test]
    async fn a_kept_tool_ends_with_its_guard() {
        let folder = tempfile::tempdir().unwrap();
        let given = folder.path().join("given");
        std::fs::create_dir(&given).unwrap();
        let args = ["-c".into(), "echo $$; exec sleep 1000".into()];
        let mut kept = Kept::start(&shell(), &args, Some(&given)).unwrap();
        let mut output = tokio::io::BufReader::new(kept.child().unwrap().stdout.take().unwrap());
        let mut line = String::new();
        tokio::io::AsyncBufReadExt::read_line(&mut output, &mut line).await.unwrap();
        let pid: u32 = line.trim().parse().unwrap();
        assert!(crate::sys::ProcessStat::of(pid).unwrap().is_alive());
        drop(kept);
        let is_alive = || crate::sys::ProcessStat::of(pid).is_some_and(|found| found.is_alive());
        until("it ended", || !is_alive() && !given.exists()).await;
    }

    #[test]
    fn a_program_that_is_not_there_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let env = BTreeMap::from([("PATH".to_owned(), folder.path().display().to_string())]);
        assert!(Tool::find("kubectl", &env).is_none());
    }
}
