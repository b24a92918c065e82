//! Connections to engines, one for each address, made when it is first needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::sync::Mutex;

use super::error::failed;
use crate::backend::BackendError;

/// How long the engine may take to answer a request, in seconds, beside what the request waits for.
const PATIENCE: u64 = 120;

/// The engines that were connected to.
pub(super) struct Engines {
    env: BTreeMap<String, String>,
    connected: Mutex<BTreeMap<Option<String>, Arc<Docker>>>,
}

impl Engines {
    pub(super) fn new(env: BTreeMap<String, String>) -> Self {
        Self { env, connected: Mutex::default() }
    }

    /// The engine at an address; `None` for the one that the environment names.
    pub(super) async fn get(&self, host: Option<&str>) -> Result<Arc<Docker>, BackendError> {
        let mut connected = self.connected.lock().await;
        let key = host.map(str::to_owned);
        if let Some(engine) = connected.get(&key) {
            return Ok(engine.clone());
        }
        let address = host.or_else(|| self.env.get("DOCKER_HOST").map(String::as_str));
        let address = address.unwrap_or("unix:///var/run/docker.sock");
        let doing = format!("connect to the Docker engine at {address}");
        let engine = Docker::connect_with_unix(address, PATIENCE, API_DEFAULT_VERSION);
        let engine = engine.map_err(|error| failed(&doing, &error))?;
        let engine = engine.negotiate_version().await.map_err(|error| failed(&doing, &error))?;
        let engine = Arc::new(engine);
        connected.insert(key, engine.clone());
        Ok(engine)
    }

    /// Whether an engine runs on this machine, so that its ports are this machine's.
    pub(super) fn is_local(&self, host: Option<&str>) -> bool {
        let address = host.or_else(|| self.env.get("DOCKER_HOST").map(String::as_str));
        address.is_none_or(|address| address.starts_with("unix://"))
    }
}
