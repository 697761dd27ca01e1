//! The rules: pure functions over the ledger, with time as an argument.

mod finding;

pub use finding::{Confidence, Evidence, Finding, Kind, Severity};
