//! The objects that manifests come to: files as they are, folders and addresses as kubectl reads them.

use futures_util::future::try_join_all;

use super::apply::Target;
use super::inventory::Slot;
use super::{KubernetesBackend, find};
use crate::backend::BackendError;
use crate::backend::kube::{objects, sorted};
use crate::model::{Address, KubeObject, KubernetesSpec, Manifest, OpId, Service, Spec};

impl KubernetesBackend {
    /// A service with its objects, once the server says that it would take them.
    pub(super) async fn rendered(&self, service: &Service) -> Result<Spec, BackendError> {
        let Spec::Kubernetes(spec) = &service.spec else {
            return Err(BackendError::new("kubernetes takes manifests, not this"));
        };
        let read = try_join_all(spec.manifests.iter().map(|manifest| self.declared(spec, manifest))).await?;
        let objects = sorted(read.into_iter().flatten().collect());
        for pair in objects.windows(2) {
            if pair[0].id.is_same(&pair[1].id) {
                return Err(BackendError::new(format!("the manifests have {} twice", pair[0].id))
                    .with_hint("keep one of the two"));
            }
        }
        if objects.is_empty() {
            return Err(BackendError::new("the manifests have no object").with_hint("correct `manifests`"));
        }
        let address = Address::only(service.name.clone());
        let before = service.renamed_from.clone().map(Address::only);
        let inventories = self.known(&spec.cluster, &spec.namespace).await?;
        let found = find(&inventories, &address).or_else(|| find(&inventories, before.as_ref()?));
        let known = found.map(|(name, _)| name.clone());
        let new = Slot::new(&spec.cluster, &spec.namespace, &address, &OpId::new("none"));
        let slot = Slot { name: known.unwrap_or_else(|| new.name.clone()), ..new };
        let target = Target { kube: &self.kube, owner: &self.owner, slot: &slot, what: service.name.to_string() };
        target.rehearse(&objects, spec.server_side).await?;
        Ok(Spec::Kubernetes(Box::new(KubernetesSpec { objects: Some(objects), ..(**spec).clone() })))
    }

    async fn declared(&self, spec: &KubernetesSpec, manifest: &Manifest) -> Result<Vec<KubeObject>, BackendError> {
        let (name, text) = match manifest {
            Manifest::File { path, content } => (path.clone(), content.reveal().to_owned()),
            Manifest::Kustomize(folder) => {
                let name = folder.display().to_string();
                let tool = self.kube.tool().await?;
                let ended = tool.run(["kustomize", name.as_str()], None).await?;
                if !ended.is_success() {
                    let doing = format!("build {name}");
                    return Err(crate::backend::kube::trouble(&doing, &crate::backend::kube::said(&ended)));
                }
                (name, ended.text())
            }
            Manifest::Url(url) => {
                // `--local` has kubectl fetch and read it, and ask no cluster; the annotation is nobody's.
                let args = ["annotate", "--local", "--output=json", "orch.dev/nothing-", "--filename", url.as_str()];
                let ended = self.kube.tool().await?.run(args, None).await?;
                if !ended.is_success() {
                    let doing = format!("read {url}");
                    return Err(crate::backend::kube::trouble(&doing, &crate::backend::kube::said(&ended)));
                }
                (url.clone(), documents(&ended.stdout))
            }
        };
        objects(&text, &spec.namespace).map_err(|reason| {
            BackendError::new(format!("cannot read the manifest {name}: {reason}")).with_hint("correct it")
        })
    }
}

/// What kubectl printed one after the other as one list, without the empty map that it left in each.
fn documents(stdout: &[u8]) -> String {
    use serde_json::Value;
    let values = serde_json::Deserializer::from_slice(stdout).into_iter::<Value>().map_while(Result::ok);
    let cleaned = values.map(|mut value| {
        if let Some(Value::Object(metadata)) = value.get_mut("metadata")
            && metadata.get("annotations").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
        {
            metadata.remove("annotations");
        }
        value
    });
    Value::from_iter([
        ("apiVersion", Value::from("v1")),
        ("kind", Value::from("List")),
        ("items", Value::Array(cleaned.collect())),
    ])
    .to_string()
}
