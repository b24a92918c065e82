//! Programs of `ssh` services on a host that has no systemd: each runs detached, under a keeper that is a POSIX shell
//! script.
//!
//! A slot's folder, which only its user reads, holds
//!
//! | file | what it is |
//! |---|---|
//! | `stamp.json` | whose it is: a [`Stamp`] |
//! | `about` | which attempt and definition is in force, for the scripts |
//! | `pending` | the same and the stamp of a change that is under way, or was interrupted |
//! | `definition` | the policy, and the program with its arguments and variables |
//! | `keeper` | the script that keeps it running |
//! | `lock` | locked by the keeper for its whole life |
//! | `status` | what the keeper knows, whole at any instant |
//! | `events` | where the keeper is told what happened |
//! | `log.1`, `log.2`, ... | what the service said; the last one is written to |
//! | `previous/` | what it takes to go back |

mod change;
mod definition;
mod inside;
mod logs;
mod look;

use std::sync::Arc;
use std::time::Duration;

use crate::backend::BackendError;
use crate::backend::host::{Output, Rights, STORE, Script, Shell, Slot, USER_STORE};
use crate::model::{Address, InstanceKey, LogPolicy, ProjectName};

const IDENTITY: &str = include_str!("scripts/identity.sh");
const KEEPER: &str = include_str!("scripts/keeper.sh");
const PRELUDE: &str = include_str!("scripts/prelude.sh");

#[cfg(doc)]
use crate::backend::host::Stamp;

/// How keepers are set up on a machine.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where slots are kept; root's folder or the user's where it is not given.
    pub store: Option<String>,
    /// The shell that runs keepers, and its arguments.
    pub interpreter: String,
    /// When logs are rotated.
    pub log: LogPolicy,
}

impl Default for Setup {
    fn default() -> Self {
        Self { store: None, interpreter: "/bin/sh".to_owned(), log: LogPolicy::default() }
    }
}

/// The programs of a project on one machine, under keepers.
#[derive(Clone)]
pub struct Detached {
    shell: Arc<Shell>,
    project: ProjectName,
    scope: String,
    setup: Setup,
}

impl Detached {
    /// Those of the machine of a shell; `scope` is the digest of the state folder's key.
    #[must_use]
    pub fn new(shell: Arc<Shell>, project: ProjectName, scope: impl Into<String>) -> Self {
        Self { shell, project, scope: scope.into(), setup: Setup::default() }
    }

    /// The same with another setup.
    #[must_use]
    pub fn with_setup(self, setup: Setup) -> Self {
        Self { setup, ..self }
    }

    /// A script on the slots in a folder of the scope.
    fn script<'v>(&self, body: &str, folder: &str, values: impl IntoIterator<Item = &'v str>) -> Script {
        let store = self.setup.store.as_deref().unwrap_or_default();
        let head = [store, STORE, USER_STORE, &self.scope, folder].map(str::to_owned);
        let values: Vec<String> = head.into_iter().chain(values.into_iter().map(str::to_owned)).collect();
        Script::new(&format!("{IDENTITY}{PRELUDE}{body}"), values.iter().map(String::as_str))
    }

    async fn run(&self, slot: &Slot, script: &Script) -> Result<Output, BackendError> {
        let output = self.shell.run(rights(slot), script).await?;
        if output.is_success() {
            return Ok(output);
        }
        let text = output.text();
        let what = text.lines().rev().find_map(|line| line.strip_prefix("failed "));
        Err(self.refusal(slot, output.code, what.unwrap_or(&output.stderr)))
    }

    fn refusal(&self, slot: &Slot, code: i32, what: &str) -> BackendError {
        let (message, hint) = match code {
            40 => {
                (format!("there is no `{what}` there"), "install coreutils and util-linux, or busybox with all of it")
            }
            41 => (
                format!("{what} is there already, and is not of this service"),
                "remove it, or give the program another path: orch changes nothing that it did not write",
            ),
            43 => (
                format!("cannot write {what}"),
                "see that there is space on the disk, and that the path can be written",
            ),
            45 => (format!("another script has worked on {what} for 5 minutes"), "see what it waits for, and end it"),
            46 => (format!("processes do not end: {what}"), "look for processes that wait for a device"),
            47 => (format!("there is no user {what}"), "make the user there, or correct `run_as`"),
            48 => {
                (format!("there is no program {what}"), "install it there, or let orch upload it: give it an `upload`")
            }
            49 => (
                "it has gone back by itself: it was not confirmed in time".to_owned(),
                "see what cut the connection, or give `confirm` more time",
            ),
            52 => ("nothing is kept that it could go back to".to_owned(), ""),
            53 => ("it is gone".to_owned(), "`orch apply` makes it again"),
            54 => ("its keeper does not start".to_owned(), "see that `setsid` and `mkfifo` work in its folder there"),
            55 => (format!("it takes root to run it as {what}"), "log in as root, or let the user use `sudo -n`"),
            56 => (format!("there is no folder {what}"), "make it there, or correct `working_dir`"),
            57 => (format!("nothing there runs it as {what}"), "install setpriv, runuser or su there"),
            code => (format!("exit code {code}: {what}"), ""),
        };
        let error = BackendError::new(format!("cannot change {} on {}: {message}", slot.name, self.shell.place()));
        if hint.is_empty() { error } else { error.with_hint(hint) }
    }
}

/// What the name of a slot of a user without root's rights begins with.
const USER: &str = "user/";
/// What comes then for a program under a keeper: no unit has such a name.
const KEEPER_NAME: &str = "keeper/";

/// What the slot of a new object is called; `as_user` where root's rights cannot be had.
#[must_use]
pub fn name(project: &ProjectName, address: &Address, as_user: bool) -> String {
    let copy = match &address.key {
        InstanceKey::Replica(index) => format!(":{index}"),
        // Each machine has a name of its own for it.
        InstanceKey::Only | InstanceKey::Host(_) => String::new(),
    };
    format!("{}{KEEPER_NAME}{project}-{}{copy}", if as_user { USER } else { "" }, address.service)
}

/// Whether a slot is a program under a keeper.
#[must_use]
pub fn is_kept(slot: &Slot) -> bool {
    slot.name.strip_prefix(USER).unwrap_or(&slot.name).starts_with(KEEPER_NAME)
}

/// The rights that it takes to change a slot.
fn rights(slot: &Slot) -> Rights {
    if slot.name.starts_with(USER) { Rights::Login } else { Rights::Root }
}

/// How long a script may take that stops nothing.
const QUICK: Duration = Duration::from_secs(120);
/// How long one may take that waits for the end of what runs: that has a time limit of its own, and so has the step.
const STOPPING: Duration = Duration::from_secs(24 * 3600);
