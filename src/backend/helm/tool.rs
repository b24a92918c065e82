//! `helm` as a child.
//!
//! What only looks runs like any other tool. What changes a release is marked while it runs: Helm itself has no
//! lock that tells who holds it, only a revision that is pending. A shell reads the values, runs Helm with them and
//! waits for it; the mark, with the process group of the two, is written before the shell is told to go on. So a
//! Helm that outlives a killed orch is never unseen, and one that was killed is known to be gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::Child;
use tokio::sync::OnceCell;

use crate::backend::BackendError;
use crate::backend::kube::{Ended, Tool, hear, trouble};
use crate::model::{Digest, KubeCluster, ObjectId};
use crate::sys::{self, Durability, Identity};

/// The oldest Helm that will do: labels on releases, and a dry run on the server.
const OLDEST: (u32, u32) = (3, 13);
/// The newest major version that is known.
const NEWEST: u32 = 4;
/// Where to get Helm.
const INSTALL: &str = "install Helm 3.13 or later, or Helm 4 (https://helm.sh/docs/intro/install/)";
/// How often a Helm of an earlier run is looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs Helm once it has read all of the values, which are one line. A line that ends without its line break was
/// cut short: then whoever wrote it is gone, and Helm must not go on with half of the values.
const SCRIPT: &str = "IFS= read -r v || exit 97; printf '%s\\n' \"$v\" | \"$@\"";

/// `helm`, looked for in orch's own environment once it is needed; one for all that use it.
pub struct Helm {
    env: BTreeMap<String, String>,
    found: OnceCell<Found>,
}

/// A `helm` whose version will do.
#[derive(Debug, Clone)]
struct Found {
    tool: Tool,
    major: u32,
}

/// Who changes a release.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    /// The shell, which leads its process group.
    shell: Identity,
}

impl Helm {
    /// Takes orch's own environment; starts nothing yet.
    #[must_use]
    pub fn new(env: BTreeMap<String, String>) -> Self {
        Self { env, found: OnceCell::new() }
    }

    fn find(&self) -> Result<Tool, BackendError> {
        Tool::find("helm", &self.env).ok_or_else(|| BackendError::new("`helm` is not in PATH").with_hint(INSTALL))
    }

    /// It, once its version will do.
    async fn checked(&self) -> Result<&Found, BackendError> {
        self.found
            .get_or_try_init(|| async {
                let tool = self.find()?;
                let ended = tool.run(["version", "--template", "{{.Version}}"], None).await?;
                let said = ended.text();
                let (major, minor) = version(&said).ok_or_else(|| {
                    let said = if ended.stderr.is_empty() { said.trim() } else { &ended.stderr };
                    BackendError::new(format!("`helm version` does not say its version: {said}")).with_hint(INSTALL)
                })?;
                if (major, minor) < OLDEST || major > NEWEST {
                    let message = format!("`helm` is version {major}.{minor}, and 3.13 or later, or 4, is needed");
                    return Err(BackendError::new(message).with_hint(INSTALL));
                }
                Ok(Found { tool, major })
            })
            .await
    }

    /// Its major version.
    pub(super) async fn major(&self) -> Result<u32, BackendError> {
        Ok(self.checked().await?.major)
    }

    /// Runs what only looks, the first time beside finding out whether the version will do.
    pub(super) async fn look(&self, args: &[String], stdin: Option<&str>) -> Result<Ended, BackendError> {
        let tool = self.find()?;
        // What is wrong with the version also tells why looking failed, so that it is told first.
        let (checked, looked) = tokio::join!(self.checked(), tool.run(args, stdin.map(str::as_bytes)));
        checked?;
        looked
    }

    /// Runs what changes a release, marked by `mark` for as long as it runs. `values` is one line.
    pub(super) async fn change(&self, args: &[String], values: &str, mark: &Path) -> Result<Ended, BackendError> {
        let failed = |error: std::io::Error| BackendError::new(format!("cannot run helm: {error}"));
        let tool = &self.checked().await?.tool;
        let shell = Tool { program: PathBuf::from("/bin/sh"), env: tool.env.clone() };
        let mut command = shell.command();
        command.args(["-c", SCRIPT, "sh"]).arg(&tool.program).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running(Some(command.spawn().map_err(failed)?));
        let Some(child) = running.0.as_mut() else { return Err(BackendError::new("helm is gone")) };
        let input = child.stdin.take();
        let Some(shell) = child.id().and_then(Identity::of) else {
            return Err(BackendError::new("cannot run helm: its shell ended at once"));
        };
        let text = serde_json::to_vec(&Mark { shell }).unwrap_or_default();
        let marked = mark.parent().map_or(Ok(()), sys::create_private_dir);
        let marked = marked.and_then(|()| sys::write_atomic(mark, &text, Durability::Atomic));
        marked.map_err(|error| BackendError::new(format!("cannot write {}: {error}", mark.display())))?;
        crate::crash_point!("helm.marked");
        let write = async {
            if let Some(mut input) = input {
                // A shell that ended early does not read all of it; how it ended says more than that.
                let _ = input.write_all(values.as_bytes()).await;
                let _ = input.write_all(b"\n").await;
                let _ = input.shutdown().await;
            }
            crate::crash_point!("helm.begun");
        };
        let ended = hear(child, write).await.map_err(failed)?;
        running.0 = None;
        crate::crash_point!("helm.ended");
        // The mark of one that was killed stays: it says whose the operation is that never ended.
        if ended.code.is_some_and(|code| code < 128) {
            let _ = std::fs::remove_file(mark);
        }
        Ok(ended)
    }
}

/// The arguments that say which cluster and which namespace.
pub(super) fn flags(cluster: &KubeCluster, namespace: &str) -> Vec<String> {
    let kubeconfig = cluster.kubeconfig.iter().map(|path| format!("--kubeconfig={path}"));
    let context = cluster.context.iter().map(|name| format!("--kube-context={name}"));
    kubeconfig.chain(context).chain([format!("--namespace={namespace}")]).collect()
}

/// Where the mark of a release is.
pub(super) fn mark(folder: &Path, id: &ObjectId) -> PathBuf {
    folder.join(format!("{}.json", Digest::of(id.as_str().as_bytes()).short()))
}

/// The marks that are there.
pub(super) fn marks(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    found.filter(|path| path.extension().is_some_and(|end| end == "json")).collect()
}

/// Whether a Helm that orch started still changes a release.
fn is_held(mark: &Path) -> bool {
    let Ok(Some(text)) = sys::read_if_exists(mark) else { return false };
    let Ok(Mark { shell }) = serde_json::from_slice(&text) else { return false };
    // Of a group whose number another one has since, every process is younger than its leader, which is not the
    // one that was marked. What was left of the marked one is older than any of these.
    let leader_is_another = sys::ProcessStat::of(shell.pid).is_some_and(|now| now.start_ticks != shell.start_ticks);
    sys::boot_id().as_deref() == Some(&shell.boot_id)
        && !leader_is_another
        && sys::processes().iter().any(|process| process.group == shell.pid && process.is_alive())
}

/// Waits until no Helm of an earlier run, or of an operation that was given up, changes a release any more.
pub(super) async fn released(mark: &Path, release: &str, limit: Duration) -> Result<(), BackendError> {
    let began = Instant::now();
    while is_held(mark) {
        if began.elapsed() > limit {
            return Err(BackendError::new(format!(
                "a `helm` that an earlier run started still changes the release {release}"
            ))
            .with_hint("see what it waits for (`helm history`), let it end or interrupt it, and apply again"));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// What went wrong, in Helm's words without what may be secret.
pub(super) fn refused(doing: &str, ended: &Ended, secrets: &[&str]) -> BackendError {
    let said = match (ended.stderr.is_empty(), ended.code) {
        (_, Some(137) | None) => "helm was killed".to_owned(),
        (false, _) => ended.stderr.clone(),
        (true, Some(_)) => ended.text().trim().to_owned(),
    };
    let said = secrets.iter().fold(said, |said, secret| said.replace(secret, "(sensitive)"));
    let error = trouble(doing, &said);
    match (&error.hint, hint(&said)) {
        (_, Some(hint)) => error.with_hint(hint),
        (_, None) => error,
    }
}

/// The way out of what only Helm complains about.
fn hint(said: &str) -> Option<&'static str> {
    let says = |word: &str| said.contains(word);
    Some(if says("helm was killed") {
        "apply again: a release that it left half done is found and taken back first"
    } else if says("another operation (install/upgrade/rollback) is in progress") {
        "someone else works on the release, or was killed at it: `orch plan` says which"
    } else if says("execution error at") || says("parse error at") || says("error calling") || says("YAML parse error")
    {
        "correct the chart, or the values that it gets (`helm template` renders it by hand)"
    } else if says("values don't meet the specifications of the schema") {
        "correct `values`: the chart says what it takes in its values.schema.json"
    } else if says("repo") && says("not found") {
        "add the repository with `helm repo add`, or write `./PATH` for a chart of this machine"
    } else if says("Chart.yaml file is missing") || says("path \"") && says("not found") {
        "correct `chart`: a folder with a Chart.yaml, an archive, REPOSITORY/NAME or an `oci://` address"
    } else if says("missing in charts/ directory") {
        "get what the chart depends on: `helm dependency build`"
    } else if says("cannot be imported into the current release") || says("invalid ownership metadata") {
        "an object of that name belongs to something else: delete it, or give the release another name"
    } else if says("create: failed to create: namespaces") || says("namespaces \"") && says("not found") {
        "set `create_namespace: true`, or make the namespace"
    } else {
        return None;
    })
}

/// The major and the minor version of `v4.1.4`.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A Helm that runs; dropped before its end it is interrupted once, and its end is left to it.
struct Running(Option<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        // It was not waited for yet, so that its pid is still its own.
        let group = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, Signal::INT);
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { child.wait().await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> BTreeMap<String, String> {
        BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())])
    }

    fn helm(program: &str) -> Helm {
        let found = Found { tool: Tool { program: program.into(), env: env() }, major: 4 };
        Helm { env: env(), found: OnceCell::new_with(Some(found)) }
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(version("v4.1.4\n"), Some((4, 1)));
        assert_eq!(version("v3.13.0+g825e86f"), Some((3, 13)));
        assert_eq!(version("Client: v2"), None);
    }

    #[tokio::test]
    async fn what_changes_a_release_is_marked_while_it_runs_and_gets_the_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = mark(folder.path(), &ObjectId::new("default/shop/web"));
        let script = "cat; test -e \"$0\" && echo marked; echo wrong >&2; exit 3";
        let args = ["-c".to_owned(), script.to_owned(), path.display().to_string()];
        let ended = helm("/bin/sh").change(&args, "{\"a\": \"\\\\ b\"}", &path).await.unwrap();
        assert_eq!(ended.text(), "{\"a\": \"\\\\ b\"}\nmarked\n");
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(3), "wrong"));
        assert!(!is_held(&path) && !path.exists());
    }

    #[tokio::test]
    async fn one_that_is_given_up_is_interrupted_and_seen_until_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = mark(folder.path(), &ObjectId::new("default/shop/web"));
        let (up, go) = (folder.path().join("up"), folder.path().join("go"));
        let script = "cat >/dev/null; trap 'until test -e \"$1\"; do :; done; exit' INT; : > \"$0\"; while :; do sleep 0.01; done";
        let args = ["-c".to_owned(), script.to_owned(), up.display().to_string(), go.display().to_string()];
        let running = {
            let path = path.clone();
            tokio::spawn(async move { helm("/bin/sh").change(&args, "", &path).await })
        };
        crate::backend::kube::until("it is up", || up.exists()).await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        assert!(is_held(&path));
        let error = released(&path, "shop/web", Duration::ZERO).await.unwrap_err();
        assert!(error.message.contains("still changes the release shop/web"), "{error}");
        sys::write_atomic(&go, b"", Durability::Atomic).unwrap();
        released(&path, "shop/web", Duration::from_secs(60)).await.unwrap();
    }

    #[tokio::test]
    async fn values_that_were_cut_short_are_not_used() {
        let ran = Tool { program: "/bin/sh".into(), env: env() }
            .run(["-c", SCRIPT, "sh", "/bin/echo", "used"], Some(b"{\"a\":"))
            .await
            .unwrap();
        assert_eq!((ran.code, ran.text().as_str()), (Some(97), ""));
    }

    #[test]
    fn a_complaint_holds_no_secret_and_has_a_way_out() {
        let ended = Ended {
            code: Some(1),
            stdout: Vec::new(),
            stderr: "Error: execution error at (web/templates/a.yaml:1:4): hunter2 is bad".into(),
        };
        let error = refused("render the chart of web", &ended, &["hunter2"]);
        assert!(error.message.ends_with("a.yaml:1:4): (sensitive) is bad"), "{error}");
        assert!(error.hint.unwrap().contains("correct the chart"));
    }
}
