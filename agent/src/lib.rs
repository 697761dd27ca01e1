//! Attaches to a running CPython process and names the line that leaks descriptors.
//!
//! Data flows one way, and the modules are its stations, in this order:
//! [`source`] (the kernel side: load, attach, poll) → [`event`] (decoded, owned) → [`python`]
//! (code object → file, function, line) and [`native`] (what C functions it is in) → [`ledger`] (what
//! is known) → [`detect`] (one rule a
//! file) → [`export`] (one format a file), [`web`] (the metrics over HTTP) and [`push`] (profiles to
//! where a fleet keeps them).

pub mod detect;
pub mod event;
pub mod export;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod ledger;
pub mod native;
pub mod program;
pub mod push;
pub mod python;
pub mod source;
pub mod web;
