//! The program `pitviper`.

use std::process::ExitCode;

fn main() -> ExitCode {
    pitviper::program::run()
}
