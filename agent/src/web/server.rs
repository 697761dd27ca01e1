//! The connections: how many, for how long, and how much of each.

mod paced;
mod places;

use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::uri::PathAndQuery;
use axum::http::{Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::access::{Access, Policy, Verdict};
use super::counts::{Counts, Outcome};
use super::host::AllowedHosts;
use super::pages;
use super::published::Published;
use paced::Paced;
use places::{Places, Seat, Stage};

/// Connections at once, to one address; the next one has an old one closed. A scraper needs one and a
/// page in a browser six: the others are there so that a burst of clients passes quickly. Each takes
/// a descriptor of this process, and some 10 KiB once it has spoken.
const CONNECTIONS: usize = 512;

/// Time for the first byte, for the TLS handshake, and for the request's head. A scraper sends it in
/// one packet.
const HEAD: Duration = Duration::from_secs(5);

/// Time that a client may take to read the next bytes of its answer.
const STALL: Duration = Duration::from_secs(10);

/// Time for the whole connection: what its parts have, and for the answer as long as Prometheus waits
/// by default.
const CONNECTION: Duration = Duration::from_secs(25);

/// Time beyond that for answers that take theirs by what they are: the longest window of a profile, and
/// events until the page asks again.
const LONG_ANSWER: Duration = Duration::from_secs(570);

/// Time and bytes for what a client still sends after its answer: a connection that is closed with
/// something unread is reset, and the answer with it.
const LEFTOVERS: (Duration, u64) = (Duration::from_secs(1), 256 << 10);

/// Bytes of a request's head. A browser on this machine sends the cookies of all its ports.
const HEAD_BYTES: usize = 16 << 10;

/// Pause after the system has refused a connection (no descriptors left), which does not mend at
/// once.
const REFUSED: Duration = Duration::from_millis(100);

/// Where the metrics are, whatever else they are called.
const METRICS: &str = "/metrics";

/// What the server serves, and to whom.
#[derive(Clone)]
pub struct Site {
    /// The newest scrape.
    pub published: Published,
    /// Who may read.
    pub access: Arc<Access>,
    /// Another path of the metrics, with its leading slash.
    pub telemetry_path: Option<PathAndQuery>,
    /// What became of connections.
    pub counts: Arc<Counts>,
}

/// Serves until it is dropped. The listener is one of [`super::bind`].
///
/// # Errors
/// When the runtime cannot take the listener.
pub async fn serve(listener: TcpListener, site: Site) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let hosts = AllowedHosts::new(listener.local_addr()?, &name);
    let routes = TowerToHyperService::new(pages::router(site.published.clone(), hosts));
    let places = Places::default();
    loop {
        let Ok((stream, client)) = listener.accept().await else {
            sleep(REFUSED).await;
            continue;
        };
        if places.taken() >= CONNECTIONS {
            // Those that came before have their turn: what they asked for may be here already.
            yield_now().await;
        }
        while places.taken() >= CONNECTIONS {
            match places.evict(Instant::now()) {
                Ok(()) => site.counts.add(Outcome::Evicted),
                Err(over) => sleep_until(over.into()).await,
            }
        }
        let seat = places.take(client.ip(), Instant::now());
        let number = seat.number();
        let task = tokio::spawn(connection(stream, seat, routes.clone(), site.clone()));
        places.hold(number, task.abort_handle());
    }
}

/// One connection, from the handshake to its end.
async fn connection(
    stream: TcpStream,
    seat: Seat,
    routes: TowerToHyperService<Router>,
    site: Site,
) {
    // Until it speaks it costs no more than its descriptor.
    let Ok(Ok(())) = timeout(HEAD, stream.readable()).await else {
        site.counts.add(Outcome::Failed);
        return;
    };
    seat.reached(Stage::Begun);
    let policy = site.access.current();
    let counts = Arc::clone(&site.counts);
    let long = AtomicBool::new(false);
    let all = async {
        let stream = Paced::new(stream, STALL);
        match policy.tls.clone() {
            None => answer(stream, seat, routes, site, policy, &long).await,
            Some(tls) => match timeout(HEAD, TlsAcceptor::from(tls).accept(stream)).await {
                Ok(Ok(stream)) => answer(stream, seat, routes, site, policy, &long).await,
                Ok(Err(_)) | Err(_) => Outcome::Failed,
            },
        }
    };
    let mut all = pin!(all);
    let outcome = match timeout(CONNECTION, all.as_mut()).await {
        Ok(outcome) => outcome,
        Err(_) if long.load(Ordering::Relaxed) => {
            timeout(LONG_ANSWER, all).await.unwrap_or(Outcome::Failed)
        }
        Err(_) => Outcome::Failed,
    };
    counts.add(outcome);
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    seat: Seat,
    routes: TowerToHyperService<Router>,
    site: Site,
    policy: Arc<Policy>,
    long: &AtomicBool,
) -> Outcome {
    let service = service_fn(|request: Request<Incoming>| {
        seat.reached(Stage::Asked);
        long.store(pages::takes_long(request.uri().path()), Ordering::Relaxed);
        respond(request, &routes, &site, &policy)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_header_size(HEAD_BYTES)
        // One request a connection: none stays for longer than it takes.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that misbehaves or leaves is its own concern.
    let Ok(parts) = connection.without_shutdown().await else { return Outcome::Failed };
    seat.reached(Stage::Begun);
    part(parts.io.into_inner()).await;
    Outcome::Answered
}

/// Closes, and takes what the client still sends.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let (time, bytes) = LEFTOVERS;
    let rest = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(bytes), &mut tokio::io::sink()).await
    };
    _ = timeout(time, rest).await;
}

async fn respond(
    mut request: Request<Incoming>,
    routes: &TowerToHyperService<Router>,
    site: &Site,
    policy: &Policy,
) -> Result<Response, std::convert::Infallible> {
    let mut response = match site.access.admits(policy, request.headers()).await {
        Verdict::Admitted => {
            if site.telemetry_path.as_ref().is_some_and(|path| path.path() == request.uri().path())
            {
                *request.uri_mut() = Uri::from_static(METRICS);
            }
            routes.call(request.map(Body::new)).await?
        }
        Verdict::Refused => {
            let challenge = [
                (WWW_AUTHENTICATE, "Basic realm=\"pitviper\", charset=\"UTF-8\""),
                (CACHE_CONTROL, "no-store"),
            ];
            (StatusCode::UNAUTHORIZED, challenge, "A user and a password, please.\n")
                .into_response()
        }
        Verdict::Busy => {
            let why = "Too many passwords are being checked.\n";
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], why).into_response()
        }
        Verdict::TooMany => {
            let why = "Too many requests.\n";
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "1")], why).into_response()
        }
    };
    policy.mark(response.headers_mut());
    Ok(response)
}

#[cfg(test)]
mod tests;
