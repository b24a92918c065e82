//! How requests reach an engine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper_rustls::{ConfigBuilderExt, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::address::{Endpoint, Tls};
use super::ssh::SshConnector;

/// How long a TCP connection may take to come up.
const CONNECT: Duration = Duration::from_secs(10);
/// How many idle connections are kept; each one over SSH is a process on either side.
const IDLE: usize = 4;

/// A client of the engine at an endpoint that has connected to nothing yet; `patience` is how long
/// the engine may take to answer a request.
pub(super) fn client(endpoint: &Endpoint, patience: Duration) -> Result<Docker, String> {
    let docker = match endpoint {
        Endpoint::Unix(path) => {
            Docker::connect_with_unix(&path.to_string_lossy(), patience.as_secs(), API_DEFAULT_VERSION)
        }
        Endpoint::Tcp { authority, tls: None } => over(tcp(), &format!("http://{authority}"), patience),
        Endpoint::Tcp { authority, tls: Some(tls) } => {
            let tls = HttpsConnectorBuilder::new().with_tls_config(tls_config(tls)?).https_only().enable_http1();
            over(tls.wrap_connector(tcp()), &format!("https://{authority}"), patience)
        }
        Endpoint::Ssh { destination, socket } => ssh(SshConnector::new(destination.clone(), socket.clone()), patience),
    };
    docker.map_err(|error| match error {
        Error::SocketNotFoundError(_) => "no such file or directory".to_owned(),
        other => other.to_string(),
    })
}

/// bollard's own transports over TCP read the process's environment, trust the system's authorities
/// beside the given one, and read the client's key only when it is asked for.
fn over<C>(connector: C, address: &str, patience: Duration) -> Result<Docker, Error>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(IDLE).build(connector);
    let transport = move |request: BollardRequest| {
        let client = client.clone();
        async move { client.request(request).await.map_err(Error::from) }
    };
    Docker::connect_with_custom_transport(transport, Some(address), patience.as_secs(), API_DEFAULT_VERSION)
}

fn ssh(connector: SshConnector, patience: Duration) -> Result<Docker, Error> {
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(IDLE).build(connector.clone());
    let transport = move |request: BollardRequest| {
        let (client, connector) = (client.clone(), connector.clone());
        async move {
            match client.request(request).await {
                Ok(response) => Ok(response),
                Err(error) => match connector.complaint().await {
                    Some(complaint) => Err(Error::from(io::Error::other(complaint))),
                    None => Err(Error::from(error)),
                },
            }
        }
    };
    // What stands in the address is not used: the connector knows where to go.
    Docker::connect_with_custom_transport(transport, Some("http://engine"), patience.as_secs(), API_DEFAULT_VERSION)
}

fn tcp() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_keepalive(Some(Duration::from_secs(30)));
    connector.set_nodelay(true);
    connector
}

fn tls_config(tls: &Tls) -> Result<ClientConfig, String> {
    // Named, so that it does not depend on which one the process has by default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = match (&tls.ca, tls.verify) {
        (_, false) => builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider))),
        (Some(ca), true) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(ca)? {
                roots.add(certificate).map_err(|error| format!("{}: {error}", ca.display()))?;
            }
            builder.with_root_certificates(roots)
        }
        (None, true) => builder.with_native_roots().map_err(|error| error.to_string())?,
    };
    match &tls.identity {
        Some((certificate, key)) => {
            let of_key = |error: &dyn std::fmt::Display| format!("{}: {error}", key.display());
            let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| of_key(&error))?;
            builder.with_client_auth_cert(certificates(certificate)?, private).map_err(|error| of_key(&error))
        }
        None => Ok(builder.with_no_client_auth()),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if found.is_empty() => Err(format!("{}: there is no certificate in it", path.display())),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {}", path.display(), error.kind()))
}

/// Takes any certificate, as the user asked for with `SkipTLSVerify` or `DOCKER_TLS`; that the engine
/// has its key is still checked.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
