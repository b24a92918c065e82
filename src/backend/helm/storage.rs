//! Where Helm keeps releases: a Secret (or a ConfigMap) of the namespace for each revision.
//!
//! It is only read here. What `helm history` and `helm get` say of one release each, one request says of all,
//! with the labels, which hold the stamps.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::backend::BackendError;
use crate::backend::kube::{self, Kube};
use crate::model::{KubeCluster, KubeObject};

/// How large a release may be when it is unpacked, in bytes: what is kept is at most a megabyte.
const LARGEST: u64 = 256 << 20;

/// A revision of a release, as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// The release.
    pub(super) release: String,
    /// The namespace that it is in.
    pub(super) namespace: String,
    /// The number of the revision, from 1.
    pub(super) number: u32,
    /// What Helm says of it: `deployed`, `superseded`, `failed`, `pending-upgrade` ...
    pub(super) status: String,
    /// What holds it, as kubectl names it: `secret/sh.helm.release.v1.web.v1`.
    pub(super) object: String,
    pub(super) labels: BTreeMap<String, String>,
    /// When it was last written.
    pub(super) written: Option<Timestamp>,
    content: Vec<u8>,
}

/// What a revision consists of.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Content {
    pub(super) manifest: String,
    pub(super) info: Info,
    chart: Chart,
    pub(super) apply_method: String,
}

/// What Helm says of a revision.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    pub(super) description: String,
    pub(super) last_deployed: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Chart {
    metadata: Metadata,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    version: String,
}

impl Stored {
    /// Whether an operation on it has begun and not ended.
    pub(super) fn is_pending(&self) -> bool {
        self.status.starts_with("pending-") || self.status == "uninstalling"
    }

    /// Whether it was deployed once.
    pub(super) fn was_deployed(&self) -> bool {
        matches!(self.status.as_str(), "deployed" | "superseded")
    }

    /// Takes it apart.
    pub(super) fn content(&self) -> Result<Content, BackendError> {
        let broken = |error: &dyn std::fmt::Display| {
            let Self { release, namespace, number, .. } = self;
            BackendError::new(format!("revision {number} of the release {namespace}/{release} cannot be read: {error}"))
                .with_hint(format!("see `helm get all --revision {number} --namespace {namespace} {release}`"))
        };
        let packed = BASE64.decode(&self.content).map_err(|error| broken(&error))?;
        let mut json = Vec::new();
        if packed.starts_with(&[0x1f, 0x8b]) {
            GzDecoder::new(&*packed).take(LARGEST).read_to_end(&mut json).map_err(|error| broken(&error))?;
        } else {
            json = packed;
        }
        serde_json::from_slice(&json).map_err(|error| broken(&error))
    }

    fn read(value: &Value, kind: Kind) -> Option<Self> {
        let metadata = value.get("metadata")?;
        let text = |key: &str| metadata.get(key)?.as_str().map(str::to_owned);
        let labels = metadata.get("labels").and_then(Value::as_object)?;
        let labels: BTreeMap<String, String> =
            labels.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        let content = value.pointer("/data/release").and_then(Value::as_str).unwrap_or_default().as_bytes();
        let content = match kind {
            Kind::Secret => BASE64.decode(content).ok()?,
            Kind::ConfigMap => content.to_vec(),
        };
        let seconds = |key: &str| labels.get(key).and_then(|at| Timestamp::from_second(at.parse().ok()?).ok());
        Some(Self {
            release: labels.get("name")?.clone(),
            namespace: text("namespace")?,
            number: labels.get("version")?.parse().ok()?,
            status: labels.get("status")?.clone(),
            object: format!("{}/{}", kind.word(), text("name")?),
            written: seconds("modifiedAt").or_else(|| seconds("createdAt")),
            labels,
            content,
        })
    }
}

impl Content {
    /// The objects that it deploys.
    pub(super) fn objects(&self, namespace: &str) -> Result<Vec<KubeObject>, BackendError> {
        kube::objects(&self.manifest, namespace)
            .map_err(|reason| BackendError::new(format!("the manifest of the release cannot be read: {reason}")))
    }

    /// The chart, as Helm writes it: `web-1.2.0`.
    pub(super) fn chart(&self) -> String {
        format!("{}-{}", self.chart.metadata.name, self.chart.metadata.version)
    }

    /// The version of the chart.
    pub(super) fn version(&self) -> &str {
        &self.chart.metadata.version
    }
}

/// What holds a revision.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Secret,
    ConfigMap,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::ConfigMap => "configmap",
        }
    }
}

/// Which revisions are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// All of one release.
    All(&'a str),
    /// Those of one release that count: the deployed one, and what came after it.
    Current(&'a str),
    /// Those that count of each release with a stamp of this scope.
    Stamped(&'a str),
}

/// The revisions of releases in a namespace (or in all of them), the newest last.
pub(super) async fn list(
    kube: &Kube,
    cluster: &KubeCluster,
    namespace: Option<&str>,
    which: Which<'_>,
) -> Result<Vec<Stored>, BackendError> {
    let kind = match kube.env().get("HELM_DRIVER").map(String::as_str) {
        None | Some("" | "secret" | "secrets") => Kind::Secret,
        Some("configmap" | "configmaps") => Kind::ConfigMap,
        Some(other) => {
            return Err(BackendError::new(format!("orch cannot look at releases that Helm keeps in `{other}`"))
                .with_hint("unset HELM_DRIVER, or set it to `secret` or `configmap`"));
        }
    };
    let selector = match which {
        Which::All(release) => format!("owner=helm,name={release}"),
        Which::Current(release) => format!("owner=helm,status!=superseded,name={release}"),
        Which::Stamped(scope) => format!("owner=helm,status!=superseded,{}={scope}", super::stamp::SCOPE),
    };
    let within = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
    let path = format!("/api/v1{within}/{}s?labelSelector={}", kind.word(), encoded(&selector));
    let mut found: Vec<Stored> =
        kube.api(cluster).await?.list(&path).await?.iter().filter_map(|value| Stored::read(value, kind)).collect();
    found.sort_by(|a, b| (&a.namespace, &a.release, a.number).cmp(&(&b.namespace, &b.release, b.number)));
    Ok(found)
}

/// The newest revision of each release.
pub(super) fn newest(stored: Vec<Stored>) -> Vec<Stored> {
    let mut newest: Vec<Stored> = Vec::new();
    for one in stored {
        newest.retain(|other| (&other.namespace, &other.release) != (&one.namespace, &one.release));
        newest.push(one);
    }
    newest
}

/// A selector as a part of an address.
fn encoded(selector: &str) -> String {
    selector.replace('!', "%21").replace('=', "%3D").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn kept(content: &str) -> Value {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(content.as_bytes()).unwrap();
        let packed = BASE64.encode(BASE64.encode(packed.finish().unwrap()));
        serde_json::json!({
            "metadata": {"name": "sh.helm.release.v1.web.v2", "namespace": "shop",
                "labels": {"name": "web", "owner": "helm", "status": "deployed", "version": "2", "modifiedAt": "5"}},
            "data": {"release": packed},
        })
    }

    #[test]
    fn a_kept_revision_is_taken_apart() {
        let text = r#"{"manifest": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n", "chart": {"metadata":
            {"name": "web", "version": "1.2.0"}}, "info": {"description": "Upgrade complete"}, "apply_method": "ssa"}"#;
        let stored = Stored::read(&kept(text), Kind::Secret).unwrap();
        assert_eq!((stored.number, stored.object.as_str()), (2, "secret/sh.helm.release.v1.web.v2"));
        assert!(stored.was_deployed() && !stored.is_pending());
        let content = stored.content().unwrap();
        assert_eq!((content.chart().as_str(), content.apply_method.as_str()), ("web-1.2.0", "ssa"));
        assert_eq!(content.objects("shop").unwrap()[0].id.to_string(), "ConfigMap/shop/a");
        let broken = Stored::read(&kept("{"), Kind::Secret).unwrap().content().unwrap_err();
        assert!(broken.message.contains("revision 2 of the release shop/web"), "{broken}");
    }

    #[test]
    fn of_each_release_the_newest_counts() {
        let one = Stored::read(&kept("{}"), Kind::Secret).unwrap();
        let list = vec![Stored { number: 1, ..one.clone() }, one.clone(), Stored { release: "api".into(), ..one }];
        let numbers: Vec<_> = newest(list).into_iter().map(|one| (one.release, one.number)).collect();
        assert_eq!(numbers, [("web".to_owned(), 2), ("api".to_owned(), 2)]);
    }
}
