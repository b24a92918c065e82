//! A run of orch, under way or over.

use std::path::PathBuf;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::wait_until;

/// How a run of orch ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) args: String,
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of {self}");
        self
    }

    /// Checks that it exited 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    /// Checks that each of these texts stands in what it said, on whichever stream.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.out.contains(text) || self.err.contains(text), "{text:?} is missing in {self}");
        }
        self
    }

    /// Checks that none of these texts stands in what it said.
    #[track_caller]
    pub(crate) fn does_not_say(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(!self.out.contains(text) && !self.err.contains(text), "{text:?} stands in {self}");
        }
        self
    }

    /// Stdout as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// Stdout as one JSON document for each line.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let line =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}: {self}"));
        self.out.lines().map(line).collect()
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { args, code, out, err } = self;
        write!(f, "`orch {args}` ({code:?})\n--- stdout\n{out}\n--- stderr\n{err}\n---")
    }
}

/// A run of orch that is under way; killed when it is dropped.
pub(crate) struct Running {
    pub(super) args: String,
    pub(super) child: Child,
    pub(super) out: PathBuf,
    pub(super) err: PathBuf,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.out).unwrap()).into_owned()
    }

    /// Waits until stdout or stderr has a text.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) {
        let mut seen = String::new();
        let mut ended = false;
        wait_until(&format!("`orch {}` says {text:?}", self.args), || {
            let before = ended;
            ended = self.child.try_wait().unwrap().is_some();
            seen = self.out() + &String::from_utf8_lossy(&std::fs::read(&self.err).unwrap());
            assert!(!before || seen.contains(text), "it ended without saying {text:?}: {seen}");
            seen.contains(text)
        });
    }

    /// Sends it a signal; it is this process's child and not reaped yet, so its pid means what it meant.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ran {
        let mut status = None;
        wait_until(&format!("`orch {}` ends", self.args), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let read = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        Ran { args: self.args.clone(), code: status.unwrap().code(), out: read(&self.out), err: read(&self.err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
