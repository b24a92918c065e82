//! Starting a supervisor.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::binary::{self, Digests};
use super::folder::{Folder, Held};
use super::supervisor::SUPERVISE_VERB;
use super::wire::{Launch, Policy, Program, Reply, Stamp};
use crate::backend::{BackendError, OpContext};
use crate::model::{Instance, ProcessSpec, Spec};
use crate::sys::ProcessStat;

/// How long a supervisor may take to start its program; a change of user may ask a directory service.
const PATIENCE: Duration = Duration::from_secs(60);

/// The spec of an instance of this backend.
pub(super) fn spec(instance: &Instance) -> Result<&ProcessSpec, BackendError> {
    match &instance.service.spec {
        Spec::Process(spec) => Ok(spec),
        other => Err(BackendError::new(format!("a {} service is not a process", other.backend()))),
    }
}

/// What a new object is stamped with.
pub(super) fn stamp(op: &OpContext, instance: &Instance) -> Stamp {
    Stamp {
        address: op.address.clone(),
        op_id: op.op_id.clone(),
        revision: instance.revision,
        kind: instance.service.kind,
    }
}

/// All that the supervisor of an instance needs.
pub(super) fn launch(
    op: &OpContext,
    instance: &Instance,
    base: &BTreeMap<String, String>,
    digests: &Digests,
) -> Result<Launch, BackendError> {
    let spec = spec(instance)?;
    let mut env = base.clone();
    env.extend(spec.env.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())));
    let name = spec.binary.reveal();
    let shown = spec.binary.shown();
    let Some(file) = binary::resolve(name, env.get("PATH").map(String::as_str), &spec.working_dir) else {
        return Err(BackendError::new(format!("cannot start {shown}: it is in no directory of PATH"))
            .with_hint("install the program, or give its path in `binary`"));
    };
    // A path that may be secret is not written anywhere, which costs the look at its file. A file
    // that cannot be read is for the supervisor to complain about, when it cannot be run either.
    let binary = if spec.binary.is_sensitive() { None } else { digests.stamp(&file).ok() };
    Ok(Launch {
        stamp: stamp(op, instance),
        program: Program {
            file,
            name: name.to_owned(),
            shown: shown.to_owned(),
            args: spec.args.iter().map(|arg| arg.reveal().to_owned()).collect(),
            env,
            working_dir: spec.working_dir.clone(),
            user: spec.user.clone(),
        },
        policy: Policy::from(spec),
        binary,
    })
}

/// The supervisors that this process started. Most outlive it; one that ends before is reaped.
#[derive(Debug, Default)]
pub(super) struct Supervisors(Mutex<Children>);

#[derive(Debug, Default)]
struct Children {
    list: Vec<Child>,
    /// How long the list may grow before it is looked through: asking about each at every start
    /// would cost the square of their number.
    look_at: usize,
}

impl Supervisors {
    /// Starts a supervisor in a folder and waits until its program runs. The lock goes to the
    /// supervisor. When this fails, nothing runs and the folder is gone.
    pub(super) fn start(&self, exe: &Path, folder: &Folder, held: Held, launch: &Launch) -> Result<(), BackendError> {
        let failed = |doing: &str, error: &dyn std::fmt::Display| {
            BackendError::new(format!("cannot {doing} the supervisor: {error}"))
                .with_hint("check the limits on processes and memory of this machine")
        };
        let text = serde_json::to_vec(launch)
            .map_err(|_| BackendError::new("a path in the definition is not valid UTF-8").with_hint("rename it"))?;
        let mut child = match spawn(exe, folder, held) {
            Ok(child) => child,
            Err(error) => {
                let _ = folder.remove();
                return Err(failed("start", &error));
            }
        };
        crate::crash_point!("process.create.spawned");
        if let Some(mut stdin) = child.stdin.take() {
            // A supervisor that ended already says why, or nothing, on its other pipe.
            let _ = stdin.write_all(&text);
        }
        crate::crash_point!("process.create.sent");
        let answer = child.stdout.take().map(read_answer);
        let reply = match answer {
            Some(Ok(text)) => serde_json::from_slice::<Reply>(&text).map_err(|_| said(folder)),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("it has no output".to_owned()),
        };
        match reply {
            Ok(reply) => {
                self.keep(child);
                reply.map_err(BackendError::from)
            }
            Err(why) => {
                // It is this process's child and not reaped, so its pid means what it meant.
                let _ = child.kill();
                let _ = child.wait();
                super::leftovers::end_of(folder)?;
                let _ = folder.remove();
                Err(failed("understand", &why))
            }
        }
    }

    fn keep(&self, child: Child) {
        let mut children = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        children.list.push(child);
        if children.list.len() >= children.look_at {
            children.list.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            children.look_at = 2 * children.list.len() + 16;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the process backend starts processes")]
fn spawn(exe: &Path, folder: &Folder, held: Held) -> std::io::Result<Child> {
    // Nothing of orch's environment: what the service gets is in the launch, and a secret in the
    // supervisor's environment could be read by anyone who may look at it.
    let mut command = Command::new(exe);
    command
        .arg(SUPERVISE_VERB)
        .arg(folder.path())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(held.0));
    // Its own group from the start, so that no Ctrl-C reaches it before it has left the session. To do
    // that it goes back to this group for an instant, which it cannot where the group's leader is
    // outside the pid namespace; no terminal in here can signal such a group, so there it stays in it.
    if ProcessStat::of(std::process::id()).is_none_or(|own| own.group != 0) {
        command.process_group(0);
    }
    command.spawn()
}

/// The answer of a supervisor: a line, or less when it ended.
fn read_answer(mut stdout: ChildStdout) -> std::io::Result<Vec<u8>> {
    let start = Instant::now();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = PATIENCE.saturating_sub(start.elapsed());
        let timeout = Timespec::try_from(left).map_err(std::io::Error::other)?;
        let mut fds = [PollFd::new(&stdout, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not answer")),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let n = stdout.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..n]);
        if n == 0 || answer.last() == Some(&b'\n') {
            return Ok(answer);
        }
    }
}

/// What a supervisor that ended without an answer said last.
fn said(folder: &Folder) -> String {
    let text = folder.last_words().unwrap_or_default();
    if text.is_empty() { "it ended without a word".to_owned() } else { text }
}
