//! The HTTP server: `/metrics` for Prometheus, `/-/healthy` and `/-/ready` for what supervises it, a
//! page for people, `/api/v1` beneath it, and `/debug/pprof` for what keeps profiles.
//!
//! It runs inside a root process, so it is as small as it can be: loopback unless told otherwise, no
//! request has a body or an effect, names other than its own are refused (a page in a browser could
//! otherwise reach it by a name that it controls), and every client has bounds of bytes, time and
//! number. A scrape was made before the request came; every other answer is taken from the thread that
//! knows, at its leisure ([`Questions`]).

mod access;
mod api;
mod assets;
mod counts;
mod desk;
mod events;
mod host;
mod listen;
mod negotiation;
mod pages;
mod profile;
mod published;
mod query;
mod server;

pub use access::{Access, AccessError};
pub use counts::Counts;
pub use desk::Questions;
pub use host::AllowedHosts;
pub use listen::{ListenError, bind, check_address, parse_address};
pub use published::Published;
pub use server::{Site, serve};
