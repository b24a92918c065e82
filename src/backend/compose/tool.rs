//! Compose itself: where it is, which version, and its runs.
//!
//! A run that only reads ends with orch. One that changes something goes on without orch: it holds a lock on
//! the file that it writes its output to, so that a later orch waits for its end. When orch gives up on it,
//! it is asked to end by SIGINT.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use crate::backend::{BackendError, ProgressSink};
use crate::event::Progress;
use crate::sys;

/// The variable that names the program, where it is not to be looked for.
const OVERRIDE: &str = "ORCH_COMPOSE";
/// Where the plugins of the `docker` command are for all users.
const PLUGINS: &[&str] = &[
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];
/// How often a run of an earlier orch is asked whether it has ended.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a run that changes something is asked how far it is.
const PACE: Duration = Duration::from_millis(200);
/// How much of the end of an output is read, in bytes.
const KEPT: u64 = 64 << 10;
/// How many lines of what Compose says go into an error.
const TOLD: usize = 4;

/// The Compose of this machine.
pub(super) struct Tool {
    env: BTreeMap<String, String>,
    /// The folder of the locks.
    dir: PathBuf,
    version: OnceCell<()>,
}

/// What a run is started with.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    /// The arguments; never a secret.
    pub(super) args: Vec<String>,
    /// Variables on top of orch's environment.
    pub(super) env: BTreeMap<String, String>,
    /// What it reads from its standard input.
    pub(super) stdin: Option<String>,
    /// What must not be shown of what it says.
    pub(super) secrets: Vec<String>,
}

impl Call {
    /// A call about a project, by its name alone.
    pub(super) fn of(project: &str) -> Self {
        Self { args: vec!["--project-name".to_owned(), project.to_owned()], ..Self::default() }
    }

    /// The same with further arguments.
    pub(super) fn with<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }
}

impl Tool {
    pub(super) fn new(env: BTreeMap<String, String>, dir: PathBuf) -> Self {
        Self { env, dir, version: OnceCell::new() }
    }

    /// orch's environment.
    pub(super) fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// The program.
    fn program(&self) -> Result<PathBuf, BackendError> {
        let get = |name: &str| self.env.get(name).map(String::as_str).filter(|value| !value.is_empty());
        if let Some(path) = get(OVERRIDE) {
            let path = PathBuf::from(path);
            return if is_program(&path) {
                Ok(path)
            } else {
                let message = format!("cannot run Compose: {} is no program ({OVERRIDE})", path.display());
                Err(BackendError::new(message).with_hint("name the file of `docker-compose` v2, or unset the variable"))
            };
        }
        let config = get("DOCKER_CONFIG").map(PathBuf::from);
        let config = config.or_else(|| Some(Path::new(get("HOME")?).join(".docker")));
        let own = config.map(|folder| folder.join("cli-plugins"));
        let plugins = own.into_iter().chain(PLUGINS.iter().map(PathBuf::from));
        let path = get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
        let folders = plugins.chain(std::env::split_paths(path));
        let mut found = folders.map(|folder| folder.join("docker-compose")).filter(|path| is_program(path));
        found.next().ok_or_else(|| {
            BackendError::new(
                "cannot find Compose: there is neither a plugin `docker compose` nor a `docker-compose` in PATH",
            )
            .with_hint(format!("install Docker Compose v2, or name its program with {OVERRIDE}"))
        })
    }

    fn command(&self, call: &Call) -> Result<Command, BackendError> {
        let mut command = command(&self.program()?);
        // What would change which files, profiles or project are meant stands in the arguments.
        let own = self.env.iter().filter(|(name, _)| !name.starts_with("COMPOSE_") && !name.starts_with("ORCH_"));
        command.env_clear().envs(own).envs(&call.env);
        command.env("COMPOSE_PROGRESS", "plain").env("COMPOSE_ANSI", "never").env("COMPOSE_MENU", "false");
        command.env("DOCKER_CLI_HINTS", "false");
        // What a terminal sends to orch does not reach it.
        command.args(&call.args).process_group(0);
        let stdin = if call.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin);
        Ok(command)
    }

    /// Checks that it is a version that orch can use; asked once.
    pub(super) async fn check(&self) -> Result<(), BackendError> {
        let check = || async {
            let call = Call::default().with(["version", "--short"]);
            let text = self.output(&call, "find out the version of Compose").await?;
            let program = self.program()?;
            match major(&text) {
                Some(2..) => Ok(()),
                Some(major) => Err(BackendError::new(format!(
                    "{} is Compose {}, and orch needs version 2 or later",
                    program.display(),
                    if major == 1 { format!("v1 ({})", text.trim()) } else { text.trim().to_owned() }
                ))
                .with_hint(format!(
                    "install Docker Compose v2 as the plugin `docker compose` or as `docker-compose`, or name it with {OVERRIDE}"
                ))),
                None => Err(BackendError::new(format!(
                    "cannot use {}: it does not say which version of Compose it is",
                    program.display()
                ))
                .with_hint(format!("see what `docker-compose version` says, or name another program with {OVERRIDE}"))),
            }
        };
        self.version.get_or_try_init(check).await.copied()
    }

    /// What a call that changes nothing prints.
    pub(super) async fn output(&self, call: &Call, doing: &str) -> Result<String, BackendError> {
        let unusable = |error: &std::io::Error| BackendError::new(format!("cannot {doing}: {error}"));
        let mut command = self.command(call)?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| unusable(&error))?;
        let stdin = child.stdin.take();
        let (_, output) = tokio::join!(feed(stdin, call.stdin.as_deref()), child.wait_with_output());
        let output = output.map_err(|error| unusable(&error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(refused(doing, output.status, &String::from_utf8_lossy(&output.stderr), &call.secrets))
    }

    /// Runs a call that changes something, once no other one changes the same project.
    pub(super) async fn change(
        &self,
        project: &str,
        call: &Call,
        doing: &str,
        progress: &ProgressSink,
    ) -> Result<(), BackendError> {
        let unusable = |error: &std::io::Error| BackendError::new(format!("cannot {doing}: {error}"));
        let mut log = self.lock(project, doing).await?;
        let mut command = self.command(call)?;
        let output = || log.try_clone().map(Stdio::from);
        command.stdout(output().map_err(|error| unusable(&error))?);
        command.stderr(output().map_err(|error| unusable(&error))?);
        let child = command.spawn().map_err(|error| unusable(&error))?;
        // The parent's copies of the output would keep the lock.
        drop(command);
        let mut running = Running(child);
        let stdin = running.0.stdin.take();
        let fed = feed(stdin, call.stdin.as_deref());
        crate::crash_point!("compose.up.started");
        let told = async {
            let mut seen = 0;
            loop {
                tokio::time::sleep(PACE).await;
                let written = log.metadata().map_or(0, |metadata| metadata.len());
                if written > seen {
                    seen = written;
                    let status = "working".to_owned();
                    let (what, part) = (project.to_owned(), None);
                    progress.tell(Progress { what, part, status, current: None, total: None });
                }
            }
        };
        let status = tokio::select! {
            (_, status) = async { tokio::join!(fed, running.0.wait()) } => status.map_err(|error| unusable(&error))?,
            () = told => return Ok(()),
        };
        let said = end_of(&mut log).map_err(|error| unusable(&error))?;
        // It may hold what a build or a container said.
        log.set_len(0).map_err(|error| unusable(&error))?;
        if status.success() { Ok(()) } else { Err(refused(doing, status, &said, &call.secrets)) }
    }

    /// The file that a run writes to, locked; waits for the end of the run that has it.
    async fn lock(&self, project: &str, doing: &str) -> Result<File, BackendError> {
        let path = self.dir.join(format!("{project}.log"));
        let unusable = |error: std::io::Error| {
            BackendError::new(format!("cannot {doing}: cannot use {}: {error}", path.display()))
        };
        sys::create_private_dir(&self.dir).map_err(unusable)?;
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path).map_err(unusable)?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
        }
        file.set_len(0).map_err(unusable)?;
        Ok(file)
    }
}

/// A run that is asked to end when nobody waits for it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // A child that was waited for has no id any more, so the id cannot be another process's.
        let pid = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            // An error means that it has ended, which is what is wanted.
            let _ = kill_process(pid, Signal::INT);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "Compose is a program, and there is no other way to it")]
fn command(program: &Path) -> Command {
    Command::new(program)
}

async fn feed(stdin: Option<tokio::process::ChildStdin>, text: Option<&str>) {
    if let (Some(mut stdin), Some(text)) = (stdin, text) {
        // A run that ended early does not read all of it; how it ended says more than that.
        let _ = stdin.write_all(text.as_bytes()).await;
        let _ = stdin.shutdown().await;
    }
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn end_of(log: &mut File) -> std::io::Result<String> {
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(KEPT)))?;
    let mut said = Vec::new();
    log.read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// The first number of a version: `2.40.3`, `v2.1.0-rc.1`, or a line with one in it.
fn major(text: &str) -> Option<u32> {
    let is_version = |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    let words = text.split([' ', ',', '\n']).map(|word| word.trim().trim_start_matches('v'));
    words.into_iter().find(is_version)?.split('.').next()?.parse().ok()
}

/// What a run that failed says of it, in its own words.
fn refused(doing: &str, status: ExitStatus, said: &str, secrets: &[String]) -> BackendError {
    let told = match (told(said), status.signal()) {
        (told, Some(signal)) if told.is_empty() => format!("Compose was killed by signal {signal}"),
        (told, Some(signal)) => format!("Compose was killed by signal {signal}: {told}"),
        (told, None) if told.is_empty() => format!("Compose exited {}", status.code().unwrap_or(-1)),
        (told, None) => told,
    };
    let told = masked(told, secrets);
    let error = BackendError::new(format!("cannot {doing}: {told}"));
    match hint(&told) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// A text with every secret in it replaced.
pub(super) fn masked(mut text: String, secrets: &[String]) -> String {
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), "(sensitive)");
    }
    text
}

/// The last lines that say what went wrong: neither progress nor warnings.
fn told(said: &str) -> String {
    let is_progress = |line: &str| {
        let words = [" Container ", " Network ", " Volume ", " Image ", " Service ", " Config ", " Secret "];
        words.iter().any(|word| line.starts_with(word)) || line.starts_with("time=")
    };
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty() && !is_progress(line)).collect();
    let last = lines.len().saturating_sub(TOLD);
    lines[last..].iter().map(|line| line.trim()).collect::<Vec<_>>().join("; ")
}

fn hint(told: &str) -> Option<&'static str> {
    let lower = told.to_lowercase();
    let has = |part: &str| lower.contains(part);
    if has("cannot connect to the docker daemon") || has("docker daemon is not running") || has("error during connect")
    {
        Some("see that the engine runs and answers: `docker version`")
    } else if has("is unhealthy") || has("dependency failed to start") || has("didn't complete successfully") {
        Some("see what the log of that container says: `orch logs` has it")
    } else if has("port is already allocated") || has("address already in use") {
        Some("see who has the port with `ss -ltnp` or `docker ps`, or publish another one in the Compose file")
    } else if has("pull access denied") || has("manifest unknown") || has("not found: manifest") {
        Some(
            "see that the image's name is right and that you are logged in to its registry, or build it: `build: true`",
        )
    } else if has("no space left on device") {
        Some("make room on the engine's disk, `docker system df` says what uses it, and apply again")
    } else if has("yaml") || has("validating") || has("invalid") || has("undefined") || has("no such file") {
        Some("correct the Compose file; `docker compose config` reads it as orch does")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_every_form_that_compose_has_written() {
        for (text, wanted) in [
            ("2.40.3\n", Some(2)),
            ("v2.1.0-rc.1", Some(2)),
            ("5.0.1", Some(5)),
            ("1.29.2", Some(1)),
            ("docker-compose version 1.25.0, build 0a186604", Some(1)),
            ("hello", None),
            ("", None),
        ] {
            assert_eq!(major(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_went_wrong_is_told_without_progress_and_secrets() {
        let said = "time=\"now\" level=warning msg=\"x\"\n Container a-1  Creating\n\nError response from daemon: no hunter2 here\n";
        assert_eq!(told(said), "Error response from daemon: no hunter2 here");
        let status = ExitStatus::from_raw(1 << 8);
        let error = refused("bring up a", status, said, &["hunter2".to_owned()]);
        assert_eq!(error.message, "cannot bring up a: Error response from daemon: no (sensitive) here");
        let killed = refused("bring up a", ExitStatus::from_raw(9), "", &[]);
        assert_eq!(killed.message, "cannot bring up a: Compose was killed by signal 9");
    }
}
