//! The scripts that change a slot, and what their refusals mean.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::definition::Definition;
use super::look::look;
use super::{rights, store};
use crate::backend::host::{Output, Script, Shell, Slot, Stamp};
use crate::backend::{BackendError, ProgressSink};
use crate::model::{Address, Digest, OpId, UnitScope};

const PRELUDE: &str = include_str!("scripts/prelude.sh");
const PLACE: &str = include_str!("scripts/place.sh");
const AWAY: &str = include_str!("scripts/away.sh");
const BACK: &str = include_str!("scripts/back.sh");
const REMOVE: &str = include_str!("scripts/remove.sh");
const ROOM: &str = include_str!("scripts/room.sh");
const POWER: &str = include_str!("scripts/power.sh");
const CONFIRM: &str = include_str!("scripts/confirm.sh");

/// How long a script may take that stops nothing.
const QUICK: Duration = Duration::from_secs(120);
/// How long one may take that waits for the end of what runs: that has a time limit of its own, and so has the step.
const STOPPING: Duration = Duration::from_secs(24 * 3600);

/// What a definition is put in place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Nothing was there.
    Create,
    /// Another definition was there, which is kept.
    Switch,
    /// The same definition is put back, or its policy changes; what runs goes on.
    Update,
    /// As [`Update`](Self::Update), and what runs is started anew.
    Restart,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Switch => "switch",
            Self::Update => "update",
            Self::Restart => "restart",
        }
    }
}

/// A slot on a machine whose files are units, or what units need.
#[derive(Clone)]
pub struct UnitSlot {
    shell: Arc<Shell>,
    manager: UnitScope,
    scope: String,
    slot: Slot,
}

impl UnitSlot {
    /// The slot of a manager, on the machine of a shell; `scope` is the digest of the state folder's key.
    #[must_use]
    pub fn new(shell: Arc<Shell>, manager: UnitScope, scope: impl Into<String>, slot: Slot) -> Self {
        Self { shell, manager, scope: scope.into(), slot }
    }

    /// Its folder on the machine, which only the manager reads; one that begins with `~/` is below the home.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{}/{}/{}", store(self.manager), self.scope, self.slot.folder())
    }

    /// Puts a definition in place, with its stamp, and starts its units unless the verb is
    /// [`Update`](Verb::Update). Returns once they are being started: their gate waits for more.
    ///
    /// With `confirm` the machine goes back by itself unless it is told in time that it can be reached.
    ///
    /// # Errors
    /// When something that is not this slot's is in the way, or the machine cannot do it. Then what was
    /// there before is there still, unless the units themselves cannot be started.
    pub async fn place(
        &self,
        verb: Verb,
        definition: &Definition,
        stamp: &Stamp,
        confirm: Option<Duration>,
    ) -> Result<(), BackendError> {
        let mut written = Stamp { files: definition.digests(), ..stamp.clone() };
        // What made the object stays its attempt, as it is recorded: an update makes none.
        if verb == Verb::Update
            && let Some(made_by) = self.attempt().await?
        {
            written.op_id = made_by;
        }
        let json =
            serde_json::to_string(&written).map_err(|error| self.failed(&format!("write its stamp: {error}")))?;
        let restart = if verb == Verb::Update { "" } else { "restart" };
        let seconds = confirm.map(|confirm| confirm.as_secs_f64().to_string()).unwrap_or_default();
        let back = if confirm.is_some() { self.back_file(&stamp.op_id, &seconds) } else { String::new() };
        let revision = stamp.revision.to_string();
        let first = [verb.word(), stamp.op_id.as_str(), &revision, restart, &seconds, &back, &json];
        let words = definition.words();
        let values = first.into_iter().chain(words.iter().map(String::as_str));
        self.run(&[PLACE], values, STOPPING).await
    }

    /// The attempt that the slot is observed to be of.
    async fn attempt(&self) -> Result<Option<OpId>, BackendError> {
        let found = look(&self.shell, self.manager, &self.scope, &self.slot.folder()).await?;
        let stamp = found.into_iter().next().and_then(|found| found.pending.or(found.stamp));
        Ok(stamp.map(|stamp| stamp.op_id))
    }

    /// Brings back the definition before, if the one that is there came with this attempt.
    ///
    /// # Errors
    /// When there is none, or the machine cannot do it.
    pub async fn revert(&self, op: &OpId) -> Result<(), BackendError> {
        self.run(&[AWAY, BACK], [op.as_str(), ""], STOPPING).await
    }

    /// Uploads a file that a [`Body::Copy`](super::Body::Copy) takes from `uploads/DIGEST` of the slot's folder, unless
    /// it is there, or at `place` already.
    ///
    /// # Errors
    /// When the file cannot be read, or does not fit on the machine.
    pub async fn upload(
        &self,
        from: &Path,
        sha256: Digest,
        place: &str,
        progress: &ProgressSink,
    ) -> Result<(), BackendError> {
        let digest = sha256.to_string();
        let script = self.script(&[ROOM], [digest.as_str(), place]).within(QUICK);
        let output = self.shell.run(rights(self.manager), &script).await?;
        self.judge(&output)?;
        match output.text().lines().find_map(|line| line.strip_prefix("to ")) {
            Some(to) => self.shell.upload(rights(self.manager), from, to, 0o700, sha256, progress).await,
            None => Ok(()),
        }
    }

    /// Stops the units and takes everything away, if the slot is still this instance's.
    ///
    /// # Errors
    /// When the machine cannot do it.
    pub async fn remove(&self, address: &Address) -> Result<(), BackendError> {
        self.run(&[AWAY, REMOVE], [address.to_string().as_str()], STOPPING).await
    }

    /// Starts what was stopped.
    ///
    /// # Errors
    /// When the machine cannot do it.
    pub async fn start(&self) -> Result<(), BackendError> {
        self.run(&[POWER], ["start"], QUICK).await
    }

    /// Stops the units, and returns once nothing of them runs. Those of others go on.
    ///
    /// # Errors
    /// When the machine cannot do it.
    pub async fn stop(&self) -> Result<(), BackendError> {
        self.run(&[POWER], ["stop"], STOPPING).await
    }

    /// Says over a new connection that the machine can be reached, so that it does not go back.
    ///
    /// # Errors
    /// When it cannot be reached, or has gone back by itself.
    pub async fn confirm(&self, op: &OpId) -> Result<(), BackendError> {
        let script = self.script(&[CONFIRM], [op.as_str()]).within(QUICK);
        let output = self.shell.reach_anew(rights(self.manager), &script).await?;
        self.judge(&output)
    }

    pub(super) fn shell(&self) -> &Shell {
        &self.shell
    }

    pub(super) fn manager(&self) -> UnitScope {
        self.manager
    }

    async fn run<'v>(
        &self,
        parts: &[&str],
        values: impl IntoIterator<Item = &'v str>,
        timeout: Duration,
    ) -> Result<(), BackendError> {
        let script = self.script(parts, values).within(timeout);
        let output = self.shell.run(rights(self.manager), &script).await?;
        self.judge(&output)
    }

    pub(super) fn script<'v>(&self, parts: &[&str], values: impl IntoIterator<Item = &'v str>) -> Script {
        let head = self.head();
        let mut all: Vec<&str> = head.iter().map(String::as_str).collect();
        for value in values {
            all.push(value);
        }
        Script::new(&body(parts), all)
    }

    /// What every script is told first.
    fn head(&self) -> [String; 4] {
        [self.manager.to_string(), store(self.manager), self.scope.clone(), self.slot.folder()]
    }

    /// The script that goes back, as a file: it runs when nobody is there who could tell it anything.
    fn back_file(&self, op: &OpId, seconds: &str) -> String {
        let head = self.head();
        let words = head.iter().map(String::as_str).chain([op.as_str(), seconds]);
        let quoted: Vec<_> = words.map(|word| shlex::try_quote(word).unwrap_or_default()).collect();
        format!("main() {{\n{}\n}}\nmain {} </dev/null", body(&[AWAY, BACK]), quoted.join(" "))
    }

    pub(super) fn judge(&self, output: &Output) -> Result<(), BackendError> {
        if output.is_success() {
            return Ok(());
        }
        let text = output.text();
        let what = text.lines().rev().find_map(|line| line.strip_prefix("failed "));
        Err(self.refusal(output.code, what.unwrap_or(&output.stderr)))
    }

    fn refusal(&self, code: i32, what: &str) -> BackendError {
        let (message, hint) = match code {
            40 => (
                format!("needs root, and {what} is not"),
                "log in as root, let the user use `sudo -n`, or use `scope: user`",
            ),
            41 => (
                format!("{what} is there already, and is not of this service"),
                "remove it, or give the service another name or path: orch changes nothing that it did not write",
            ),
            42 => (
                format!("there is a unit of that name already, and it is not of this service: {what}"),
                "give the unit another name, or leave out its definition to add drop-ins to the one that is there",
            ),
            43 => (
                format!("cannot write {what}"),
                "see that there is space on the disk, and that the path can be written",
            ),
            44 => {
                (format!("there is no unit {what}"), "install what brings it, or let orch write it: give it an `exec`")
            }
            45 => (format!("another script has worked on {what} for 5 minutes"), "see what it waits for, and end it"),
            46 => (format!("systemd refuses: {what}"), ""),
            47 => (format!("cannot set the owner of {what}"), "see that the user and the group are there"),
            48 => (
                "cannot arm the timer that would bring it back".to_owned(),
                "leave out `confirm`, or see why `systemd-run` fails",
            ),
            49 => (
                "it has gone back by itself: it was not confirmed in time".to_owned(),
                "see what cut the connection, or give `confirm` more time",
            ),
            50 => (format!("the user {what} has no service manager"), "see `systemctl status user@UID.service` there"),
            51 => (
                format!("the units of {what} would end with the login"),
                "run `loginctl enable-linger USER` as root there",
            ),
            52 => ("nothing is kept that it could go back to".to_owned(), ""),
            53 => ("it is gone".to_owned(), "`orch apply` makes it again"),
            54 => (format!("it belongs to {what}"), "take that service away first, or use `renamed_from`"),
            code => (format!("exit code {code}: {what}"), ""),
        };
        let error = self.failed(&message);
        if hint.is_empty() { error } else { error.with_hint(hint) }
    }

    pub(super) fn failed(&self, why: &str) -> BackendError {
        BackendError::new(format!("cannot change {} on {}: {why}", self.slot.name, self.shell.place()))
    }
}

pub(super) fn body(parts: &[&str]) -> String {
    let mut body = PRELUDE.to_owned();
    parts.iter().for_each(|part| body.push_str(part));
    body
}
