//! What the backends of Kubernetes stand on: `kubectl`, manifests, rollouts, drift and forwarded ports.
//!
//! Everything goes through `kubectl`, so that clusters and credentials are exactly those that a person has on the
//! command line: kubeconfig, contexts, credential plugins. [`Kube`] is one for a whole project; clusters are named
//! with each call.

mod api;
mod context;
mod drift;
mod evidence;
mod forward;
mod inside;
mod manifest;
mod pods;
mod reach;
mod rollout;
mod tool;
mod trouble;
mod workload;
mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

pub use api::Api;
pub use drift::{Difference, differences};
pub use forward::Forward;
pub use manifest::{identity, is_cluster_wide, object, objects, rank, sorted};
pub use rollout::{Pod, Rollout, Seen, Verdict};
pub(in crate::backend) use tool::hear;
#[cfg(test)]
pub(in crate::backend) use tool::until;
pub use tool::{Ended, Tool};
pub use trouble::{is_not_found, is_unauthorized, is_unreachable, trouble};
pub use yaml::to_yaml;

use context::Current;

use super::BackendError;
use crate::model::KubeCluster;

/// The oldest `kubectl` that will do, by its minor version: server-side apply with field managers.
const OLDEST: u32 = 22;

/// The clusters of a project.
pub struct Kube {
    env: BTreeMap<String, String>,
    /// `kubectl`, once its version is known to do.
    kubectl: OnceCell<Tool>,
    apis: Mutex<BTreeMap<KubeCluster, Arc<Api>>>,
    /// The clusters that were asked for without a context, with the one that was the current one.
    resolved: Mutex<BTreeMap<KubeCluster, KubeCluster>>,
}

impl Kube {
    /// Takes orch's own environment, in which kubectl is looked for and runs; starts nothing yet.
    #[must_use]
    pub fn new(env: BTreeMap<String, String>) -> Self {
        Self { env, kubectl: OnceCell::new(), apis: Mutex::default(), resolved: Mutex::default() }
    }

    /// The environment that the tools get.
    #[must_use]
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// `kubectl`, once it is found and its version will do.
    ///
    /// # Errors
    /// When it is not in `PATH`, does not run, or is too old.
    pub async fn tool(&self) -> Result<&Tool, BackendError> {
        self.kubectl
            .get_or_try_init(|| async {
                let tool = self.found()?;
                let ended = tool.run(["version", "--client", "--output=json"], None).await?;
                check_version(&ended)?;
                Ok(tool)
            })
            .await
    }

    fn found(&self) -> Result<Tool, BackendError> {
        Tool::find("kubectl", &self.env).ok_or_else(|| {
            BackendError::new("`kubectl` is not in PATH")
                .with_hint("install kubectl (https://kubernetes.io/docs/tasks/tools/), and see that PATH has it")
        })
    }

    /// Does what only looks beside finding out whether the version will do.
    async fn beside_check<T>(&self, look: impl Future<Output = Result<T, BackendError>>) -> Result<T, BackendError> {
        // What is wrong with the version also tells why looking failed, so that it is told first.
        let (tool, looked) = tokio::join!(self.tool(), look);
        tool?;
        looked
    }

    /// A cluster with its context: which one is the current one may change while orch is at work, and from one
    /// apply to the next.
    ///
    /// # Errors
    /// When kubectl cannot run.
    pub async fn resolved(&self, cluster: &KubeCluster) -> Result<KubeCluster, BackendError> {
        if cluster.context.is_some() {
            return Ok(cluster.clone());
        }
        let mut resolved = self.resolved.lock().await;
        if let Some(known) = resolved.get(cluster) {
            return Ok(known.clone());
        }
        let context = match context::current(cluster, &self.env) {
            Current::Known(context) => context,
            Current::Unclear => {
                let ended = self.run(cluster, &["config", "current-context"], None).await?;
                Some(ended.text().trim().to_owned()).filter(|name| ended.is_success() && !name.is_empty())
            }
        };
        let with_context = KubeCluster { context, ..cluster.clone() };
        resolved.insert(cluster.clone(), with_context.clone());
        Ok(with_context)
    }

    /// Runs `kubectl` against a cluster; what it wrote. `doing` says what for: `apply the manifests of web`.
    ///
    /// # Errors
    /// When it cannot run, or fails: in its own words, with a hint.
    pub async fn kubectl(
        &self,
        cluster: &KubeCluster,
        doing: &str,
        args: &[&str],
        stdin: Option<&[u8]>,
    ) -> Result<String, BackendError> {
        let ended = self.run(cluster, args, stdin).await?;
        if ended.is_success() { Ok(ended.text()) } else { Err(trouble(doing, &said(&ended))) }
    }

    /// Runs `kubectl` against a cluster to its end, whatever that is.
    ///
    /// # Errors
    /// When it cannot run.
    pub async fn run(&self, cluster: &KubeCluster, args: &[&str], stdin: Option<&[u8]>) -> Result<Ended, BackendError> {
        let mut all = flags(cluster);
        all.extend(args.iter().map(|&arg| arg.to_owned()));
        self.tool().await?.run(all, stdin).await
    }

    /// The API of a cluster, to look with; one for all who ask.
    ///
    /// # Errors
    /// When kubectl cannot run, or does not take the kubeconfig.
    pub async fn api(&self, cluster: &KubeCluster) -> Result<Arc<Api>, BackendError> {
        let mut apis = self.apis.lock().await;
        if let Some(api) = apis.get(cluster).filter(|api| api.is_alive()) {
            return Ok(api.clone());
        }
        let api = self.beside_check(Api::start(&self.found()?, &flags(cluster))).await?;
        apis.insert(cluster.clone(), api.clone());
        Ok(api)
    }

    /// How far workloads are: those of `wanted` that are no workload are taken as ready.
    ///
    /// # Errors
    /// When the cluster cannot be asked.
    pub async fn rollout(
        &self,
        cluster: &KubeCluster,
        wanted: &[crate::model::KubeId],
    ) -> Result<Rollout, BackendError> {
        rollout::look(&*self.api(cluster).await?, wanted).await
    }

    /// Events and the last log lines of what a rollout has, the worst first, for a person.
    ///
    /// # Errors
    /// When the cluster cannot be asked.
    pub async fn evidence(
        &self,
        cluster: &KubeCluster,
        rollout: &Rollout,
        lines: usize,
    ) -> Result<Vec<String>, BackendError> {
        evidence::gather(&*self.api(cluster).await?, rollout, lines).await
    }

    /// What objects would become if they were applied as `manager`, as the server says without doing it; with what
    /// they are now, `None` for those that are not there.
    ///
    /// # Errors
    /// When the cluster cannot be asked, or refuses one of them.
    pub async fn drift(
        &self,
        cluster: &KubeCluster,
        objects: &[crate::model::KubeObject],
        manager: &str,
    ) -> Result<Vec<Difference>, BackendError> {
        drift::find(self, cluster, objects, manager).await
    }
}

/// The arguments that say which cluster.
#[must_use]
pub fn flags(cluster: &KubeCluster) -> Vec<String> {
    let kubeconfig = cluster.kubeconfig.iter().map(|path| format!("--kubeconfig={path}"));
    kubeconfig.chain(cluster.context.iter().map(|name| format!("--context={name}"))).collect()
}

/// What a tool says of its failure.
pub(in crate::backend) fn said(ended: &Ended) -> String {
    match (ended.stderr.is_empty(), ended.code) {
        (false, _) => ended.stderr.clone(),
        (true, Some(_)) => ended.text().trim().to_owned(),
        (true, None) => "a signal ended it".to_owned(),
    }
}

fn check_version(ended: &Ended) -> Result<(), BackendError> {
    let hint = "install kubectl 1.22 or later (https://kubernetes.io/docs/tasks/tools/)";
    let version: Option<Value> = serde_json::from_slice(&ended.stdout).ok();
    let client = version.as_ref().and_then(|version| version.get("clientVersion"));
    let part = |key: &str| -> Option<u32> {
        let text = client?.get(key)?.as_str()?;
        text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()
    };
    match (part("major"), part("minor")) {
        (Some(major), Some(minor)) if (major, minor) >= (1, OLDEST) => Ok(()),
        (Some(major), Some(minor)) => {
            let message = format!("`kubectl` is version {major}.{minor}, and 1.{OLDEST} or later is needed");
            Err(BackendError::new(message).with_hint(hint))
        }
        _ => {
            Err(BackendError::new(format!("`kubectl version` does not say its version: {}", said(ended)))
                .with_hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kubectl_is_refused_and_one_that_says_nothing_too() {
        let ended = |text: &str| Ended { code: Some(0), stdout: text.as_bytes().to_vec(), stderr: String::new() };
        let version =
            |minor: &str| ended(&format!("{{\"clientVersion\": {{\"major\": \"1\", \"minor\": \"{minor}\"}}}}"));
        assert!(check_version(&version("33+")).is_ok());
        assert!(check_version(&version("22")).is_ok());
        assert!(check_version(&version("21")).unwrap_err().message.contains("1.21"));
        assert!(check_version(&ended("Client Version: v0.9")).unwrap_err().message.contains("v0.9"));
    }
}
