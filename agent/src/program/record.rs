//! `pitviper record`: a flame graph of one kind of event.

use super::arguments::{RecordOptions, Weight, What};
use super::error::{Exit, ProgramError};
use super::stop::Stop;
use super::watch::Watch;
use super::{graph, progress, runtime};
use crate::detect::Rules;
use crate::export::graph::Graph;
use crate::export::{folded, output};

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

/// The graph that was asked for.
fn graph_of(options: &RecordOptions) -> Result<Graph, ProgramError> {
    let refuse = |what: &str| Err(ProgramError::BadOutput(format!("{what}; leave it out")));
    if options.idle_loops && options.what != What::Blocking {
        return refuse("--idle-loops is for --what blocking");
    }
    Ok(match (options.what, options.weight) {
        (What::Descriptors, None | Some(Weight::Opened)) => Graph::Opened,
        (What::Descriptors, Some(Weight::Alive)) => Graph::Alive,
        (What::Mapped, None | Some(Weight::Alive)) => Graph::MappedAlive,
        (What::Mapped, Some(Weight::Opened)) => Graph::Mapped,
        (_, Some(_)) => return refuse("--weight is for --what descriptors and --what mapped"),
        (What::Spawns, None) => Graph::Spawns,
        (What::Connections, None) => Graph::Connections,
        (What::Blocking, None) => Graph::Blocking { loops: options.idle_loops },
        (What::OffCpu, None) => Graph::OffCpu,
        (What::OnCpu, None) => Graph::OnCpu,
        (What::Read, None) => Graph::Read,
        (What::Written, None) => Graph::Written,
    })
}

/// Runs the command.
pub(super) fn run(options: &RecordOptions) -> Result<Exit, ProgramError> {
    let graph = graph_of(options)?;
    let format = format(options)?;
    output::check_writable(&options.output)
        .map_err(|error| ProgramError::BadOutput(error.to_string()))?;
    let runtime = runtime()?;
    let mut stop = Stop::new(&runtime)?;
    let mut sizes = options.sizes.options(false, options.follow_children);
    sizes.off_cpu = graph == Graph::OffCpu;
    let mut watch = Watch::attach(options.pid, &sizes, &[], Rules::default())?;
    super::greet(&watch.session);
    stop.after(options.duration);
    let mut progress = progress::Progress::new("recording");
    while watch.goes_on(&stop) {
        watch.tick(&stop)?;
        progress.tell(&watch);
    }
    progress.end();
    watch.finish()?;
    let lines = graph::lines(&watch, graph);
    if lines.is_empty() {
        eprintln!("pitviper: {} while recording; the graph is empty", graph.nothing());
    }
    let bytes = match format {
        Format::Svg => graph::svg(&watch, graph, &lines)?,
        Format::Folded => folded::text_of(&lines).into_bytes(),
    };
    graph::write(&options.output, &bytes)?;
    eprintln!("pitviper: wrote {}", options.output.display());
    super::tell_losses(&watch.report().totals.flows);
    Ok(Exit::Clean)
}
