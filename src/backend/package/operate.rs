//! What changes a machine.

use super::archive::{Checked, Lists, release};
use super::call::{BACK, CLAIM, CONFIRM, POWER, REMOVE, RESTAMP, REVERT, SWITCH, Site, TIDY, UNPACK, WHICH};
use super::definition::{self, Definition, Deployment};
use super::{Inner, spec, unit};
use crate::backend::host::Rights;
use crate::backend::{BackendError, OpContext};
use crate::event::Progress;
use crate::model::{Instance, ObjectId, PackageSpec, Text};

impl Inner {
    /// Puts the release of an instance on its host, unpacked and checked. What runs is not touched.
    pub(super) async fn prepare(&self, op: &OpContext, instance: &Instance) -> Result<(), BackendError> {
        let spec = spec(instance)?;
        let archive = self.archives.get(spec, &op.progress).await?;
        self.release(op, spec, &archive).await?;
        Ok(())
    }

    /// The name of the release on the host, which is put there where it is not, or no longer whole.
    async fn release(&self, op: &OpContext, spec: &PackageSpec, archive: &Checked) -> Result<String, BackendError> {
        let site = self.site_of(spec);
        let contents = &archive.contents;
        let sha256 = contents.sha256.to_string();
        let unit = definition::entry_point(spec, &contents.manifest)?
            .map(|_| unit::name(&self.settings.scope, &site.slot))
            .unwrap_or_default();
        let name = release(contents);
        let numbers = [contents.packed_bytes, contents.unpacked_bytes, contents.entries.len() as u64, spec.keep.into()];
        let [packed, unpacked, entries, keep] = numbers.map(|number| number.to_string());
        let values = [&spec.install_path, &unit, &sha256, &name, &packed, &unpacked, &entries, &keep];
        let there = site.call("use", CLAIM, &values.map(String::as_str)).await?;
        crate::crash_point!("package.prepare.claimed");
        match there.trim().split_once(' ') {
            Some(("release", name)) => return Ok(name.to_owned()),
            _ if there.trim() == "archive" => {}
            _ => self.upload(op, &site, archive).await?,
        }
        crate::crash_point!("package.prepare.uploaded");
        let lists = Lists::of(contents);
        let files = lists.files.to_string();
        let values = [&sha256, &name, &lists.sums, &lists.links, &files];
        op.progress.tell(progress(contents, "unpacking"));
        let unpacked = site.call("unpack the package in", UNPACK, &values.map(String::as_str)).await?;
        crate::crash_point!("package.prepare.unpacked");
        match unpacked.trim().strip_prefix("release ") {
            Some(name) => Ok(name.to_owned()),
            None => Err(BackendError::new(format!("the host did not say what it unpacked {name} as"))),
        }
    }

    async fn upload(&self, op: &OpContext, site: &Site<'_>, archive: &Checked) -> Result<(), BackendError> {
        let sha256 = archive.contents.sha256;
        let to = format!("{}/releases/.{sha256}.tar.gz", site.slot.name);
        op.progress.tell(progress(&archive.contents, "uploading"));
        let sent = site.shell.upload(Rights::Root, &archive.path, &to, 0o600, sha256, &op.progress).await;
        if let Err(error) = sent {
            // A disk that is full is made empty again; where the host is gone, the next attempt does it.
            let _ = site.run(TIDY, &[]).await;
            return Err(error);
        }
        Ok(())
    }

    /// Switches a slot to an instance, whose release is on the host or is put there.
    pub(super) async fn switch(
        &self,
        op: &OpContext,
        site: &Site<'_>,
        instance: &Instance,
    ) -> Result<(), BackendError> {
        let spec = spec(instance)?;
        let archive = self.archives.get(spec, &op.progress).await?;
        let found = site.call("look for the release in", WHICH, &[&archive.contents.sha256.to_string()]).await?;
        let release = match found.trim() {
            "" => self.release(op, spec, &archive).await?,
            name => name.to_owned(),
        };
        let (manager, folder) = site.manager().await?;
        let definition = Definition::of(&Deployment {
            settings: &self.settings,
            op,
            instance,
            spec,
            manifest: &archive.contents.manifest,
            slot: &site.slot,
            folder: &folder,
            release: &release,
            manager,
        })?;
        let unit = definition.unit.as_ref();
        let mode = if unit.is_some_and(|unit| unit.text.is_sensitive()) { "600" } else { "644" };
        let unit = unit.map_or(["", "", ""], |unit| [unit.name.as_str(), unit.text.reveal(), unit.env.reveal()]);
        // The clock of the host counts, from the end of the switch on.
        let confirm = op.confirm.map_or(0, |within| within.as_secs().max(1)).to_string();
        let (back, keep) = (BACK.join("\n"), spec.keep.to_string());
        let values = [
            definition.name.as_str(),
            &release,
            &definition.stamp,
            &definition.before,
            &definition.after,
            &definition.env,
            unit[0],
            unit[1],
            unit[2],
            &confirm,
            &back,
            &keep,
            mode,
        ];
        crate::crash_point!("package.switch.before");
        let secrets: Vec<&Text> = secrets(spec).collect();
        site.call_with("switch", SWITCH, &values, &secrets).await?;
        crate::crash_point!("package.switch.done");
        Ok(())
    }

    pub(super) async fn revert(&self, object: &ObjectId) -> Result<(), BackendError> {
        crate::crash_point!("package.revert.before");
        self.site(object)?.call("go back in", REVERT, &[]).await?;
        crate::crash_point!("package.revert.done");
        Ok(())
    }

    pub(super) async fn confirm(&self, op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        let site = self.site(object)?;
        site.call_anew("confirm the switch of", CONFIRM, &[&definition::name(&op.op_id)]).await?;
        Ok(())
    }

    pub(super) async fn update(
        &self,
        op: &OpContext,
        object: &ObjectId,
        instance: &Instance,
    ) -> Result<(), BackendError> {
        let (site, spec) = (self.site(object)?, spec(instance)?);
        let now = self.stamp(&site).await?;
        let stamp =
            definition::moved(&self.settings, &op.address, &now.op_id, now.revision, instance.service.kind, spec)?;
        site.call("update", RESTAMP, &["", &stamp, &spec.keep.to_string()]).await?;
        crate::crash_point!("package.update.done");
        Ok(())
    }

    pub(super) async fn restart(
        &self,
        op: &OpContext,
        object: &ObjectId,
        instance: &Instance,
    ) -> Result<(), BackendError> {
        let (site, spec) = (self.site(object)?, spec(instance)?);
        let stamp = definition::stamp(&self.settings, op, instance, spec)?;
        site.call("restart", RESTAMP, &[&definition::name(&op.op_id), &stamp, ""]).await?;
        crate::crash_point!("package.restart.done");
        Ok(())
    }

    /// Starts or stops what runs.
    pub(super) async fn power(&self, object: &ObjectId, verb: &str) -> Result<(), BackendError> {
        self.site(object)?.call(verb, POWER, &[verb]).await?;
        Ok(())
    }

    pub(super) async fn remove(&self, op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        let site = self.site(object)?;
        let said = site.call("remove", REMOVE, &[]).await?;
        if said.trim() == "kept" {
            let status = "kept: it holds files that are not orch's".to_owned();
            op.progress.tell(Progress { what: site.slot.name.clone(), part: None, status, current: None, total: None });
        }
        crate::crash_point!("package.remove.done");
        Ok(())
    }
}

fn progress(contents: &crate::package::Contents, status: &str) -> Progress {
    Progress {
        what: contents.manifest.file_name(),
        part: None,
        status: status.to_owned(),
        current: None,
        total: Some(contents.packed_bytes),
    }
}

/// What a package's commands were given and may not be shown.
fn secrets(spec: &PackageSpec) -> impl Iterator<Item = &Text> {
    let texts = spec.env.values().chain(&spec.args).chain(&spec.pre_install).chain(&spec.post_install);
    texts.filter(|text| text.is_sensitive())
}
