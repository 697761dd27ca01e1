//! `pitviper record`: a flame graph or a profile of one kind of event.

use std::path::Path;

use super::arguments::{RecordOptions, Weight, What};
use super::error::{Exit, ProgramError};
use super::stop::Stop;
use super::watch::Watch;
use super::{graph, progress, runtime};
use crate::detect::Rules;
use crate::export::graph::Graph;
use crate::export::{folded, output, pprof, speedscope, visible};
use crate::source::ebpf::Native;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Svg,
    Folded,
    Speedscope,
    Pprof,
}

/// The file's ending says what is written.
const ENDINGS: [(&str, Format); 6] = [
    (".svg", Format::Svg),
    (".folded", Format::Folded),
    (".txt", Format::Folded),
    (".speedscope.json", Format::Speedscope),
    (".pb.gz", Format::Pprof),
    (".pprof", Format::Pprof),
];

fn format(output: &Path) -> Result<Format, ProgramError> {
    let name = output.file_name().unwrap_or_default().as_encoded_bytes();
    // A name is more than its ending.
    let ends = |ending: &str| name.len() > ending.len() && name.ends_with(ending.as_bytes());
    let found = ENDINGS.iter().find(|(ending, _)| ends(ending));
    found.map(|(_, format)| *format).ok_or_else(|| {
        ProgramError::BadOutput(format!(
            "{} does not say what to write: end it in .svg, .folded, .txt, .speedscope.json, \
             .pb.gz or .pprof",
            visible(&output.display().to_string(), 300)
        ))
    })
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
    let format = format(&options.output)?;
    output::check_writable(&options.output)
        .map_err(|error| ProgramError::BadOutput(error.to_string()))?;
    let runtime = runtime()?;
    let mut stop = Stop::new(&runtime)?;
    let mut sizes = options.sizes.options(false, options.follow_children);
    sizes.off_cpu = graph == Graph::OffCpu;
    sizes.native = match graph {
        _ if options.no_native => Native::Off,
        Graph::OnCpu => Native::Samples,
        _ => Native::Once,
    };
    let mut watch = Watch::attach(options.pid, &sizes, &[], Rules::default())?;
    super::greet(&watch.session);
    stop.after(options.duration);
    let mut progress = progress::Progress::new("recording");
    while watch.goes_on(&stop) {
        watch.tick(&stop, &mut |_| {})?;
        progress.tell(&watch);
    }
    progress.end();
    watch.finish()?;
    let stacks = graph.weights(&watch.ledger);
    if stacks.is_empty() {
        eprintln!("pitviper: {} while recording; the graph is empty", graph.nothing());
    }
    let report = watch.report();
    let bytes = match format {
        Format::Svg => graph::svg(&watch, graph, &graph::lines(&stacks))?,
        Format::Folded => folded::text_of(&graph::lines(&stacks)).into_bytes(),
        Format::Speedscope => speedscope::json(graph, &stacks, &report).into_bytes(),
        Format::Pprof => pprof::gzipped(graph, &stacks, &report)
            .map_err(|cause| ProgramError::Output { what: "the profile".into(), cause })?,
    };
    graph::write(&options.output, &bytes)?;
    eprintln!("pitviper: wrote {}", options.output.display());
    super::tell_losses(&report.totals.flows);
    super::tell_native(&watch.session);
    Ok(Exit::Clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise every ending, the same in other places of a name, and names that are all ending.
    #[test]
    fn the_ending_says_what_is_written() {
        for (ending, expected) in ENDINGS {
            let name = format!("/tmp/x.json/leak{ending}");
            assert!(matches!(format(Path::new(&name)), Ok(found) if found == expected), "{name}");
            assert!(format(Path::new(&format!("{name}.old"))).is_err(), "{name}");
            assert!(format(Path::new(ending)).is_err(), "{ending}");
        }
        for bad in ["x", "x.json", "x.gz", "x.pb", "x.SVG", "x.speedscope", "", "/", "x.svg/.."] {
            let error = format(Path::new(bad)).expect_err(bad).to_string();
            for (ending, _) in ENDINGS {
                assert!(error.contains(ending) && error.lines().count() == 1, "{error}");
            }
        }
    }
}
