//! Starting the program, with what went wrong said clearly.

use std::io::{self, BufRead, BufReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use nix::unistd::{Gid, Uid, User};
use rustix::process::{Pid, WaitOptions};

use super::super::wire::{self, Failure, OP_ID_VARIABLE, PLACE_VARIABLE, Place, Program, Reply, Stamp};
use crate::model::Exit;

/// The hidden verb that becomes another user and then the program.
pub(super) const LAUNCH_VERB: &str = "__launch";

/// How long a change of user may take; it may ask a directory service.
const LAUNCH_PATIENCE: Duration = Duration::from_secs(30);

/// Why the program was not started.
pub(super) struct NotStarted {
    /// What the user is told.
    pub(super) failure: Failure,
    /// The exit code that a shell would give.
    pub(super) exit: Exit,
}

/// Starts the program in a process group of its own and returns its pid. It is not reaped here.
pub(super) fn spawn(program: &Program, stamp: &Stamp, place: &Place, output: &PipeWriter) -> Result<u32, NotStarted> {
    let mut program = program.clone();
    for (name, value) in [
        ("ORCH_SERVICE", stamp.address.service.to_string()),
        ("ORCH_ADDRESS", stamp.address.to_string()),
        (OP_ID_VARIABLE, stamp.op_id.to_string()),
        (PLACE_VARIABLE, place.0.clone()),
    ] {
        program.env.insert(name.to_owned(), value);
    }
    let stdio = |fd: io::Result<PipeWriter>| fd.map(Stdio::from).map_err(|error| not_started(&program, &error));
    let (stdout, stderr) = (stdio(output.try_clone())?, stdio(output.try_clone())?);
    if program.user.is_some() {
        return spawn_as_user(&program, stdout, stderr);
    }
    let mut command = command(&program);
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
    match command.spawn() {
        Ok(child) => Ok(child.id()),
        Err(error) => Err(not_started(&program, &error)),
    }
}

#[expect(clippy::disallowed_methods, reason = "the process backend starts processes")]
fn command(program: &Program) -> Command {
    let mut command = Command::new(&program.file);
    command.arg0(&program.name).args(&program.args).env_clear().envs(&program.env).current_dir(&program.working_dir);
    command
}

/// Starts the program by way of `orch __launch`, which changes the user. Both ends of its standard
/// input talk: the program goes in, a failure comes out, and its end without one means success.
#[expect(clippy::disallowed_methods, reason = "the process backend starts processes")]
fn spawn_as_user(program: &Program, stdout: Stdio, stderr: Stdio) -> Result<u32, NotStarted> {
    let start = || -> io::Result<(u32, Reply)> {
        let (mut ours, theirs) = UnixStream::pair()?;
        let child = Command::new("/proc/self/exe")
            .arg(LAUNCH_VERB)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()?;
        ours.set_read_timeout(Some(LAUNCH_PATIENCE))?;
        // A failure to talk is told from what it answers, or does not.
        let _ = ours.write_all(&wire::line(program)?);
        let mut answer = Vec::new();
        let reply = match BufReader::new(ours).read_until(b'\n', &mut answer) {
            Ok(0) => Ok(()),
            Ok(_) => serde_json::from_slice(&answer).unwrap_or_else(|_| Err(Failure::new("garbled answer"))),
            Err(_) => Err(Failure::new(format!("changing to user {} takes too long", user_name(program)))),
        };
        Ok((child.id(), reply))
    };
    let (pid, reply) = start().map_err(|error| not_started(program, &error))?;
    let Err(failure) = reply else { return Ok(pid) };
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It is this process's own child and not reaped yet, so the pid means what it meant.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
    }
    Err(NotStarted { failure, exit: exit_of(126) })
}

/// The hidden verb `__launch`: takes the program from standard input, becomes its user, and
/// becomes the program. It returns only when that failed.
pub(super) fn launch() -> ExitCode {
    let failed = |mut socket: UnixStream, failure: Failure| {
        let reply: Reply = Err(failure);
        let _ = socket.write_all(&wire::line(&reply).unwrap_or_default());
        ExitCode::from(126)
    };
    // A copy that closes at the exec: that is how the supervisor learns that it worked.
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else { return ExitCode::from(126) };
    let mut text = Vec::new();
    if BufReader::new(&socket).read_until(b'\n', &mut text).is_err() {
        return ExitCode::from(126);
    }
    let Ok(mut program) = serde_json::from_slice::<Program>(&text) else { return ExitCode::from(126) };
    if let Err(failure) = become_user(&mut program) {
        return failed(socket, failure);
    }
    let null = match std::fs::File::open("/dev/null").and_then(|null| Ok(rustix::stdio::dup2_stdin(&null)?)) {
        Ok(()) => command(&program).exec(),
        Err(error) => error,
    };
    failed(socket, not_started(&program, &null).failure)
}

fn become_user(program: &mut Program) -> Result<(), Failure> {
    let name = user_name(program).to_owned();
    let cannot = |doing: &str, error: &dyn std::fmt::Display| Failure::new(format!("cannot {doing} {name}: {error}"));
    let by_number = || name.parse().ok().and_then(|uid| User::from_uid(Uid::from_raw(uid)).ok().flatten());
    let user = match User::from_name(&name).map_err(|error| cannot("look up user", &error))?.or_else(by_number) {
        Some(user) => user,
        None => {
            return Err(Failure::new(format!("there is no user {name} on this machine"))
                .with_hint("create the user first, or correct `user`"));
        }
    };
    if user.uid != Uid::effective() || user.gid != Gid::effective() {
        if !Uid::effective().is_root() {
            return Err(Failure::new(format!("only root may start a process as user {name}"))
                .with_hint("run orch as root, or leave `user` out"));
        }
        let c_name = std::ffi::CString::new(user.name.as_str()).map_err(|error| cannot("use the name", &error))?;
        // Programs open /dev/stdout and /dev/stderr again, which asks for the owner of the pipe.
        let (uid, gid) = (rustix::fs::Uid::from_raw(user.uid.as_raw()), rustix::fs::Gid::from_raw(user.gid.as_raw()));
        rustix::fs::fchown(io::stdout(), Some(uid), Some(gid))
            .map_err(|error| cannot("give the log pipe to", &error))?;
        nix::unistd::initgroups(&c_name, user.gid).map_err(|error| cannot("take the groups of user", &error))?;
        nix::unistd::setgid(user.gid).map_err(|error| cannot("take the group of user", &error))?;
        nix::unistd::setuid(user.uid).map_err(|error| cannot("become user", &error))?;
    }
    Ok(())
}

fn user_name(program: &Program) -> &str {
    program.user.as_deref().unwrap_or_default()
}

/// What a failed start means: the kernel gives one error for several causes.
fn not_started(program: &Program, error: &io::Error) -> NotStarted {
    let shown = &program.shown;
    let (folder, file) = (&program.working_dir, &program.file);
    let failed = |code, why: &dyn std::fmt::Display, hint: &str| NotStarted {
        failure: Failure::new(format!("cannot start {shown}: {why}")).with_hint(hint),
        exit: exit_of(code),
    };
    if !folder.is_dir() {
        let why = format!("working directory {} does not exist", folder.display());
        return failed(126, &why, "create the directory, or correct `working_dir`");
    }
    match error.kind() {
        io::ErrorKind::NotFound if file.exists() => {
            failed(127, &"its interpreter does not exist", "correct the first line (`#!`) of the script")
        }
        io::ErrorKind::NotFound => {
            failed(127, &"no such file or directory", "build or install the program, or correct `binary`")
        }
        io::ErrorKind::PermissionDenied if is_program(file) => {
            failed(126, &"permission denied", "the user needs access to the program and to `working_dir`")
        }
        io::ErrorKind::PermissionDenied => {
            failed(126, &"permission denied", "the file is not executable: run chmod +x on it, or correct `binary`")
        }
        io::ErrorKind::ArgumentListTooLong => {
            failed(126, &"arguments and environment are too long", "shorten `args` or `env`, or pass a file")
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            failed(126, &"not a program for this machine", "a script needs a first line such as #!/bin/sh")
        }
        // A NUL in an argument, say; the error names no value.
        _ => failed(126, error, "see what the error says about the program"),
    }
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn exit_of(code: i32) -> Exit {
    Exit { code: Some(code), signal: None, out_of_memory: false }
}

/// Reads all of a launch from standard input; `None` when it was cut off, because orch died.
pub(super) fn read_launch(mut input: impl Read) -> Option<wire::Launch> {
    let mut text = Vec::new();
    input.read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
