//! The contexts of the `docker` command: engines that its user gave names.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::address::{Tls, set};
use crate::backend::BackendError;

/// The context that has no file: what the environment says, or the socket.
const DEFAULT: &str = "default";

/// An engine that the user gave a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) name: String,
    /// The address of the engine, where the context has one.
    pub(super) host: Option<String>,
    /// What a `tcp://` address is connected to with.
    pub(super) tls: Option<Tls>,
}

/// What orch reads of the `docker` command's `config.json`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    current_context: String,
}

/// What orch reads of a context's `meta.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    #[serde(default)]
    endpoints: BTreeMap<String, MetaEndpoint>,
}

#[derive(Deserialize, Default)]
struct MetaEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

/// The folder of the user's Docker configuration; `None` where there is neither `DOCKER_CONFIG` nor `HOME`.
pub(super) fn config_dir(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let home = || set(env, "HOME").map(|home| Path::new(home).join(".docker"));
    set(env, "DOCKER_CONFIG").map(PathBuf::from).or_else(home)
}

impl Context {
    /// The context of the given name, or else the one that the configuration in the folder says is the
    /// current one; `None` for the default.
    pub(super) fn current(named: Option<&str>, folder: Option<&Path>) -> Result<Option<Self>, BackendError> {
        let (name, origin) = match (named, folder) {
            (Some(name), _) => (name.to_owned(), "DOCKER_CONTEXT".to_owned()),
            (None, Some(folder)) => {
                let path = folder.join("config.json");
                let config: Config = read(&path)?.unwrap_or_default();
                (config.current_context, path.display().to_string())
            }
            (None, None) => return Ok(None),
        };
        if name.is_empty() || name == DEFAULT {
            return Ok(None);
        }
        let missing = || {
            BackendError::new(format!("there is no Docker context `{name}`, which {origin} names"))
                .with_hint("`docker context ls` says which there are")
        };
        let contexts = folder.ok_or_else(missing)?.join("contexts");
        let key: String = Sha256::digest(&name).iter().map(|byte| format!("{byte:02x}")).collect();
        let meta: Meta = read(&contexts.join("meta").join(&key).join("meta.json"))?.ok_or_else(missing)?;
        let endpoint = meta.endpoints.into_iter().find(|(kind, _)| kind == "docker");
        let MetaEndpoint { host, skip_tls_verify } = endpoint.map(|(_, endpoint)| endpoint).unwrap_or_default();
        let folder = contexts.join("tls").join(&key).join("docker");
        let tls = Tls::in_folder(Some(&folder), !skip_tls_verify);
        let uses_tls = skip_tls_verify || tls.ca.is_some() || tls.identity.is_some();
        let host = (!host.is_empty()).then_some(host);
        Ok(Some(Self { name, host, tls: uses_tls.then_some(tls) }))
    }
}

/// Reads a file; `None` when there is none.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, BackendError> {
    let failed = |why: String| {
        BackendError::new(format!("cannot read {}: {why}", path.display()))
            .with_hint("it is the `docker` command's own: `docker context ls` says what is wrong with it")
    };
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(failed(error.kind().to_string())),
    };
    // The reason is not told: it can quote the file, which can hold passwords.
    serde_json::from_slice(&text).map(Some).map_err(|error| failed(format!("line {}: not as expected", error.line())))
}
