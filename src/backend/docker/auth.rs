//! What the user is known by to a registry: the credentials that `docker login` left.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError, DockerCredential};

use super::context;
use super::flight::Flights;
use super::reference::DEFAULT_DOMAIN;

/// What the default registry is called in the configuration, for reasons of history.
const DEFAULT_SERVER: &str = "https://index.docker.io/v1/";
/// How long a helper may take to find credentials.
const PATIENCE: Duration = Duration::from_secs(30);

/// The user's credentials, each looked up once.
pub(super) struct Logins {
    folder: Option<PathBuf>,
    known: Mutex<BTreeMap<String, Login>>,
    looking: Flights<String, Login>,
}

/// What the user is known by to one registry. It has no `Debug`, as it is secret.
#[derive(Clone, Default)]
pub(super) struct Login {
    /// What is sent; `None` for nobody in particular.
    pub(super) credentials: Option<DockerCredentials>,
    /// Why the credentials could not be read. It is told only when the registry wants some: what is
    /// public is there for everybody.
    pub(super) trouble: Option<String>,
}

impl Logins {
    /// The credentials of the user's Docker configuration.
    pub(super) fn new(env: &BTreeMap<String, String>) -> Self {
        Self { folder: context::config_dir(env), known: Mutex::default(), looking: Flights::default() }
    }

    /// What the user is known by to a registry.
    pub(super) async fn of(&self, domain: &str) -> Login {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(login) = known().get(domain) {
            return login.clone();
        }
        let Some(folder) = self.folder.clone() else { return Login::default() };
        let key = domain.to_owned();
        let look = async {
            let login = look_up(folder, key.clone()).await;
            known().insert(key.clone(), login.clone());
            login
        };
        self.looking.run(&key, look).await
    }
}

async fn look_up(folder: PathBuf, domain: String) -> Login {
    let server = if domain == DEFAULT_DOMAIN { DEFAULT_SERVER.to_owned() } else { domain };
    let (told, answer) = tokio::sync::oneshot::channel();
    let (path, asked) = (folder.join("config.json"), server.clone());
    // A thread of its own: one that waits for a helper must not hold up the end of the program.
    let looking = std::thread::Builder::new().name("registry login".to_owned());
    let started = looking.spawn(move || {
        let _ = told.send(read(&path, &asked));
    });
    let found = match started {
        Ok(_) => tokio::time::timeout(PATIENCE, answer).await,
        Err(error) => return Login { credentials: None, trouble: Some(error.to_string()) },
    };
    match found {
        Ok(Ok(Ok(credential))) => Login { credentials: credential.map(|found| sent(found, server)), trouble: None },
        Ok(Ok(Err(trouble))) => Login { credentials: None, trouble: Some(trouble) },
        Ok(Err(_)) => Login { credentials: None, trouble: Some("the credentials could not be read".to_owned()) },
        Err(_) => Login { credentials: None, trouble: Some("the credential helper does not answer".to_owned()) },
    }
}

/// Reads the configuration and asks the helper that it names, which gets the registry on its standard
/// input. An error says nothing of what was read.
fn read(path: &Path, server: &str) -> Result<Option<DockerCredential>, String> {
    use CredentialRetrievalError as Failed;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {}", path.display(), error.kind())),
    };
    match docker_credential::get_credential_from_reader(BufReader::new(file), server) {
        Ok(credential) => Ok(Some(credential)),
        Err(Failed::NoCredentialConfigured | Failed::ConfigNotFound) => Ok(None),
        // What helpers say when they have none for this registry.
        Err(Failed::HelperFailure { stdout, .. }) if stdout.contains("credentials not found") => Ok(None),
        Err(Failed::HelperFailure { helper, .. }) => Err(format!("`{helper} get` failed for {server}")),
        Err(Failed::HelperCommunicationError) => {
            Err(format!("the credential helper that {} names for {server} could not be run", path.display()))
        }
        Err(Failed::MalformedHelperResponse) => Err(format!(
            "the credential helper that {} names for {server} answered with something else",
            path.display()
        )),
        Err(Failed::ConfigReadError) => Err(format!("cannot read {}: not as expected", path.display())),
        Err(Failed::CredentialDecodingError | Failed::CredentialMismatchError) => {
            Err(format!("the credentials for {server} in {} make no sense", path.display()))
        }
    }
}

fn sent(credential: DockerCredential, server: String) -> DockerCredentials {
    let (username, password, identitytoken) = match credential {
        DockerCredential::UsernamePassword(name, password) => (Some(name), Some(password), None),
        DockerCredential::IdentityToken(token) => (None, None, Some(token)),
    };
    DockerCredentials { username, password, identitytoken, serveraddress: Some(server), ..Default::default() }
}

/// The credentials that all engines of a run share.
pub(super) type SharedLogins = Arc<Logins>;

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(config: &str, domain: &str) -> (Option<DockerCredentials>, Option<String>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let env = BTreeMap::from([("DOCKER_CONFIG".to_owned(), folder.path().display().to_string())]);
        let login = Logins::new(&env).of(domain).await;
        (login.credentials, login.trouble)
    }

    #[tokio::test]
    async fn credentials_are_those_of_the_registry() {
        // `printf me:pass | base64`
        let config = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "bWU6cGFzcw=="},
            "registry.example:5000": {"auth": "", "identitytoken": "a-token"},
            "half.example": {}
        }}"#;
        let (hub, _) = found(config, "docker.io").await;
        let wanted = DockerCredentials {
            username: Some("me".into()),
            password: Some("pass".into()),
            serveraddress: Some("https://index.docker.io/v1/".into()),
            ..DockerCredentials::default()
        };
        assert_eq!(hub, Some(wanted));
        let (token, _) = found(config, "registry.example:5000").await;
        let wanted = DockerCredentials {
            identitytoken: Some("a-token".into()),
            serveraddress: Some("registry.example:5000".into()),
            ..DockerCredentials::default()
        };
        assert_eq!(token, Some(wanted));
        for nobody in ["half.example", "registry.example", "other.example"] {
            assert_eq!(found(config, nobody).await, (None, None), "{nobody}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_without_what_it_holds() {
        for (config, wanted) in [
            (r#"{"auths": {"r.example": {"auth": "c2VjcmV0"}}}"#, "make no sense"),
            (r#"{"auths": {"r.example": "secret"}}"#, "not as expected"),
            (r#"{"credsStore": "orch-no-such-helper"}"#, "could not be run"),
        ] {
            let (credentials, trouble) = found(config, "r.example").await;
            let trouble = trouble.unwrap();
            assert!(credentials.is_none() && trouble.contains(wanted), "{trouble}");
            assert!(!trouble.contains("secret") && !trouble.contains("c2VjcmV0"), "{trouble}");
        }
        let nowhere = Logins::new(&BTreeMap::from([("DOCKER_CONFIG".to_owned(), "/nonexistent".to_owned())]));
        let login = nowhere.of("r.example").await;
        assert!(login.credentials.is_none() && login.trouble.is_none());
    }
}
