//! Packages on machines: releases side by side, and `current`, which leads to the one that counts.
//!
//! Below the install path, which is all the package's own:
//!
//! | path | what it is |
//! |---|---|
//! | `.orch` | whose it is: scope and slot; no folder without it is ever touched |
//! | `releases/NAME/` | an unpacked package, whole or not there |
//! | `current` | a relative link to the release that counts |
//!
//! Below the slot's folder in the store, which only its owner may enter:
//!
//! | path | what it is |
//! |---|---|
//! | `defs/OP/` | a definition: release, stamp, commands, environment, unit; complete by itself |
//! | `now`, `previous` | links to the definition that counts, and to the one to go back to |
//! | `pending` | the definition of a switch that is under way, or was interrupted |
//! | `contents/NAME/` | what was unpacked as a release: checksums, links, modes |
//! | `lock` | held by each script that works on the slot, so that one left behind is waited for |
//!
//! Going forward and going back is the same: a definition is brought up (hooks, `current`, unit, hooks),
//! and becomes `now` by one rename. What holds after a kill at any line of a script: `current` leads to a
//! whole release, the old or the new one, and `pending` says that it may not be the one that `now` says.

mod archive;
mod call;
mod definition;
mod fetch;
mod observe;
mod operate;
mod unit;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::host::{Hosts, Slot};
use super::{Answer, BackendError, Command, Connection, Listing, Observer, OpContext, Operator};
use crate::model::{
    Address, BackendKind, Conflict, Health, Instance, ObjectId, ObservedObject, PackageSpec, Place, ProjectName, Spec,
};
use archive::Archives;
use call::Site;

/// What a package backend is made with.
#[derive(Clone)]
pub struct PackageSettings {
    /// The project.
    pub project: ProjectName,
    /// The state folder that the packages belong to, as a digest of its key.
    pub scope: String,
    /// The machines that packages are on, or were, by [`Place::key`].
    pub places: BTreeMap<String, Place>,
    /// What reaches them.
    pub hosts: Hosts,
    /// The folder of this machine that downloaded archives are kept in; made when it is needed.
    pub cache: PathBuf,
    /// Where the machines keep what orch knows of a slot, where it is not the usual place.
    pub store: Option<String>,
}

/// The backend of packages.
#[derive(Clone)]
pub struct PackageBackend {
    inner: Arc<Inner>,
}

struct Inner {
    settings: PackageSettings,
    archives: Archives,
}

impl PackageBackend {
    /// The packages of a project. Connects to no machine yet.
    #[must_use]
    pub fn new(settings: PackageSettings) -> Self {
        let archives = Archives::new(settings.cache.clone());
        Self { inner: Arc::new(Inner { settings, archives }) }
    }
}

impl Inner {
    /// Where an object is.
    fn site(&self, object: &ObjectId) -> Result<Site<'_>, BackendError> {
        let slot = Slot::parse(object).filter(|slot| slot.backend == BackendKind::Package);
        let slot = slot.ok_or_else(|| BackendError::new(format!("{object} is not the id of a package")))?;
        let place = self.settings.places.get(&slot.host).ok_or_else(|| {
            BackendError::new(format!("nothing is known of the host {} any more", slot.host))
                .with_hint("name it in `hosts:`, or take what is recorded there out with `orch state rm`")
        })?;
        Ok(Site::new(&self.settings, place, slot))
    }

    /// Where an instance is to be.
    fn site_of<'a>(&'a self, spec: &'a PackageSpec) -> Site<'a> {
        Site::new(&self.settings, &spec.place, slot(spec))
    }
}

fn slot(spec: &PackageSpec) -> Slot {
    Slot { host: spec.place.key(), backend: BackendKind::Package, name: spec.install_path.clone() }
}

fn spec(instance: &Instance) -> Result<&PackageSpec, BackendError> {
    match &instance.service.spec {
        Spec::Package(spec) => Ok(spec),
        other => {
            Err(BackendError::new(format!("{} is run by {}, not from a package", instance.address, other.backend())))
        }
    }
}

#[async_trait]
impl Observer for PackageBackend {
    async fn list(&self) -> Result<Listing, BackendError> {
        self.inner.list().await
    }

    async fn conflicts(&self, instances: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        self.inner.conflicts(instances).await
    }

    async fn inspect(&self, object: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        self.inner.inspect(object).await
    }

    async fn own_check(&self, object: &ObjectId, timeout: std::time::Duration) -> Result<Option<Health>, BackendError> {
        self.inner.own_check(object, timeout).await
    }

    async fn probe_inside(&self, object: &ObjectId, command: &Command<'_>) -> Result<Option<Answer>, BackendError> {
        self.inner.probe_inside(object, command).await
    }

    async fn dial(&self, object: &ObjectId, host: &str, port: u16) -> Result<Option<Connection>, BackendError> {
        self.inner.dial(object, host, port).await
    }

    async fn tail(&self, object: &ObjectId, lines: usize) -> Result<Vec<String>, BackendError> {
        self.inner.tail(object, lines).await
    }

    async fn log_files(&self, _object: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Operator for PackageBackend {
    async fn prepare(&self, op: &OpContext, instance: &Instance) -> Result<(), BackendError> {
        self.inner.prepare(op, instance).await
    }

    async fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError> {
        let spec = spec(instance)?;
        self.inner.switch(op, &self.inner.site_of(spec), instance).await?;
        Ok(slot(spec).id())
    }

    async fn update(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.inner.update(op, object, instance).await
    }

    async fn switch(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let site = self.inner.site_of(spec(instance)?);
        if site.id() != *object {
            return Err(BackendError::new(format!("{object} cannot become {}: it is another place", site.id())));
        }
        self.inner.switch(op, &site, instance).await
    }

    async fn revert(&self, _op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        self.inner.revert(object).await
    }

    async fn confirm(&self, op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        self.inner.confirm(op, object).await
    }

    async fn start(&self, _op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        self.inner.power(object, "start").await
    }

    async fn stop(&self, _op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        self.inner.power(object, "stop").await
    }

    async fn restart(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.inner.restart(op, object, instance).await
    }

    async fn remove(&self, op: &OpContext, object: &ObjectId, _volumes: bool) -> Result<(), BackendError> {
        self.inner.remove(op, object).await
    }
}

#[cfg(test)]
mod tests;
