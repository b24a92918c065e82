//! Downloads an archive to the cache: streamed, within a size, checked against its digest.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{LOCATION, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sha2::{Digest as _, Sha256};

use crate::backend::{BackendError, ProgressSink};
use crate::event::Progress;
use crate::model::{Digest, Text};
use crate::sys;

/// How many redirects are followed.
const REDIRECTS: usize = 5;
/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often progress is told, in bytes.
const STRIDE: u64 = 256 * 1024;

/// Downloads `url` to `to`, which is there whole and with this digest, or not at all.
pub(super) async fn fetch(
    url: &Text,
    to: &Path,
    sha256: Digest,
    limit: u64,
    progress: &ProgressSink,
) -> Result<(), BackendError> {
    let shown = shown(url);
    let failed = |why: String| {
        BackendError::new(format!("cannot download {shown}: {why}"))
            .with_hint("see that the address is right and that this machine reaches it")
    };
    let response = get(url.reveal()).await.map_err(failed)?;
    let partial = sys::beside(to, &format!("{}.partial", std::process::id()));
    let written = write(response, &partial, limit, &shown, progress).await.map_err(failed);
    let kept = written.and_then(|found| {
        if found != sha256 {
            return Err(BackendError::new(format!(
                "what {shown} gives has the sha256 {}, not {} as the file says",
                found.short(),
                sha256.short()
            ))
            .with_hint("see who changed it before you change the `sha256` of the file"));
        }
        let renamed = std::fs::rename(&partial, to).and_then(|()| sys::sync_dir(to.parent().unwrap_or(Path::new("."))));
        renamed.map_err(|error| BackendError::new(format!("cannot keep {}: {error}", to.display())))
    });
    if kept.is_err() {
        // It is of no use to anyone.
        let _ = std::fs::remove_file(&partial);
    }
    kept
}

async fn get(url: &str) -> Result<Response<Incoming>, String> {
    // Reading the system's certificates takes a while.
    let connector = tokio::task::spawn_blocking(|| {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(PATIENCE));
        let builder = HttpsConnectorBuilder::new().with_native_roots()?;
        io::Result::Ok(builder.https_or_http().enable_http1().wrap_connector(http))
    });
    let connector = connector.await.map_err(|error| error.to_string())?.map_err(|error| format!("no TLS: {error}"))?;
    let client: Client<_, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let mut at: Uri = url.parse().map_err(|error| format!("not a url: {error}"))?;
    for _ in 0..=REDIRECTS {
        if at.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("a name and password in the url are not sent".to_owned());
        }
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = at.clone();
        request
            .headers_mut()
            .insert(USER_AGENT, hyper::header::HeaderValue::from_static(concat!("orch/", env!("CARGO_PKG_VERSION"))));
        let response = tokio::time::timeout(PATIENCE, client.request(request)).await;
        let response =
            response.map_err(|_| format!("no answer within {PATIENCE:?}"))?.map_err(|error| cause(&error))?;
        match response.status() {
            status if status.is_success() => return Ok(response),
            status if status.is_redirection() => {
                let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
                at = redirected(&at, to.ok_or_else(|| format!("{status} without a place to go to"))?)?;
            }
            status => return Err(status.to_string()),
        }
    }
    Err(format!("it redirects more than {REDIRECTS} times"))
}

/// Where a redirect leads; from TLS never to anything without.
fn redirected(from: &Uri, to: &str) -> Result<Uri, String> {
    let bad = |error: &dyn std::fmt::Display| format!("it redirects to what is no url: {error}");
    let to: Uri = match to.starts_with('/') && !to.starts_with("//") {
        true => Uri::builder()
            .scheme(from.scheme_str().unwrap_or("https"))
            .authority(from.authority().map_or("", |authority| authority.as_str()))
            .path_and_query(to)
            .build()
            .map_err(|error| bad(&error))?,
        false => to.parse().map_err(|error| bad(&error))?,
    };
    match (from.scheme_str(), to.scheme_str()) {
        (Some("https"), Some("https")) | (Some("http"), Some("http" | "https")) => Ok(to),
        (Some("https"), _) => Err("it redirects from https to something else".to_owned()),
        _ => Err("it redirects to what is neither http nor https".to_owned()),
    }
}

async fn write(
    response: Response<Incoming>,
    to: &Path,
    limit: u64,
    what: &str,
    progress: &ProgressSink,
) -> Result<Digest, String> {
    let io = |error: io::Error| format!("cannot write {}: {error}", to.display());
    let total =
        response.headers().get(hyper::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if total.is_some_and(|total: u64| total > limit) {
        return Err(format!("it has more than {limit} bytes"));
    }
    sys::create_private_dir(to.parent().unwrap_or(Path::new("."))).map_err(io)?;
    let mut file = std::fs::File::create(to).map_err(io)?;
    let (mut body, mut hasher, mut done, mut told) = (response.into_body(), Sha256::new(), 0_u64, 0);
    loop {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
        let frame = frame.map_err(|_| format!("it was silent for {PATIENCE:?} after {done} bytes"))?;
        let Some(frame) = frame else { break };
        let Ok(data) =
            frame.map_err(|error| format!("it broke off after {done} bytes: {}", cause(&error)))?.into_data()
        else {
            continue;
        };
        done += data.len() as u64;
        if done > limit {
            return Err(format!("it has more than {limit} bytes"));
        }
        hasher.update(&data);
        file.write_all(&data).map_err(io)?;
        if done - told >= STRIDE {
            told = done;
            let status = "downloading".to_owned();
            progress.tell(Progress { what: what.to_owned(), part: None, status, current: Some(done), total });
        }
    }
    if total.is_some_and(|total| total != done) {
        return Err(format!("it broke off after {done} bytes"));
    }
    file.sync_all().map_err(io)?;
    Ok(Digest::new(hasher.finalize().into()))
}

/// A URL without what may be secret in it.
fn shown(url: &Text) -> String {
    let shown = url.shown().split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = shown.split_once("://") else { return shown.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{scheme}://{}{path}", authority.rsplit('@').next().unwrap_or_default())
}

/// The deepest cause of an error.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(below) = deepest.source() {
        deepest = below;
    }
    deepest.to_string().split(" (os error ").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_within_tls() {
        let at = |url: &str| url.parse::<Uri>().unwrap();
        assert_eq!(redirected(&at("http://a/x"), "/y?z").unwrap(), at("http://a/y?z"));
        assert_eq!(redirected(&at("http://a/x"), "https://b/y").unwrap(), at("https://b/y"));
        for (from, to) in [("https://a/x", "http://a/x"), ("http://a/x", "file:///etc/passwd"), ("https://a/x", "y")] {
            assert!(redirected(&at(from), to).is_err(), "{from} to {to}");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        assert_eq!(shown(&Text::plain("https://u:p@a/b?token=1#c")), "https://a/b");
        assert!(!shown(&Text::sensitive("https://a/secret")).contains("secret"));
    }
}
