//! The connections: how many, for how long, and how much of each.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::host::AllowedHosts;
use super::published::Published;
use super::{pages, patience};

/// Connections at once; more wait in the kernel's queue. A scraper needs one.
const CONNECTIONS: usize = 32;

/// Time for the request's head. A scraper sends it in one packet.
const HEAD: Duration = Duration::from_secs(5);

/// Time for the whole connection: Prometheus gives up after 10 s by default.
const CONNECTION: Duration = Duration::from_secs(10);

/// Bytes of a request's head. A browser on this machine sends the cookies of all its ports.
const HEAD_BYTES: usize = 16 << 10;

/// Pause after the system has refused a connection (no descriptors left), which does not mend at
/// once.
const REFUSED: Duration = Duration::from_millis(100);

/// Serves until it is dropped. The listener is one of [`super::bind`].
///
/// # Errors
/// When the runtime cannot take the listener.
pub async fn serve(listener: std::net::TcpListener, published: Published) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let hosts = AllowedHosts::new(listener.local_addr()?, &name);
    let routes = TowerToHyperService::new(pages::router(published, hosts));
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(REFUSED).await;
            continue;
        };
        let routes = routes.clone();
        tokio::spawn(async move {
            answer(stream, routes).await;
            drop(place);
        });
    }
}

async fn answer(stream: TcpStream, routes: TowerToHyperService<axum::Router>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_header_size(HEAD_BYTES)
        // One request a connection: none stays for longer than it takes.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), routes);
    // A client that misbehaves or leaves is its own concern.
    _ = patience::within(CONNECTION, connection).await;
}

#[cfg(test)]
mod tests;
