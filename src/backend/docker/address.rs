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
    // What stands before an `@` may be a password.
    let shown = match (host.split_once("://"), host.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://...@{rest}"),
        _ => host.to_owned(),
    };
    BackendError::new(format!("`{shown}` ({origin}) is no address of a Docker engine: {why}"))
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn resolve(host: Option<&str>, env: &[(&str, &str)]) -> Result<Address, BackendError> {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Address::resolve(host, &env)
    }

    fn shown(host: Option<&str>, env: &[(&str, &str)]) -> String {
        let address = resolve(host, env).unwrap();
        format!("{} ({})", address.endpoint, address.origin)
    }

    /// A Docker configuration with a context `far` that is an engine over TCP.
    fn configured(current: &str, endpoint: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        // `printf far | sha256sum`
        let key = "512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868";
        let meta = folder.path().join("contexts/meta").join(key);
        fs::create_dir_all(&meta).unwrap();
        fs::write(
            meta.join("meta.json"),
            format!(r#"{{"Name":"far","Metadata":{{}},"Endpoints":{{"docker":{endpoint}}}}}"#),
        )
        .unwrap();
        fs::create_dir_all(folder.path().join("contexts/tls").join(key).join("docker")).unwrap();
        fs::write(folder.path().join("config.json"), format!(r#"{{"auths":{{}},"currentContext":"{current}"}}"#))
            .unwrap();
        folder
    }

    #[test]
    fn the_engine_is_the_one_that_docker_would_talk_to() {
        let folder = configured("far", r#"{"Host":"tcp://far.example:2375","SkipTLSVerify":false}"#);
        let config = ("DOCKER_CONFIG", folder.path().to_str().unwrap());
        let (host, none) = (("DOCKER_HOST", "tcp://h:1"), ("DOCKER_HOST", ""));
        let (far, default) = (("DOCKER_CONTEXT", "far"), ("DOCKER_CONTEXT", "default"));
        let socket = "unix:///var/run/docker.sock (the default)";
        for (of, env, wanted) in [
            (Some("ssh://me@host"), vec![host, far, config], "ssh://me@host (the backend's `host`)"),
            (Some("/run/d.sock"), vec![], "unix:///run/d.sock (the backend's `host`)"),
            (None, vec![host, far, config], "tcp://h:1 (DOCKER_HOST)"),
            (None, vec![none, far, config], "tcp://far.example:2375 (the Docker context `far`)"),
            (None, vec![config], "tcp://far.example:2375 (the Docker context `far`)"),
            (None, vec![default, config], socket),
            (None, vec![("DOCKER_CONFIG", "/nonexistent")], socket),
            (None, vec![], socket),
        ] {
            assert_eq!(shown(of, &env), wanted, "{of:?} {env:?}");
        }
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), home.path().join(".docker")).unwrap();
        let home = [("HOME", home.path().to_str().unwrap())];
        assert_eq!(shown(None, &home), "tcp://far.example:2375 (the Docker context `far`)");
    }

    #[test]
    fn a_context_that_cannot_be_read_is_told() {
        let folder = configured("lost", "{}");
        let config = ("DOCKER_CONFIG", folder.path().to_str().unwrap());
        let lost = resolve(None, &[config]).unwrap_err().message;
        assert!(lost.starts_with("there is no Docker context `lost`, which /") && lost.ends_with("config.json names"));
        let named = resolve(None, &[("DOCKER_CONTEXT", "near")]).unwrap_err().message;
        assert_eq!(named, "there is no Docker context `near`, which DOCKER_CONTEXT names");
        fs::write(folder.path().join("config.json"), "{\"auths\": {\"secret\n").unwrap();
        let broken = resolve(None, &[config]).unwrap_err().message;
        assert!(broken.contains("config.json: line") && !broken.contains("secret"), "{broken}");
        assert_eq!(shown(Some("unix:///s"), &[config]), "unix:///s (the backend's `host`)", "nobody reads it");
    }

    #[test]
    fn certificates_are_those_of_the_context_or_of_the_environment() {
        let tls = |host: Option<&str>, env: &[(&str, &str)]| match resolve(host, env).unwrap().endpoint {
            Endpoint::Tcp { authority, tls } => (authority, tls),
            other => panic!("{other}"),
        };
        let folder = configured("far", r#"{"Host":"tcp://far","SkipTLSVerify":true}"#);
        let config = ("DOCKER_CONFIG", folder.path().to_str().unwrap());
        let none = Tls { ca: None, identity: None, verify: false };
        assert_eq!(tls(None, &[config]), ("far:2376".to_owned(), Some(none.clone())));
        assert_eq!(tls(Some("tcp://h"), &[config]), ("h:2375".to_owned(), None), "it is not that context");
        assert_eq!(tls(Some("tcp://h"), &[("DOCKER_TLS", "1")]), ("h:2376".to_owned(), Some(none)));

        let certificates = tempfile::tempdir().unwrap();
        let path = |name: &str| certificates.path().join(name);
        for name in ["ca.pem", "cert.pem", "key.pem"] {
            fs::write(path(name), "").unwrap();
        }
        let given = Tls { ca: Some(path("ca.pem")), identity: Some((path("cert.pem"), path("key.pem"))), verify: true };
        let env = [("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", certificates.path().to_str().unwrap())];
        assert_eq!(tls(Some("tcp://h:9"), &env), ("h:9".to_owned(), Some(given.clone())));
        assert_eq!(tls(Some("http://h"), &env), ("h:2375".to_owned(), None));
        let inside = glob_one(&folder.path().join("contexts/tls")).join("docker");
        for name in ["ca.pem", "cert.pem", "key.pem"] {
            fs::copy(path(name), inside.join(name)).unwrap();
        }
        let (_, found) = tls(None, &[config]);
        let wanted = Tls {
            ca: Some(inside.join("ca.pem")),
            identity: Some((inside.join("cert.pem"), inside.join("key.pem"))),
            verify: false,
        };
        assert_eq!(found, Some(wanted));
    }

    fn glob_one(folder: &Path) -> PathBuf {
        fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
    }

    #[test]
    fn addresses_are_read_whole_or_refused() {
        let ssh = |destination: &str, socket: Option<&str>| Endpoint::Ssh {
            destination: destination.into(),
            socket: socket.map(Into::into),
        };
        for (address, wanted) in [
            ("ssh://host", ssh("host", None)),
            ("ssh://me@host:2222/", ssh("me@host:2222", None)),
            ("ssh://me@host/run/user/1000/docker.sock", ssh("me@host", Some("/run/user/1000/docker.sock"))),
            ("tcp://[::1]:2375", Endpoint::Tcp { authority: "[::1]:2375".into(), tls: None }),
        ] {
            assert_eq!(resolve(Some(address), &[]).unwrap().endpoint, wanted, "{address}");
        }
        for wrong in [
            "docker",
            "unix://run/docker.sock",
            "npipe:////./pipe/docker",
            "tcp://",
            "tcp://:2375",
            "tcp://h/path",
            "tcp://a b",
            "ssh://",
            "ssh://-oProxyCommand=x",
            "ssh://me:password@host",
            "tcp:h",
        ] {
            let error = resolve(Some(wrong), &[]).unwrap_err();
            assert!(error.message.contains("is no address of a Docker engine"), "{wrong}: {error}");
        }
        let secret = resolve(Some("ssh://me:s3cret@host"), &[]).unwrap_err();
        assert!(!secret.message.contains("s3cret"), "{secret}");
    }
}
