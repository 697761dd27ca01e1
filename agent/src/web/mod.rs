//! The HTTP server: `/metrics` for Prometheus, `/-/healthy` and `/-/ready` for what supervises it, and
//! a page that says what this is.
//!
//! It runs inside a root process, so it is as small as it can be: loopback unless told otherwise, no
//! request has a body or an effect, names other than its own are refused (a page in a browser could
//! otherwise reach it by a name that it controls), and every client has bounds of bytes, time and
//! number. What it serves was made before the request came: a handler waits for nothing.

mod access;
mod counts;
mod host;
mod listen;
mod negotiation;
mod pages;
mod published;
mod server;

pub use access::{Access, AccessError};
pub use counts::Counts;
pub use host::AllowedHosts;
pub use listen::{ListenError, bind, check_address, parse_address};
pub use published::Published;
pub use server::{Site, serve};
