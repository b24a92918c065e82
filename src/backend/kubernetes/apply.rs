//! Puts a version of a service into its cluster: stamps its objects, applies them, and takes away what is no longer
//! declared. Every part may be done again.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::{Map, Value};

use super::inventory::{INVENTORY, Inventory, Owner, SCOPE, Slot, Version, annotation, label};
use crate::backend::BackendError;
use crate::backend::kube::{Kube, said, trouble};
use crate::model::{KubeId, KubeObject, OpId};

/// Who orch is for the server.
pub(super) const MANAGER: &str = "orch";
/// The annotation of an object that is neither pruned nor deleted.
const KEEP: &str = "orch.dev/keep";
/// The annotation of a pod template that makes new pods.
const RESTART: &str = "orch.dev/restart";
/// How often an object that is being deleted is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// What is applied, where, and for whom.
pub(super) struct Target<'a> {
    pub(super) kube: &'a Kube,
    pub(super) owner: &'a Owner,
    pub(super) slot: &'a Slot,
    /// The service, for a person.
    pub(super) what: String,
}

/// Whose a live object is.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    /// There is none.
    Nobodys,
    /// It is in this inventory.
    Own,
    /// It is somebody's, and whose for a person.
    Others(String),
}

impl Target<'_> {
    /// Makes the namespaces that the objects declare, which may be that of the inventory itself.
    pub(super) async fn make_namespaces(&self, version: &Version) -> Result<(), BackendError> {
        let objects = version.objects(&self.slot.namespace);
        let namespaces: Vec<KubeObject> = objects.into_iter().filter(|object| object.id.kind == "Namespace").collect();
        let wanted = self.own_or_new(&namespaces).await?;
        self.apply(&wanted, version).await
    }

    /// Applies the objects of a version, and prunes what only `inventory` still has.
    pub(super) async fn place(&self, version: &Version, inventory: &Inventory) -> Result<(), BackendError> {
        let objects = version.objects(&self.slot.namespace);
        let wanted = self.own_or_new(&objects).await?;
        self.replace_jobs(&wanted, inventory).await?;
        let (first, rest): (Vec<KubeObject>, Vec<KubeObject>) = wanted
            .into_iter()
            .filter(|object| object.id.kind != "Namespace")
            .partition(|object| object.id.kind == "CustomResourceDefinition");
        self.apply(&first, version).await?;
        self.wait_for_kinds(&first).await?;
        self.apply(&rest, version).await?;
        crate::crash_point!("kubernetes.applied");
        if version.prune {
            let gone = inventory.every(&self.slot.namespace);
            let gone = gone.into_iter().filter(|old| !objects.iter().any(|new| new.id.is_same(&old.id)));
            self.delete(gone.collect()).await?;
        }
        crate::crash_point!("kubernetes.pruned");
        Ok(())
    }

    /// The objects that orch may apply. What is another's is refused, but for namespaces, which are used as they are.
    pub(super) async fn own_or_new(&self, objects: &[KubeObject]) -> Result<Vec<KubeObject>, BackendError> {
        let looked = try_join_all(objects.iter().map(|object| async move {
            let live = self.settled(&object.id).await?;
            let whose = self.whose(live.as_ref()).await?;
            Ok::<_, BackendError>((object, whose))
        }));
        let mut wanted = Vec::new();
        for (object, whose) in looked.await? {
            match whose {
                Whose::Nobodys | Whose::Own => wanted.push(object.clone()),
                Whose::Others(_) if object.id.kind == "Namespace" => {}
                Whose::Others(holder) => return Err(self.taken(&object.id, &holder)),
            }
        }
        Ok(wanted)
    }

    fn taken(&self, id: &KubeId, holder: &str) -> BackendError {
        let within = id.namespace.as_ref().map(|namespace| format!(" --namespace {namespace}")).unwrap_or_default();
        let (kind, name) = (id.kind.to_lowercase(), &id.name);
        BackendError::new(format!("{id} is there already and is {holder}")).with_hint(format!(
            "take it out of the manifests or delete it; or hand it over: `kubectl label {kind} {name}{within} {SCOPE}={}`",
            self.owner.scope
        ))
    }

    /// A live object once nobody deletes it any more. What this waits for ends by itself, or the step's time does.
    async fn settled(&self, id: &KubeId) -> Result<Option<Value>, BackendError> {
        let api = self.kube.api(&self.slot.cluster).await?;
        loop {
            let live = api.object(id).await?;
            let Some(found) = &live else { return Ok(None) };
            if found.pointer("/metadata/deletionTimestamp").is_none() {
                return Ok(live);
            }
            if id.kind == "Namespace" {
                let said = format!("namespace {} is being terminated", id.name);
                return Err(trouble(&format!("apply the manifests of {}", self.what), &said));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn whose(&self, live: Option<&Value>) -> Result<Whose, BackendError> {
        let Some(live) = live else { return Ok(Whose::Nobodys) };
        match (label(live, SCOPE), annotation(live, INVENTORY)) {
            (Some(scope), Some(stamp)) if *scope == self.owner.scope => {
                if stamp == self.slot.stamp() {
                    return Ok(Whose::Own);
                }
                let (namespace, name) = stamp.split_once('/').unwrap_or_default();
                let other = Slot { namespace: namespace.to_owned(), name: name.to_owned(), ..self.slot.clone() };
                Ok(match other.read(self.kube, self.owner).await? {
                    Some(Ok(inventory)) => Whose::Others(format!("the service {}'s", inventory.address)),
                    Some(Err(_)) => Whose::Others("another service's".to_owned()),
                    // A killed run left it, or it was handed over.
                    None => Whose::Own,
                })
            }
            (Some(scope), None) if *scope == self.owner.scope => Ok(Whose::Own),
            (Some(_), _) => Ok(Whose::Others("another project's of orch".to_owned())),
            (None, _) => Ok(Whose::Others("not orch's".to_owned())),
        }
    }

    /// The template of a job cannot change: a job that is declared anew goes first.
    async fn replace_jobs(&self, wanted: &[KubeObject], inventory: &Inventory) -> Result<(), BackendError> {
        let before: Vec<KubeObject> = inventory
            .current
            .iter()
            .chain(&inventory.pending)
            .flat_map(|version| version.objects(&self.slot.namespace))
            .collect();
        let changed = |object: &&KubeObject| {
            let is_other = |old: &&KubeObject| old.id.is_same(&object.id) && old.json != object.json;
            object.id.kind == "Job" && object.id.group() == "batch" && before.iter().any(|old| is_other(&old))
        };
        self.delete(wanted.iter().filter(changed).cloned().collect()).await
    }

    /// Applies objects in one call for each namespace; an object of a kind that orch does not know gets its
    /// namespace from that.
    pub(super) async fn apply(&self, objects: &[KubeObject], version: &Version) -> Result<(), BackendError> {
        let mut groups: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for object in objects {
            let namespace = object.id.namespace.as_deref().unwrap_or(&self.slot.namespace);
            groups.entry(namespace).or_default().push(self.stamped(object, version.restart.as_ref()));
        }
        for (namespace, items) in groups {
            let input = one_after_the_other(&items);
            let mut args = vec!["apply", "--output=name", "--filename=-", "--field-manager=orch"];
            let within = format!("--namespace={namespace}");
            if !items_are_wide(objects) {
                args.push(&within);
            }
            if version.server_side {
                args.push("--server-side");
                args.extend(version.force.then_some("--force-conflicts"));
            }
            let doing = format!("apply the manifests of {}", self.what);
            self.kube.kubectl(&self.slot.cluster, &doing, &args, Some(input.as_bytes())).await?;
        }
        Ok(())
    }

    /// An object with what says whose it is.
    pub(super) fn stamped(&self, object: &KubeObject, restart: Option<&OpId>) -> Value {
        let mut value: Value = serde_json::from_str(object.json.reveal()).unwrap_or_default();
        put(&mut value, &["metadata", "labels"], SCOPE, &self.owner.scope);
        put(&mut value, &["metadata", "annotations"], INVENTORY, &self.slot.stamp());
        let has_template = matches!(&*object.id.kind, "Deployment" | "StatefulSet" | "DaemonSet");
        if let (true, Some(restart)) = (has_template, restart) {
            put(&mut value, &["spec", "template", "metadata", "annotations"], RESTART, restart.as_str());
        }
        value
    }

    async fn wait_for_kinds(&self, definitions: &[KubeObject]) -> Result<(), BackendError> {
        if definitions.is_empty() {
            return Ok(());
        }
        let mut args = vec!["wait".to_owned(), "--for=condition=Established".to_owned(), "--timeout=60s".to_owned()];
        args.extend(definitions.iter().map(|object| format!("customresourcedefinition/{}", object.id.name)));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.kube.kubectl(&self.slot.cluster, "wait for the kinds that are defined", &args, None).await.map(drop)
    }

    /// Deletes those of some objects that are orch's, from the last that was applied to the first, and waits until
    /// they are gone.
    pub(super) async fn delete(&self, mut objects: Vec<KubeObject>) -> Result<(), BackendError> {
        objects.retain(|object| {
            let value: Value = serde_json::from_str(object.json.reveal()).unwrap_or_default();
            annotation(&value, KEEP) != Some("true")
        });
        objects.sort_by_key(|object| std::cmp::Reverse(crate::backend::kube::rank(&object.id.kind)));
        let api = self.kube.api(&self.slot.cluster).await?;
        let looked = try_join_all(objects.iter().map(|object| async {
            let live = api.object(&object.id).await?;
            let kept = live.as_ref().is_some_and(|live| annotation(live, KEEP) == Some("true"));
            let own = self.whose(live.as_ref()).await? == Whose::Own;
            Ok::<_, BackendError>(own && !kept)
        }));
        let own = looked.await?;
        let items: Vec<Value> = objects
            .iter()
            .zip(own)
            .filter_map(|(object, own)| own.then(|| serde_json::from_str(object.json.reveal()).ok()).flatten())
            .collect();
        if items.is_empty() {
            return Ok(());
        }
        let input = one_after_the_other(&items);
        let args =
            ["delete", "--ignore-not-found", "--wait=true", "--cascade=foreground", "--output=name", "--filename=-"];
        let doing = format!("delete objects of {}", self.what);
        self.kube.kubectl(&self.slot.cluster, &doing, &args, Some(input.as_bytes())).await.map(drop)
    }

    /// Whether the server would take the objects, without doing anything: what depends on an object that is not
    /// there yet, such as its namespace, is not asked about.
    pub(super) async fn rehearse(&self, objects: &[KubeObject], server_side: bool) -> Result<(), BackendError> {
        let api = self.kube.api(&self.slot.cluster).await?;
        let live = try_join_all(objects.iter().map(|object| api.object(&object.id))).await?;
        for (object, live) in objects.iter().zip(&live) {
            if let Whose::Others(holder) = self.whose(live.as_ref()).await?
                && object.id.kind != "Namespace"
            {
                return Err(self.taken(&object.id, &holder));
            }
        }
        let (mut namespaces, mut kinds) = (Vec::new(), Vec::new());
        for (object, _) in objects.iter().zip(&live).filter(|(_, live)| live.is_none()) {
            let value: Value = serde_json::from_str(object.json.reveal()).unwrap_or_default();
            let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            match object.id.kind.as_str() {
                "Namespace" => namespaces.push(object.id.name.clone()),
                "CustomResourceDefinition" => kinds.push((text("/spec/group"), text("/spec/names/kind"))),
                _ => {}
            }
        }
        let can_be_asked = |(object, live): &(&KubeObject, &Option<Value>)| {
            let id = &object.id;
            let waits = id.namespace.as_ref().is_some_and(|namespace| namespaces.contains(namespace))
                || kinds.iter().any(|(group, kind)| group == id.group() && *kind == id.kind);
            // A job that changes is deleted and made anew.
            let is_made_anew = id.kind == "Job" && live.is_some();
            !waits && !is_made_anew
        };
        // As it would be applied: without its stamps, the server would take them away.
        let asked = objects.iter().zip(&live).filter(can_be_asked).map(|(object, _)| object);
        let asked: Vec<Value> = asked.map(|object| self.stamped(object, None)).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let input = one_after_the_other(&asked);
        let mut args = vec!["apply", "--dry-run=server", "--output=name", "--filename=-", "--field-manager=orch"];
        if server_side {
            // Whose a field is, is asked when it is applied.
            args.extend(["--server-side", "--force-conflicts"]);
        }
        let ended = self.kube.run(&self.slot.cluster, &args, Some(input.as_bytes())).await?;
        let doing = format!("plan the manifests of {}", self.what);
        if ended.is_success() { Ok(()) } else { Err(trouble(&doing, &said(&ended))) }
    }

    /// The objects with their workloads down, and those that can only be down by not being there.
    pub(super) fn lowered(&self, objects: Vec<KubeObject>) -> (Vec<KubeObject>, Vec<KubeObject>) {
        let (mut down, mut gone) = (Vec::new(), Vec::new());
        for object in objects {
            let field = match object.id.kind.as_str() {
                "Deployment" | "StatefulSet" | "ReplicaSet" => ("replicas", Value::from(0)),
                "CronJob" => ("suspend", Value::from(true)),
                "DaemonSet" | "Job" | "Pod" => {
                    gone.push(object);
                    continue;
                }
                _ => continue,
            };
            let mut value: Value = serde_json::from_str(object.json.reveal()).unwrap_or_default();
            if let Some(Value::Object(spec)) = value.get_mut("spec") {
                spec.insert(field.0.to_owned(), field.1);
            }
            down.extend(crate::backend::kube::object(value, &self.slot.namespace));
        }
        (down, gone)
    }
}

/// Whether none of some objects is in a namespace, so that none need be named.
fn items_are_wide(objects: &[KubeObject]) -> bool {
    objects.iter().all(|object| object.id.namespace.is_none())
}

fn one_after_the_other(items: &[Value]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Puts a text into a map within an object, which is made where there is none.
fn put(value: &mut Value, path: &[&str], key: &str, text: &str) {
    let mut at = value;
    for part in path {
        let Value::Object(map) = at else { return };
        let below = map.entry((*part).to_owned()).or_insert_with(|| Value::Object(Map::new()));
        if below.is_null() {
            *below = Value::Object(Map::new());
        }
        at = below;
    }
    if let Value::Object(map) = at {
        map.insert(key.to_owned(), text.into());
    }
}
