//! The API of a cluster through `kubectl proxy`: cheap requests, with the credentials that kubectl has.
//!
//! One kubectl is kept for each cluster, on a socket in a folder that only this user can enter. It only looks:
//! what changes anything goes through `kubectl` commands of their own, and what would change is asked as a dry run.
//! It ends with orch, however orch ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use super::tool::{Kept, Tool};
use super::trouble::{is_not_found, trouble};
use crate::backend::BackendError;
use crate::model::{KubeId, KubeObject};

/// How long the server may take to answer a request that only looks.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster's API, to look with.
pub struct Api {
    /// The folder of the socket; it goes with kubectl.
    folder: PathBuf,
    kept: std::sync::Mutex<Kept>,
    connections: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    plurals: Mutex<BTreeMap<(String, String), (String, bool)>>,
}

impl Api {
    /// Starts a proxy.
    pub(super) async fn start(tool: &Tool, args: &[String]) -> Result<Arc<Self>, BackendError> {
        let folder = private_folder(&tool.env)?;
        let socket = folder.join("api");
        let mut args = args.to_vec();
        args.extend(["proxy".to_owned(), format!("--unix-socket={}", socket.display())]);
        args.extend(["--reject-methods=POST,PUT,DELETE".to_owned()]);
        let mut kept = Kept::start(tool, &args, Some(&folder))?;
        let child = kept.child().and_then(|child| Some((child.stdout.take()?, child.stderr.take()?)));
        let Some((stdout, mut stderr)) = child else { return Err(BackendError::new("kubectl has no pipes")) };
        let mut output = BufReader::new(stdout);
        let mut line = String::new();
        // It says where it listens once it does.
        let heard = tokio::time::timeout(PATIENCE, output.read_line(&mut line)).await;
        if !matches!(heard, Ok(Ok(1..))) {
            drop(kept);
            let mut said = String::new();
            let _ = tokio::time::timeout(Duration::from_secs(1), stderr.read_to_string(&mut said)).await;
            return Err(trouble("reach the cluster", &said));
        }
        tokio::spawn(async move {
            let (mut rest, mut complaints) = (tokio::io::sink(), tokio::io::sink());
            let _ =
                tokio::join!(tokio::io::copy(&mut output, &mut rest), tokio::io::copy(&mut stderr, &mut complaints));
        });
        let (connections, plurals) = (Mutex::default(), Mutex::default());
        Ok(Arc::new(Self { folder, kept: std::sync::Mutex::new(kept), connections, plurals }))
    }

    /// Whether its kubectl still runs.
    pub(super) fn is_alive(&self) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.child().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        while let Some(connection) = self.connections.lock().await.pop() {
            if connection.is_ready() {
                return Ok(connection);
            }
        }
        let stream = UnixStream::connect(self.folder.join("api")).await.map_err(|error| error.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// What the server answers to a path; `None` for what it does not have.
    ///
    /// # Errors
    /// When it cannot be asked, or refuses.
    pub async fn get(&self, path: &str) -> Result<Option<Value>, BackendError> {
        let doing = "ask the cluster";
        let (status, body) = self.ask(doing, Request::get(path), Bytes::new()).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if status.is_success() {
            let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
            return Ok(Some(serde_json::from_slice(&body).unwrap_or_else(|_| text())));
        }
        Err(trouble(doing, &complaint(&body)))
    }

    /// What the server would make of an object if `manager` applied it, or what it has against that. Nothing is
    /// changed.
    ///
    /// # Errors
    /// When it cannot be asked, or this user may not ask it.
    pub async fn would_become(
        &self,
        object: &KubeObject,
        manager: &str,
    ) -> Result<Result<Value, String>, BackendError> {
        let doing = "compare what is there with what was applied";
        let Some(path) = self.path(&object.id).await? else { return Ok(Err("its kind is not known".to_owned())) };
        // What was applied once is valid. Of the fields that others have since, those of the object are compared too.
        let path = format!("{path}?dryRun=All&force=true&fieldValidation=Ignore&fieldManager={manager}");
        let request = Request::builder().method(Method::PATCH).uri(path);
        // All JSON is YAML.
        let request = request.header("Content-Type", "application/apply-patch+yaml");
        let body = Bytes::copy_from_slice(object.json.reveal().as_bytes());
        let (status, body) = self.ask(doing, request, body).await?;
        if status.is_success() {
            let value = serde_json::from_slice(&body);
            return value.map(Ok).map_err(|error| trouble(doing, &format!("it answers nonsense: {error}")));
        }
        let said = complaint(&body);
        let is_asker = status == StatusCode::UNAUTHORIZED || said.contains("cannot patch resource");
        if is_asker || status.is_server_error() { Err(trouble(doing, &said)) } else { Ok(Err(said)) }
    }

    async fn ask(
        &self,
        doing: &str,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), BackendError> {
        match tokio::time::timeout(PATIENCE, self.send(request, body)).await {
            Ok(answer) => answer.map_err(|error| trouble(doing, &error)),
            Err(_) => Err(trouble(doing, "i/o timeout")),
        }
    }

    async fn send(&self, request: hyper::http::request::Builder, body: Bytes) -> Result<(StatusCode, Bytes), String> {
        let mut connection = self.connection().await?;
        let request = request.header("Host", "localhost").header("Accept", "application/json");
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let answer = connection.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        self.connections.lock().await.push(connection);
        Ok((status, body))
    }

    /// The items of a list; none where the cluster does not know the kind.
    ///
    /// # Errors
    /// When the server cannot be asked, or refuses.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, BackendError> {
        let Some(Value::Object(mut list)) = self.get(path).await? else { return Ok(Vec::new()) };
        Ok(match list.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        })
    }

    /// An object as it is now; `None` when it is gone, or its kind is not known.
    ///
    /// # Errors
    /// When the server cannot be asked, or refuses.
    pub async fn object(&self, id: &KubeId) -> Result<Option<Value>, BackendError> {
        match self.path(id).await? {
            Some(path) => self.get(&path).await,
            None => Ok(None),
        }
    }

    /// Where an object is; `None` where its kind is not known.
    async fn path(&self, id: &KubeId) -> Result<Option<String>, BackendError> {
        let Some((plural, namespaced)) = self.plural(&id.api_version, &id.kind).await? else { return Ok(None) };
        let base = base(&id.api_version);
        let within = match (&id.namespace, namespaced) {
            (Some(namespace), true) => format!("/namespaces/{namespace}"),
            _ => String::new(),
        };
        Ok(Some(format!("{base}{within}/{plural}/{}", id.name)))
    }

    /// The plural of a kind, and whether it is in namespaces.
    async fn plural(&self, api_version: &str, kind: &str) -> Result<Option<(String, bool)>, BackendError> {
        let wanted = (api_version.to_owned(), kind.to_owned());
        let mut plurals = self.plurals.lock().await;
        if let Some(known) = plurals.get(&wanted) {
            return Ok(Some(known.clone()));
        }
        let Some(answer) = self.get(&base(api_version)).await? else { return Ok(None) };
        let resources = answer.get("resources").and_then(Value::as_array).cloned().unwrap_or_default();
        for resource in resources {
            let text = |key: &str| resource.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let name = text("name");
            if !name.contains('/') {
                let namespaced = resource.get("namespaced").and_then(Value::as_bool).unwrap_or(true);
                plurals.insert((api_version.to_owned(), text("kind")), (name, namespaced));
            }
        }
        Ok(plurals.get(&wanted).cloned())
    }
}

/// Why the server refuses, as it says it.
fn complaint(body: &[u8]) -> String {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let text = |key: &str| value.as_ref()?.get(key)?.as_str();
    let said = text("message").map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    match text("reason") {
        Some(reason) if !reason.is_empty() && !is_not_found(&said) => format!("{said} ({reason})"),
        _ => said,
    }
}

/// Where a group and version is.
fn base(api_version: &str) -> String {
    if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") }
}

/// A folder that only this user can enter, with a name that nobody can guess.
fn private_folder(env: &BTreeMap<String, String>) -> Result<PathBuf, BackendError> {
    let failed =
        |error: &dyn std::fmt::Display| BackendError::new(format!("cannot make a folder for a socket: {error}"));
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| failed(&error))?;
    let name = format!("orch-{:016x}", u64::from_le_bytes(bytes));
    let parent = env.get("TMPDIR").filter(|path| path.len() < 60).map_or("/tmp", String::as_str);
    let path = PathBuf::from(parent).join(name);
    crate::sys::create_private_dir(&path).map_err(|error| failed(&error))?;
    Ok(path)
}
