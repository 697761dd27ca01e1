//! `pitviper attach`: findings as they come, and a summary.

use std::path::{Path, PathBuf};

use super::arguments::{AttachOptions, JsonMode};
use super::console::{self, print};
use super::error::{Exit, ProgramError};
use super::progress::Progress;
use super::setting;
use super::stop::Stop;
use super::watch::Watch;
use super::{graph, metrics, runtime};
use crate::detect::{Change, Confidence, News, Rules};
use crate::export::graph::Graph;
use crate::export::terminal::Style;
use crate::export::{Report, json, output, terminal};
use crate::source::ebpf::Native;

/// Graphs that `--svg` writes. Not off-cpu: it would have every switch of the host's scheduler looked
/// at.
const GRAPHS: [Graph; 9] = [
    Graph::Opened,
    Graph::Alive,
    Graph::Spawns,
    Graph::Connections,
    Graph::Blocking { loops: false },
    Graph::OnCpu,
    Graph::MappedAlive,
    Graph::Read,
    Graph::Written,
];

fn picture(directory: &Path, graph: Graph) -> PathBuf {
    directory.join(format!("{}.svg", graph.file_stem()))
}

fn check_outputs(options: &AttachOptions) -> Result<(), ProgramError> {
    let Some(directory) = &options.svg else { return Ok(()) };
    let bad = |cause: String| ProgramError::BadOutput(cause);
    std::fs::create_dir_all(directory)
        .map_err(|cause| bad(format!("failed to create {}: {cause}", directory.display())))?;
    for graph in GRAPHS {
        output::check_writable(&picture(directory, graph))
            .map_err(|error| bad(error.to_string()))?;
    }
    Ok(())
}

fn tell(news: &[News], watch: &Watch, options: &AttachOptions, style: Style) {
    for change in news {
        match options.json {
            Some(JsonMode::Document) => {}
            Some(JsonMode::Lines) => {
                if change.change != Change::Withdrawn {
                    let pid = watch.report().pid(&change.finding);
                    print(&json::line(&change.finding, pid, &watch.clock));
                }
            }
            None => print(&(terminal::news(change, style) + "\n")),
        }
    }
}

fn write_graphs(watch: &Watch, directory: &Path) -> Result<(), ProgramError> {
    let mut empty = Vec::new();
    for graph in GRAPHS {
        let path = picture(directory, graph);
        let lines = graph::lines(&graph.weights(&watch.ledger));
        // An earlier run's picture would pass for this one's.
        if lines.is_empty() && !path.exists() {
            empty.push(graph.nothing());
            continue;
        }
        graph::write(&path, &graph::svg(watch, graph, &lines)?)?;
        eprintln!("pitviper: wrote {}", path.display());
    }
    if !empty.is_empty() {
        eprintln!("pitviper: no picture where there is nothing to see: {}", empty.join(", "));
    }
    Ok(())
}

fn exit(report: &Report) -> Exit {
    if report.findings.iter().any(|finding| finding.confidence == Confidence::Confirmed) {
        Exit::Findings
    } else {
        Exit::Clean
    }
}

/// Runs the command.
pub(super) fn run(options: &AttachOptions) -> Result<Exit, ProgramError> {
    check_outputs(options)?;
    let runtime = runtime()?;
    let listen = metrics::Listen {
        addresses: options.listen.as_slice(),
        public: options.listen_public,
        config: options.web_config.as_deref(),
        path: metrics::TELEMETRY_PATH,
    };
    let mut metrics = metrics::listen(&runtime, &listen)?;
    let mut stop = Stop::new(&runtime)?;
    let style = console::style();
    let mut sizes = options.sizes.options(false, options.follow_children);
    sizes.descriptors_only = options.descriptors_only;
    if !options.descriptors_only && !options.no_native {
        sizes.native = Native::Once;
    }
    let mut thresholds = setting::thresholds(&options.threshold);
    thresholds.misplaced_file.places.clone_from(&options.place);
    let rules = Rules::new(thresholds);
    let mut watch = Watch::attach(options.pid, &sizes, &options.app_root, rules)?;
    metrics.publish(&watch, metrics::Beside::default(), &[]);
    super::greet(&watch.session);
    stop.after(options.duration);
    let mut progress = Progress::new("watching");
    while watch.goes_on(&stop) {
        let news = watch.tick(&stop, &mut |watch| metrics.answer(watch))?;
        metrics.publish(&watch, metrics::Beside::default(), &news);
        if !news.is_empty() {
            progress.end();
            tell(&news, &watch, options, style);
        }
        progress.tell(&watch);
    }
    progress.end();
    let news = watch.finish()?;
    tell(&news, &watch, options, style);
    let report = watch.report();
    match options.json {
        Some(JsonMode::Document) => print(&json::document(&report)),
        Some(JsonMode::Lines) => {}
        None => print(&terminal::summary(&report, style)),
    }
    if watch.io_uring {
        eprintln!(
            "pitviper: note: the process uses io_uring; what it opens or closes that way has no line"
        );
    }
    super::tell_losses(&report.totals.flows);
    super::tell_native(&watch.session);
    if let Some(directory) = &options.svg {
        write_graphs(&watch, directory)?;
    }
    Ok(exit(&report))
}
