//! What orch keeps of an interface, below the state folder:
//!
//! | file | what it is |
//! |---|---|
//! | `NAME.json` | the stamp: whose the interface is, which attempt and revision it has, which interface it is |
//! | `NAME.run` | what a script that changes the interface did so far; the script writes it |
//! | `applied/NAME.conf` | the configuration that it was brought up with, which takes it down again |
//! | `previous/NAME.conf` | the one before, for going back |
//!
//! A configuration holds a private key: it is only its owner's to read, the one who brings interfaces up.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Address, Digest, OpId};
use crate::sys::{self, Durability, Identity};

/// The folder of all interfaces of a project.
#[derive(Debug, Clone)]
pub(super) struct Store {
    dir: PathBuf,
}

/// What orch wrote about an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) interface: String,
    /// The configuration file, for people.
    pub(super) config: String,
    pub(super) address: Address,
    /// What it was brought up as.
    pub(super) version: Version,
    /// Where the number of the interface means something.
    pub(super) place: Place,
    /// The number of the interface that is orch's; `None` while none is.
    pub(super) index: Option<u32>,
    /// Whether it was up before orch came, so that it is never changed.
    pub(super) foreign: bool,
    /// Whether it was stopped on request.
    pub(super) stopped: bool,
    pub(super) since: Timestamp,
    /// What it was before the last switch.
    pub(super) previous: Option<Version>,
    /// What it is about to become.
    pub(super) pending: Option<Pending>,
}

/// One definition of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) op_id: OpId,
    pub(super) revision: Digest,
    /// The public keys of the peers that have an endpoint; `None` where that is not known.
    pub(super) peers: Option<Vec<String>>,
}

/// A change that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// The attempt, whose script it is.
    pub(super) op_id: OpId,
    pub(super) version: Version,
    /// Whether the version before is kept to go back to.
    pub(super) keeps: bool,
}

/// The boot, the network namespace and the folder that a stamp was written in. A copied folder owns nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) boot_id: Option<String>,
    pub(super) namespace: Option<u64>,
    pub(super) folder: String,
}

/// How far the script of an attempt came.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Progress {
    /// The process that it is; `None` when it did not begin.
    pub(super) runner: Option<Identity>,
    pub(super) peers: Vec<String>,
    pub(super) end: Option<End>,
}

/// What the interface is once a script has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Up as the new version, with this number.
    New(u32),
    /// Up as the one before.
    Old(u32),
    /// Down, as it was asked to be.
    Down,
    /// Down, since nothing could be brought up.
    Nothing,
}

/// What there is of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The script of a change still runs.
    UnderWay,
    /// The script of a change ended halfway: what there is under the name is what it left.
    Halfway,
    /// It is as the stamp says.
    Settled,
    /// The stamp is of another boot, namespace or folder: nothing here is orch's.
    Elsewhere,
}

impl Store {
    pub(super) fn at(dir: PathBuf) -> Self {
        Self { dir: std::path::absolute(&dir).unwrap_or(dir) }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the folders that scripts write into, so that they belong to who runs orch.
    pub(super) fn make(&self) -> io::Result<()> {
        ["applied", "previous", "next"].iter().try_for_each(|name| sys::create_private_dir(&self.dir.join(name)))
    }

    /// The place that stamps are written in now.
    pub(super) fn place(&self) -> io::Result<Place> {
        let meta = std::fs::metadata(&self.dir)?;
        let folder = format!("{:x}-{:x}", meta.dev(), meta.ino());
        Ok(Place { boot_id: sys::boot_id(), namespace: sys::network_namespace(), folder })
    }

    /// The interfaces that have a stamp.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(".json").map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// The stamp of an interface, with what the script of its last change did since, and what that makes of it.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<(Stamp, Standing)>> {
        let Some(bytes) = sys::read_if_exists(&self.file(name, "json"))? else { return Ok(None) };
        let mut stamp: Stamp = serde_json::from_slice(&bytes)?;
        if stamp.place != self.place()? {
            return Ok(Some((stamp, Standing::Elsewhere)));
        }
        let progress = match &stamp.pending {
            Some(pending) => self.progress(name, &pending.op_id)?,
            None => Progress::default(),
        };
        let standing = stamp.settle(progress, Identity::is_alive);
        Ok(Some((stamp, standing)))
    }

    pub(super) fn write(&self, stamp: &Stamp) -> io::Result<()> {
        sys::write_atomic(&self.file(&stamp.interface, "json"), &serde_json::to_vec(stamp)?, Durability::Durable)
    }

    /// Makes the file that the script of a change writes into.
    pub(super) fn open_progress(&self, name: &str) -> io::Result<()> {
        sys::write_atomic(&self.file(name, "run"), b"", Durability::Atomic)
    }

    fn progress(&self, name: &str, op: &OpId) -> io::Result<Progress> {
        let text = sys::read_if_exists(&self.file(name, "run"))?.unwrap_or_default();
        Ok(Progress::parse(&String::from_utf8_lossy(&text), op, sys::boot_id().as_deref()))
    }

    /// Forgets an interface; the stamp goes last, so that a kill in between is found.
    pub(super) fn forget(&self, name: &str) -> io::Result<()> {
        let of = |folder: &str| self.dir.join(folder).join(format!("{name}.conf"));
        let copies = [of("applied"), of("previous"), of("previous.new"), of("next")];
        let files = copies.into_iter().chain([self.file(name, "run"), self.file(name, "json")]);
        for file in files {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        sys::sync_dir(&self.dir)
    }

    fn file(&self, name: &str, kind: &str) -> PathBuf {
        self.dir.join(format!("{name}.{kind}"))
    }
}

impl Stamp {
    /// Takes in what the script of a change did.
    fn settle(&mut self, progress: Progress, is_alive: impl Fn(&Identity) -> bool) -> Standing {
        let Some(pending) = self.pending.take() else { return Standing::Settled };
        match (progress.end, &progress.runner) {
            (Some(End::New(index)), _) => {
                let version = Version { peers: Some(progress.peers), ..pending.version };
                let old = std::mem::replace(&mut self.version, version);
                self.previous = pending.keeps.then_some(old);
                self.index = Some(index);
                self.stopped = false;
            }
            (Some(End::Old(index)), _) => self.index = Some(index),
            (Some(End::Down), _) => (self.index, self.stopped) = (None, true),
            (Some(End::Nothing), _) => self.index = None,
            // It did not begin: all is as before.
            (None, None) => {}
            (None, Some(runner)) => {
                let standing = if is_alive(runner) { Standing::UnderWay } else { Standing::Halfway };
                self.pending = Some(pending);
                return standing;
            }
        }
        Standing::Settled
    }
}

impl Progress {
    /// Reads what the script of an attempt wrote; a line that was cut off by a full disk says nothing.
    fn parse(text: &str, op: &OpId, boot_id: Option<&str>) -> Self {
        let mut progress = Self::default();
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let words: Vec<&str> = line.split(' ').collect();
            let Some(words) = words.strip_prefix(&[op.as_str()]) else { continue };
            let number = |text: &str| text.parse().ok();
            match words {
                ["begin", pid, ticks] => {
                    let identity = |boot_id: &str| {
                        Some(Identity {
                            boot_id: boot_id.to_owned(),
                            pid: pid.parse().ok()?,
                            start_ticks: ticks.parse().ok()?,
                        })
                    };
                    progress.runner = boot_id.and_then(identity);
                }
                ["peer", key] => progress.peers.push((*key).to_owned()),
                ["new", index] => progress.end = number(index).map(End::New),
                ["old", index] => progress.end = number(index).map(End::Old),
                ["down"] => progress.end = Some(End::Down),
                ["none"] => progress.end = Some(End::Nothing),
                _ => {}
            }
        }
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceName;

    fn version(op: &str) -> Version {
        Version { op_id: OpId::new(op), revision: Digest::of(op.as_bytes()), peers: None }
    }

    fn stamp() -> Stamp {
        Stamp {
            interface: "wg0".into(),
            config: "/etc/wireguard/wg0.conf".into(),
            address: Address::only(ServiceName::new("vpn").unwrap()),
            version: version("run.1"),
            place: Place { boot_id: None, namespace: None, folder: String::new() },
            index: Some(7),
            foreign: false,
            stopped: false,
            since: Timestamp::UNIX_EPOCH,
            previous: None,
            pending: Some(Pending { op_id: OpId::new("run.2"), version: version("run.2"), keeps: true }),
        }
    }

    fn settled(text: &str, alive: bool) -> (Stamp, Standing) {
        let mut stamp = stamp();
        let standing = stamp.settle(Progress::parse(text, &OpId::new("run.2"), Some("boot")), |_| alive);
        (stamp, standing)
    }

    #[test]
    fn a_script_that_ended_settles_the_stamp_whoever_waited_for_it() {
        let (stamp, standing) = settled("run.2 begin 10 20\nrun.2 peer abc=\nrun.2 new 9\n", false);
        assert_eq!(standing, Standing::Settled);
        assert_eq!((stamp.version.op_id.as_str(), stamp.index), ("run.2", Some(9)));
        assert_eq!(stamp.version.peers, Some(vec!["abc=".to_owned()]));
        assert_eq!(stamp.previous, Some(version("run.1")));
        let (stamp, _) = settled("run.2 begin 10 20\nrun.2 old 8\n", false);
        assert_eq!((stamp.version.op_id.as_str(), stamp.index, stamp.previous), ("run.1", Some(8), None));
        let (stamp, _) = settled("run.2 begin 10 20\nrun.2 none\n", false);
        assert_eq!((stamp.index, stamp.stopped), (None, false));
        let (stamp, _) = settled("run.2 begin 10 20\nrun.2 down\n", false);
        assert_eq!((stamp.index, stamp.stopped), (None, true));
    }

    #[test]
    fn a_script_that_did_not_end_is_under_way_or_left_things_halfway() {
        assert_eq!(settled("run.2 begin 10 20\n", true).1, Standing::UnderWay);
        assert_eq!(settled("run.2 begin 10 20\n", false).1, Standing::Halfway);
        // A line that was cut off says nothing.
        assert_eq!(settled("run.2 begin 10 20\nrun.2 new 9", false).1, Standing::Halfway);
        let (stamp, standing) = settled("run.1 begin 10 20\nrun.1 new 9\n", false);
        assert_eq!((standing, stamp.index, stamp.pending), (Standing::Settled, Some(7), None));
    }
}
