//! Signals as a stream: the executor never sees the system's own.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::execute::Signal;

/// Every Ctrl-C and SIGTERM from now on.
///
/// # Errors
/// When a handler cannot be installed.
pub(super) fn listen() -> std::io::Result<mpsc::UnboundedReceiver<Signal>> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminates = signal(SignalKind::terminate())?;
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                Some(()) = interrupts.recv() => Signal::Interrupt,
                Some(()) = terminates.recv() => Signal::Terminate,
                else => return,
            };
            if sender.send(signal).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}
