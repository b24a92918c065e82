//! Looks at slots, and at what their units do, in one script.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::change::body;
use super::show::Shown;
use super::{rights, store};
use crate::backend::BackendError;
use crate::backend::host::{Script, Shell, Stamp};
use crate::model::{Digest, UnitScope};

const LOOK: &str = include_str!("scripts/look.sh");

/// A slot as it was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The name of its folder.
    pub folder: String,
    /// Which manager has its units.
    pub manager: UnitScope,
    /// Whose it is; `None` while it is first made.
    pub stamp: Option<Stamp>,
    /// The stamp that it was about to get when a change was interrupted.
    pub pending: Option<Stamp>,
    /// Whether a change is under way, or was interrupted.
    pub is_pending: bool,
    /// Whether `orch stop` stopped it.
    pub stopped: bool,
    /// Whether the definition before is kept.
    pub previous: bool,
    /// What it consists of.
    pub manifest: Manifest,
    /// Its files as they are, by path; those that are not there are missing.
    pub files: BTreeMap<String, SeenFile>,
    /// What its units do, in the order of the manifest.
    pub units: Vec<Shown>,
    /// The machine's clocks.
    pub clock: Clock,
}

/// What a slot consists of, as its scripts know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Whether its units are another's.
    pub others: bool,
    /// The mode and the owner of each file, by path; neither for a link, and `-` for an owner that is not given.
    pub files: BTreeMap<String, (String, String)>,
    /// Its units.
    pub units: Vec<String>,
    /// The units that are started and stopped.
    pub start: Vec<String>,
    /// The units that are to start with the machine.
    pub enable: Vec<String>,
    /// The units that are not to.
    pub disable: Vec<String>,
}

/// A file of a slot as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenFile {
    /// The sha256 of what is in it; of a link, of where it leads.
    pub digest: Digest,
    /// When it was last changed, in seconds of the machine's clock; `None` for a link.
    pub changed: Option<i64>,
    /// Its mode; `None` for a link.
    pub mode: Option<u32>,
}

/// The clocks of a machine: how long it is up, in seconds, and its time, both read at `read` of this machine's time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Clock {
    uptime: f64,
    now: i64,
    read: Timestamp,
}

impl Clock {
    /// When something happened, in this machine's time, that was `micros` after the other one's boot. What its clock
    /// says is of no meaning for that.
    #[must_use]
    pub fn moment(&self, micros: u64) -> Option<Timestamp> {
        let ago = self.uptime - Duration::from_micros(micros).as_secs_f64();
        let ago = SignedDuration::try_from_secs_f64(ago.max(0.0)).ok()?;
        self.read.checked_sub(ago).ok()
    }

    /// The same on the other one's clock, in seconds.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "an uptime in seconds is far from the limits")]
    pub fn second_there(&self, micros: u64) -> i64 {
        self.now - (self.uptime - Duration::from_micros(micros).as_secs_f64()) as i64
    }
}

/// Looks at the slots of a scope whose folders match a pattern of the shell, `systemd-*`, under one manager.
///
/// # Errors
/// When the machine cannot be asked.
pub async fn look(shell: &Shell, manager: UnitScope, scope: &str, pattern: &str) -> Result<Vec<Found>, BackendError> {
    look_with(shell, manager, scope, pattern, "").await
}

/// The same under the machine's manager, and under root's own one: for a shell of root, which needs no second script.
///
/// # Errors
/// When the machine cannot be asked.
pub async fn look_as_root(shell: &Shell, scope: &str, pattern: &str) -> Result<Vec<Found>, BackendError> {
    look_with(shell, UnitScope::System, scope, pattern, &store(UnitScope::User)).await
}

async fn look_with(
    shell: &Shell,
    manager: UnitScope,
    scope: &str,
    pattern: &str,
    then: &str,
) -> Result<Vec<Found>, BackendError> {
    let manager_name = manager.to_string();
    let script = Script::new(&body(&[LOOK]), [manager_name.as_str(), &store(manager), scope, "-", pattern, then]);
    let output = shell.run(rights(manager), &script).await?;
    if !output.is_success() {
        let text = output.text();
        let why = text.lines().rev().find_map(|line| line.strip_prefix("failed ")).unwrap_or(&output.stderr).to_owned();
        return Err(BackendError::new(format!("cannot look at the units on {}: {why}", shell.place())));
    }
    Ok(parse(&output.text(), crate::sys::now()))
}

/// What begins what is said of a manager. No line of what follows can be the same.
const MANAGER: &str = "manager ";

fn parse(text: &str, read: Timestamp) -> Vec<Found> {
    let mut parts: Vec<(UnitScope, &str)> = Vec::new();
    let mut rest = text;
    while let Some(after) = rest.strip_prefix(MANAGER) {
        let (name, after) = after.split_once('\n').unwrap_or((after, ""));
        let manager = if name == "user" { UnitScope::User } else { UnitScope::System };
        let end = after.find(&format!("\n{MANAGER}")).map_or(after.len(), |at| at + 1);
        parts.push((manager, &after[..end]));
        rest = &after[end..];
    }
    parts.into_iter().flat_map(|(manager, part)| parse_one(part, manager, read)).collect()
}

fn parse_one(text: &str, manager: UnitScope, read: Timestamp) -> Vec<Found> {
    let (slots, units) = text.split_once("\nunits\n").unwrap_or((text, ""));
    let mut clock = Clock { read, ..Clock::default() };
    let mut found: Vec<Reading> = Vec::new();
    let mut seen = BTreeMap::new();
    let mut digests: BTreeMap<String, Digest> = BTreeMap::new();
    for line in slots.lines() {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((path, digest)) = summed(line) {
            digests.insert(path, digest);
        } else if kind == "clock" {
            let mut words = rest.split(' ');
            clock.uptime = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
            clock.now = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
        } else if kind == "stat" {
            let mut words = rest.splitn(3, ' ');
            let changed = words.next().and_then(|word| word.parse().ok());
            let mode = words.next().and_then(|word| u32::from_str_radix(word, 8).ok());
            if let Some(path) = words.next()
                && let Some(digest) = digests.get(path)
            {
                seen.insert(path.to_owned(), SeenFile { digest: *digest, changed, mode });
            }
        } else if kind == "slot" {
            let found_slot = Found { folder: rest.to_owned(), manager, clock, ..Found::default() };
            found.push(Reading { found: found_slot, ..Reading::default() });
        } else if let Some(reading) = found.last_mut() {
            reading.take(kind, rest);
        }
    }
    let mut shown = Shown::parse_all(units).into_iter();
    let with_units = |reading: Reading| {
        let mut found = reading.finish(&seen);
        found.units = shown.by_ref().take(found.manifest.units.len()).collect();
        found
    };
    found.into_iter().map(with_units).collect()
}

/// A line of `sha256sum`: a digest, and the path of a file. A line with a `\` before the digest has `\\` for every `\`
/// of the path.
fn summed(line: &str) -> Option<(String, Digest)> {
    let (plain, is_escaped) = line.strip_prefix('\\').map_or((line, false), |rest| (rest, true));
    let (digest, path) = plain.split_at_checked(64)?;
    let path = path.strip_prefix("  ").or_else(|| path.strip_prefix(" *"))?;
    let digest = digest.parse().ok()?;
    Some((if is_escaped { path.replace("\\\\", "\\") } else { path.to_owned() }, digest))
}

/// A slot that is being read.
#[derive(Default)]
struct Reading {
    found: Found,
    /// Its files, as the manifest calls them and as they are called there.
    paths: Vec<(String, String)>,
}

impl Reading {
    fn take(&mut self, kind: &str, rest: &str) {
        let found = &mut self.found;
        match kind {
            "stamp" => found.stamp = serde_json::from_str(rest).ok(),
            "stopped" => found.stopped = true,
            "previous" => found.previous = true,
            "pending" => {
                found.is_pending = true;
                if let Some(stamp) = rest.strip_prefix("stamp ") {
                    found.pending = serde_json::from_str(stamp).ok();
                }
            }
            "manifest" => found.manifest.take(rest),
            "path" => self.paths.push((rest.to_owned(), rest.to_owned())),
            "at" => {
                if let Some((_, at)) = self.paths.last_mut() {
                    rest.clone_into(at);
                }
            }
            "sum" => {
                if let Some((digest, path)) = rest.split_once(' ')
                    && let Ok(digest) = digest.parse()
                {
                    found.files.insert(path.to_owned(), SeenFile { digest, changed: None, mode: None });
                }
            }
            _ => {}
        }
    }

    /// What was read, with the files of all slots by the paths that they have there.
    fn finish(self, seen: &BTreeMap<String, SeenFile>) -> Found {
        let Self { mut found, paths } = self;
        found.files.extend(paths.into_iter().filter_map(|(path, at)| Some((path, *seen.get(&at)?))));
        found
    }
}

impl Manifest {
    fn take(&mut self, line: &str) {
        let Some((kind, rest)) = line.split_once(' ') else { return };
        let list = match kind {
            "base" => {
                self.others = rest == "others";
                return;
            }
            "file" | "link" => {
                let mut words = rest.splitn(4, ' ');
                if let (Some(_), Some(mode), Some(owner), Some(path)) =
                    (words.next(), words.next(), words.next(), words.next())
                {
                    self.files.insert(path.to_owned(), (mode.to_owned(), owner.to_owned()));
                }
                return;
            }
            "unit" => &mut self.units,
            "start" => &mut self.start,
            "enable" => &mut self.enable,
            "disable" => &mut self.disable,
            _ => return,
        };
        list.push(rest.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_paths() {
        let one = Digest::of(b"one").to_string();
        let two = Digest::of(b"two").to_string();
        let text = format!(
            "manager system\nclock 100.50 1000\nslot systemd-1\npath /etc/a\\x2db.mount\npath /etc/gone\nslot systemd-2\n\
             path ~/c\nat /root/c\n\\{one}  /etc/a\\\\x2db.mount\n{two}  /root/c\nstat 990 644 /etc/a\\x2db.mount\n\
             stat 991 600 /root/c\nunits\n\
             manager user\nclock 101.00 1001\nslot systemd-3\nsum {two} /etc/link\nmanifest unit u.service\nunits\nId=u.service\n"
        );
        let found = parse(&text, Timestamp::UNIX_EPOCH);
        let folders: Vec<_> = found.iter().map(|found| (found.folder.as_str(), found.manager)).collect();
        let (system, user) = (UnitScope::System, UnitScope::User);
        assert_eq!(folders, [("systemd-1", system), ("systemd-2", system), ("systemd-3", user)]);
        let seen = |digest: &str, changed, mode| SeenFile { digest: digest.parse().unwrap(), changed, mode };
        let files =
            |index: usize| -> Vec<_> { found[index].files.iter().map(|(path, seen)| (path.as_str(), *seen)).collect() };
        assert_eq!(files(0), [("/etc/a\\x2db.mount", seen(&one, Some(990), Some(0o644)))]);
        assert_eq!(files(1), [("~/c", seen(&two, Some(991), Some(0o600)))]);
        assert_eq!(files(2), [("/etc/link", seen(&two, None, None))]);
        assert_eq!((found[2].units[0].get("Id"), found[2].clock.now), ("u.service", 1001));
        assert!(parse("", Timestamp::UNIX_EPOCH).is_empty());
    }
}
