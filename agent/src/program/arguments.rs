//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::agent::AgentOptions;
use super::completions::CompletionsOptions;
use super::family::Family;
use super::man::ManOptions;
use super::setting::Setting;
use crate::detect::Place;
use crate::source::ebpf;

/// Names the Python line that leaks descriptors, in a running process.
///
/// Attaches to a CPython process (3.8 to 3.15) by eBPF: no restart, no import, no pause.
#[derive(Debug, Parser)]
#[command(
    name = "pitviper",
    version,
    after_help = "Examples:\n  \
        pitviper attach 4711                      watch until Ctrl-C, then sum up\n  \
        pitviper attach 4711 --duration 1m --json one JSON document after a minute\n  \
        pitviper trace 4711                       each descriptor call with its line\n  \
        pitviper record 4711 -o leak.svg          a flame graph of descriptors\n  \
        pitviper agent                            every Python process of this host\n  \
        pitviper doctor 4711                      what works here, what does not, what to do\n\n\
        Exit codes: 0 clean, 1 confirmed findings, 2 usage, 3 no permission or unsupported, \
        4 target gone"
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Watch a process and report findings.
    Attach(AttachOptions),
    /// Print each call with its Python line: those that make and end descriptors, and others.
    Trace(TraceOptions),
    /// Follow every Python process of this host.
    Agent(Box<AgentOptions>),
    /// Record a flame graph, or a profile for speedscope or pprof.
    Record(RecordOptions),
    /// Say what this kernel, this user and this process allow.
    Doctor(DoctorOptions),
    /// Print a script by which a shell completes the command line.
    Completions(CompletionsOptions),
    /// Print the manual page, or write those of all commands.
    Man(ManOptions),
    /// For the benchmark of untraced processes: attach a pair of empty probes until standard input
    /// ends.
    #[command(hide = true)]
    BenchEmptyPair,
}

/// How the probes are sized.
#[derive(Debug, Clone, Args)]
pub(super) struct Sizes {
    /// Living descriptors that fit the ledger; more are counted as dropped
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=4_194_304))]
    max_descriptors: u32,
    /// Distinct stacks that fit; more are counted as dropped
    #[arg(long, value_name = "N", default_value_t = 32_768, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    max_stacks: u32,
    /// Samples of each CPU a second, by which computing is seen; 0 takes none
    #[arg(long, value_name = "HERTZ", default_value_t = 99, value_parser = clap::value_parser!(u64).range(0..=999))]
    samples: u64,
    /// Size of the ring buffer, rounded up to a power of two [default: 4 MiB, 32 MiB for trace]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(4096..=1_073_741_824))]
    ring_bytes: Option<u32>,
}

impl Sizes {
    pub(super) fn options(&self, trace: bool, follow_children: bool) -> ebpf::Options {
        let default = if trace { 32 << 20 } else { 4 << 20 };
        ebpf::Options {
            trace,
            follow_children,
            max_descriptors: self.max_descriptors,
            max_stacks: self.max_stacks,
            ring_bytes: self.ring_bytes.unwrap_or(default),
            samples: self.samples,
            max_processes: if follow_children { ebpf::Options::default().max_processes } else { 1 },
            ..ebpf::Options::default()
        }
    }
}

/// How findings go to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum JsonMode {
    /// One document when the run ends.
    Document,
    /// A finding a line, as it happens.
    Lines,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    pitviper attach 4711\n  \
    pitviper attach 4711 --duration 5m --svg graphs/\n  \
    pitviper attach 4711 --follow-children --json=lines\n  \
    pitviper attach 4711 --listen 127.0.0.1:9470    then scrape /metrics")]
pub(super) struct AttachOptions {
    /// The process to watch
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=PIDS))]
    pub(super) pid: u32,
    /// Stop after this long: 90, 90s, 5m, 1h [default: until Ctrl-C or the process ends]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) duration: Option<Duration>,
    /// Findings as JSON on standard output: one document at the end, or `lines` as they come
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true,
          default_missing_value = "document")]
    pub(super) json: Option<JsonMode>,
    /// Write flame graphs into this directory at the end, one of each sort that has something to
    /// show (all but off-cpu, which `record` has)
    #[arg(long, value_name = "DIR")]
    pub(super) svg: Option<PathBuf>,
    /// Watch children too
    #[arg(long)]
    pub(super) follow_children: bool,
    /// Serve Prometheus metrics here: ADDRESS:PORT, or a port on loopback
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<String>,
    /// Allow --listen on an address that other hosts can reach
    #[arg(long, requires = "listen")]
    pub(super) listen_public: bool,
    /// Serve by TLS and ask for passwords as this file says, in the format of Prometheus's exporters
    #[arg(long = "web.config.file", value_name = "FILE", requires = "listen")]
    pub(super) web_config: Option<PathBuf>,
    /// Code below this directory is your own [default: all that is not stdlib or site-packages]
    #[arg(long, value_name = "DIR")]
    pub(super) app_root: Vec<PathBuf>,
    /// Watch descriptors and nothing else: the process pays less for it
    #[arg(long)]
    pub(super) descriptors_only: bool,
    /// Leave out the functions of C, C++ and Rust above the Python frames
    #[arg(long)]
    pub(super) no_native: bool,
    /// Files that match the first glob belong where the second one matches, like '*.db=/data/**';
    /// others are findings. Can be given several times
    #[arg(long, value_name = "GLOB=GLOB", value_parser = Place::parse)]
    pub(super) place: Vec<Place>,
    /// Judge by another number; `pitviper agent --print-config` has them all. Can be given several
    /// times
    #[arg(long, value_name = "RULE.KEY=NUMBER")]
    pub(super) threshold: Vec<Setting>,
    #[command(flatten)]
    pub(super) sizes: Sizes,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    pitviper trace 4711\n  \
    pitviper trace 4711 --stack --duration 10s\n  \
    pitviper trace 4711 --what all --slow 50        what takes 50 ms and more\n  \
    pitviper trace 4711 --json | jq .site")]
pub(super) struct TraceOptions {
    /// The process to trace
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=PIDS))]
    pub(super) pid: u32,
    /// Which calls to show, joined by commas
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "descriptors",
        value_name = "FAMILY"
    )]
    pub(super) what: Vec<Family>,
    /// Show only what took at least so many milliseconds; a process, how long it lived
    #[arg(long, value_name = "MS", value_parser = parse_ms)]
    pub(super) slow: Option<Duration>,
    /// Stop after this long: 90, 90s, 5m, 1h [default: until Ctrl-C or the process ends]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) duration: Option<Duration>,
    /// One JSON object a line, with the whole stack; the last line sums up
    #[arg(long)]
    pub(super) json: bool,
    /// Print the whole stack
    #[arg(long)]
    pub(super) stack: bool,
    /// Trace children too
    #[arg(long)]
    pub(super) follow_children: bool,
    /// Code below this directory is your own [default: all that is not stdlib or site-packages]
    #[arg(long, value_name = "DIR")]
    pub(super) app_root: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) sizes: Sizes,
}

/// What a flame graph is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// Descriptors: files, sockets, pipes and the like
    Descriptors,
    /// Processes started, those that these start in their turn included
    Spawns,
    /// Connections begun, failed ones included
    Connections,
    /// Time in calls of 10 ms and more, and in waits that ran out: sleeps and locks too, event loops
    /// that wait for events only with --idle-loops. A call that outlasts the recording is left out
    Blocking,
    /// Time off the CPU: what blocking has, idle event loops, and what the scheduler sees outside of
    /// calls (a page that has to be read)
    OffCpu,
    /// Samples on the CPU, 99 a second on each processor
    OnCpu,
    /// Bytes of address space mapped and not unmapped since; with --weight opened all that was mapped
    Mapped,
    /// Bytes read from regular files
    Read,
    /// Bytes written to regular files
    Written,
}

/// What weighs, where things come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Weight {
    /// All that came while recording.
    Opened,
    /// Of that, what is still there at the end.
    Alive,
}

#[derive(Debug, Args)]
#[command(after_help = "The frames are Python's. What native code does (a C extension's own \
    functions) is booked on the Python line that called it; native frames are not shown.\n\n\
    Examples:\n  \
    pitviper record 4711 -o opened.svg --duration 30s\n  \
    pitviper record 4711 -o leaked.svg --weight alive\n  \
    pitviper record 4711 --what off-cpu -o waits.svg --duration 30s\n  \
    pitviper record 4711 -o stacks.folded           for other flame graph tools; .txt too\n  \
    pitviper record 4711 -o leak.speedscope.json    for speedscope\n  \
    pitviper record 4711 -o leak.pb.gz              for pprof and stores of profiles; .pprof too")]
pub(super) struct RecordOptions {
    /// The process to record
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=PIDS))]
    pub(super) pid: u32,
    /// What the graph is of
    #[arg(long, value_enum, default_value_t = What::Descriptors)]
    pub(super) what: What,
    /// What weighs [default: opened for descriptors, alive for mapped]
    #[arg(long, value_enum)]
    pub(super) weight: Option<Weight>,
    /// Of blocking: count event loops that wait for events too
    #[arg(long)]
    pub(super) idle_loops: bool,
    /// The file; its ending says what is written: .svg a flame graph, .folded or .txt folded
    /// stacks, .speedscope.json for speedscope, .pb.gz or .pprof for pprof
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// Stop after this long: 90, 90s, 5m, 1h [default: until Ctrl-C or the process ends]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) duration: Option<Duration>,
    /// Record children too
    #[arg(long)]
    pub(super) follow_children: bool,
    /// Leave out the functions of C, C++ and Rust above the Python frames
    #[arg(long)]
    pub(super) no_native: bool,
    #[command(flatten)]
    pub(super) sizes: Sizes,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  pitviper doctor\n  pitviper doctor 4711")]
pub(super) struct DoctorOptions {
    /// A process to look at too
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=PIDS))]
    pub(super) pid: Option<u32>,
}

/// The largest number that a pid can be; which ones there are, the system says.
const PIDS: i64 = i32::MAX as i64;

/// The longest duration that is taken: a year.
const LONGEST_SECONDS: f64 = 366.0 * 86_400.0;

fn parse_ms(text: &str) -> Result<Duration, String> {
    let ms = text.parse::<f64>().map_err(|_| format!("`{text}` is no number of milliseconds"))?;
    if !(0.0..=LONGEST_SECONDS * 1e3).contains(&ms) {
        return Err("milliseconds are 0 and more, and at most a year".into());
    }
    Ok(Duration::from_secs_f64(ms / 1e3))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().find(|(_, c)| c.is_ascii_alphabetic()) {
        Some((at, _)) => text.split_at(at),
        None => (text, "s"),
    };
    let scale = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{unit}` is no unit of time; use ms, s, m or h, like 90s or 5m")),
    };
    let seconds = number
        .parse::<f64>()
        .map_err(|_| format!("`{number}` is no number; write 90, 90s, 5m or 1h"))?
        * scale;
    if !(seconds > 0.0 && seconds <= LONGEST_SECONDS) {
        return Err("a duration is more than 0 and at most a year".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("20ms"), Ok(Duration::from_millis(20)));
        for bad in ["", "s", "-1", "0", "5 parsecs", "nan", "inf", "1e300h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
