//! What the backends of units have in common: everything but how a service becomes a unit.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::{join, join_all};

use super::observe;
use super::units::{Definition, Found, UnitSlot, Verb, look, look_as_root, rights};
use crate::backend::host::{Hosts, Rights, Script, Shell, Slot, Stamp};
use crate::backend::{Answer, BackendError, Command, Connection, Listing, OpContext};
use crate::model::{Address, BackendKind, Conflict, Instance, ObjectId, ObservedObject, Place, ProjectName, UnitScope};

/// What the backend is told about the project.
#[derive(Debug, Clone)]
pub struct SystemdSettings {
    /// The project.
    pub project: ProjectName,
    /// What tells the slots of this state folder from those of another one: a digest of its key.
    pub scope: String,
    /// The machines that the file and the records name, by [`Place::key`].
    pub places: BTreeMap<String, Place>,
    /// What reaches them.
    pub hosts: Hosts,
}

/// The slots of one backend, on all machines.
pub(in crate::backend) struct Slots {
    pub(in crate::backend) kind: BackendKind,
    pub(in crate::backend) settings: SystemdSettings,
}

/// A unit that an instance is to be, and where.
pub(in crate::backend) struct Target {
    pub(in crate::backend) slot: Slot,
    pub(in crate::backend) unit: UnitSlot,
    pub(in crate::backend) definition: Definition,
}

/// What the names of slots of a user's manager begin with.
const USER: &str = "user/";

/// Says whether there is anything of a scope in the store of root; `$1` is its folder.
const IS_ANYTHING: &str = r#"[ ! -d "$1" ]"#;

/// Prints what is there already: `path P` and `unit U`, of words that are kinds and names.
const IN_THE_WAY: &str = include_str!("units/scripts/conflicts.sh");

impl Slots {
    /// The slot of a name that a manager has on a machine.
    pub(in crate::backend) fn slot(&self, place: &Place, manager: UnitScope, name: &str) -> (Slot, UnitSlot) {
        let name = match manager {
            UnitScope::System => name.to_owned(),
            UnitScope::User => format!("{USER}{name}"),
        };
        let slot = Slot { host: place.key(), backend: self.kind, name };
        let unit = UnitSlot::new(self.settings.hosts.on(place), manager, &self.settings.scope, slot.clone());
        (slot, unit)
    }

    /// The slot behind an object id.
    pub(in crate::backend) fn reach(&self, id: &ObjectId) -> Result<(Slot, UnitSlot), BackendError> {
        let slot = Slot::parse(id).filter(|slot| slot.backend == self.kind);
        let slot = slot.ok_or_else(|| BackendError::new(format!("{id} is not an object of backend {}", self.kind)))?;
        let unit = UnitSlot::new(self.shell(&slot)?, manager_of(&slot), &self.settings.scope, slot.clone());
        Ok((slot, unit))
    }

    pub(in crate::backend) fn shell(&self, slot: &Slot) -> Result<Arc<Shell>, BackendError> {
        let place = self.settings.places.get(&slot.host).ok_or_else(|| {
            BackendError::new(format!("no machine {} is known", slot.host))
                .with_hint("name it under `hosts:` again until nothing of the project is left there")
        })?;
        Ok(self.settings.hosts.on(place))
    }

    /// Whether what a slot runs is on this machine.
    pub(in crate::backend) fn is_here(&self, slot: &Slot) -> bool {
        self.settings.places.get(&slot.host).is_none_or(|place| *place == Place::Here)
    }

    pub(in crate::backend) async fn list(&self) -> Listing {
        let asked =
            self.settings.places.iter().map(|(key, place)| async move {
                (key.clone(), self.list_at(key, &self.settings.hosts.on(place)).await)
            });
        let mut listing = Listing::default();
        for (key, answer) in join_all(asked).await {
            match answer {
                Ok(objects) => listing.objects.extend(objects),
                Err(error) => {
                    listing.unreachable.insert(key, error);
                }
            }
        }
        listing
    }

    async fn list_at(&self, host: &str, shell: &Shell) -> Result<Vec<ObservedObject>, BackendError> {
        let pattern = format!("{}-*", self.kind);
        let scope = &self.settings.scope;
        if shell.is_root() {
            let found = look_as_root(shell, scope, &pattern).await?;
            return Ok(found.iter().filter_map(|found| observe::object(host, found)).collect());
        }
        let (system, user) =
            join(look(shell, UnitScope::System, scope, &pattern), look(shell, UnitScope::User, scope, &pattern)).await;
        let system = match system {
            Ok(found) => found,
            // Without root's rights there is nothing of root's, unless someone had them before.
            Err(error) => {
                let folder = format!("{}/{scope}", crate::backend::host::STORE);
                match shell.run(Rights::Login, &Script::new(IS_ANYTHING, [folder.as_str()])).await {
                    Ok(output) if output.is_success() => Vec::new(),
                    _ => return Err(error),
                }
            }
        };
        let found = system.into_iter().chain(user?);
        Ok(found.filter_map(|found| observe::object(host, &found)).collect())
    }

    pub(in crate::backend) async fn inspect(&self, id: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        let (slot, _) = self.reach(id)?;
        let shell = self.shell(&slot)?;
        let found: Vec<Found> = look(&shell, manager_of(&slot), &self.settings.scope, &slot.folder()).await?;
        Ok(found.iter().find_map(|found| observe::object(&slot.host, found)))
    }

    /// Runs a command where a slot runs; `None` on this machine.
    pub(in crate::backend) async fn probe(
        &self,
        id: &ObjectId,
        command: &Command<'_>,
    ) -> Result<Option<Answer>, BackendError> {
        let (slot, unit) = self.reach(id)?;
        if self.is_here(&slot) {
            return Ok(None);
        }
        unit.probe(command).await.map(Some)
    }

    /// Connects to a port of the machine of a slot; `None` on this machine.
    pub(in crate::backend) async fn dial(
        &self,
        id: &ObjectId,
        host: &str,
        port: u16,
    ) -> Result<Option<Connection>, BackendError> {
        let (slot, _) = self.reach(id)?;
        if self.is_here(&slot) {
            return Ok(None);
        }
        self.shell(&slot)?.dial(host, port).await.map(Some)
    }

    /// Puts what an instance is to be in place.
    pub(in crate::backend) async fn place(
        &self,
        op: &OpContext,
        instance: &Instance,
        target: &Target,
        verb: Verb,
    ) -> Result<(), BackendError> {
        let stamp = Stamp {
            project: self.settings.project.clone(),
            scope: self.settings.scope.clone(),
            address: op.address.clone(),
            op_id: op.op_id.clone(),
            revision: instance.revision,
            kind: instance.service.kind,
            backend: self.kind,
            slot: target.slot.name.clone(),
            files: BTreeMap::new(),
        };
        target.unit.place(verb, &target.definition, &stamp, op.confirm).await
    }

    /// What is in the way of instances of which there is nothing yet.
    pub(in crate::backend) async fn conflicts(
        &self,
        wanted: Vec<(Address, Target)>,
    ) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        let asked = wanted.into_iter().map(|(address, target)| async move {
            let conflicts = self.in_the_way(&target).await?;
            Ok::<_, BackendError>((address, conflicts))
        });
        let mut found = BTreeMap::new();
        for answer in join_all(asked).await {
            // A machine that cannot be asked is in the listing as such.
            if let Ok((address, conflicts)) = answer
                && !conflicts.is_empty()
            {
                found.insert(address, conflicts);
            }
        }
        Ok(found)
    }

    async fn in_the_way(&self, target: &Target) -> Result<Vec<Conflict>, BackendError> {
        let Target { slot, definition, .. } = target;
        let manager = manager_of(slot);
        let mut words = vec![manager.to_string()];
        for piece in &definition.pieces {
            words.extend(["path".to_owned(), piece.path.clone()]);
        }
        if !definition.others {
            words.extend(definition.units.iter().flat_map(|unit| ["unit".to_owned(), unit.clone()]));
        }
        let script = Script::new(IN_THE_WAY, words.iter().map(String::as_str));
        let output = self.shell(slot)?.run(rights(manager), &script).await?;
        let text = output.text();
        let conflict = |line: &str| {
            let (what, holder) = line.split_once('\t')?;
            Some(Conflict { what: what.to_owned(), holder: holder.to_owned() })
        };
        Ok(text.lines().filter_map(conflict).collect())
    }
}

/// Which manager has a slot.
pub(in crate::backend) fn manager_of(slot: &Slot) -> UnitScope {
    if slot.name.starts_with(USER) { UnitScope::User } else { UnitScope::System }
}
