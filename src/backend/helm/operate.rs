//! What changes a release: installation, upgrade, rollback, removal.

use std::collections::BTreeMap;
use std::time::Duration;

use super::observe::Owned;
use super::place::Place;
use super::stamp::Stamp;
use super::storage::{self, Stored, Which};
use super::{Inner, chart_of, render, spec_of, tool};
use crate::backend::{BackendError, OpContext};
use crate::model::{HelmSpec, Instance, ObjectId, Text};

/// How long Helm may take for one operation where nothing says so; its own default.
const USUAL: Duration = Duration::from_secs(300);
/// How long a Helm that was given up, or that outlived its orch, is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Kinds whose pods can be started again under the same definition.
const RESTARTABLE: &[&str] = &["Deployment", "StatefulSet", "DaemonSet"];

impl Inner {
    pub(super) async fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError> {
        let spec = spec_of(instance)?;
        let place = Place { cluster: self.kube.resolved(&spec.cluster).await?, ..Place::of(spec) };
        self.at_rest(&place).await?;
        if let Some(found) = self.find(&place).await?
            && found.stamp.op_id == op.op_id
            && found.newest.status == "deployed"
        {
            return Ok(place.id());
        }
        self.upgrade(op, &place, instance).await?;
        Ok(place.id())
    }

    pub(super) async fn switch(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let place = self.place(id).await?;
        self.at_rest(&place).await?;
        self.upgrade(op, &place, instance).await
    }

    /// Brings a release to the definition of an instance, stamped with the attempt.
    async fn upgrade(&self, op: &OpContext, place: &Place, instance: &Instance) -> Result<(), BackendError> {
        let stamp = |number| Stamp {
            address: op.address.clone(),
            op_id: op.op_id.clone(),
            revision: instance.revision,
            number,
        };
        self.deploy(place, spec_of(instance)?, instance.service.timeout, stamp).await
    }

    async fn deploy(
        &self,
        place: &Place,
        spec: &HelmSpec,
        timeout: Duration,
        stamp: impl FnOnce(u32) -> Stamp,
    ) -> Result<(), BackendError> {
        // A little less than the step has: then Helm itself says what it waited for.
        let limit = timeout - timeout / 10;
        let timeout = spec.timeout.unwrap_or(limit).min(limit);
        let newest = self.ready(place, timeout).await?;
        let number = newest.as_ref().map_or(1, |newest| newest.number + 1);
        let stamp = stamp(number);
        let mut args = vec!["upgrade".to_owned(), spec.release.clone(), chart_of(spec), "--install".to_owned()];
        args.extend(tool::flags(&place.cluster, &place.namespace));
        args.extend(["--reset-values".to_owned(), format!("--history-max={}", spec.history_max)]);
        args.extend([seconds(timeout), format!("--labels={}", stamp.labels(&self.owner).join(","))]);
        args.push(format!("--description=applied by orch ({})", stamp.op_id));
        if spec.create_namespace {
            args.push("--create-namespace".to_owned());
        }
        if self.helm.major().await? >= 4 {
            args.push("--wait=hookOnly".to_owned());
            // What the file says goes before what was changed by hand, which the plan has shown.
            let by_server = match &newest {
                Some(newest) => newest.content()?.apply_method == "ssa",
                None => true,
            };
            args.extend(by_server.then(|| "--force-conflicts".to_owned()));
        }
        args.extend(render::values_args(spec));
        let secrets: Vec<&str> = spec.secret_texts().into_iter().map(Text::reveal).collect();
        crate::crash_point!("helm.upgrade.before");
        self.change(place, &format!("upgrade the release {place}"), &args, &render::values_line(spec), &secrets)
            .await?;
        crate::crash_point!("helm.upgrade.done");
        Ok(())
    }

    /// Runs what changes a release.
    async fn change(
        &self,
        place: &Place,
        doing: &str,
        args: &[String],
        values: &str,
        secrets: &[&str],
    ) -> Result<(), BackendError> {
        let mark = tool::mark(&self.settings.folder, &place.id());
        let ended = self.helm.change(args, values, &mark).await?;
        if ended.is_success() { Ok(()) } else { Err(tool::refused(doing, &ended, secrets)) }
    }

    /// Waits for a Helm that orch started and that still changes the release.
    async fn at_rest(&self, place: &Place) -> Result<(), BackendError> {
        tool::released(&tool::mark(&self.settings.folder, &place.id()), &place.to_string(), PATIENCE).await
    }

    /// The newest revision of a release that can be changed: one that is orch's, without an operation that was
    /// begun and never ended. `None` where there is no release.
    async fn ready(&self, place: &Place, timeout: Duration) -> Result<Option<Stored>, BackendError> {
        let stored = self.stored(place).await?;
        let Some(newest) = stored.last() else { return Ok(None) };
        let stamp = match self.stamp(place, newest) {
            Some(stamp) => stamp,
            None if newest.status == "uninstalled" => return Ok(Some(newest.clone())),
            None => {
                let chart = newest.content()?.chart();
                let message = format!(
                    "the release {place} is there already ({chart}, revision {}), and not orch's",
                    newest.number
                );
                return Err(BackendError::new(message)
                    .with_hint("take it over with `orch adopt`, or give the service another `release`"));
            }
        };
        if !newest.is_pending() {
            return Ok(Some(newest.clone()));
        }
        self.not_anothers(place, newest, &stamp, timeout)?;
        self.take_back(place, &stored, timeout).await?;
        Ok(self.stored(place).await?.last().cloned())
    }

    async fn stored(&self, place: &Place) -> Result<Vec<Stored>, BackendError> {
        let which = Which::All(&place.release);
        storage::list(&self.kube, &place.cluster, Some(&place.namespace), which).await
    }

    /// Refuses an operation that someone else has begun, unless it is so old that whoever it was is gone. One of
    /// orch's own is stamped for its revision, or its mark is left: and of what orch runs nothing runs any more.
    fn not_anothers(
        &self,
        place: &Place,
        newest: &Stored,
        stamp: &Stamp,
        timeout: Duration,
    ) -> Result<(), BackendError> {
        if stamp.number == newest.number || tool::mark(&self.settings.folder, &place.id()).exists() {
            return Ok(());
        }
        let guard = timeout.max(USUAL);
        let age = newest.written.and_then(|at| Duration::try_from(crate::sys::now().duration_since(at)).ok());
        let Some(age) = age.filter(|age| *age <= guard) else { return Ok(()) };
        let (age, guard) = (age.as_secs(), guard.as_secs());
        let message = format!("someone else has been at the release {place} for {age} s: it is {}", newest.status);
        Err(BackendError::new(message).with_hint(format!(
            "wait until they are done; a Helm that was killed is taken for gone after {guard} s, and `helm rollback` \
             takes its release back at once"
        )))
    }

    /// Ends an operation that was begun and never ended: back to the revision that is deployed, or away with what
    /// never was.
    async fn take_back(&self, place: &Place, stored: &[Stored], timeout: Duration) -> Result<(), BackendError> {
        let going = stored.last().is_some_and(|newest| newest.status == "uninstalling");
        crate::crash_point!("helm.pending.before");
        match stored
            .iter()
            .rfind(|one| one.status == "deployed")
            .or_else(|| stored.iter().rfind(|one| one.was_deployed()))
        {
            Some(good) if !going => self.roll_back(place, good, timeout).await?,
            _ => self.uninstall(place, timeout).await?,
        }
        crate::crash_point!("helm.pending.done");
        Ok(())
    }

    async fn roll_back(&self, place: &Place, to: &Stored, timeout: Duration) -> Result<(), BackendError> {
        let mut args = vec!["rollback".to_owned(), place.release.clone(), to.number.to_string()];
        args.extend(tool::flags(&place.cluster, &place.namespace));
        // How many are kept is for the next upgrade, which knows it.
        args.extend(["--history-max=0".to_owned(), seconds(timeout)]);
        if self.helm.major().await? >= 4 {
            args.push("--wait=hookOnly".to_owned());
            args.extend((to.content()?.apply_method == "ssa").then(|| "--force-conflicts".to_owned()));
        }
        let doing = format!("roll the release {place} back to revision {}", to.number);
        crate::crash_point!("helm.rollback.before");
        self.change(place, &doing, &args, "", &[]).await?;
        crate::crash_point!("helm.rollback.done");
        // Its labels are those of the revision that it went back to, but for the number.
        let newest = self.stored(place).await?.pop();
        if let Some((newest, stamp)) = newest.and_then(|newest| Some((newest.clone(), self.stamp(place, to)?))) {
            self.label(place, &newest, &Stamp { number: newest.number, ..stamp }).await?;
        }
        crate::crash_point!("helm.rollback.stamped");
        Ok(())
    }

    async fn uninstall(&self, place: &Place, timeout: Duration) -> Result<(), BackendError> {
        let mut args = vec!["uninstall".to_owned(), place.release.clone()];
        args.extend(tool::flags(&place.cluster, &place.namespace));
        args.extend(["--ignore-not-found".to_owned(), "--wait".to_owned(), seconds(timeout)]);
        crate::crash_point!("helm.uninstall.before");
        self.change(place, &format!("uninstall the release {place}"), &args, "", &[]).await?;
        crate::crash_point!("helm.uninstall.done");
        Ok(())
    }

    /// Stamps a revision that is there.
    async fn label(&self, place: &Place, stored: &Stored, stamp: &Stamp) -> Result<(), BackendError> {
        let labels = stamp.labels(&self.owner);
        let namespace = format!("--namespace={}", place.namespace);
        let mut args = vec!["label", "--overwrite", &namespace, &stored.object];
        args.extend(labels.iter().map(String::as_str));
        self.kube.kubectl(&place.cluster, &format!("stamp the release {place}"), &args, None).await.map(drop)
    }

    pub(super) async fn update(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let place = self.place(id).await?;
        self.at_rest(&place).await?;
        let found = self.known(&place).await?;
        let stamp = Stamp { address: op.address.clone(), ..found.stamp.clone() };
        let as_made = found.newest.status == "deployed" && found.stamp.number == found.newest.number;
        if as_made && !self.has_drifted(&found).await? {
            self.label(&place, &found.newest, &stamp).await?;
            crate::crash_point!("helm.update.done");
            return Ok(());
        }
        let spec = spec_of(instance)?;
        self.deploy(&place, spec, instance.service.timeout, |number| Stamp { number, ..stamp }).await
    }

    async fn has_drifted(&self, found: &Owned) -> Result<bool, BackendError> {
        let listed = self.object(found, true).await?;
        Ok(!listed.drift.is_empty())
    }

    /// A release that must be there, and be orch's.
    async fn known(&self, place: &Place) -> Result<Owned, BackendError> {
        self.find(place).await?.ok_or_else(|| {
            BackendError::new(format!("there is no release {place} of orch's any more"))
                .with_hint("plan and apply again")
        })
    }

    pub(super) async fn restart(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let place = self.place(id).await?;
        self.at_rest(&place).await?;
        let found = self.known(&place).await?;
        let mut workloads: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for object in found.newest.content()?.objects(&place.namespace)? {
            if RESTARTABLE.contains(&object.id.kind.as_str()) && object.id.group() == "apps" {
                let name = format!("{}/{}", object.id.kind.to_lowercase(), object.id.name);
                workloads.entry(object.id.namespace.unwrap_or_default()).or_default().push(name);
            }
        }
        for (namespace, names) in &workloads {
            let namespace = format!("--namespace={namespace}");
            let mut args = vec!["rollout", "restart", &namespace];
            args.extend(names.iter().map(String::as_str));
            let doing = format!("restart the workloads of the release {place}");
            self.kube.kubectl(&place.cluster, &doing, &args, None).await?;
        }
        crate::crash_point!("helm.restart.done");
        let stamp = Stamp {
            address: op.address.clone(),
            op_id: op.op_id.clone(),
            revision: instance.revision,
            number: found.stamp.number,
        };
        self.label(&place, &found.newest, &stamp).await
    }

    pub(super) async fn revert(&self, op: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        let place = self.place(id).await?;
        self.at_rest(&place).await?;
        let stored = self.stored(&place).await?;
        let by = |one: &Stored| self.stamp(&place, one).map(|stamp| stamp.op_id);
        let Some(newest) = stored.last() else {
            return Err(BackendError::new(format!("there is no release {place} to take back")));
        };
        // What another attempt made is no business of this one; a rollback of its own that was cut short is.
        if by(newest).as_ref() != Some(&op.op_id) && !newest.is_pending() {
            return Ok(());
        }
        let good = stored.iter().rfind(|one| one.was_deployed() && by(one).as_ref() != Some(&op.op_id));
        let Some(good) = good else {
            return Err(BackendError::new(format!("the release {place} has no revision to go back to"))
                .with_hint("raise `history_max`, and apply again"));
        };
        self.roll_back(&place, good, USUAL).await
    }

    pub(super) async fn remove(&self, _: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        let place = self.place(id).await?;
        self.at_rest(&place).await?;
        let stored = self.stored(&place).await?;
        let Some(newest) = stored.last() else { return Ok(()) };
        if self.stamp(&place, newest).is_none() {
            return Err(BackendError::new(format!("the release {place} is not orch's any more")).with_hint(format!(
                "forget it with `orch state rm`, and take it down with `helm uninstall {}`",
                place.release
            )));
        }
        self.uninstall(&place, USUAL).await
    }
}

fn seconds(timeout: Duration) -> String {
    format!("--timeout={}s", timeout.as_secs().max(1))
}
