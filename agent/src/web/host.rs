//! Which names the server answers to.
//!
//! A web page can make a browser on this machine ask any loopback port, and by a name that its owner
//! points at 127.0.0.1 it could read the answer. The `Host` header carries that name.

use std::net::{IpAddr, SocketAddr};

use super::listen::is_loopback;

/// The names of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHosts {
    address: IpAddr,
    name: String,
}

impl AllowedHosts {
    /// Those of a server on `address`, on a host that is called `name` (`uname -n`). On loopback:
    /// `localhost` and loopback addresses. Elsewhere also the address itself, and the host's name with
    /// any domain; where it listens on all addresses, any address, since a name is what it takes to
    /// lead a browser astray.
    pub fn new(address: SocketAddr, name: &str) -> Self {
        Self { address: address.ip().to_canonical(), name: first_label(name).to_owned() }
    }

    /// Whether a `Host` header is one of them; its port does not matter.
    pub fn allows(&self, host: &str) -> bool {
        let Some(host) = without_port(host) else { return false };
        let literal = host.strip_prefix('[').map_or(host, |rest| rest.trim_end_matches(']'));
        if let Ok(address) = literal.parse::<IpAddr>() {
            let address = address.to_canonical();
            return is_loopback(address)
                || address == self.address
                || self.address.is_unspecified();
        }
        host.eq_ignore_ascii_case("localhost")
            || (!is_loopback(self.address)
                && !self.name.is_empty()
                && first_label(host).eq_ignore_ascii_case(&self.name))
    }
}

fn first_label(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// `None` when what follows the last colon is no port.
fn without_port(host: &str) -> Option<&str> {
    // The colons of an address in brackets are its own.
    let after = host.rfind(']').map_or(0, |bracket| bracket + 1);
    match host.get(after..)?.rfind(':') {
        None => Some(host),
        Some(colon) => {
            let (name, port) = host.split_at_checked(after + colon)?;
            port.get(1..)?.parse::<u16>().ok().map(|_| name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(address: &str, host: &str) -> bool {
        AllowedHosts::new(address.parse().expect("an address"), "node7.example").allows(host)
    }

    /// Exercise a server on loopback.
    #[test]
    fn loopback_answers_to_loopback_names() {
        for host in
            ["localhost", "LOCALHOST:9470", "127.0.0.1", "127.0.0.1:9470", "[::1]:9470", "[::1]"]
        {
            assert!(allows("127.0.0.1:9470", host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9470",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "node7",
            "192.0.2.1",
            "",
            "localhost:",
            "localhost:x",
            "[::1",
            "user@localhost",
        ] {
            assert!(!allows("127.0.0.1:9470", host), "{host}");
        }
    }

    /// Exercise a server on one address that others reach, and on all.
    #[test]
    fn public_servers_answer_to_their_own_names() {
        for host in ["192.0.2.1:9470", "node7:9470", "node7.cluster.local", "localhost"] {
            assert!(allows("192.0.2.1:9470", host), "{host}");
        }
        assert!(!allows("192.0.2.1:9470", "192.0.2.2"));
        assert!(!allows("192.0.2.1:9470", "evil.example"));
        assert!(allows("0.0.0.0:9470", "192.0.2.2:9470"));
        assert!(allows("[::]:9470", "[2001:db8::1]:9470"));
        assert!(!allows("0.0.0.0:9470", "evil.example"));
        assert!(!AllowedHosts::new("0.0.0.0:1".parse().expect("an address"), "").allows(".x"));
    }
}
