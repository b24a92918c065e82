//! Where an engine is, found as the `docker` command finds it.
//!
//! The `host:` of the backend goes first, then `DOCKER_HOST`, `DOCKER_CONTEXT`, the current context of
//! the user's Docker configuration, and at last the socket on this machine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::context::{self, Context};
use crate::backend::BackendError;

/// Where the engine of this machine listens.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Where an engine is and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) endpoint: Endpoint,
    pub(super) origin: Origin,
}

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Endpoint {
    /// A socket of this machine.
    Unix(PathBuf),
    /// `HOST:PORT`, with TLS or without.
    Tcp { authority: String, tls: Option<Tls> },
    /// `[USER@]HOST[:PORT]`, where `docker system dial-stdio` connects to the engine: to the one at
    /// `socket`, or to the one that the other side's configuration names.
    Ssh { destination: String, socket: Option<String> },
}

/// What a TLS connection is made with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tls {
    /// Who may sign for the engine; the system's authorities where it is not given.
    pub(super) ca: Option<PathBuf>,
    /// The certificate to show, and its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
    /// Whether the engine's certificate is checked at all.
    pub(super) verify: bool,
}

/// Who says where the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// `host:` of the backend.
    Backend,
    /// `DOCKER_HOST`.
    DockerHost,
    /// The context of this name.
    Context(String),
    /// Nobody.
    Default,
}

impl Address {
    /// Finds the engine: the one at `host`, or the one that the environment names.
    pub(super) fn resolve(host: Option<&str>, env: &BTreeMap<String, String>) -> Result<Self, BackendError> {
        if let Some(host) = host {
            return Self::with_environment(host, Origin::Backend, env);
        }
        if let Some(host) = set(env, "DOCKER_HOST") {
            return Self::with_environment(host, Origin::DockerHost, env);
        }
        let config = context::config_dir(env);
        match Context::current(set(env, "DOCKER_CONTEXT"), config.as_deref())? {
            Some(Context { name, host: Some(host), tls }) => {
                let origin = Origin::Context(name);
                let endpoint = Endpoint::parse(&host, || tls).map_err(|why| malformed(&host, &origin, why))?;
                Ok(Self { endpoint, origin })
            }
            Some(Context { name, host: None, .. }) => {
                Ok(Self { endpoint: Endpoint::Unix(DEFAULT_SOCKET.into()), origin: Origin::Context(name) })
            }
            None => Ok(Self { endpoint: Endpoint::Unix(DEFAULT_SOCKET.into()), origin: Origin::Default }),
        }
    }

    fn with_environment(host: &str, origin: Origin, env: &BTreeMap<String, String>) -> Result<Self, BackendError> {
        let tls = || {
            let verify = set(env, "DOCKER_TLS_VERIFY").is_some();
            (verify || set(env, "DOCKER_TLS").is_some()).then(|| {
                let folder = set(env, "DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| context::config_dir(env));
                Tls::in_folder(folder.as_deref(), verify)
            })
        };
        let endpoint = Endpoint::parse(host, tls).map_err(|why| malformed(host, &origin, why))?;
        Ok(Self { endpoint, origin })
    }
}

impl Tls {
    /// The certificates of a folder, as far as it has them: `ca.pem`, `cert.pem` and `key.pem`.
    pub(super) fn in_folder(folder: Option<&Path>, verify: bool) -> Self {
        let file = |name: &str| folder.map(|folder| folder.join(name)).filter(|path| path.exists());
        Self { ca: file("ca.pem"), identity: file("cert.pem").zip(file("key.pem")), verify }
    }
}

impl Endpoint {
    /// Reads an address; `tls` is what a `tcp://` one is connected to with.
    fn parse(address: &str, tls: impl FnOnce() -> Option<Tls>) -> Result<Self, &'static str> {
        if address.starts_with('/') {
            return Ok(Self::Unix(address.into()));
        }
        let (scheme, rest) = address.split_once("://").ok_or("it has no scheme")?;
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err("the path of the socket is not absolute"),
            "tcp" | "http" | "https" => {
                let tls = match scheme {
                    "http" => None,
                    "https" => Some(tls().unwrap_or_else(|| Tls::in_folder(None, true))),
                    _ => tls(),
                };
                let port = if tls.is_some() { 2376 } else { 2375 };
                Ok(Self::Tcp { authority: authority(rest, port)?, tls })
            }
            "ssh" => {
                let (destination, socket) = match rest.split_once('/') {
                    Some((destination, path)) => (destination, (!path.is_empty()).then(|| format!("/{path}"))),
                    None => (rest, None),
                };
                let user = destination.rsplit_once('@').map_or("", |(user, _)| user);
                if user.contains(':') {
                    return Err("a password in an address is not used, log in with a key");
                }
                // ssh would take it for an option.
                if destination.is_empty() || destination.starts_with('-') {
                    return Err("it has no host");
                }
                Ok(Self::Ssh { destination: destination.to_owned(), socket })
            }
            _ => Err("orch connects to engines over unix, tcp and ssh"),
        }
    }
}

/// The host and port of what stands behind the scheme of an address.
fn authority(rest: &str, port: u16) -> Result<String, &'static str> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        return Err("an engine has no path");
    }
    let authority: hyper::http::uri::Authority = authority.parse().map_err(|_| "it has no host")?;
    match (authority.host(), authority.port_u16()) {
        ("", _) => Err("it has no host"),
        (host, Some(port)) => Ok(format!("{host}:{port}")),
        (host, None) => Ok(format!("{host}:{port}")),
    }
}

fn malformed(host: &str, origin: &Origin, why: &str) -> BackendError {
    BackendError::new(format!("`{host}` ({origin}) is no address of a Docker engine: {why}"))
        .with_hint("write `unix:///var/run/docker.sock`, `tcp://HOST:PORT` or `ssh://USER@HOST`")
}

/// A variable that is set and not empty.
pub(super) fn set<'a>(env: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { authority, .. } => write!(f, "tcp://{authority}"),
            Self::Ssh { destination, socket } => {
                write!(f, "ssh://{destination}{}", socket.as_deref().unwrap_or_default())
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend => f.write_str("the backend's `host`"),
            Self::DockerHost => f.write_str("DOCKER_HOST"),
            Self::Context(name) => write!(f, "the Docker context `{name}`"),
            Self::Default => f.write_str("the default"),
        }
    }
}
