//! A pitviper that has too little room, for what tells of losses.

use std::path::Path;

use anyhow::Result;

use crate::agent::Agent;
use crate::target::Target;
use crate::{http, interpreter};

/// Living descriptors that it has room for: it loses most of what it should know.
const ROOM: &str = "16";

/// A program that leaks, watched by a pitviper of its own; both end with the value.
pub struct Starved {
    /// The program; it leaks once it is told to go.
    pub target: Target,
    /// Where the metrics are.
    pub listen: String,
    _pitviper: Agent,
}

impl Starved {
    /// Starts both; the program leaves its files in `folder`.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start(folder: &Path) -> Result<Starved> {
        let args = ["socket".as_ref(), "0.2".as_ref(), folder.as_os_str()];
        let target = Target::start(&interpreter::pick(1)?, "leak.py", &args)?;
        let listen = format!("127.0.0.1:{}", http::free_port()?);
        let pid = target.pid().to_string();
        let pitviper =
            Agent::attach(&["attach", &pid, "--listen", &listen, "--max-descriptors", ROOM])?;
        Ok(Starved { target, listen, _pitviper: pitviper })
    }
}
