//! Root's rights, taken only for the step that needs them and never without saying why.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;

/// How a command gets root's rights.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Privilege {
    /// This process is root.
    Root,
    /// Through `sudo`.
    Sudo,
}

impl Privilege {
    /// Finds out, and has `sudo` ask for the password now rather than amid other output.
    ///
    /// `why` completes "root is needed to …"; `otherwise` is what to run by hand where there
    /// is no `sudo`.
    pub(crate) fn obtain(why: &str, otherwise: &str) -> Result<Self> {
        if is_root()? {
            return Ok(Self::Root);
        }
        if process::find_program("sudo").is_none() {
            bail!("root is needed to {why}, and there is no sudo; run as root:\n    {otherwise}");
        }
        eprintln!("Root is needed to {why}: using sudo.");
        process::run(Command::new("sudo").arg("--validate"))?;
        Ok(Self::Sudo)
    }

    /// The program as a command of root's.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Root => Command::new(program),
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.arg("--").arg(program);
                command
            }
        }
    }

    /// The program as a command of root's with these variables, which `sudo` would drop.
    pub(crate) fn command_with<'a>(
        self,
        variables: impl IntoIterator<Item = (&'a str, &'a OsStr)>,
        program: impl AsRef<OsStr>,
    ) -> Command {
        let mut command = self.command("env");
        for (name, value) in variables {
            let mut pair = std::ffi::OsString::from(name);
            pair.push("=");
            pair.push(value);
            command.arg(pair);
        }
        command.arg(program);
        command
    }
}

/// Whether this process has root's user id.
pub(crate) fn is_root() -> Result<bool> {
    let own = fs::metadata("/proc/self").context("failed to read /proc/self: is /proc mounted?")?;
    Ok(own.uid() == 0)
}
