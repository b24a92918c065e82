//! What orch keeps in the cluster of a service: which objects are its, in which version, and the version before.
//!
//! It is one Secret in the namespace of the service, since manifests may hold secrets. An intent is in it before any
//! object changes: `pending` is the version that is being applied. So whatever a killed run left is known, objects
//! that it made are found and taken away, and what a rollback needs is there.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::backend::BackendError;
use crate::backend::kube::{Kube, object};
use crate::model::{Address, Digest, KubeCluster, KubeId, KubeObject, OpId, ProjectName};

/// The label that tells the objects of one state folder from those of another.
pub(super) const SCOPE: &str = "orch.dev/scope";
/// The label that says what an inventory is.
pub(super) const ROLE: &str = "orch.dev/role";
/// The annotation of an object that names the inventory it is in, `NAMESPACE/NAME`.
pub(super) const INVENTORY: &str = "orch.dev/inventory";
const PROJECT: &str = "orch.dev/project";
const ADDRESS: &str = "orch.dev/address";
const OP: &str = "orch.dev/op";
const REVISION: &str = "orch.dev/revision";
/// Who writes inventories: no field of theirs is anyone else's.
const MANAGER: &str = "--field-manager=orch-inventory";
/// How large a kept version may get when it is unpacked, in bytes.
const MOST: u64 = 64 << 20;

/// What is known of a service in its cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Inventory {
    /// The service's address.
    pub(super) address: Address,
    /// What was applied last, to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<Version>,
    /// What was applied before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Version>,
    /// What is being applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<Version>,
    /// Objects that a version may have made that was begun and not ended, and that no other version has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) leftovers: Vec<Value>,
    /// Whether its workloads are meant to be down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) stopped: bool,
    /// When this was last written.
    pub(super) since: Timestamp,
}

/// A version of a service: manifests, and how they are applied.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) op_id: OpId,
    pub(super) revision: Digest,
    /// The objects as they are declared.
    pub(super) objects: Vec<Value>,
    pub(super) prune: bool,
    pub(super) server_side: bool,
    pub(super) force: bool,
    /// The attempt that last asked for new pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) restart: Option<OpId>,
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Version({}, {} objects)", self.op_id, self.objects.len())
    }
}

impl Version {
    /// The objects of it.
    pub(super) fn objects(&self, namespace: &str) -> Vec<KubeObject> {
        // What was kept was an object when it was.
        self.objects.iter().filter_map(|value| object(value.clone(), namespace).ok()).collect()
    }
}

impl Inventory {
    /// What it stands for: what was applied to its end, else what a killed run began.
    pub(super) fn stands_for(&self) -> Option<&Version> {
        self.current.as_ref().or(self.pending.as_ref())
    }

    /// Every object that may be there because of it, each once.
    pub(super) fn every(&self, namespace: &str) -> Vec<KubeObject> {
        let mut found: Vec<KubeObject> = Vec::new();
        let versions = [&self.pending, &self.current, &self.previous].into_iter().flatten();
        let leftovers = self.leftovers.iter().filter_map(|value| object(value.clone(), namespace).ok());
        for object in versions.flat_map(|version| version.objects(namespace)).chain(leftovers) {
            if !found.iter().any(|known| known.id.is_same(&object.id)) {
                found.push(object);
            }
        }
        found
    }
}

/// Where an inventory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) cluster: KubeCluster,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// Whose inventories are written.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) project: ProjectName,
    pub(super) scope: String,
}

/// An inventory that was found: its name, and what is in it where that can be read.
pub(super) type Found = (String, Result<Inventory, Broken>);

/// What can be said of an inventory that cannot be read.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    pub(super) address: Option<Address>,
    pub(super) op_id: OpId,
    pub(super) why: String,
}

impl Slot {
    /// The slot of a service that has none yet. The attempt is in its name, so that a service that took over
    /// another's name does not meet the other's inventory.
    pub(super) fn new(cluster: &KubeCluster, namespace: &str, address: &Address, op_id: &OpId) -> Self {
        let word: String = address
            .to_string()
            .to_ascii_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(40)
            .collect();
        let word = word.trim_matches('-');
        let name = format!("orch-{word}-{}", Digest::of(op_id.as_str().as_bytes()).short());
        Self { cluster: cluster.clone(), namespace: namespace.to_owned(), name }
    }

    /// What objects say they are in.
    pub(super) fn stamp(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The Secret itself.
    pub(super) fn id(&self) -> KubeId {
        KubeId {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            namespace: Some(self.namespace.clone()),
            name: self.name.clone(),
        }
    }

    /// Reads it; `None` where it is not there, or not orch's.
    pub(super) async fn read(
        &self,
        kube: &Kube,
        owner: &Owner,
    ) -> Result<Option<Result<Inventory, Broken>>, BackendError> {
        let found = kube.api(&self.cluster).await?.object(&self.id()).await?;
        let own = |value: &Value| label(value, SCOPE) == Some(&owner.scope) && label(value, ROLE) == Some("inventory");
        Ok(found.filter(own).map(|value| unpack(&value)))
    }

    /// Writes it.
    pub(super) async fn write(&self, kube: &Kube, owner: &Owner, inventory: &Inventory) -> Result<(), BackendError> {
        let secret = pack(self, owner, inventory)?;
        let args = ["apply", "--server-side", "--force-conflicts", MANAGER, "--output=name", "--filename=-"];
        let doing = format!("keep what is applied of {}", inventory.address);
        kube.kubectl(&self.cluster, &doing, &args, Some(secret.as_bytes())).await.map(drop)
    }

    /// Forgets it.
    pub(super) async fn delete(&self, kube: &Kube) -> Result<(), BackendError> {
        let namespace = format!("--namespace={}", self.namespace);
        let args = ["delete", "secret", &self.name, &namespace, "--ignore-not-found", "--wait=true"];
        kube.kubectl(&self.cluster, "forget what was applied", &args, None).await.map(drop)
    }
}

/// The inventories of a state folder in a namespace, or in all that may be read.
pub(super) async fn list(
    kube: &Kube,
    cluster: &KubeCluster,
    namespace: &str,
    owner: &Owner,
) -> Result<Vec<Found>, BackendError> {
    let path = format!(
        "/api/v1/namespaces/{namespace}/secrets?labelSelector={}%3D{},{}%3Dinventory",
        SCOPE.replace('/', "%2F"),
        owner.scope,
        ROLE.replace('/', "%2F")
    );
    let found = kube.api(cluster).await?.list(&path).await?;
    let name = |value: &Value| Some(value.pointer("/metadata/name")?.as_str()?.to_owned());
    Ok(found.iter().filter_map(|value| Some((name(value)?, unpack(value)))).collect())
}

pub(super) fn label<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.pointer("/metadata/labels")?.get(key)?.as_str()
}

pub(super) fn annotation<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.pointer("/metadata/annotations")?.get(key)?.as_str()
}

fn pack(slot: &Slot, owner: &Owner, inventory: &Inventory) -> Result<String, BackendError> {
    let failed = |error: &dyn std::fmt::Display| BackendError::new(format!("cannot pack an inventory: {error}"));
    let text = serde_json::to_vec(inventory).map_err(|error| failed(&error))?;
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    let packed = packer.write_all(&text).and_then(|()| packer.finish()).map_err(|error| failed(&error))?;
    let names = inventory.every(&slot.namespace);
    let names: Vec<String> = names.iter().map(|object| format!("{} {}", object.id.api_version, object.id)).collect();
    let version = inventory.stands_for();
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "orch.dev/inventory",
        "metadata": {
            "name": slot.name,
            "namespace": slot.namespace,
            "labels": { SCOPE: owner.scope, ROLE: "inventory" },
            "annotations": {
                PROJECT: owner.project.as_str(),
                ADDRESS: inventory.address.to_string(),
                OP: version.map(|version| version.op_id.as_str()).unwrap_or_default(),
                REVISION: version.map(|version| version.revision.to_string()).unwrap_or_default(),
            },
        },
        "data": { "inventory": STANDARD.encode(packed), "objects": STANDARD.encode(names.join("\n")) },
    });
    Ok(secret.to_string())
}

fn unpack(secret: &Value) -> Result<Inventory, Broken> {
    let broken = |why: String| Broken {
        address: annotation(secret, ADDRESS).and_then(|text| text.parse().ok()),
        op_id: OpId::new(annotation(secret, OP).unwrap_or_default()),
        why,
    };
    let data = secret.pointer("/data/inventory").and_then(Value::as_str).ok_or_else(|| broken("it is empty".into()))?;
    let packed = STANDARD.decode(data).map_err(|error| broken(error.to_string()))?;
    let mut text = Vec::new();
    GzDecoder::new(packed.as_slice()).take(MOST).read_to_end(&mut text).map_err(|error| broken(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory() -> Inventory {
        let objects =
            vec![json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "eA=="}})];
        let version = |op: &str| Version {
            op_id: OpId::new(op),
            revision: Digest::of(op.as_bytes()),
            objects: objects.clone(),
            prune: true,
            server_side: true,
            force: false,
            restart: None,
        };
        Inventory {
            address: "web".parse().unwrap(),
            current: Some(version("run.1")),
            previous: None,
            pending: Some(version("run.2")),
            leftovers: objects.clone(),
            stopped: false,
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_inventory_reads_back_and_says_whose_it_is() {
        let cluster = KubeCluster::default();
        let inventory = inventory();
        let slot = Slot::new(&cluster, "shop", &inventory.address, &OpId::new("run.1"));
        let owner = Owner { project: ProjectName::new("shop").unwrap(), scope: "abc".to_owned() };
        let secret: Value = serde_json::from_str(&pack(&slot, &owner, &inventory).unwrap()).unwrap();
        assert_eq!(label(&secret, SCOPE), Some("abc"));
        assert_eq!(annotation(&secret, ADDRESS), Some("web"));
        assert_eq!(annotation(&secret, OP), Some("run.1"));
        let read = unpack(&secret).unwrap();
        assert_eq!(read.current.unwrap().op_id, inventory.current.unwrap().op_id);
        assert_eq!(read.pending.unwrap().objects, inventory.pending.unwrap().objects);
        let mut damaged = secret.clone();
        damaged["data"]["inventory"] = "AAAA".into();
        let broken = unpack(&damaged).unwrap_err();
        assert_eq!((broken.address, broken.op_id.as_str()), (Some("web".parse().unwrap()), "run.1"));
    }

    #[test]
    fn objects_of_several_versions_are_counted_once() {
        assert_eq!(inventory().every("shop").len(), 1);
    }
}
