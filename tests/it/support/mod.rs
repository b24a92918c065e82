//! What the black-box tests share: a project in a folder of its own, and how to wait.

mod deployment;
mod engine;
mod hosts;
mod own_engine;
mod processes;
mod project;
mod ran;
mod registry;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use deployment::Deployment;
pub(crate) use engine::{Engine, web_root};
pub(crate) use hosts::{Fleet, Host};
pub(crate) use own_engine::OwnEngine;
pub(crate) use processes::Found;
pub(crate) use project::{Project, files_below};
pub(crate) use ran::{Ran, Running};
pub(crate) use registry::Registry;

/// How long anything may take that should happen; long, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(180);

/// How much of a panic is shown beside the test that it ends.
const SHOWN: usize = 1500;

/// Lets a panic be seen at once, beside the line of its test: whoever has only a part of a long log has the reason too.
pub(crate) fn show_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let said: String = panic.to_string().chars().take(SHOWN).collect();
            let thread = std::thread::current();
            // Not by a macro of the library's, whose words the harness keeps for the end.
            let _ = writeln!(std::io::stderr(), "!! {}: {said}", thread.name().unwrap_or("?"));
            usual(panic);
        }));
    });
}

/// Polls until a condition holds; the one way in which a test waits.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A TCP port of this machine that nobody listens on, and that no other test of this process was given.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}

/// The answer to `GET path`, or what went wrong.
pub(crate) fn get(port: u16, path: &str) -> Result<String, std::io::Error> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    // In one piece: a small server may answer and hang up before a second one is there.
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
