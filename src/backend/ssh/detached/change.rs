//! What changes a slot: put in place, brought back, started, stopped, removed.

use std::collections::BTreeMap;

use super::definition::{hundredths, path, render};
use super::{Detached, IDENTITY, KEEPER, PRELUDE, QUICK, STOPPING, rights};
use crate::backend::host::{STORE, Slot, Stamp, USER_STORE};
use crate::backend::{BackendError, OpContext};
use crate::model::{BackendKind, Digest, Instance, RemoteSpec, Spec};

const PLACE: &str = include_str!("scripts/place.sh");
const BACK: &str = include_str!("scripts/back.sh");
const POWER: &str = include_str!("scripts/power.sh");
const RESTAMP: &str = include_str!("scripts/restamp.sh");
const REMOVE: &str = include_str!("scripts/remove.sh");
const CONFIRM: &str = include_str!("scripts/confirm.sh");
const FOLDER: &str = include_str!("scripts/folder.sh");

impl Detached {
    /// Sees that the file that becomes the program is on the machine, where it is uploaded.
    ///
    /// # Errors
    /// When it cannot be read, or the machine has no room for it.
    pub async fn prepare(&self, op: &OpContext, slot: &Slot, instance: &Instance) -> Result<(), BackendError> {
        self.upload(op, slot, spec(instance)?).await.map(drop)
    }

    /// Makes a slot and starts its program.
    ///
    /// # Errors
    /// When something that is not the slot's is in the way, or the machine cannot do it.
    pub async fn create(&self, op: &OpContext, slot: &Slot, instance: &Instance) -> Result<(), BackendError> {
        self.place("create", op, slot, instance).await
    }

    /// Puts another definition in the place of the one that a slot has, which is kept, and starts it.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn switch(&self, op: &OpContext, slot: &Slot, instance: &Instance) -> Result<(), BackendError> {
        self.place("switch", op, slot, instance).await
    }

    /// Stops a program and starts it again, as the instance has it.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn restart(&self, op: &OpContext, slot: &Slot, instance: &Instance) -> Result<(), BackendError> {
        self.place("restart", op, slot, instance).await
    }

    /// Changes the address that a slot is stamped with; what runs goes on.
    ///
    /// # Errors
    /// When the slot is gone or the machine cannot do it.
    pub async fn update(&self, slot: &Slot, instance: &Instance) -> Result<(), BackendError> {
        let gone = || self.refusal(slot, 53, "");
        let stamp = self
            .look(rights(slot), &slot.folder())
            .await?
            .into_iter()
            .find_map(|found| found.stamp)
            .ok_or_else(gone)?;
        let stamp = Stamp {
            project: self.project.clone(),
            address: instance.address.clone(),
            revision: instance.revision,
            ..stamp
        };
        let json = self.json(slot, &stamp)?;
        self.run(slot, &self.script(RESTAMP, &slot.folder(), [json.as_str()]).within(QUICK)).await.map(drop)
    }

    /// Brings back the definition before, if the one that is there came with this attempt.
    ///
    /// # Errors
    /// When there is none, or the machine cannot do it.
    pub async fn revert(&self, op: &OpContext, slot: &Slot) -> Result<(), BackendError> {
        self.run(slot, &self.script(BACK, &slot.folder(), [op.op_id.as_str(), ""]).within(STOPPING)).await.map(drop)
    }

    /// Starts what was stopped.
    ///
    /// # Errors
    /// When the machine cannot do it.
    pub async fn start(&self, slot: &Slot) -> Result<(), BackendError> {
        self.run(slot, &self.script(POWER, &slot.folder(), ["start"]).within(STOPPING)).await.map(drop)
    }

    /// Stops a program, and returns once nothing of it runs.
    ///
    /// # Errors
    /// When the machine cannot do it.
    pub async fn stop(&self, slot: &Slot) -> Result<(), BackendError> {
        self.run(slot, &self.script(POWER, &slot.folder(), ["stop"]).within(STOPPING)).await.map(drop)
    }

    /// Stops a program and takes everything of its slot away, if it is still this instance's.
    ///
    /// # Errors
    /// When the machine cannot do it.
    pub async fn remove(&self, op: &OpContext, slot: &Slot) -> Result<(), BackendError> {
        let address = op.address.to_string();
        self.run(slot, &self.script(REMOVE, &slot.folder(), [address.as_str()]).within(STOPPING)).await.map(drop)
    }

    /// Says over a new connection that the machine can be reached, so that it does not go back.
    ///
    /// # Errors
    /// When it cannot be reached, or has gone back by itself.
    pub async fn confirm(&self, op: &OpContext, slot: &Slot) -> Result<(), BackendError> {
        let script = self.script(CONFIRM, &slot.folder(), [op.op_id.as_str()]).within(QUICK);
        let output = self.shell.reach_anew(rights(slot), &script).await?;
        if output.is_success() { Ok(()) } else { Err(self.refusal(slot, output.code, &output.stderr)) }
    }

    async fn place(&self, verb: &str, op: &OpContext, slot: &Slot, instance: &Instance) -> Result<(), BackendError> {
        let spec = spec(instance)?;
        let definition = render(spec, instance, &op.op_id, self.setup.log, &self.setup.interpreter)?;
        // As the script writes it: with a line end.
        let written = Digest::of(format!("{}\n", definition.reveal()).as_bytes());
        let mut files = BTreeMap::from([("definition".to_owned(), written)]);
        let (sha, uploaded) = match self.upload(op, slot, spec).await? {
            Some(sha) => {
                files.insert(spec.binary.reveal().to_owned(), sha);
                (sha.to_string(), format!("upload.{sha}"))
            }
            None => (String::new(), "upload.none".to_owned()),
        };
        let stamp = Stamp {
            project: self.project.clone(),
            scope: self.scope.clone(),
            address: instance.address.clone(),
            op_id: op.op_id.clone(),
            revision: instance.revision,
            kind: instance.service.kind,
            backend: BackendKind::Ssh,
            slot: slot.name.clone(),
            files,
        };
        let json = self.json(slot, &stamp)?;
        let keeper = format!("{IDENTITY}{KEEPER}");
        let revision = instance.revision.to_string();
        let path = path(spec);
        let confirm = op.confirm.map(hundredths).unwrap_or_default();
        let back = if confirm.is_empty() { String::new() } else { self.back_file(op, slot, &confirm) };
        let values = [
            verb,
            op.op_id.as_str(),
            &revision,
            &json,
            definition.reveal(),
            &keeper,
            spec.user.as_deref().unwrap_or_default(),
            spec.working_dir.as_deref().unwrap_or("/"),
            spec.binary.reveal(),
            &path,
            &sha,
            &uploaded,
            &confirm,
            &back,
        ];
        self.run(slot, &self.script(PLACE, &slot.folder(), values).within(STOPPING)).await.map(drop)
    }

    /// Puts the file that becomes the program into the slot's folder, from where the script takes it; its digest.
    async fn upload(&self, op: &OpContext, slot: &Slot, spec: &RemoteSpec) -> Result<Option<Digest>, BackendError> {
        let Some(upload) = &spec.upload else { return Ok(None) };
        let shown = upload.path.display();
        let Some(content) = upload.content else {
            return Err(BackendError::new(format!("cannot upload {shown}: it does not exist"))
                .with_hint("make the file, and plan again"));
        };
        let sha = content;
        let script = self.script(FOLDER, &slot.folder(), [sha.to_string().as_str()]).within(QUICK);
        let answer = self.run(slot, &script).await?;
        let text = answer.text();
        let folder = text.lines().find_map(|line| line.strip_prefix("folder ")).unwrap_or_default();
        if !text.lines().any(|line| line == "there") {
            let to = format!("{folder}/upload.{sha}");
            self.shell.upload(rights(slot), &upload.path, &to, 0o700, sha, &op.progress).await?;
        }
        Ok(Some(sha))
    }

    /// The script that goes back by itself, as a file: it runs when nobody is there who could tell it anything.
    fn back_file(&self, op: &OpContext, slot: &Slot, confirm: &str) -> String {
        let store = self.setup.store.as_deref().unwrap_or_default();
        let folder = slot.folder();
        let words = [store, STORE, USER_STORE, &self.scope, &folder, op.op_id.as_str(), confirm];
        let quoted: Vec<_> = words.iter().map(|word| shlex::try_quote(word).unwrap_or_default()).collect();
        format!("main() {{\n{IDENTITY}{PRELUDE}{BACK}\n}}\nmain {} </dev/null", quoted.join(" "))
    }

    fn json(&self, slot: &Slot, stamp: &Stamp) -> Result<String, BackendError> {
        serde_json::to_string(stamp).map_err(|error| self.refusal(slot, 43, &format!("its stamp: {error}")))
    }
}

/// The spec of an instance of this backend.
pub(super) fn spec(instance: &Instance) -> Result<&RemoteSpec, BackendError> {
    match &instance.service.spec {
        Spec::Ssh(spec) => Ok(spec),
        other => Err(BackendError::new(format!("a {} service is no program on a host", other.backend()))),
    }
}
