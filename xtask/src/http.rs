//! Loopback addresses, and what answers there.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A loopback address that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to find a free port")?;
    Ok(listener.local_addr()?)
}

/// The body of an HTTP response.
pub(crate) fn fetch(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("failed to connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).with_context(|| format!("failed to ask for {path}"))?;
    let mut response = String::new();
    stream.read_to_string(&mut response).with_context(|| format!("failed to read {path}"))?;
    let (head, body) = response.split_once("\r\n\r\n").context("the response has no body")?;
    if head.split(' ').nth(1) != Some("200") {
        bail!("{path}: {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Answers one request with `response`.
    fn serve_once(response: &'static str) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                peer.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            peer.write_all(response.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn metrics_are_the_body_of_a_good_response() {
        let address = serve_once("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nup 1");
        assert_eq!(fetch(address, "/metrics").unwrap(), "up 1");
    }

    #[test]
    fn another_response_is_an_error() {
        let address = serve_once("HTTP/1.1 404 Not Found\r\n\r\n");
        let error = fetch(address, "/metrics").unwrap_err().to_string();
        assert!(error.contains("404"), "{error}");
    }
}
