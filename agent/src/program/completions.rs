//! `pitviper completions SHELL`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::arguments::Arguments;
use super::error::{Exit, ProgramError};
use super::man::print;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    pitviper completions bash > /etc/bash_completion.d/pitviper\n  \
    pitviper completions zsh > ~/.zfunc/_pitviper\n  \
    pitviper completions fish > ~/.config/fish/completions/pitviper.fish")]
pub(super) struct CompletionsOptions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
pub(super) fn run(options: &CompletionsOptions) -> Result<Exit, ProgramError> {
    let mut script = Vec::new();
    generate(options.shell, &mut Arguments::command(), "pitviper", &mut script);
    print(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_the_commands_that_are_shown() {
        use clap::ValueEnum;
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            generate(*shell, &mut Arguments::command(), "pitviper", &mut script);
            let script = String::from_utf8(script).unwrap();
            for word in ["attach", "doctor", "follow-children"] {
                assert!(script.contains(word), "{shell}: no {word}");
            }
        }
    }
}
