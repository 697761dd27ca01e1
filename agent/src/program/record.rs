//! `pitviper record`: a flame graph of one kind of event.

use super::arguments::{RecordOptions, What};
use super::error::{Exit, ProgramError};
use super::stop::Stop;
use super::watch::Watch;
use super::{graph, progress, runtime};
use crate::detect::Rules;
use crate::export::output;

/// What is written, by the file's ending.
enum Format {
    Svg,
    Folded,
}

fn format(options: &RecordOptions) -> Result<Format, ProgramError> {
    match options.output.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => Ok(Format::Svg),
        Some("folded" | "txt") => Ok(Format::Folded),
        _ => Err(ProgramError::BadOutput(format!(
            "{} does not say what to write: end it in .svg, .folded or .txt",
            options.output.display()
        ))),
    }
}

/// Runs the command.
pub(super) fn run(options: &RecordOptions) -> Result<Exit, ProgramError> {
    let What::Descriptors = options.what;
    let format = format(options)?;
    output::check_writable(&options.output)
        .map_err(|error| ProgramError::BadOutput(error.to_string()))?;
    let runtime = runtime()?;
    let mut stop = Stop::new(&runtime)?;
    let sizes = options.sizes.options(false, options.follow_children);
    let mut watch = Watch::start(options.pid, &sizes, &[], Rules::default())?;
    super::greet(&watch.session);
    stop.after(options.duration);
    let mut progress = progress::Progress::new("recording");
    while watch.goes_on(&stop) {
        watch.tick(&stop)?;
        progress.tell(&watch);
    }
    progress.end();
    watch.finish()?;
    let bytes = match format {
        Format::Svg => graph::svg(&watch, options.weight)?,
        Format::Folded => graph::folded(&watch, options.weight).into_bytes(),
    };
    graph::write(&options.output, &bytes)?;
    eprintln!("pitviper: wrote {}", options.output.display());
    super::tell_losses(&watch.report().totals.flows);
    Ok(Exit::Clean)
}
