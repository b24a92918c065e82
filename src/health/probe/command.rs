//! A command that exits as expected.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, PipeReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

use super::{ProbeAnswer, cause};
use crate::model::{Service, Spec, Text};

/// How much of the end of the output is kept, in bytes; one line of it is shown.
const KEPT: usize = 4096;
/// How much of that line is shown, in characters.
const SHOWN: usize = 200;
/// How long output is waited for once the command has ended, as something that it left behind may
/// hold the pipe open for ever.
const DRAIN: Duration = Duration::from_millis(100);

/// What is run.
pub(super) struct Call<'a> {
    pub(super) label: &'a str,
    pub(super) program: &'a OsStr,
    pub(super) args: &'a [Text],
}

/// Runs a command in the service's folder and environment, in a process group of its own; the whole
/// group is killed when the future is dropped before the command has ended.
pub(super) async fn probe(
    call: &Call<'_>,
    expected: i32,
    service: &Service,
    base: &BTreeMap<String, String>,
) -> ProbeAnswer {
    let label = call.label;
    match run(call, service, base).await {
        Err(error) => ProbeAnswer::unhealthy(format!("cannot run {label}: {}", cause(&error))),
        Ok((status, output)) => {
            let how = match (status.code(), status.signal()) {
                (Some(code), _) => format!("{label} exited {code}"),
                (None, signal) => format!("{label} was killed by signal {}", signal.unwrap_or_default()),
            };
            judge(how, status.code(), expected, last_line(&output, &secrets(call.args, service)))
        }
    }
}

/// The answer for a command that ended: how it did, its exit code if it has one, and its last line.
pub(super) fn judge(how: String, code: Option<i32>, expected: i32, said: Option<String>) -> ProbeAnswer {
    let said = said.map(|line| format!(": {line}")).unwrap_or_default();
    if code == Some(expected) {
        return ProbeAnswer::healthy(how + &said);
    }
    let wanted = if expected == 0 { String::new() } else { format!(" (want {expected})") };
    ProbeAnswer::unhealthy(how + &wanted + &said)
}

async fn run(call: &Call<'_>, service: &Service, base: &BTreeMap<String, String>) -> io::Result<(ExitStatus, Vec<u8>)> {
    let (reader, mut child) = spawn(call, service, base)?;
    let mut output = Tail { pipe: Receiver::from_owned_fd(reader.into())?, kept: Vec::new() };
    let status = tokio::select! {
        status = child.wait() => status?,
        // The end of the output is not the end of the command.
        () = output.read() => child.wait().await?,
    };
    // Nothing is lost when this is cut off: what was read so far is kept.
    let _ = tokio::time::timeout(DRAIN, output.read()).await;
    Ok((status, output.kept))
}

fn spawn(call: &Call<'_>, service: &Service, base: &BTreeMap<String, String>) -> io::Result<(PipeReader, Group)> {
    // One pipe for both, so that the last line is the last that was written.
    let (reader, writer) = io::pipe()?;
    #[expect(
        clippy::disallowed_methods,
        reason = "a check's command lives no longer than its probe and is no workload"
    )]
    let mut command = Command::new(call.program);
    command.args(call.args.iter().map(Text::reveal)).env_clear().envs(base);
    if let Spec::Process(spec) = &service.spec {
        command.envs(spec.env.iter().map(|(name, value)| (name, value.reveal()))).current_dir(&spec.working_dir);
    }
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    // The writers are dropped with `command` on return, so that the pipe ends with the child.
    Ok((reader, Group(command.spawn()?)))
}

/// A child that leads a process group, killed with all of it unless it has ended.
struct Group(Child);

impl Group {
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A child that was waited for has no id any more, so the id cannot be another process's: it
        // stays taken, as a zombie at least, until this child is waited for.
        let group = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            // An error means that the group is gone already, which is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The end of an output.
struct Tail {
    pipe: Receiver,
    kept: Vec<u8>,
}

impl Tail {
    /// Reads to the end. May be dropped and called again.
    async fn read(&mut self) {
        // A pipe that cannot be read has nothing more to say.
        while let Ok(1..) = self.pipe.read_buf(&mut self.kept).await {
            if self.kept.len() > 2 * KEPT {
                self.kept.drain(..self.kept.len() - KEPT);
            }
        }
    }
}

/// Every text that the command or its service was given and that may be secret.
pub(super) fn secrets<'a>(args: &'a [Text], service: &'a Service) -> Vec<&'a str> {
    let given: Vec<&Text> = match &service.spec {
        Spec::Process(spec) => spec.env.values().chain(&spec.args).collect(),
        Spec::Docker(spec) => {
            let lists = [&spec.command, &spec.entrypoint].into_iter().flatten().flatten();
            let check = spec.check.iter().flat_map(|check| &check.test);
            spec.env.values().chain(spec.labels.values()).chain(lists).chain(check).collect()
        }
        Spec::Ssh(spec) => spec.env.values().collect(),
        Spec::Systemd(spec) => spec.env.values().collect(),
        Spec::Package(spec) => spec.env.values().collect(),
        Spec::Helm(spec) => spec.secret_texts(),
        Spec::Kubernetes(spec) => spec.objects.iter().flatten().flat_map(|object| object.secrets.values()).collect(),
        Spec::Compose(spec) => {
            let made_from = spec.wanted().into_values().flat_map(|service| service.made_from.values());
            made_from.chain(spec.env.values()).collect()
        }
        Spec::Network(_) | Spec::Wireguard(_) | Spec::External(_) => Vec::new(),
    };
    let all = args.iter().chain(given);
    let mut secrets: Vec<&str> =
        all.filter(|text| text.is_sensitive() && !text.reveal().is_empty()).map(Text::reveal).collect();
    // The longest first, as one may be part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// A text with every secret in it replaced.
pub(super) fn masked(mut text: String, secrets: &[&str]) -> String {
    for secret in secrets {
        text = text.replace(secret, "(sensitive)");
    }
    text
}

/// The last line that is not blank, made fit to be shown: without secrets, without control
/// characters, and not too long.
pub(super) fn last_line(output: &[u8], secrets: &[&str]) -> Option<String> {
    // Before it is cut into lines, as a secret may have several.
    let text = masked(String::from_utf8_lossy(output).into_owned(), secrets);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    let mut shown: String = line.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if line.chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    Some(shown)
}
