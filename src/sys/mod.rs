//! Clock, files, child processes and signals: the only place that touches them raw.

mod ask;
mod clock;
mod crash;
mod environment;
mod files;
mod foreground;
mod identity;
mod listeners;
mod network;
mod processes;
mod terminal;

pub use ask::ask_program;
pub use clock::now;
#[cfg(feature = "failpoints")]
pub use crash::passes;
pub use crash::{CRASH_POINTS, die};
pub use environment::base_environment;
pub use files::{Durability, beside, create_private_dir, read_if_exists, sync_dir, write_atomic};
pub use foreground::{CommandGroup, Foreground, TerminalSignal, shell_code};
pub use identity::{Identity, boot_id, host, user};
pub use listeners::{Listener, listeners};
pub use network::{interface_index, network_namespace};
pub use processes::{ProcessHandle, ProcessStat, descendants, environment_of, processes};
pub use terminal::RawMode;
