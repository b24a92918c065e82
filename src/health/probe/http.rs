//! An HTTP or HTTPS GET.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use tokio::sync::OnceCell;
use tower_service::Service;

use super::dialled::{self, Dialled};
use super::{ProbeAnswer, cause, net};
use crate::backend::Connection;
use crate::health::Target;
use crate::model::{BodyMatch, StatusMatch, Text};

/// How much of a body is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;
/// What probes call themselves.
const AGENT: &str = concat!("orch/", env!("CARGO_PKG_VERSION"));

type Plain = Client<HttpConnector<Resolver>, Empty<Bytes>>;
type Tls = Client<HttpsConnector<HttpConnector<Resolver>>, Empty<Bytes>>;

/// What the answer must be.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) status: &'a StatusMatch,
    pub(super) body: Option<&'a BodyMatch>,
}

/// The clients that all probes share. The one for HTTPS is made when it is first needed, because
/// reading the system's certificates takes longer than a whole plan.
#[derive(Debug)]
pub(super) struct HttpClients {
    plain: Plain,
    tls: OnceCell<(Tls, ClientConfig)>,
}

impl HttpClients {
    pub(super) fn new() -> Self {
        Self { plain: client(connector()), tls: OnceCell::new() }
    }

    async fn get(
        &self,
        request: Request<Empty<Bytes>>,
        dialled: Option<Connection>,
    ) -> Result<Response<Incoming>, String> {
        let is_tls = request.uri().scheme_str() == Some("https");
        let answer = match (is_tls, dialled) {
            (false, None) => self.plain.request(request).await,
            (true, None) => self.tls().await?.0.request(request).await,
            (false, Some(connection)) => client(Dialled::new(connection)).request(request).await,
            (true, Some(connection)) => {
                let config = self.tls().await?.1.clone();
                client(secure(config, Dialled::new(connection))).request(request).await
            }
        };
        answer.map_err(|error| cause(&error))
    }

    /// The client for HTTPS, and what it trusts. One that could not be made is tried again by the next probe.
    async fn tls(&self) -> Result<&(Tls, ClientConfig), String> {
        let make = || async {
            // Off the task that drives the gates, as it reads hundreds of files.
            let made = tokio::task::spawn_blocking(|| {
                let config = ClientConfig::builder().with_native_roots()?.with_no_client_auth();
                io::Result::Ok((client(secure(config.clone(), connector())), config))
            });
            made.await.map_err(|error| error.to_string())?.map_err(|error| format!("no TLS: {}", cause(&error)))
        };
        self.tls.get_or_try_init(make).await
    }
}

fn secure<C>(config: ClientConfig, connector: C) -> HttpsConnector<C> {
    HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().wrap_connector(connector)
}

/// No connection is kept: a probe is to find out whether one is accepted now, and a kept one may
/// lead to the version before.
fn client<C>(connector: C) -> Client<C, Empty<Bytes>>
where
    C: hyper_util::client::legacy::connect::Connect + Clone,
{
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)
}

fn connector() -> HttpConnector<Resolver> {
    let mut connector = HttpConnector::new_with_resolver(Resolver);
    connector.enforce_http(false);
    connector
}

pub(super) async fn probe(
    clients: &HttpClients,
    target: Target<'_>,
    label: &str,
    url: &Text,
    headers: &[(String, Text)],
    wanted: Wanted<'_>,
) -> ProbeAnswer {
    let answered = async {
        let request = request(url, headers)?;
        let uri = request.uri();
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let dialled = dialled::dial(target, net::bare(uri.host().unwrap_or_default()), port).await?;
        let response = clients.get(request, dialled).await?;
        judge(response, wanted).await
    };
    match answered.await {
        Ok(answer) => ProbeAnswer::healthy(format!("{label}: {answer}")),
        Err(why) => ProbeAnswer::unhealthy(format!("{label}: {why}")),
    }
}

fn request(url: &Text, headers: &[(String, Text)]) -> Result<Request<Empty<Bytes>>, String> {
    let url: Uri = url.reveal().parse().map_err(|error| format!("not a url: {error}"))?;
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("a name and password in the url are not sent, give an `Authorization` header".to_owned());
    }
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = url;
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
    for (index, (name, value)) in headers.iter().enumerate() {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value.reveal()).ok());
        let (header, mut value) = parsed.ok_or_else(|| format!("header `{name}` is not one that HTTP allows"))?;
        value.set_sensitive(true);
        // The first of a name takes the place of what stands there (our user agent), others join it.
        if headers[..index].iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
            request.headers_mut().append(header, value);
        } else {
            request.headers_mut().insert(header, value);
        }
    }
    Ok(request)
}

/// What a good answer was, or why it is not good. The body is never shown.
async fn judge(response: Response<Incoming>, wanted: Wanted<'_>) -> Result<String, String> {
    let status = response.status().as_u16();
    if !wanted.status.accepts(status) {
        return Err(format!("{status} (want {})", shown_statuses(wanted.status)));
    }
    let Some(want) = wanted.body else { return Ok(status.to_string()) };
    let body = read(response.into_body()).await?;
    let text = String::from_utf8_lossy(&body);
    let unlike = match want {
        BodyMatch::Contains(part) if text.contains(part.as_str()) => return Ok(format!("{status}, body as wanted")),
        BodyMatch::Equals(whole) if text.trim() == whole.trim() => return Ok(format!("{status}, body as wanted")),
        BodyMatch::Contains(part) => format!("the body lacks {part:?}"),
        BodyMatch::Equals(whole) => format!("the body is not {whole:?}"),
    };
    let limit = if body.len() >= BODY_LIMIT { " in its first 64 KiB" } else { "" };
    Err(format!("{status}, but {unlike}{limit}"))
}

/// The body, or as much of it as is looked at.
async fn read(mut body: Incoming) -> Result<Vec<u8>, String> {
    let mut read = Vec::new();
    while read.len() < BODY_LIMIT
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(|error| format!("the body broke off: {}", cause(&error)))?;
        if let Ok(data) = frame.into_data() {
            read.extend_from_slice(&data);
        }
    }
    read.truncate(BODY_LIMIT);
    Ok(read)
}

fn shown_statuses(status: &StatusMatch) -> String {
    match status {
        StatusMatch::Success => "2xx".to_owned(),
        StatusMatch::OneOf(list) => list.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "),
    }
}

/// A URL without what may be secret in it: user information, query and fragment.
pub(super) fn shown_url(url: &Text) -> String {
    let shown = url.shown();
    let shown = shown.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = shown.split_once("://") else { return shown.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// Finds addresses as every probe does, see [`net::resolve`].
#[derive(Debug, Clone, Copy)]
struct Resolver;

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        // The connector puts the port of the URL into the addresses.
        Box::pin(async move { Ok(net::resolve(name.as_str(), 0).await?.into_iter()) })
    }
}
