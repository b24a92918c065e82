//! The scripts of packages, and what their answers mean.

use std::sync::Arc;
use std::time::Duration;

use super::PackageSettings;
use crate::backend::BackendError;
use crate::backend::host::{Output, Rights, STORE, Script, Shell, Slot, USER_STORE};
use crate::backend::systemd::units::JOURNAL;
use crate::model::{ObjectId, Place, Text, UnitScope};

macro_rules! script {
    ($name:literal) => {
        include_str!(concat!("scripts/", $name, ".sh"))
    };
}

/// What every script begins with.
const COMMON: &str = script!("common");
pub(super) const CLAIM: &[&str] = &[COMMON, script!("tidy"), script!("claim")];
pub(super) const UNPACK: &[&str] = &[COMMON, script!("tidy"), script!("unpack")];
pub(super) const TIDY: &[&str] =
    &[COMMON, script!("tidy"), "open_slot \"$1\" \"$2\" \"$3\"\nlock_slot\nis_ours || exit 0\ntidy"];
pub(super) const WHICH: &[&str] = &[COMMON, script!("which")];
pub(super) const SWITCH: &[&str] = &[COMMON, script!("bring"), script!("switch")];
pub(super) const REVERT: &[&str] = &[COMMON, script!("bring"), script!("revert")];
pub(super) const RESTAMP: &[&str] = &[COMMON, script!("bring"), script!("restamp")];
pub(super) const POWER: &[&str] = &[COMMON, script!("power")];
pub(super) const CONFIRM: &[&str] = &[COMMON, script!("confirm")];
pub(super) const REMOVE: &[&str] = &[COMMON, script!("tidy"), script!("bring"), script!("remove")];
pub(super) const LIST: &[&str] = &[COMMON, script!("list")];
pub(super) const FREE: &[&str] = &[script!("free")];
pub(super) const TAIL: &[&str] = &[COMMON, JOURNAL, script!("tail")];
pub(super) const HEALTH: &[&str] = &[COMMON, script!("health")];
pub(super) const PROBE: &[&str] = &[COMMON, script!("probe")];
/// The script that a machine goes back with by itself; it is kept there as a file.
pub(super) const BACK: &[&str] = &[COMMON, script!("bring"), script!("back")];

/// How long what changes a machine may take. The step that it belongs to has a time limit of its own,
/// and a script is not stopped halfway because of this one.
pub(super) const LONG: Duration = Duration::from_secs(3600);

/// One slot on one machine.
pub(super) struct Site<'a> {
    settings: &'a PackageSettings,
    place: &'a Place,
    pub(super) shell: Arc<Shell>,
    pub(super) slot: Slot,
}

impl<'a> Site<'a> {
    pub(super) fn new(settings: &'a PackageSettings, place: &'a Place, slot: Slot) -> Self {
        Self { settings, place, shell: settings.hosts.on(place), slot }
    }

    pub(super) fn id(&self) -> ObjectId {
        self.slot.id()
    }

    pub(super) fn place(&self) -> &'a Place {
        self.place
    }

    /// Which manager runs what is deployed there, and the folder of the slot.
    pub(super) async fn manager(&self) -> Result<(UnitScope, String), BackendError> {
        let facts = self.shell.facts().await?;
        let (manager, usual) = match facts.can_be_root() {
            true => (UnitScope::System, STORE.to_owned()),
            false => (UnitScope::User, format!("{}/{USER_STORE}", facts.home)),
        };
        let store = self.settings.store.as_deref().unwrap_or(&usual);
        Ok((manager, format!("{store}/{}/{}", self.settings.scope, self.slot.folder())))
    }

    /// Runs a script with the slot and some more values, and gives what it answers; `doing` says what
    /// for, as in `unpack the package in`.
    pub(super) async fn call(&self, doing: &str, parts: &[&str], values: &[&str]) -> Result<String, BackendError> {
        self.call_with(doing, parts, values, &[]).await
    }

    /// The same, with values that the answer may hold and that may not be shown.
    pub(super) async fn call_with(
        &self,
        doing: &str,
        parts: &[&str],
        values: &[&str],
        secrets: &[&Text],
    ) -> Result<String, BackendError> {
        let output = self.run(parts, values).await?;
        if output.is_success() { Ok(output.text().into_owned()) } else { Err(self.refused(doing, &output, secrets)) }
    }

    pub(super) async fn run(&self, parts: &[&str], values: &[&str]) -> Result<Output, BackendError> {
        self.shell.run(Rights::Root, &self.script(parts, values)).await
    }

    /// The same over a connection that is made for it alone.
    pub(super) async fn call_anew(&self, doing: &str, parts: &[&str], values: &[&str]) -> Result<String, BackendError> {
        let output = self.shell.reach_anew(Rights::Root, &self.script(parts, values)).await?;
        if output.is_success() { Ok(output.text().into_owned()) } else { Err(self.refused(doing, &output, &[])) }
    }

    fn script(&self, parts: &[&str], values: &[&str]) -> Script {
        let folder = self.slot.folder();
        let store = self.settings.store.as_deref().unwrap_or_default();
        let values = [store, &self.settings.scope, &folder].into_iter().chain(values.iter().copied());
        Script::new(&parts.join("\n"), values).within(LONG)
    }

    fn refused(&self, doing: &str, output: &Output, secrets: &[&Text]) -> BackendError {
        let hide = |text: &str| {
            let secret = secrets.iter().map(|secret| secret.reveal()).filter(|secret| !secret.trim().is_empty());
            secret.fold(text.to_owned(), |text, secret| text.replace(secret, "(sensitive)"))
        };
        let complaint = hide(output.stderr.trim());
        let why = match complaint.as_str() {
            "" => format!("its script ended with exit code {}", output.code),
            why => why.replace('\n', "; "),
        };
        // A hook says last what was wrong.
        let said = output.text();
        let said = said.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with("--- "));
        let said = match (output.code, said) {
            (40..=42, Some(line)) => format!(": {}", hide(line.trim()).chars().take(300).collect::<String>()),
            _ => String::new(),
        };
        let (path, place) = (&self.slot.name, self.place);
        let error = BackendError::new(format!("cannot {doing} {path} on {place}: {why}{said}"));
        match hint(output.code) {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// The way out of what a script refuses.
fn hint(code: i32) -> Option<&'static str> {
    Some(match code {
        21 => "give the package an `install_path` of its own: a folder that orch did not make must be empty",
        23 => "use a host with systemd, or set `run: false` and start it from `post_install`",
        24 => "see that the path is on a file system that can be written to, and who owns it",
        25 => "install it there, and apply again",
        26 => "make room there, or lower `keep`, and apply again; nothing was left behind",
        27 => "apply again; where it happens again, look at the disk",
        40 => "nothing was switched, what ran before still runs; mend the package or its commands",
        41 => "see `orch logs`, and what the commands say",
        43 => "it could not be reached in time after the change; see why before the next one",
        _ => return None,
    })
}
