//! The connection to a machine: a master of the system's `ssh`, whose channels are shared.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use openssh::Session;
use tokio::process::Command;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::control::Control;
use super::mux;
use super::process::Lost;
use super::trouble::{Trouble, explain, no_answer, no_ssh};
use crate::model::{HostKeys, Machine};

/// How many short scripts a master carries at the same time. With the streams that is less than the 10
/// channels that a stock server lets a connection have.
const SCRIPTS: usize = 5;
/// How many streams and commands of unknown length it carries.
const STREAMS: usize = 3;
/// How long a server may take to accept.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the whole of a connection may take, keys and all: a server that accepted may say nothing more.
const LOGIN: Duration = Duration::from_secs(30);
/// How often the other side must show a sign of life, in seconds; three misses end the connection.
const ALIVE: u32 = 5;
/// How long a master outlives an orch that was killed, in seconds without a channel.
const IDLE: u32 = 60;
/// How much of a log is read, in bytes.
const LOG: usize = 16 * 1024;

/// A master that runs. It ends when dropped.
pub(super) struct Master {
    pub(super) session: Arc<Session>,
    scripts: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// Every channel holds one.
    tally: Arc<()>,
    socket: PathBuf,
    control: Arc<Control>,
}

/// A place among the channels of a master; holds it alive.
pub(super) struct Channel {
    permit: OwnedSemaphorePermit,
    _tally: Arc<()>,
    master: Arc<Master>,
}

impl Channel {
    /// A place for a script, when there is one.
    pub(super) async fn wait(master: &Arc<Master>) -> Option<Self> {
        let permit = master.scripts.clone().acquire_owned().await.ok()?;
        Some(Self { permit, _tally: master.tally.clone(), master: master.clone() })
    }

    /// A place for what may last, if there is one now.
    pub(super) fn stream(master: &Arc<Master>) -> Option<Self> {
        let permit = master.streams.clone().try_acquire_owned().ok()?;
        Some(Self { permit, _tally: master.tally.clone(), master: master.clone() })
    }

    /// Why a shell ended without an exit code: `ssh` itself does not tell.
    pub(super) fn lost(&self) -> Lost {
        if mux::listens(&self.master.socket) { Lost::Killed } else { Lost::Gone(self.master.last_words()) }
    }

    /// Takes the place out of the number of those that there are.
    pub(super) fn forget(self) {
        self.permit.forget();
    }
}

impl Master {
    /// Logs in, and leaves the connection to a process of its own.
    ///
    /// # Errors
    /// When there is no connection, with what `ssh` says about it.
    pub(super) async fn launch(machine: &Machine, control: &Arc<Control>, socket: PathBuf) -> Result<Self, Trouble> {
        let log = socket.with_extension("log");
        let failed = |error: std::io::Error| no_ssh(machine, &error);
        let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(&log);
        let mut command = ssh(machine);
        command.arg("-E").arg(&log).args(["-M", "-f", "-N"]).arg("-S").arg(&socket);
        command.arg("-o").arg(format!("ControlPersist={IDLE}")).args(["-o", "ClearAllForwardings=yes"]);
        command.arg("--").arg(&machine.address);
        // The log has what ssh says, standard error what the ssh to a jump host says.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(open().map_err(failed)?);
        // Before it is logged in it is a child; then it lives on by itself.
        command.kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let ended = tokio::time::timeout(LOGIN, child.wait()).await;
        let trouble = match ended {
            Ok(Ok(status)) if status.success() => None,
            Ok(Ok(_)) => Some(explain(machine, &read_log(&log))),
            Ok(Err(error)) => Some(failed(error)),
            Err(_) => Some(no_answer(machine, LOGIN)),
        };
        if let Some(trouble) = trouble {
            let _ = std::fs::remove_file(&log);
            return Err(trouble);
        }
        Ok(Self {
            session: Arc::new(Session::resume_mux(socket.clone().into_boxed_path(), None)),
            scripts: Arc::new(Semaphore::new(SCRIPTS)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            tally: Arc::default(),
            socket,
            control: control.clone(),
        })
    }

    /// Its control socket.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether it carries more than the channel of whoever asks.
    pub(super) fn is_busy(&self) -> bool {
        Arc::strong_count(&self.tally) > 2
    }

    /// What it complained about last.
    pub(super) fn last_words(&self) -> Option<String> {
        let log = read_log(&self.socket.with_extension("log"));
        log.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        // One that cannot be told ends by itself, once it has had nothing to do for a while.
        self.control.end(&self.socket);
        let _ = std::fs::remove_file(self.socket.with_extension("log"));
    }
}

/// A shell on a machine over a connection of its own, which no other one can lend it.
pub(super) fn anew(machine: &Machine, shell: &str) -> Command {
    let mut command = ssh(machine);
    command.args(["-T", "-o", "ControlMaster=no", "-o", "ControlPath=none", "--"]);
    command.arg(&machine.address).arg(shell);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The system's `ssh` with what the file says of the machine; the rest is the user's own configuration.
#[expect(clippy::disallowed_methods, reason = "the system's ssh is how machines are reached")]
fn ssh(machine: &Machine) -> Command {
    let mut command = Command::new("ssh");
    // What a terminal sends to orch is not for it.
    command.process_group(0);
    // Nobody is there to be asked, also not by the ssh to a jump host.
    command.env("SSH_ASKPASS", "/bin/false").env("SSH_ASKPASS_REQUIRE", "force");
    for option in options(machine) {
        command.arg("-o").arg(option);
    }
    for option in [
        "ServerAliveCountMax=3",
        "RequestTTY=no",
        "RemoteCommand=none",
        "PermitLocalCommand=no",
        "ForwardAgent=no",
        "ForwardX11=no",
        "LogLevel=INFO",
    ] {
        command.arg("-o").arg(option);
    }
    command.arg("-o").arg(format!("ServerAliveInterval={ALIVE}"));
    if let Some(user) = &machine.user {
        command.arg("-l").arg(user);
    }
    if let Some(port) = machine.port {
        command.arg("-p").arg(port.to_string());
    }
    if let Some(proxy) = proxy(machine, &machine.jump) {
        // The command is for a POSIX shell, whichever shell the user has.
        command.env("SHELL", "/bin/sh");
        command.arg("-o").arg(format!("ProxyCommand={proxy}"));
    }
    command
}

/// The options of the connections to a machine and to the hosts that lead to it.
fn options(machine: &Machine) -> Vec<String> {
    let strict = match machine.known_hosts {
        HostKeys::Strict => "yes",
        HostKeys::AcceptNew => "accept-new",
    };
    let mut options = vec![
        "BatchMode=yes".to_owned(),
        format!("StrictHostKeyChecking={strict}"),
        format!("ConnectTimeout={}", CONNECT.as_secs()),
    ];
    if let Some(file) = &machine.known_hosts_file {
        options.push(format!("UserKnownHostsFile={}", path(file)));
    }
    if let Some(file) = &machine.key_file {
        options.push("IdentitiesOnly=yes".to_owned());
        options.push(format!("IdentityFile={}", path(file)));
    }
    options
}

/// A path as ssh's configuration takes it.
fn path(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// The command that connects through the hosts that lead to a machine. Unlike `-J` it hands on the options, above
/// all that nobody can be asked.
fn proxy(machine: &Machine, jump: &[String]) -> Option<String> {
    let (last, before) = jump.split_last()?;
    let (user, rest) = last.rsplit_once('@').map_or((None, last.as_str()), |(user, rest)| (Some(user), rest));
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let mut words = vec!["ssh".to_owned()];
    for option in options(machine) {
        words.extend(["-o".to_owned(), option]);
    }
    if let Some(proxy) = proxy(machine, before) {
        words.extend(["-o".to_owned(), format!("ProxyCommand={proxy}")]);
    }
    for (option, value) in [("-l", user), ("-p", port)] {
        words.extend(value.into_iter().flat_map(|value| [option.to_owned(), value.to_owned()]));
    }
    // What stands in the words is expanded once more where they stand in a command.
    let words: Vec<_> = words.iter().map(|word| word.replace('%', "%%")).collect();
    let words = shlex::try_join(words.iter().map(String::as_str)).ok()?;
    let host = shlex::try_quote(host).ok()?.replace('%', "%%");
    Some(format!("{words} -W '[%h]:%p' -- {host}"))
}

fn read_log(path: &Path) -> String {
    let log = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&log[log.len().saturating_sub(LOG)..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_jump_hosts_becomes_nested_commands() {
        let machine = Machine {
            jump: vec!["a".into(), "ops@[::1]:2222".into()],
            key_file: Some("/k/50%".into()),
            ..Machine::at("10.0.0.1")
        };
        let proxy = proxy(&machine, &machine.jump).unwrap();
        let words = shlex::split(&proxy).unwrap();
        assert_eq!(words.last().unwrap(), "::1");
        let at = |word: &str| words.iter().position(|other| other == word).unwrap();
        assert_eq!((words[at("-l") + 1].as_str(), words[at("-p") + 1].as_str()), ("ops", "2222"));
        assert_eq!(words[at("-W") + 1], "[%h]:%p");
        let inner = words.iter().find_map(|word| word.strip_prefix("ProxyCommand=")).unwrap();
        assert!(inner.contains("[%%h]:%%p") && inner.ends_with(" -- a"), "{inner}");
        assert!(inner.contains("50%%%%%%%%") && proxy.contains("50%%%%"), "{proxy}");
        assert!(proxy.contains("BatchMode=yes"));
    }
}
