//! Which address to listen on, and whether that is allowed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use rustix::net::listen;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};

/// Why the server does not listen. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The text is no address.
    #[error(
        "failed to understand the address `{text}`: give ADDRESS:PORT, such as 127.0.0.1:9470 or \
         [::1]:9470, or a port alone"
    )]
    Malformed {
        /// What the user wrote.
        text: String,
    },
    /// Other hosts could reach it, and nobody has allowed that.
    #[error(
        "refused to listen on {address}: other hosts could read file names and code lines of this \
         process there; use 127.0.0.1:{}, or allow it with --listen-public", .address.port()
    )]
    Public {
        /// The address.
        address: SocketAddr,
    },
    /// The system refused.
    #[error("failed to listen on {address}: {cause}; choose another port, or 0 for any")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

/// What `--listen` says: `127.0.0.1:9470`, `[::1]:9470`, `localhost:9470`, or a port alone, which is
/// one of 127.0.0.1. Names are not looked up. `public` is `--listen-public`.
///
/// # Errors
/// When the text is no address, and when other hosts could reach it without `public`.
pub fn parse_address(text: &str, public: bool) -> Result<SocketAddr, ListenError> {
    let port = |digits: &str| digits.parse::<u16>().ok();
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let address = if let Some(port) = port(text) {
        Some(loopback(port))
    } else if let Some((host, digits)) = text.rsplit_once(':')
        && host.eq_ignore_ascii_case("localhost")
    {
        port(digits).map(loopback)
    } else {
        text.parse().ok()
    };
    let address = address.ok_or_else(|| ListenError::Malformed { text: text.to_owned() })?;
    check_address(address, public)?;
    Ok(address)
}

/// Refuses an address that other hosts could reach, unless `public`.
///
/// # Errors
/// [`ListenError::Public`].
pub fn check_address(address: SocketAddr, public: bool) -> Result<(), ListenError> {
    if public || is_loopback(address.ip()) { Ok(()) } else { Err(ListenError::Public { address }) }
}

/// Bytes that the kernel keeps of what a client sends, and of what it does not read: so many for each
/// connection, which grow to megabytes unless they are bounded.
const RECEIVED: usize = 16 << 10;
const UNREAD: usize = 128 << 10;

/// Connections that may wait until the server takes them: a burst of clients must not keep a scraper
/// out for the second that it takes to try again. The system has a bound of its own.
const BACKLOG: i32 = 4096;

/// Listens on the address.
///
/// # Errors
/// When the port is taken, or the address is not one of this host.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        // Connections inherit these.
        set_socket_recv_buffer_size(&listener, RECEIVED)?;
        set_socket_send_buffer_size(&listener, UNREAD)?;
        listen(&listener, BACKLOG)?;
        // The runtime waits for it; the system must not.
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|cause| ListenError::Bind { address, cause })
}

/// 127.0.0.0/8, ::1, and the first of those written as the second kind.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.is_loopback(),
        IpAddr::V6(six) => {
            six == Ipv6Addr::LOCALHOST
                || six.to_ipv4_mapped().is_some_and(|four| four.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise what people write.
    #[test]
    fn addresses_are_understood() {
        for (text, expected) in [
            ("127.0.0.1:9470", "127.0.0.1:9470"),
            ("127.8.9.1:1", "127.8.9.1:1"),
            ("[::1]:9470", "[::1]:9470"),
            ("[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80"),
            ("localhost:0", "127.0.0.1:0"),
            ("LocalHost:9470", "127.0.0.1:9470"),
            ("9470", "127.0.0.1:9470"),
        ] {
            let address = parse_address(text, false).expect(text);
            assert_eq!(address.to_string(), expected);
        }
    }

    /// Exercise addresses that other hosts can reach.
    #[test]
    fn public_addresses_need_to_be_allowed() {
        for text in ["0.0.0.0:9470", "[::]:9470", "192.0.2.1:9470", "[::ffff:192.0.2.1]:9470"] {
            let error = parse_address(text, false).expect_err(text);
            assert!(matches!(error, ListenError::Public { .. }), "{text}: {error}");
            assert!(error.to_string().contains("--listen-public"), "{error}");
            assert_eq!(parse_address(text, true).expect(text).to_string(), text);
        }
    }

    /// Exercise what is no address.
    #[test]
    fn nonsense_is_told() {
        for text in
            ["", ":", "localhost", "localhost:x", "host.example:80", "1.2.3:4", "70000", "::1:1:"]
        {
            let error = parse_address(text, true).expect_err(text);
            assert!(matches!(error, ListenError::Malformed { .. }), "{text}: {error}");
        }
    }

    /// Exercise a port that is taken.
    #[test]
    fn a_taken_port_is_told() {
        let first = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("bound");
        let address = first.local_addr().expect("an address");
        let error = bind(address).expect_err("taken");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
