//! The control socket: who asked for what, and who still waits for an answer.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use super::super::folder::{Anchor, SOCKET};
use super::super::wire::{self, Failure, Reply, Request};

/// The longest request; ours are a few hundred bytes.
const LONGEST_REQUEST: usize = 64 * 1024;

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// That the program runs.
    Up,
    /// That nothing runs.
    Down,
    /// That nothing runs and the supervisor ends.
    Gone,
}

/// The control socket and its connections.
pub(super) struct Clients {
    pub(super) listener: UnixListener,
    pub(super) connections: Vec<Connection>,
}

/// One connection: one request, one answer.
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    received: Vec<u8>,
    goal: Option<Goal>,
    done: bool,
}

impl Clients {
    /// Opens the socket in a folder.
    pub(super) fn open(anchor: &Anchor) -> io::Result<Self> {
        let path = anchor.path().join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, connections: Vec::new() })
    }

    /// Takes new connections and reads from the others; returns the requests that are complete,
    /// each with the place of its connection.
    pub(super) fn requests(&mut self) -> Vec<(usize, Request)> {
        while let Ok((stream, _)) = self.listener.accept() {
            if stream.set_nonblocking(true).is_ok() {
                self.connections.push(Connection { stream, received: Vec::new(), goal: None, done: false });
            }
        }
        let read = |(place, connection): (usize, &mut Connection)| Some((place, connection.read()?));
        self.connections.iter_mut().enumerate().filter_map(read).collect()
    }

    /// Answers one request now.
    pub(super) fn answer(&mut self, place: usize, reply: &Reply) {
        if let Some(connection) = self.connections.get_mut(place) {
            connection.answer(reply);
        }
    }

    /// Has one request wait until its goal is reached.
    pub(super) fn wait(&mut self, place: usize, goal: Goal) {
        if let Some(connection) = self.connections.get_mut(place) {
            connection.goal = Some(goal);
        }
    }

    /// Answers every request that waits.
    pub(super) fn settle(&mut self, reply: impl Fn(Goal) -> Reply) {
        for connection in &mut self.connections {
            if let Some(goal) = connection.goal {
                connection.answer(&reply(goal));
            }
        }
    }

    /// Forgets the connections that are done, after the places of this round have been used.
    pub(super) fn forget_done(&mut self) {
        self.connections.retain(|connection| !connection.done);
    }
}

impl Connection {
    /// The request, once it is complete. One that is cut off, because orch died, never is.
    fn read(&mut self) -> Option<Request> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.done = true,
                Ok(n) => self.received.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.done = true,
            }
            if self.done || self.received.len() > LONGEST_REQUEST {
                self.done = true;
                break;
            }
        }
        let end = self.received.iter().position(|byte| *byte == b'\n')?;
        let request = serde_json::from_slice(&self.received[..end]);
        self.received.clear();
        if request.is_err() {
            self.answer(&Err(Failure::new("the supervisor does not understand the request")
                .with_hint("it was started by another version of orch: replace the service")));
        }
        request.ok()
    }

    fn answer(&mut self, reply: &Reply) {
        // An answer fits a socket's buffer; whoever asked may be gone, and what was asked is done.
        let _ = self.stream.write_all(&wire::line(reply).unwrap_or_default());
        self.goal = None;
        self.done = true;
    }
}
