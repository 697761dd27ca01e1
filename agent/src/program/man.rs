//! `pitviper man`: the manual pages, from the same definitions as `--help`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::arguments::Arguments;
use super::error::{Exit, ProgramError};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    pitviper man | man -l -\n  \
    pitviper man /usr/local/share/man/man1")]
pub(super) struct ManOptions {
    /// Write a page for each command into this directory, which is made [default: print pitviper(1)]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(options: &ManOptions) -> Result<Exit, ProgramError> {
    match &options.directory {
        Some(directory) => {
            write(directory).map_err(|cause| ProgramError::Output {
                what: directory.display().to_string(),
                cause,
            })?;
            Ok(Exit::Clean)
        }
        None => {
            let mut page = Vec::new();
            let command = Arguments::command().disable_help_subcommand(true);
            // Writing to memory does not fail.
            let _ = Man::new(command).render(&mut page);
            print(&page)
        }
    }
}

fn write(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Arguments::command(), directory)
}

/// Prints what was made as a whole; a full disk is told.
pub(super) fn print(text: &[u8]) -> Result<Exit, ProgramError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        // A pager that was closed has seen enough.
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(ProgramError::Output { what: "standard output".into(), cause })
        }
        _ => Ok(Exit::Clean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_each_command_that_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let pages = folder.path().join("man1");
        write(&pages).unwrap();
        let shown = Arguments::command();
        for command in shown.get_subcommands() {
            let page = pages.join(format!("pitviper-{}.1", command.get_name()));
            assert_eq!(page.exists(), !command.is_hide_set(), "{}", page.display());
        }
        let main = std::fs::read_to_string(pages.join("pitviper.1")).unwrap();
        assert!(main.contains("pitviper\\-attach(1)"), "{main}");
    }
}
