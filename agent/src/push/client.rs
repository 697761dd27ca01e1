//! One connection to a receiver, kept from one request to the next, and a bound on every wait.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use axum::http::{self, StatusCode};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::credentials;
use super::queue::Request;
use super::target::Target;

/// Time to find the host and to connect, the handshake included.
const CONNECT: Duration = Duration::from_secs(5);

/// Time from a request's first byte to its answer's last.
const ANSWER: Duration = Duration::from_secs(15);

/// Bytes of an answer that are read, so that its connection can be used again.
const MOST: usize = 64 << 10;

/// What a receiver answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// It asked to be left alone for so long.
    pub(super) retry_after: Option<Duration>,
}

/// A client of one receiver.
pub(super) struct Client {
    target: Target,
    tls: Option<TlsConnector>,
    connection: Option<SendRequest<Body>>,
}

impl Client {
    pub(super) fn new(target: Target) -> Self {
        Self { target, tls: None, connection: None }
    }

    pub(super) fn authority(&self) -> &str {
        &self.target.authority
    }

    /// Posts it.
    ///
    /// # Errors
    /// When there was no answer.
    pub(super) async fn post(&mut self, request: &Request) -> io::Result<Answer> {
        let mut connection = match self.connection.take().filter(|known| !known.is_closed()) {
            Some(connection) => connection,
            None => timed(CONNECT, self.connect()).await?,
        };
        let request = self.request(request)?;
        let answer = async {
            connection.ready().await.map_err(io::Error::other)?;
            let answer = connection.send_request(request).await.map_err(io::Error::other)?;
            let (head, body) = answer.into_parts();
            let whole = to_bytes(Body::new(body), MOST).await.is_ok();
            Ok((head, whole, connection))
        };
        let (head, whole, connection) = timed(ANSWER, answer).await?;
        self.connection = whole.then_some(connection);
        let retry_after = head.headers.get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Answer { status: head.status, retry_after: retry_after.map(Duration::from_secs) })
    }

    fn request(&self, request: &Request) -> io::Result<http::Request<Body>> {
        let mut built = http::Request::post(format!("{}{}", self.target.path, request.query))
            .header(HOST, &self.target.authority)
            .header(USER_AGENT, concat!("pitviper/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, request.media_type);
        if let Some(file) = &self.target.credentials {
            built = built.header(AUTHORIZATION, credentials::read(file).map_err(io::Error::other)?);
        }
        built.body(Body::from(request.body.clone())).map_err(io::Error::other)
    }

    async fn connect(&mut self) -> io::Result<SendRequest<Body>> {
        let mut last = io::Error::other("the name leads to no address that profiles may go to");
        let found: Vec<_> =
            lookup_host((self.target.host.as_str(), self.target.port)).await?.collect();
        for address in found {
            if !self.target.allows(address.ip()) {
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) if self.target.tls => return self.encrypted(stream).await,
                Ok(stream) => return begun(stream).await,
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn encrypted(&mut self, stream: TcpStream) -> io::Result<SendRequest<Body>> {
        let tls = match &self.tls {
            Some(tls) => tls.clone(),
            None => self.tls.insert(connector()?).clone(),
        };
        let name = ServerName::try_from(self.target.host.clone()).map_err(io::Error::other)?;
        begun(tls.connect(name, stream).await?).await
    }
}

/// Trusts whom the system trusts.
fn connector() -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (known, _) = roots.add_parsable_certificates(found.certs);
    if known == 0 {
        return Err(io::Error::other(
            "this system has no certificate authorities (package ca-certificates)",
        ));
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn begun<S>(stream: S) -> io::Result<SendRequest<Body>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // It ends when the sender is dropped; what went wrong the sender tells.
    tokio::spawn(connection);
    Ok(sender)
}

async fn timed<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
