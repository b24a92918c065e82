//! Connections to engines, one for each address, made when it is first needed.

use std::collections::BTreeMap;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::errors::Error;
use bollard::{BollardRequest, Docker};
use hyper::Uri;
use hyper::http::uri::PathAndQuery;

use super::address::{Address, Endpoint};
use super::auth::{Logins, SharedLogins};
use super::error::failed;
use super::flight::Flights;
use super::pull::Pulls;
use super::transport;
use crate::backend::BackendError;

/// How long the engine may take to begin its answer, beside what the request itself waits for.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long it may take to connect to an engine and to learn its version.
const CONNECT: Duration = Duration::from_secs(20);
/// The oldest version of the API that has all that orch uses; Docker 19.03.
const OLDEST_API: (usize, usize) = (1, 40);

/// The engines that were connected to.
pub(in crate::backend) struct Engines {
    env: BTreeMap<String, String>,
    logins: SharedLogins,
    /// What a host stands for is found out once: a configuration that changes does not move a run to
    /// another engine.
    addresses: Mutex<BTreeMap<Option<String>, Address>>,
    connected: Mutex<BTreeMap<Endpoint, Arc<Engine>>>,
    connecting: Flights<Endpoint, Result<Arc<Engine>, BackendError>>,
}

/// An engine that answered.
pub(in crate::backend) struct Engine {
    docker: Docker,
    logins: SharedLogins,
    pulls: Pulls,
}

impl Engines {
    pub(in crate::backend) fn new(env: BTreeMap<String, String>) -> Self {
        let logins = Arc::new(Logins::new(&env));
        Self { env, logins, addresses: Mutex::default(), connected: Mutex::default(), connecting: Flights::default() }
    }

    /// The engine at an address; `None` for the one that the environment names. Who asks for one that
    /// is being connected to waits for it; an engine that is away is tried anew by who asks later.
    pub(in crate::backend) async fn get(&self, host: Option<&str>) -> Result<Arc<Engine>, BackendError> {
        let address = self.address(host)?;
        let endpoint = &address.endpoint;
        let known = || locked(&self.connected).get(endpoint).cloned();
        if let Some(engine) = known() {
            return Ok(engine);
        }
        let connect = async {
            // Whoever connected just now may have been done before this call joined it.
            if let Some(engine) = known() {
                return Ok(engine);
            }
            let engine = Arc::new(Engine::connect(&address, self.logins.clone()).await?);
            locked(&self.connected).insert(endpoint.clone(), engine.clone());
            Ok(engine)
        };
        self.connecting.run(endpoint, connect).await
    }

    fn address(&self, host: Option<&str>) -> Result<Address, BackendError> {
        let mut addresses = locked(&self.addresses);
        let key = host.map(str::to_owned);
        if let Some(address) = addresses.get(&key) {
            return Ok(address.clone());
        }
        let address = Address::resolve(host, &self.env)?;
        addresses.insert(key, address.clone());
        Ok(address)
    }

    /// The host of an engine that runs on another machine.
    pub(in crate::backend) fn far_host(&self, host: Option<&str>) -> Option<String> {
        let authority = match self.address(host).ok()?.endpoint {
            Endpoint::Unix(_) => return None,
            Endpoint::Tcp { authority, .. } => authority,
            Endpoint::Ssh { destination, .. } => destination,
        };
        let host = authority.rsplit_once('@').map_or(authority.as_str(), |(_, host)| host);
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => host.split(':').next(),
        };
        host.map(str::to_owned)
    }

    /// Whether an engine runs on this machine, so that its ports are this machine's.
    pub(in crate::backend) fn is_local(&self, host: Option<&str>) -> bool {
        self.address(host).is_ok_and(|address| matches!(address.endpoint, Endpoint::Unix(_)))
    }
}

impl Engine {
    async fn connect(address: &Address, logins: SharedLogins) -> Result<Self, BackendError> {
        let Address { endpoint, origin } = address;
        let doing = format!("connect to the Docker engine at {endpoint} ({origin})");
        let refused = |why: &str| BackendError::new(format!("cannot {doing}: {why}"));
        let docker = transport::client(endpoint, PATIENCE).map_err(|why| refused(&why).with_hint(away(endpoint)))?;
        let answer = tokio::time::timeout(CONNECT, docker.negotiate_version()).await;
        let docker = match answer {
            Ok(Ok(docker)) => docker,
            Ok(Err(error)) => {
                let hint = hint(endpoint, &error);
                let told = failed(&doing, &error);
                return Err(if hint.is_empty() { told } else { told.with_hint(hint) });
            }
            Err(_) => return Err(refused("it does not answer").with_hint(away(endpoint))),
        };
        let api = docker.client_version();
        if (api.major_version, api.minor_version) < OLDEST_API {
            let (major, minor) = OLDEST_API;
            return Err(refused(&format!("it speaks version {api} of the API, and orch needs {major}.{minor}"))
                .with_hint("bring the engine to Docker 19.03 or later"));
        }
        let version = api.to_string();
        let docker = docker.with_request_modifier(move |request| prepared(request, &version));
        Ok(Self { docker, logins, pulls: Pulls::default() })
    }

    /// What the user is known by to registries.
    pub(super) fn logins(&self) -> &Logins {
        &self.logins
    }

    /// The pulls that are under way.
    pub(super) fn pulls(&self) -> &Pulls {
        &self.pulls
    }

    /// The engine for requests that it answers only after a while, such as a stop with a long grace.
    pub(super) fn patient(&self, wait: Duration) -> Docker {
        self.docker.clone().with_timeout(PATIENCE + wait)
    }
}

impl Deref for Engine {
    type Target = Docker;

    fn deref(&self) -> &Docker {
        &self.docker
    }
}

/// Completes what bollard leaves out of a request.
///
/// It negotiates the version but does not put it in the path, so that each engine would answer in the
/// newest version it has; and it writes credentials in the alphabet of plain base64, where engines read
/// the URL-safe one and take what they cannot read for no credentials at all.
fn prepared(mut request: BollardRequest, version: &str) -> BollardRequest {
    let mut parts = request.uri().clone().into_parts();
    let path = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
    parts.path_and_query = format!("/v{version}{path}").parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    for header in ["X-Registry-Auth", "X-Registry-Config"] {
        let Some(value) = request.headers_mut().get_mut(header) else { continue };
        let text = value.to_str().unwrap_or_default().replace('+', "-").replace('/', "_");
        if let Ok(mut safe) = hyper::header::HeaderValue::from_str(&text) {
            safe.set_sensitive(true);
            *value = safe;
        }
    }
    request
}

/// What to do about an engine that could not be reached; empty where the error says it.
fn hint(endpoint: &Endpoint, error: &Error) -> &'static str {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let kind = causes.find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match (endpoint, kind) {
        (Endpoint::Unix(_), Some(io::ErrorKind::PermissionDenied)) => {
            "add yourself to the group that owns the socket, `sudo usermod -aG docker $USER`, and log in again"
        }
        (Endpoint::Tcp { tls: None, .. }, _) if error.to_string().contains("HTTPS server") => {
            "it wants TLS: set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder of its certificates"
        }
        (_, None) if super::error::status(error).is_some() => "",
        _ => away(endpoint),
    }
}

fn away(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Unix(_) => {
            "start it, `sudo systemctl start docker`, or name another one with DOCKER_HOST or the backend's `host`"
        }
        Endpoint::Tcp { tls: None, .. } => "see that the engine listens there, and that no firewall is in between",
        Endpoint::Tcp { tls: Some(_), .. } => {
            "see that the engine listens there, and that `ca.pem`, `cert.pem` and `key.pem` are for it"
        }
        Endpoint::Ssh { .. } => {
            "log in once by hand with `ssh`, so that the host is known and your key is taken, and see that \
             `docker version` works there"
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
