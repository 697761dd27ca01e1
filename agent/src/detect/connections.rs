//! Connections of a process by their peer: which peers count, and how connections to them end.

use std::collections::HashMap;

use crate::event::{Object, ObjectId, ProcessId};
use crate::ledger::{Deed, Ledger};
use crate::source::{Act, Sums};

/// `sock_type` of connections with a beginning and an end. A datagram socket's connect only notes an
/// address: getaddrinfo does it to a name server for each look-up.
const SOCK_STREAM: u32 = 1;
const SOCK_SEQPACKET: u32 = 5;

/// Sockets that libc itself connects to for a look-up of a name.
const LOOK_UPS: [&str; 3] = ["/nscd/", "/systemd/", "/sssd/"];

/// Whether the program connects to a service here, as far as its own code goes.
pub(super) fn is_service(ledger: &Ledger, peer: ObjectId, deed: &Deed) -> bool {
    let Some(object @ Object::Peer(_)) = ledger.object(peer) else { return false };
    matches!(deed.flags, SOCK_STREAM | SOCK_SEQPACKET)
        && (object.address().is_some() || {
            let name = object.name();
            name.starts_with("unix:") && !LOOK_UPS.iter().any(|part| name.contains(part))
        })
}

/// The connections that ended, by process and peer. The line that made the socket need not be the
/// one that connected it.
pub(super) fn ended(ledger: &Ledger) -> HashMap<(ProcessId, ObjectId), Sums> {
    let mut ended: HashMap<_, Sums> = HashMap::new();
    for conduct in ledger.conducts_of(Act::Connection) {
        for (peer, deed) in &conduct.objects {
            ended.entry((conduct.process, *peer)).or_default().add(&deed.sums);
        }
    }
    ended
}
