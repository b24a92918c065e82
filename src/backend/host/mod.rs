//! Reaches the machines that services run on, with nothing installed there but a POSIX shell.
//!
//! [`Hosts`] hands out one [`Shell`] for each machine. A shell runs scripts, uploads files and connects
//! to ports, on this machine or through one shared OpenSSH connection to another one.

mod local;
mod script;
mod slot;

pub use script::{Output, Script};
pub use slot::{STORE, Slot, Stamp, USER_STORE};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::BackendError;
use crate::model::Place;

/// The machines of a project; cheap to clone. Connects to one when its shell is first used.
#[derive(Clone, Default)]
pub struct Hosts(Arc<Mutex<BTreeMap<Place, Arc<Shell>>>>);

/// What reaches one machine.
pub struct Shell {
    place: Place,
}

/// As whom a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// As the user who logs in.
    Login,
    /// As root: through `sudo -n` where the user is another one, and as that user where the machine says `sudo: false`.
    Root,
}

impl Hosts {
    /// The shell of a machine.
    #[must_use]
    pub fn on(&self, place: &Place) -> Arc<Shell> {
        let mut shells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shells.entry(place.clone()).or_insert_with(|| Arc::new(Shell { place: place.clone() })).clone()
    }
}

impl Shell {
    /// The machine.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Runs a script to its end.
    ///
    /// # Errors
    /// When the machine cannot be reached, or the rights cannot be had. A script that ends with another
    /// exit code than 0 is an [`Output`], not an error.
    pub async fn run(&self, rights: Rights, script: &Script) -> Result<Output, BackendError> {
        match &self.place {
            Place::Here => local::run(rights, script).await,
            Place::On(machine) => Err(BackendError::new(format!("cannot reach {machine}"))),
        }
    }
}
