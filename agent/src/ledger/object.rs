//! Names of objects as a person reads them. Bytes that are no UTF-8 are replaced; control characters
//! are kept, each exporter makes them harmless in its own way.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::event::Object;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

impl Object {
    /// `/var/lib/app.db`, `127.0.0.1:6379`, `vm_stat -c 1`, `Task-7`.
    pub fn name(&self) -> String {
        match self {
            Object::File { path, .. } => String::from_utf8_lossy(path).into_owned(),
            Object::Peer(address) => peer(address),
            Object::Task(name) => name.clone(),
            Object::Command { arguments, cut } => {
                let words: Vec<_> =
                    arguments.iter().map(|word| String::from_utf8_lossy(word)).collect();
                format!("{}{}", words.join(" "), if *cut { " …" } else { "" })
            }
        }
    }

    /// The network address, where it is one.
    pub fn address(&self) -> Option<SocketAddr> {
        let Object::Peer(raw) = self else { return None };
        let port = u16::from_be_bytes([*raw.get(2)?, *raw.get(3)?]);
        match u16::from_ne_bytes([*raw.first()?, *raw.get(1)?]) {
            AF_INET => {
                let ip: [u8; 4] = raw.get(4..8)?.try_into().ok()?;
                Some(SocketAddr::from((Ipv4Addr::from(ip), port)))
            }
            AF_INET6 => {
                let ip: [u8; 16] = raw.get(8..24)?.try_into().ok()?;
                Some(SocketAddr::from((Ipv6Addr::from(ip), port)))
            }
            _ => None,
        }
    }
}

fn peer(raw: &[u8]) -> String {
    if let Some(address) = Object::Peer(raw.to_vec()).address() {
        return address.to_string();
    }
    let family = raw.get(..2).map_or(0, |f| u16::from_ne_bytes([f[0], f[1]]));
    let rest = raw.get(2..).unwrap_or_default();
    match (family, rest.split_first()) {
        // An abstract name begins with a NUL, and holds what it likes.
        (AF_UNIX, Some((0, name))) => format!("unix:@{}", String::from_utf8_lossy(name)),
        (AF_UNIX, Some(_)) => {
            let name = rest.split(|&byte| byte == 0).next().unwrap_or_default();
            format!("unix:{}", String::from_utf8_lossy(name))
        }
        _ => format!("address family {family}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise each family, and bytes that are too few for theirs.
    #[test]
    fn peers_read_well() {
        let name = |bytes: &[u8]| Object::Peer(bytes.to_vec()).name();
        assert_eq!(
            name(&[2, 0, 0x18, 0xeb, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            "127.0.0.1:6379"
        );
        let mut six = vec![10, 0, 0, 80, 0, 0, 0, 0];
        six.extend_from_slice(&Ipv6Addr::LOCALHOST.octets());
        assert_eq!(name(&six), "[::1]:80");
        assert_eq!(name(b"\x01\0/run/x.sock\0junk"), "unix:/run/x.sock");
        assert_eq!(name(b"\x01\0\0abstract"), "unix:@abstract");
        assert_eq!(name(&[2, 0, 0]), "address family 2");
        assert_eq!(name(&[]), "address family 0");
    }
}
