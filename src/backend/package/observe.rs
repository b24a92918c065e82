//! What machines have of packages: one script for each machine, whose answer has a line for each fact.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::Inner;
use super::call::{FREE, HEALTH, LIST, PROBE, Site, TAIL};
use crate::backend::host::{Rights, Script, Slot, Stamp};
use crate::backend::{Answer, BackendError, Command, Connection, Listing};
use crate::model::{
    Address, BackendKind, Conflict, Digest, Drift, DriftKind, Exit, Health, Instance, ObjectId, ObjectState,
    ObservedObject, Place, Repair, Spec, Text,
};

/// What a host says of one slot.
#[derive(Debug, Default)]
struct Found<'t> {
    stamp: &'t str,
    pending: bool,
    stopped: bool,
    /// The unit that runs the entry point, where one does.
    unit: Option<&'t str>,
    /// What its manager says, by property.
    shown: BTreeMap<&'t str, &'t str>,
    /// When it was deployed, where nothing else tells how long it is as it is.
    age: Option<f64>,
    definition: &'t str,
    drift: Vec<(&'t str, &'t str)>,
}

/// The slots of an answer.
fn parse(answer: &str) -> (Option<f64>, Vec<Found<'_>>) {
    let (mut uptime, mut all, mut found) = (None, Vec::new(), Found::default());
    for line in answer.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "uptime" => uptime = rest.parse().ok(),
            "slot" => found = Found::default(),
            "stamp" => found.stamp = rest,
            "pending" => found.pending = true,
            "stopped" => found.stopped = true,
            "definition" => found.definition = rest,
            "age" => found.age = rest.parse().ok(),
            "unit" => found.unit = Some(rest),
            "unit.show" => found.shown.extend(rest.split_once('=')),
            "end" => all.push(std::mem::take(&mut found)),
            _ if word.starts_with("release.")
                || word.starts_with("current.")
                || word.starts_with("unit.")
                || word == "drop-in" =>
            {
                found.drift.push((word, rest));
            }
            _ => {}
        }
    }
    (uptime, all)
}

impl Inner {
    pub(super) async fn list(&self) -> Result<Listing, BackendError> {
        let asked = self.settings.places.iter().map(|(key, place)| async move { (key, self.objects(place).await) });
        let mut listing = Listing::default();
        for (key, objects) in join_all(asked).await {
            match objects {
                Ok(objects) => listing.objects.extend(objects),
                Err(error) => {
                    listing.unreachable.insert(key.clone(), error);
                }
            }
        }
        Ok(listing)
    }

    async fn objects(&self, place: &Place) -> Result<Vec<ObservedObject>, BackendError> {
        let store = self.settings.store.as_deref().unwrap_or_default();
        let script = Script::new(&LIST.join("\n"), [store, &self.settings.scope, "*"]);
        let output = self.settings.hosts.on(place).run(Rights::Root, &script).await?;
        if !output.is_success() {
            return Err(BackendError::new(format!("cannot list the packages on {place}: {}", output.stderr)));
        }
        let answer = output.text();
        let (uptime, found) = parse(&answer);
        Ok(found.iter().filter_map(|found| self.object(place, found, uptime)).collect())
    }

    pub(super) async fn inspect(&self, object: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        let site = self.site(object)?;
        let answer = site.call("look at the package in", LIST, &[]).await?;
        let (uptime, found) = parse(&answer);
        let place = site.place();
        Ok(found.iter().find_map(|found| self.object(place, found, uptime)))
    }

    /// The stamp of what a slot has.
    pub(super) async fn stamp(&self, site: &Site<'_>) -> Result<Stamp, BackendError> {
        let answer = site.call("look at the package in", LIST, &[]).await?;
        let stamp = parse(&answer).1.first().and_then(|found| serde_json::from_str::<Stamp>(found.stamp).ok());
        stamp.ok_or_else(|| {
            BackendError::new(format!("nothing is deployed in {} on {}", site.slot.name, site.place()))
                .with_hint("plan and apply again")
        })
    }

    /// An object; `None` where what is there is not this project's.
    fn object(&self, place: &Place, found: &Found<'_>, uptime: Option<f64>) -> Option<ObservedObject> {
        let stamp: Stamp = serde_json::from_str(found.stamp).ok()?;
        if stamp.scope != self.settings.scope || stamp.project != self.settings.project {
            return None;
        }
        let slot = Slot { host: place.key(), backend: BackendKind::Package, name: stamp.slot };
        // What is interrupted, or of which a file differs, is no revision: it is deployed again.
        let whole = !found.pending && !found.drift.iter().any(|(word, _)| word.starts_with("release."));
        let revision = if whole { stamp.revision } else { Digest::new([0; 32]) };
        let state = state(found);
        let mut object =
            ObservedObject::new(BackendKind::Package, slot.id(), stamp.op_id, stamp.address, revision, state);
        if found.unit.is_some() {
            let shown = |name: &str| found.shown.get(name).copied().filter(|value| !value.is_empty());
            object.incarnation = shown("InvocationID").filter(|_| object.is_up()).map(str::to_owned);
            object.pid = shown("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| *pid != 0);
            object.restarts = shown("NRestarts").and_then(|count| count.parse().ok()).unwrap_or(0);
            object.last_exit = exit(found);
            let changed: Option<f64> = shown("StateChangeTimestampMonotonic").and_then(|at| at.parse().ok());
            let age = uptime.zip(changed).map(|(uptime, at)| uptime - at / 1_000_000.0);
            object.since = age.and_then(before_now);
        } else {
            object.incarnation = (!found.definition.is_empty()).then(|| found.definition.to_owned());
            object.since = found.age.and_then(before_now);
        }
        for (word, detail) in &found.drift {
            let kind = match *word {
                _ if word.ends_with(".missing") => DriftKind::Missing,
                "current.identity" => DriftKind::Identity,
                _ => DriftKind::Config,
            };
            object.drift.push(Drift { kind, detail: (*detail).to_owned() });
        }
        // Drop-ins are another's: they are told of, and stay.
        let mendable = |word: &str| word.starts_with("current.") || word.starts_with("unit.");
        if found.drift.iter().any(|(word, _)| mendable(word)) {
            object.repair = Some(Repair::Restart);
        }
        Some(object)
    }

    pub(super) async fn conflicts(
        &self,
        instances: &[&Instance],
    ) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        let asked = instances.iter().filter_map(|instance| {
            let Spec::Package(spec) = &instance.service.spec else { return None };
            Some(async move {
                let ports: Vec<String> = spec.ports.iter().map(|port| format!("{port:04X}")).collect();
                let values = [spec.install_path.as_str()].into_iter().chain(ports.iter().map(String::as_str));
                let values: Vec<&str> = values.collect();
                // One that cannot be reached is told of where the packages are listed.
                let answer = self.site_of(spec).call("look at", FREE, &values).await.unwrap_or_default();
                let conflicts: Vec<Conflict> =
                    answer.lines().filter_map(|line| conflict(&spec.install_path, line)).collect();
                (instance.address.clone(), conflicts)
            })
        });
        Ok(join_all(asked).await.into_iter().filter(|(_, conflicts)| !conflicts.is_empty()).collect())
    }

    pub(super) async fn own_check(&self, object: &ObjectId, timeout: Duration) -> Result<Option<Health>, BackendError> {
        let site = self.site(object)?;
        let ran = tokio::time::timeout(timeout, site.run(HEALTH, &[])).await;
        let Ok(ran) = ran else {
            let detail = format!("scripts/health-check: no end within {timeout:?}");
            return Ok(Some(Health { healthy: false, detail }));
        };
        let output = ran?;
        if output.code == 99 {
            return Ok(None);
        }
        let said = output.text();
        let said = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
        let said = said.trim().chars().take(200).collect::<String>();
        let detail = match (output.code, said.as_str()) {
            (0, _) => "scripts/health-check: passed".to_owned(),
            (code, "") => format!("scripts/health-check: exit code {code}"),
            (code, said) => format!("scripts/health-check: exit code {code}: {said}"),
        };
        Ok(Some(Health { healthy: output.is_success(), detail }))
    }

    pub(super) async fn probe_inside(
        &self,
        object: &ObjectId,
        command: &Command<'_>,
    ) -> Result<Option<Answer>, BackendError> {
        let site = self.site(object)?;
        let mut values = vec![command.program.reveal()];
        values.extend(command.args.iter().map(Text::reveal));
        let ran = tokio::time::timeout(command.timeout, site.run(PROBE, &values)).await;
        let output = ran.map_err(|_| BackendError::new(format!("no end within {:?}", command.timeout)))??;
        let said = output.text();
        let lines: Vec<&str> = said.lines().rev().take(5).collect();
        let output = Answer { exit_code: output.code, output: lines.into_iter().rev().collect::<Vec<_>>().join("\n") };
        Ok(Some(output))
    }

    pub(super) async fn dial(
        &self,
        object: &ObjectId,
        host: &str,
        port: u16,
    ) -> Result<Option<Connection>, BackendError> {
        let site = self.site(object)?;
        if *site.place() == Place::Here {
            return Ok(None);
        }
        site.shell.dial(host, port).await.map(Some)
    }

    pub(super) async fn tail(&self, object: &ObjectId, lines: usize) -> Result<Vec<String>, BackendError> {
        let site = self.site(object)?;
        let said = site.call("read the log of the package in", TAIL, &[&lines.to_string()]).await?;
        let mut said: Vec<String> = said.lines().map(str::to_owned).collect();
        said.drain(..said.len().saturating_sub(lines));
        Ok(said)
    }
}

fn conflict(path: &str, line: &str) -> Option<Conflict> {
    match line.split_once(' ')? {
        ("path", holder) => Some(Conflict { what: format!("folder {path}"), holder: holder.to_owned() }),
        ("port", port) => {
            let port = u16::from_str_radix(port, 16).ok()?;
            Some(Conflict { what: format!("port {port}"), holder: "another process of the host".to_owned() })
        }
        _ => None,
    }
}

/// A time in the past, by this machine's clock: that of the host may be wrong.
fn before_now(seconds: f64) -> Option<jiff::Timestamp> {
    let age = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    crate::sys::now().checked_sub(age).ok()
}

fn state(found: &Found<'_>) -> ObjectState {
    let Some(_) = found.unit else {
        // Without an entry point it runs when it is the one that current leads to.
        let elsewhere = found.drift.iter().any(|(word, _)| word.starts_with("current.") || word.ends_with(".missing"));
        let down = found.definition.is_empty() || found.stopped || elsewhere;
        return if down { ObjectState::Stopped } else { ObjectState::Running };
    };
    let shown = |name: &str| found.shown.get(name).copied().unwrap_or_default();
    let ended = || exit(found).unwrap_or(Exit { code: None, signal: None, out_of_memory: false });
    match (shown("ActiveState"), shown("SubState")) {
        ("active" | "reloading", _) => ObjectState::Running,
        ("activating", "auto-restart") => ObjectState::Restarting,
        ("activating", _) => ObjectState::Starting,
        ("deactivating", _) => ObjectState::Restarting,
        ("failed", _) if shown("Result") == "start-limit-hit" => ObjectState::CrashLoop(ended()),
        ("failed", _) => ObjectState::Exited(ended()),
        // Stopping it takes it out of what starts with the machine; what ends by itself stays in.
        ("inactive", _) if shown("UnitFileState") == "enabled" && exit(found).is_some() => ObjectState::Exited(ended()),
        _ => ObjectState::Stopped,
    }
}

/// How the entry point ended the last time; `None` where it did not.
fn exit(found: &Found<'_>) -> Option<Exit> {
    let number = |name: &str| found.shown.get(name).and_then(|value| value.parse::<i32>().ok());
    let status = number("ExecMainStatus")?;
    let out_of_memory = found.shown.get("Result") == Some(&"oom-kill");
    // The codes of waitid: 1 exited, 2 killed, 3 dumped core.
    match number("ExecMainCode")? {
        1 => Some(Exit { code: Some(status), signal: None, out_of_memory }),
        2 | 3 => Some(Exit { code: None, signal: Some(status), out_of_memory }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart_and_a_unit_has_a_state() {
        let answer = "uptime 10.5\nslot a\nstamp {}\npath /opt/a b\ndefinition dx\nunit x.service\n\
            unit.show ActiveState=failed\nunit.show Result=oom-kill\nunit.show ExecMainCode=2\nunit.show ExecMainStatus=9\n\
            release.config r: changed: bin/x\nend\nslot b\nend\n";
        let (uptime, found) = parse(answer);
        assert_eq!((uptime, found.len()), (Some(10.5), 2));
        let killed = Exit { code: None, signal: Some(9), out_of_memory: true };
        assert_eq!(state(&found[0]), ObjectState::Exited(killed));
        assert_eq!(found[0].drift, [("release.config", "r: changed: bin/x")]);
        assert_eq!(state(&found[1]), ObjectState::Stopped);
    }
}
