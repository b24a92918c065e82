//! How orch reaches engines: sockets, TLS, and what it says when none answers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use orch::model::{DockerSpec, PullPolicy};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;

use super::images::{backend, pin, says, spec};
use crate::support::{Engine, free_port};

#[tokio::test]
async fn an_engine_that_is_away_is_named_with_who_named_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let address = format!("unix://{}", socket.display());
    let nobody = backend(&[("DOCKER_HOST", &address)]);
    let web = spec("orch-test/web:1", PullPolicy::Missing);
    says(&pin(&nobody, &web).await.unwrap_err(), &[&address, "(DOCKER_HOST)", "no such file", "start it"]);
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    says(&pin(&nobody, &web).await.unwrap_err(), &[&address, "connection refused", "start it"]);

    let port = free_port();
    let host = format!("tcp://127.0.0.1:{port}");
    let elsewhere = DockerSpec { host: Some(host.clone()), ..web.clone() };
    says(&pin(&nobody, &elsewhere).await.unwrap_err(), &[&host, "(the backend's `host`)", "connection refused"]);

    // One that is back is found by the same backend.
    let real = Engine::get().host().strip_prefix("unix://").map(std::path::PathBuf::from);
    if let Some(real) = real {
        std::fs::remove_file(&socket).unwrap();
        std::os::unix::fs::symlink(real, &socket).unwrap();
        pin(&nobody, &web).await.unwrap();
    }
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let engine = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let request = BufReader::new(&stream).lines().next().unwrap().unwrap();
        let body = r#"{"ApiVersion": "1.39"}"#;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        (&stream).write_all((head + body).as_bytes()).unwrap();
        request
    });
    let old = backend(&[("DOCKER_HOST", &format!("unix://{}", socket.display()))]);
    let error = pin(&old, &spec("orch-test/web:1", PullPolicy::Missing)).await.unwrap_err();
    says(&error, &["speaks version 1.39 of the API, and orch needs 1.40", "Docker 19.03"]);
    assert_eq!(engine.join().unwrap(), "GET /version HTTP/1.1");
}

#[tokio::test]
async fn an_engine_over_tls_and_its_clients_know_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let host = serve_tls(&authority).await;
    let web = DockerSpec { host: Some(host.clone()), ..spec("orch-test/web:1", PullPolicy::Missing) };
    let id = Engine::get().inspect("orch-test/web:1")["Id"].as_str().unwrap().to_owned();
    let certificates = folder.path().to_str().unwrap();

    let verified = backend(&[("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", certificates)]);
    assert_eq!(pin(&verified, &web).await.unwrap(), id);
    let unverified = backend(&[("DOCKER_TLS", "1"), ("DOCKER_CERT_PATH", certificates)]);
    assert_eq!(pin(&unverified, &web).await.unwrap(), id);

    let anonymous = folder.path().join("anonymous");
    std::fs::create_dir(&anonymous).unwrap();
    std::fs::copy(authority.file("ca.pem"), anonymous.join("ca.pem")).unwrap();
    let refused = backend(&[("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", anonymous.to_str().unwrap())]);
    says(&pin(&refused, &web).await.unwrap_err(), &[&host, "(the backend's `host`)", "`cert.pem`"]);

    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    Authority::new(&other);
    let stranger = backend(&[("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", other.to_str().unwrap())]);
    says(&pin(&stranger, &web).await.unwrap_err(), &[&host, "certificate"]);

    std::fs::write(authority.file("key.pem"), "no key\n").unwrap();
    let broken = backend(&[("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", certificates)]);
    says(&pin(&broken, &web).await.unwrap_err(), &["cannot connect", "key.pem: "]);
}

/// Certificates as `docker` wants them, and those of an engine.
struct Authority(PathBuf);

impl Authority {
    fn new(folder: &Path) -> Self {
        let openssl = |args: &[&str]| {
            let mut command = Command::new("openssl");
            let output = command.args(args).current_dir(folder).output().expect("openssl is needed: use `tests/run`");
            assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        openssl(&[&new[..], &["-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=orch-images"]].concat());
        for (name, key, usage) in
            [("cert.pem", "key.pem", "clientAuth"), ("server.pem", "server-key.pem", "serverAuth")]
        {
            let extensions = [
                "basicConstraints=critical,CA:FALSE".to_owned(),
                "subjectAltName=IP:127.0.0.1".to_owned(),
                format!("extendedKeyUsage={usage}"),
            ];
            let added = extensions.iter().flat_map(|extension| ["-addext", extension]);
            let signed = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-keyout", key, "-out", name, "-subj", "/CN=engine"];
            let args: Vec<&str> = new.into_iter().chain(signed).chain(added).collect();
            openssl(&args);
        }
        Self(folder.to_owned())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.file(name)).unwrap()
    }
}

/// Lets in over TLS to the engine who shows a certificate of the authority; its address.
async fn serve_tls(authority: &Authority) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate("ca.pem")).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::from_pem_file(authority.file("server-key.pem")).unwrap();
    let config = config.with_client_cert_verifier(clients);
    let config = config.with_single_cert(vec![authority.certificate("server.pem")], key).unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let host = format!("tcp://{}", listener.local_addr().unwrap());
    let socket = Engine::get().host().strip_prefix("unix://").expect("the engine of this machine").to_owned();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, socket) = (acceptor.clone(), socket.clone());
            tokio::spawn(async move {
                // Who is not let in is told so by the handshake.
                let Ok(mut client) = acceptor.accept(stream).await else { return };
                let mut engine = UnixStream::connect(socket).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut engine).await;
            });
        }
    });
    host
}
