//! What slots are doing, found out in one script for all of a machine.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Detached, QUICK, rights};
use crate::backend::BackendError;
use crate::backend::host::{Rights, STORE, Script, Slot, Stamp};
use crate::model::{BackendKind, Digest, Drift, DriftKind, Exit, ObjectState, ObservedObject, Repair};

const LOOK: &str = include_str!("scripts/look.sh");

/// Says whether there is anything of a scope in the store of root; `$1` is its folder.
const IS_ANYTHING: &str = r#"[ ! -d "$1" ]"#;

/// A slot as it was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    /// The name of its folder.
    folder: String,
    /// Whose it is; `None` while it is first made.
    pub(super) stamp: Option<Stamp>,
    /// The stamp that it was about to get when a change was interrupted.
    pending: Option<Stamp>,
    is_pending: bool,
    /// What its keeper last wrote: the state, in its words.
    state: Option<String>,
    exit: Option<i32>,
    restarts: u32,
    /// When it entered the state, in hundredths of a second since its boot.
    since: i64,
    /// The boot that its keeper wrote in.
    boot: String,
    keeper: Option<u32>,
    program: Option<(u32, String)>,
    /// Whether its keeper lives.
    keeps: bool,
    /// Whether its program does.
    runs: bool,
    /// The sha256 of its files as they are; `None` for one that is gone.
    sums: BTreeMap<String, Option<Digest>>,
    clock: Clock,
}

/// The clock of a machine.
#[derive(Debug, Clone, Default, PartialEq)]
struct Clock {
    boot: String,
    /// How long it is up, in hundredths of a second.
    uptime: i64,
    read: Timestamp,
}

impl Detached {
    /// Every slot of the scope that has a keeper.
    ///
    /// # Errors
    /// When the machine cannot be asked.
    pub async fn list(&self) -> Result<Vec<ObservedObject>, BackendError> {
        let pattern = format!("{}-*", BackendKind::Ssh);
        let facts = self.shell.facts().await?;
        let mut found = self.look(Rights::Login, &pattern).await?;
        if facts.uid != 0 {
            let root = STORE.to_owned() + "/" + &self.scope;
            if facts.can_be_root() {
                found.extend(self.look(Rights::Root, &pattern).await?);
            } else if !self.shell.run(Rights::Login, &Script::new(IS_ANYTHING, [root.as_str()])).await?.is_success() {
                // Someone had root's rights before. Without them nobody sees what is there.
                return Err(self.shell.run(Rights::Root, &Script::new("true", [])).await.err().unwrap_or_else(|| {
                    BackendError::new(format!("cannot look at {root} on {} without root", self.shell.place()))
                }));
            }
        }
        let host = self.shell.place().key();
        Ok(found.iter().filter_map(|found| found.object(&host)).collect())
    }

    /// One slot; `None` when it is gone.
    ///
    /// # Errors
    /// When the machine cannot be asked.
    pub async fn inspect(&self, slot: &Slot) -> Result<Option<ObservedObject>, BackendError> {
        let found = self.look(rights(slot), &slot.folder()).await?;
        Ok(found.first().and_then(|found| found.object(&slot.host)))
    }

    /// The slots whose folders match a pattern of the shell.
    pub(super) async fn look(&self, rights: Rights, pattern: &str) -> Result<Vec<Found>, BackendError> {
        let script = self.script(LOOK, "", [pattern]).within(QUICK);
        let output = self.shell.run(rights, &script).await?;
        if output.is_success() {
            return Ok(parse(&output.text(), crate::sys::now()));
        }
        let place = self.shell.place();
        Err(BackendError::new(format!("cannot look at what runs on {place}: {}", output.stderr)))
    }
}

fn parse(text: &str, read: Timestamp) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    let mut clock = Clock { read, ..Clock::default() };
    for line in text.lines() {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "clock" => {
                let (uptime, boot) = rest.split_once(' ').unwrap_or((rest, ""));
                clock.uptime = uptime.replace('.', "").parse().unwrap_or(0);
                boot.clone_into(&mut clock.boot);
            }
            "slot" => all.push(Found { folder: rest.to_owned(), clock: clock.clone(), ..Found::default() }),
            _ => {
                if let Some(found) = all.last_mut() {
                    found.take(key, rest);
                }
            }
        }
    }
    all
}

impl Found {
    fn take(&mut self, key: &str, rest: &str) {
        match key {
            "stamp" => self.stamp = serde_json::from_str(rest).ok(),
            "pending" => {
                self.is_pending = true;
                if let Some(stamp) = rest.strip_prefix("stamp ") {
                    self.pending = serde_json::from_str(stamp).ok();
                }
            }
            "status" => self.state = Some(rest.to_owned()),
            "exit" => self.exit = rest.parse().ok(),
            "restarts" => self.restarts = rest.parse().unwrap_or(0),
            "since" => self.since = rest.parse().unwrap_or(0),
            "boot" => rest.clone_into(&mut self.boot),
            "keeper" => self.keeper = rest.parse().ok(),
            "program" => {
                self.program =
                    rest.split_once(' ').and_then(|(pid, ticks)| Some((pid.parse().ok()?, ticks.to_owned())));
            }
            "keeps" => self.keeps = true,
            "runs" => self.runs = true,
            "sum" => {
                if let Some((sum, path)) = rest.split_once(' ') {
                    self.sums.insert(path.to_owned(), sum.parse().ok());
                }
            }
            _ => {}
        }
    }

    /// What it is as an object; `None` where nothing says whose it is.
    fn object(&self, host: &str) -> Option<ObservedObject> {
        let stamp = self.stamp.as_ref().or(self.pending.as_ref())?;
        let slot = Slot { host: host.to_owned(), backend: BackendKind::Ssh, name: stamp.slot.clone() };
        let (address, op_id) = (stamp.address.clone(), stamp.op_id.clone());
        let mut object =
            ObservedObject::new(BackendKind::Ssh, slot.id(), op_id, address, stamp.revision, ObjectState::Lost);
        object.last_exit = self.exit.map(exit);
        object.restarts = self.restarts;
        object.since = self.moment();
        if let (true, Some((pid, ticks))) = (self.runs, &self.program) {
            object.pid = Some(*pid);
            object.incarnation = Some(format!("{}:{pid}:{ticks}", self.boot));
        }
        match self.state() {
            Ok(state) => object.state = state,
            Err(why) => object.drift.push(Drift { kind: DriftKind::Missing, detail: why }),
        }
        for (path, wanted) in &stamp.files {
            let detail = match self.sums.get(path) {
                Some(Some(sum)) if sum == wanted => continue,
                Some(Some(_)) => format!("{} was edited", shown(path)),
                _ => format!("{} is gone", shown(path)),
            };
            object.drift.push(Drift { kind: DriftKind::Config, detail });
            object.repair = Some(Repair::Restart);
        }
        if self.is_pending {
            // What is there may be half the one and half the other: only another switch makes it whole.
            object.revision = "0".repeat(64).parse().unwrap_or(object.revision);
            if let Some(pending) = &self.pending {
                object.op_id = pending.op_id.clone();
            }
            object.repair = None;
            let detail = "a change of it was interrupted".to_owned();
            object.drift = vec![Drift { kind: DriftKind::Config, detail }];
            if object.state == ObjectState::Lost {
                object.state = ObjectState::Stopped;
            }
        }
        Some(object)
    }

    /// What it is doing, or why nobody knows.
    fn state(&self) -> Result<ObjectState, String> {
        let last = || exit(self.exit.unwrap_or(0));
        let state = match self.state.as_deref() {
            Some("starting") => ObjectState::Starting,
            Some("running") => ObjectState::Running,
            Some("restarting") => ObjectState::Restarting,
            Some("stopped") => return Ok(ObjectState::Stopped),
            Some("exited") => return Ok(ObjectState::Exited(last())),
            Some("crash-loop") => return Ok(ObjectState::CrashLoop(last())),
            _ => return Err("nothing there says what became of it".to_owned()),
        };
        let keeper = self.keeper.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        match &self.program {
            _ if self.keeps => Ok(state),
            _ if self.boot != self.clock.boot => Err("the machine was rebooted since it ran".to_owned()),
            Some((pid, _)) if self.runs => {
                Err(format!("its keeper{keeper} is gone, its process (pid {pid}) still runs"))
            }
            _ => Err(format!("its keeper{keeper} is gone")),
        }
    }

    /// When it entered its state, in this machine's time; what the other one's clock says is of no meaning for that.
    fn moment(&self) -> Option<Timestamp> {
        let ago = self.clock.uptime - self.since;
        if self.boot != self.clock.boot || self.boot.is_empty() || ago < 0 {
            return None;
        }
        self.clock.read.checked_sub(SignedDuration::from_millis(ago * 10)).ok()
    }
}

fn shown(path: &str) -> &str {
    if path == "definition" { "its definition" } else { path }
}

/// How a program ended, from what a shell says about it: 128 and the number for a signal.
fn exit(code: i32) -> Exit {
    let signal = (129..=192).contains(&code).then_some(code - 128);
    Exit { code: signal.is_none().then_some(code), signal, out_of_memory: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = r#"{"project":"shop","scope":"s","address":"web@h","op_id":"run.1","revision":"REV","kind":"permanent","backend":"ssh","slot":"keeper/shop-web","files":{"definition":"REV"}}"#;

    fn object(lines: &str) -> ObservedObject {
        let rev = "1".repeat(64);
        let text = format!("clock 100.50 b:7\nslot ssh-1\n{lines}").replace("STAMP", STAMP).replace("REV", &rev);
        let read = Timestamp::from_second(1000).unwrap();
        parse(&text, read)[0].object("h").unwrap()
    }

    #[test]
    fn a_keeper_that_lives_says_what_its_program_does() {
        let found = object(
            "stamp STAMP\nstatus running\nexit 137\nrestarts 2\nsince 9050\nboot b:7\nkeeper 5\nprogram 6 77\nkeeps\nruns\n\
             sum REV definition\n",
        );
        assert_eq!((found.state, found.pid, found.restarts), (ObjectState::Running, Some(6), 2));
        assert_eq!(found.incarnation.as_deref(), Some("b:7:6:77"));
        assert_eq!(found.last_exit, Some(Exit { code: None, signal: Some(9), out_of_memory: false }));
        assert_eq!(found.since, Some(Timestamp::from_second(990).unwrap()));
        assert_eq!((found.drift, found.id.as_str()), (vec![], "h/ssh/keeper/shop-web"));
    }

    #[test]
    fn without_its_keeper_it_is_lost_and_last_words_stay() {
        let status = |rest: &str| object(&format!("stamp STAMP\nsum REV definition\n{rest}"));
        for (rest, detail) in [
            (
                "status running\nboot b:7\nkeeper 5\nprogram 6 77\nruns\n",
                "its keeper (pid 5) is gone, its process (pid 6)",
            ),
            ("status running\nboot b:7\nkeeper 5\nprogram 6 77\n", "its keeper (pid 5) is gone"),
            ("status running\nboot a:7\nkeeper \nprogram  \n", "the machine was rebooted since it ran"),
            ("", "nothing there says what became of it"),
        ] {
            let found = status(rest);
            assert_eq!(found.state, ObjectState::Lost);
            assert!(found.drift[0].detail.starts_with(detail), "{:?}", found.drift);
        }
        let found = status("status exited\nexit 3\nboot a:7\n");
        let exit = Exit { code: Some(3), signal: None, out_of_memory: false };
        assert_eq!((found.state, found.since, found.drift), (ObjectState::Exited(exit), None, vec![]));
    }

    #[test]
    fn what_an_interrupted_change_left_has_no_revision() {
        let found = object("pending op run.2\npending stamp STAMP\n");
        assert_eq!((found.state, found.revision.to_string()), (ObjectState::Stopped, "0".repeat(64)));
        assert_eq!(found.drift[0].detail, "a change of it was interrupted");
        let edited = object("stamp STAMP\nstatus stopped\nsum - definition\n");
        assert_eq!((edited.drift[0].detail.as_str(), edited.repair), ("its definition is gone", Some(Repair::Restart)));
    }
}
