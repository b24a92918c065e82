//! Units on a machine as slots: what puts a definition in place, brings the one before back, takes it away and looks
//! at it. The backends `systemd`, `ssh` and `package` share it.
//!
//! Each operation is one script, and one round trip. A slot's folder holds what the scripts know of it:
//!
//! | file | what it is |
//! |---|---|
//! | `stamp.json` | whose it is: a [`Stamp`](crate::backend::host::Stamp) |
//! | `manifest` | the files and units that it consists of, for the scripts |
//! | `pending` | the manifest and the stamp of a change that is under way, or was interrupted |
//! | `previous/` | the files, the manifest and the stamp that it had before |
//! | `env` | the environment of its units |
//! | `back` | the script that goes back by itself, while a change waits to be confirmed |
//! | `stopped` | it was stopped by `orch stop` |

mod change;
mod definition;
mod inside;
mod look;
mod quote;
mod render;
mod show;

pub use change::{UnitSlot, Verb};
pub use definition::{Body, Definition, Piece, unit_folder};
pub(in crate::backend) use inside::JOURNAL;
pub use look::{Clock, Found, Manifest, SeenFile, look, look_as_root};
pub(in crate::backend) use quote::{literal, span};
pub use render::{Origin, render};
pub use show::Shown;

use crate::backend::host::{Rights, STORE, USER_STORE};
use crate::model::UnitScope;

/// Where a manager's slots are kept.
fn store(manager: UnitScope) -> String {
    match manager {
        UnitScope::System => STORE.to_owned(),
        UnitScope::User => format!("~/{USER_STORE}"),
    }
}

/// The rights that it takes to change what a manager has.
#[must_use]
pub fn rights(manager: UnitScope) -> Rights {
    match manager {
        UnitScope::System => Rights::Root,
        UnitScope::User => Rights::Login,
    }
}
