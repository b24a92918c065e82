//! The loop of a supervisor: one poll over control socket, output, signals and time, and one
//! synchronous handler for each. What to do is decided in [`policy`](super::policy).

use std::io::{ErrorKind, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use super::super::binary::{self, Digests};
use super::super::cgroup;
use super::super::folder::{Anchor, Folder};
use super::super::signal_of;
use super::super::wire::{Failure, Launch, Policy, Reply, Request, Status};
use super::child::{self, NotStarted};
use super::clients::{Clients, Goal};
use super::log::LogWriter;
use super::own_failure;
use super::policy::{Action, Command, Machine, Moment};
use super::signals::Signals;
use crate::model::{Exit, ObjectState};
use crate::sys::{Durability, Identity, ProcessHandle, descendants, now, processes};

/// How much output is taken in one turn, so that a service that talks all the time does not keep
/// requests and signals waiting.
const OUTPUT_PER_TURN: usize = 4;

/// How soon a status that could not be written is tried again.
const WRITE_AGAIN: Moment = Moment::from_millis(500);

/// How much is taken when the leader has exited: more than a pipe holds, and yet an end to what a
/// straggler says.
const LAST_OUTPUT: usize = 32;

/// A supervisor and its process.
pub(super) struct Supervisor {
    launch: Launch,
    machine: Machine,
    status: Status,
    /// The leader's pid until it is reaped. Until then neither its pid nor its group can be anyone else's.
    leader: Option<Pid>,
    oom_kills: u64,
    ended: bool,
    /// Whether the last status could not be written. It is tried again, and a job does not end before: its exit would
    /// be lost, and the job would run twice.
    unwritten: bool,
    /// Why the last start by command failed.
    failure: Option<Failure>,
    output: (PipeReader, PipeWriter),
    log: LogWriter,
    clients: Clients,
    signals: Signals,
    folder: Folder,
    /// Keeps the folder's path good.
    _anchor: Anchor,
    origin: Instant,
    buffer: Vec<u8>,
}

impl Supervisor {
    /// Takes over a folder and starts the program for the first time.
    pub(super) fn start(launch: Launch, anchor: Anchor, folder: Folder, signals: Signals) -> Result<Self, Failure> {
        let clients = Clients::open(&anchor).map_err(|error| own_failure("open its socket", &error))?;
        let log =
            LogWriter::open(folder.log(), launch.policy.log).map_err(|error| own_failure("open the log", &error))?;
        let output = std::io::pipe().map_err(|error| own_failure("make a pipe", &error))?;
        let nonblocking = rustix::fs::fcntl_setfl(&output.0, OFlags::NONBLOCK);
        nonblocking.map_err(|error| own_failure("set up a pipe", &error))?;
        let supervisor = Identity::own().ok_or_else(|| own_failure("read its identity", &"/proc is not mounted"))?;
        let place = folder.place().map_err(|error| own_failure("look at its folder", &error))?;
        let cgroup = cgroup::enter(&format!("orch.{}.{}", launch.stamp.op_id, place.0));
        let status = Status {
            stamp: launch.stamp.clone(),
            state: ObjectState::Starting,
            child: None,
            supervisor,
            place,
            since: now(),
            restarts: 0,
            last_exit: None,
            binary: launch.binary.clone(),
            policy: launch.policy.clone(),
            cgroup,
        };
        // Before anything runs: whoever finds the supervisor dead must know the control group.
        folder.write_status(&status, Durability::Atomic).map_err(|error| own_failure("write its status", &error))?;
        let mut this = Self {
            machine: Machine::new(launch.stamp.kind, launch.policy.clone()),
            launch,
            status,
            leader: None,
            oom_kills: 0,
            ended: false,
            unwritten: false,
            failure: None,
            output,
            log,
            clients,
            signals,
            folder,
            _anchor: anchor,
            origin: Instant::now(),
            buffer: vec![0; 64 * 1024],
        };
        this.carry_out(vec![Action::Spawn]);
        match this.failure.take() {
            Some(failure) => {
                this.leave_cgroup();
                Err(failure)
            }
            None => Ok(this),
        }
    }

    /// Removes the control group, in which nothing but the supervisor is left.
    fn leave_cgroup(&self) {
        if let Some(group) = &self.status.cgroup {
            cgroup::leave(group);
        }
    }

    /// Supervises until it is told to end, or a job is done.
    pub(super) fn run(mut self) {
        while !self.ended || self.unwritten {
            self.wait();
            if self.unwritten {
                self.write_status();
            }
            if self.signals.take_end() {
                self.command(Command::Quit);
            }
            self.serve();
            self.read_output(OUTPUT_PER_TURN);
            self.reap();
            let actions = self.machine.tick(self.elapsed());
            self.carry_out(actions);
            self.settle();
        }
        // The answers are out; the lock falls with the process, and that is what orch waits for.
        self.leave_cgroup();
    }

    fn elapsed(&self) -> Moment {
        self.origin.elapsed()
    }

    fn wait(&self) {
        let due = self.machine.due().map(|due| due.saturating_sub(self.elapsed()));
        let due = if self.unwritten { Some(due.unwrap_or(WRITE_AGAIN).min(WRITE_AGAIN)) } else { due };
        let timeout = due.and_then(|due| Timespec::try_from(due).ok());
        let input = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut fds =
            vec![input(self.signals.pipe.as_fd()), input(self.output.0.as_fd()), input(self.clients.listener.as_fd())];
        fds.extend(self.clients.connections.iter().map(|connection| input(connection.stream.as_fd())));
        // An interrupted poll is as good as one that timed out: every source is asked anyway.
        let _ = rustix::event::poll(&mut fds, timeout.as_ref());
    }

    fn serve(&mut self) {
        for (place, request) in self.clients.requests() {
            let (command, goal) = match request {
                Request::Ping => {
                    self.clients.answer(place, &Ok(()));
                    continue;
                }
                Request::Update { address, policy } => {
                    self.launch.stamp.address = address.clone();
                    self.status.stamp.address = address;
                    self.set_policy(policy);
                    let reply = self.write_stamp();
                    self.clients.answer(place, &reply);
                    continue;
                }
                Request::Restart { stamp, policy } => {
                    // The same attempt again, after a crash of orch, finds its work done.
                    let again = stamp.op_id == self.launch.stamp.op_id;
                    // It is written when the new incarnation starts: until then the old one runs.
                    self.launch.stamp = stamp;
                    self.set_policy(policy);
                    (if again { Command::Start } else { Command::Restart }, Goal::Up)
                }
                Request::Start => (Command::Start, Goal::Up),
                Request::Stop => (Command::Stop, Goal::Down),
                Request::Quit => (Command::Quit, Goal::Gone),
            };
            self.clients.wait(place, goal);
            self.command(command);
            self.settle();
        }
        self.clients.forget_done();
    }

    fn set_policy(&mut self, policy: Policy) {
        self.machine.set_policy(policy.clone());
        self.log.set_policy(policy.log);
        self.status.policy = policy.clone();
        self.launch.policy = policy;
    }

    /// Writes the stamp of what runs. `status.json` last: it is the one that observers believe.
    fn write_stamp(&self) -> Reply {
        let written = self.folder.write_stamp(&self.status.stamp);
        let written = written.and_then(|()| self.folder.write_status(&self.status, Durability::Atomic));
        written.map_err(|error| own_failure("write its status", &error))
    }

    fn command(&mut self, command: Command) {
        self.failure = None;
        if self.ended && command == Command::Quit {
            // Whoever asks for this wants no record of it.
            self.unwritten = false;
        }
        let actions = self.machine.command(self.elapsed(), command);
        self.carry_out(actions);
    }

    /// Answers those whose goal is reached, or cannot be reached any more.
    fn settle(&mut self) {
        if self.ended {
            self.clients.settle(|goal| match goal {
                Goal::Up => Err(Failure::new("the service was removed meanwhile")),
                Goal::Down | Goal::Gone => Ok(()),
            });
        } else if self.machine.is_running() {
            self.clients.settle(|goal| match goal {
                Goal::Up => Ok(()),
                Goal::Down | Goal::Gone => Err(Failure::new("the service was started again meanwhile")),
            });
        } else if self.machine.is_down() {
            let failure = self.failure.take();
            self.clients.settle(|goal| match (goal, &failure) {
                (Goal::Down | Goal::Gone, _) => Ok(()),
                (Goal::Up, Some(failure)) => Err(failure.clone()),
                (Goal::Up, None) => Err(Failure::new("the service was stopped meanwhile")),
            });
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Spawn => {
                    self.ended = false;
                    let next = self.spawn();
                    self.carry_out(next);
                }
                Action::Ask => self.signal_group(signal_of(self.launch.policy.stop_signal)),
                Action::AskStragglers => self.signal_all(signal_of(self.launch.policy.stop_signal)),
                Action::Kill => self.signal_all(Signal::KILL),
                Action::Enter(state) => self.enter(state),
                Action::Quit => self.ended = true,
            }
        }
    }

    fn spawn(&mut self) -> Vec<Action> {
        self.refresh_binary();
        self.oom_kills = self.status.cgroup.as_deref().map_or(0, cgroup::oom_kills);
        match child::spawn(&self.launch.program, &self.launch.stamp, &self.status.place, &self.output.1) {
            Ok(pid) => {
                self.leader = i32::try_from(pid).ok().and_then(Pid::from_raw);
                self.status.child = Identity::of(pid);
                self.machine.spawned(self.elapsed())
            }
            Err(NotStarted { failure, exit }) => {
                let line = format!("orch: {}\n", failure.message);
                self.log.end_line();
                self.log.write(now(), line.as_bytes());
                self.failure = Some(failure);
                self.machine.not_spawned(self.elapsed(), exit)
            }
        }
    }

    /// Notes which file is started now: it may have changed since the last start.
    fn refresh_binary(&mut self) {
        if let Some(known) = &self.status.binary
            && binary::version(&known.path).is_ok_and(|version| version != known.version)
            && let Ok(stamp) = Digests::default().stamp(&known.path)
        {
            self.status.binary = Some(stamp);
        }
    }

    fn enter(&mut self, state: ObjectState) {
        self.status.state = state;
        self.status.since = now();
        self.status.restarts = self.machine.restarts();
        self.status.last_exit = self.machine.last_exit().cloned();
        if self.status.state == ObjectState::Starting && self.status.stamp != self.launch.stamp {
            self.status.stamp = self.launch.stamp.clone();
            // The status below is what observers believe; this is for when there is none.
            let _ = self.folder.write_stamp(&self.status.stamp);
        }
        if !self.machine.is_running() {
            self.status.child = None;
            self.log.end_line();
        }
        self.write_status();
    }

    fn write_status(&mut self) {
        // The exit of a job is the one thing that no later look can find out again.
        let durability = if self.status.is_final() { Durability::Durable } else { Durability::Atomic };
        // Until there is room observers see the old state; the lock still tells that the supervisor lives.
        self.unwritten = self.folder.write_status(&self.status, durability).is_err();
    }

    /// Takes what the service said, at most so many times.
    fn read_output(&mut self, turns: usize) {
        for _ in 0..turns {
            match self.output.0.read(&mut self.buffer) {
                Ok(n) if n > 0 => self.log.write(now(), &self.buffer[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
    }

    /// Reaps what ended. Without children nothing of the service is left: what loses its parent
    /// becomes a child of the supervisor.
    fn reap(&mut self) {
        let mut exit = None;
        let empty = loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if self.leader == Some(pid) => {
                    self.leader = None;
                    exit = Some(self.exit(status));
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        if let Some(exit) = exit {
            // All that it said before its exit is in the log before the exit is in the status.
            self.read_output(LAST_OUTPUT);
            let actions = self.machine.leader_exited(self.elapsed(), exit, empty);
            self.carry_out(actions);
        } else if empty && self.leader.is_none() && self.machine.is_ending() {
            let actions = self.machine.emptied(self.elapsed());
            self.carry_out(actions);
        }
    }

    fn exit(&self, status: WaitStatus) -> Exit {
        let signal = status.terminating_signal();
        let kills = self.status.cgroup.as_deref().map_or(0, cgroup::oom_kills);
        let out_of_memory = signal == Some(Signal::KILL.as_raw()) && kills > self.oom_kills;
        Exit { code: status.exit_status(), signal, out_of_memory }
    }

    /// Signals the leader's group. The leader is not reaped, so the group is certainly ours.
    fn signal_group(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            let sent = rustix::process::kill_process_group(leader, signal);
            if sent.is_err() {
                // It may have left the group that it was given, which is then empty.
                let _ = rustix::process::kill_process(leader, signal);
            }
        }
    }

    /// Signals all that is left: the leader's group, and what descends from the supervisor without
    /// being in it. One that forks meanwhile is found the next time.
    fn signal_all(&self, signal: Signal) {
        self.signal_group(signal);
        let group = self.leader.map(|leader| leader.as_raw_nonzero().get());
        for process in descendants(&processes(), std::process::id()) {
            let in_group = group.is_some_and(|group| u32::try_from(group) == Ok(process.group));
            if in_group && process.is_alive() {
                continue;
            }
            if let Some(handle) = ProcessHandle::open(process.pid, process.start_ticks) {
                handle.signal(signal);
            }
        }
    }
}
