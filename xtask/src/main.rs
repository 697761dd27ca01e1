//! The project's tasks: `cargo xtask <task>`. One file per task; this one only dispatches.

use std::process::ExitCode;

use clap::Parser;

mod apt;
mod audit;
mod bench;
mod cargo;
mod dashboards;
mod demo;
mod dist;
mod docs;
mod fuzz;
mod http;
mod interpreters;
mod interrupt;
mod kernels;
mod lint;
mod marked;
mod privilege;
mod process;
mod pythons;
mod roots;
mod setup;
mod test;
mod workspace;

/// Set-up, demo, tests and benchmarks of pitviper.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Install what building, testing and measuring need and this machine lacks
    Setup(setup::Options),
    /// Build pitviper and attach it to a Python service that leaks
    Demo(demo::Options),
    /// Run the unit tests and the end-to-end tests against real interpreters
    Test(test::Options),
    /// Run the audited systems and compare pitviper's findings with the audits
    Audit(audit::Options),
    /// Compare the stacks of every interpreter that can be had with its own
    Pythons(pythons::Options),
    /// Boot other kernels in QEMU and find a leak on each
    Kernels(kernels::Options),
    /// Check formatting, lints, documentation and licences
    Lint(lint::Options),
    /// Run the fuzz targets of all that reads hostile bytes
    Fuzz(fuzz::Options),
    /// Write docs/metrics.md from what the program registers
    Docs,
    /// Write and check the Grafana dashboards
    #[command(subcommand)]
    Dashboards(dashboards::Dashboards),
    /// Make everything that is released: archive, .deb, wheel
    Dist(dist::Options),
    /// Measure what being watched costs
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Setup(options) => setup::run(&options),
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Audit(options) => audit::run(&options),
        Task::Pythons(options) => pythons::run(&options),
        Task::Kernels(options) => kernels::run(&options),
        Task::Lint(options) => lint::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Docs => docs::write(),
        Task::Dashboards(task) => dashboards::run(&task),
        Task::Dist(options) => dist::run(&options),
        Task::Bench(bench) => bench::run(&bench),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
