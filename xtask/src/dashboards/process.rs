//! *Process*: everything that is measured of a process, family by family.

use super::dashboard::{Dashboard, Row};
use super::panel::Panel;

/// Classes in which a server waits when it has nothing to do.
const IDLE: &str = "accept|child|epoll|lock|poll|sleep";

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "process",
        title: "pitviper: Process",
        description: "Descriptors, children, connections, waits, memory and files of the processes chosen",
        rows: vec![
            overview(),
            descriptors(),
            waits(),
            children(),
            connections(),
            files(),
            errors(),
            memory(),
        ],
    }
}

fn overview() -> Row {
    let panels = vec![
        Panel::stat("Descriptors", "short", "Descriptors that are open.")
            .query("sum(pitviper_descriptors_open{$process})", "open"),
        Panel::stat(
            "Of the limit",
            "percentunit",
            "Open descriptors as a share of the soft limit: the fullest.",
        )
        .query(
            "max(pitviper_descriptors_open{$process} / pitviper_descriptors_limit{$process})",
            "share",
        )
        .thresholds(0.5, 0.8)
        .max(1.0),
        Panel::stat("Findings", "short", "Lines with a confirmed finding.")
            .query(
                r#"sum(pitviper_findings{$process, confidence="confirmed"}) or vector(0)"#,
                "findings",
            )
            .thresholds(1.0, 5.0),
        Panel::stat("CPU", "percentunit", "Share of one CPU.")
            .query("sum(rate(pitviper_process_cpu_seconds_total{$process}[$]))", "CPU"),
        Panel::stat("Memory", "bytes", "Resident memory.")
            .query("sum(pitviper_process_resident_memory_bytes{$process})", "resident"),
        Panel::stat("Python", "short", "Processes by the interpreter's version.")
            .query("count by (python) (pitviper_process_info{$process})", "{{python}}")
            .named(),
    ];
    Row { title: "Now", panels }
}

fn descriptors() -> Row {
    let panels = vec![
        Panel::series(
            "Descriptors by kind",
            "short",
            "Open descriptors; idle ones were not touched for a minute.",
        )
        .query("sum by (kind, state) (pitviper_descriptors{$process}) > 0", "{{kind}}, {{state}}")
        .stacked(),
        Panel::series(
            "Opened",
            "cps",
            "Descriptors opened; those closed within a second are of kind other.",
        )
        .query("sum by (kind) (rate(pitviper_descriptors_opened_total{$process}[$]))", "{{kind}}"),
        Panel::series("Closed", "cps", "Descriptors closed, of those opened since the attach.")
            .query(
                "sum by (kind) (rate(pitviper_descriptors_closed_total{$process}[$]))",
                "{{kind}}",
            ),
        Panel::series("Growth", "cps", "Opened less closed: above zero for long is a leak.")
            .query(
                "sum by (service, pid) (rate(pitviper_descriptors_opened_total{$process}[$])) \
                 - sum by (service, pid) (rate(pitviper_descriptors_closed_total{$process}[$]))",
                "{{service}} {{pid}}",
            )
            .signed(),
        Panel::series(
            "By origin",
            "short",
            "Open descriptors by the way in which they came to be known.",
        )
        .query("sum by (origin) (pitviper_descriptors_by_origin{$process})", "{{origin}}")
        .stacked(),
        Panel::series(
            "Left to the collector",
            "cps",
            "Resources that the program left to the collector, by type.",
        )
        .query("sum by (type) (rate(pitviper_unclosed_resources_total{$process}[$]))", "{{type}}")
        .when_empty("None"),
    ];
    Row { title: "Descriptors", panels }
}

/// A percentile of the calls that wait for something in particular.
fn percentile(title: &'static str, quantile: &str, description: &'static str) -> Panel {
    let expression = format!(
        "histogram_quantile({quantile}, sum by (le, class) \
         (rate(pitviper_wait_seconds_bucket{{$process, class!~\"{IDLE}\"}}[$])))"
    );
    Panel::series(title, "s", description).query(&expression, "{{class}}")
}

fn waits() -> Row {
    let panels = vec![
        percentile(
            "Waits, median",
            "0.5",
            "How long calls took, by what they wait for, without waits for work.",
        ),
        percentile(
            "Waits, p95",
            "0.95",
            "One call in twenty took longer. Waits for work are left out.",
        ),
        percentile(
            "Waits, p99",
            "0.99",
            "One call in a hundred took longer. Waits for work are left out.",
        ),
        Panel::series(
            "Time in calls",
            "s",
            "Seconds a second that threads spend in calls, by class, waits for work included.",
        )
        .query("sum by (class) (rate(pitviper_wait_seconds_sum{$process}[$]))", "{{class}}")
        .stacked(),
        Panel::series(
            "Event loop stands still",
            "percentunit",
            "Share of the time in which one call or computation keeps a loop from running.",
        )
        .query(
            "sum by (service, pid) (rate(pitviper_event_loop_stall_seconds_total{$process}[$]))",
            "{{service}} {{pid}}",
        ),
        Panel::series("Event loop stalls", "cps", "How often a loop stands still.").query(
            "sum by (service, pid) (rate(pitviper_event_loop_stalls_total{$process}[$]))",
            "{{service}} {{pid}}",
        ),
        Panel::series(
            "Calls",
            "cps",
            "Calls by what they wait for; quick ones of open, close, stat and map are left out.",
        )
        .query("sum by (class) (rate(pitviper_wait_seconds_count{$process}[$]))", "{{class}}"),
        Panel::series(
            "Connections that wait to be accepted",
            "cps",
            "They wait while the only thread is busy.",
        )
        .query(
            "sum by (service, pid) (rate(pitviper_accept_waits_total{$process}[$]))",
            "{{service}} {{pid}}",
        ),
        Panel::series(
            "Wait to be accepted",
            "s",
            "How long these connections waited, in the mean.",
        )
        .query(
            "sum by (service, pid) (rate(pitviper_accept_wait_seconds_total{$process}[$])) \
             / sum by (service, pid) (rate(pitviper_accept_waits_total{$process}[$]))",
            "{{service}} {{pid}}",
        )
        .when_empty("None waits"),
    ];
    Row { title: "Waits", panels }
}

fn children() -> Row {
    let panels = vec![
        Panel::series("Spawns", "cps", "Processes made, and commands executed in them.")
            .query("sum(rate(pitviper_spawns_total{$process}[$]))", "made")
            .query("sum(rate(pitviper_execs_total{$process}[$]))", "executed")
            .query("sum(rate(pitviper_children_ended_total{$process}[$]))", "ended"),
        Panel::series(
            "Children",
            "short",
            "Processes made since the attach that live, or that nobody has reaped.",
        )
        .query("sum by (state) (pitviper_children{$process})", "{{state}}")
        .stacked(),
        Panel::series(
            "CPU of children",
            "percentunit",
            "CPU time of children that ended, as a share of one CPU.",
        )
        .query("sum(rate(pitviper_children_cpu_seconds_total{$process}[$]))", "CPU"),
        Panel::series("Threads", "short", "Threads of the processes.").query(
            "sum by (service, pid) (pitviper_process_threads{$process})",
            "{{service}} {{pid}}",
        ),
        Panel::series(
            "Threads started and ended",
            "cps",
            "A program that starts one for each task shows here.",
        )
        .query("sum(rate(pitviper_threads_started_total{$process}[$]))", "started")
        .query("sum(rate(pitviper_threads_ended_total{$process}[$]))", "ended"),
        Panel::series("CPU", "percentunit", "CPU time as a share of one CPU.").query(
            "sum by (service, pid) (rate(pitviper_process_cpu_seconds_total{$process}[$]))",
            "{{service}} {{pid}}",
        ),
    ];
    Row { title: "Children and threads", panels }
}

fn connections() -> Row {
    let panels = vec![
        Panel::series("Connections", "cps", "Attempts to connect, and connections that ended.")
            .query("sum(rate(pitviper_connects_total{$process}[$]))", "attempts")
            .query("sum(rate(pitviper_connections_ended_total{$process}[$]))", "ended"),
        Panel::series("Time to connect", "s", "Until a connection stands, in the mean.").query(
            "sum by (service, pid) (rate(pitviper_connect_seconds_total{$process}[$])) \
             / sum by (service, pid) (rate(pitviper_connects_total{$process}[$]))",
            "{{service}} {{pid}}",
        ),
        Panel::series(
            "Life of a connection",
            "s",
            "Of connections that ended, in the mean: short ones could be pooled.",
        )
        .query(
            "sum by (service, pid) (rate(pitviper_connection_seconds_total{$process}[$])) \
                 / sum by (service, pid) (rate(pitviper_connections_ended_total{$process}[$]))",
            "{{service}} {{pid}}",
        ),
        Panel::series("Bytes of connections", "binBps", "Of connections that ended, both ways.")
            .query("sum(rate(pitviper_connection_bytes_total{$process}[$]))", "bytes")
            .wide(12),
        Panel::series(
            "Bytes moved",
            "binBps",
            "Through descriptors of any kind, by the calls that moved them.",
        )
        .query("sum by (class) (rate(pitviper_transferred_bytes_total{$process}[$]))", "{{class}}")
        .wide(12),
    ];
    Row { title: "Connections", panels }
}

fn files() -> Row {
    let panels = vec![
        Panel::series("File bytes", "binBps", "Bytes read from and written to regular files, the page cache's included.")
            .query("sum(rate(pitviper_file_read_bytes_total{$process}[$]))", "read")
            .query("sum(rate(pitviper_file_written_bytes_total{$process}[$]))", "written"),
        Panel::series("File calls", "cps", "Opens, reads, writes and syncs of files.")
            .query("sum(rate(pitviper_file_opens_total{$process}[$]))", "opens")
            .query("sum(rate(pitviper_file_reads_total{$process}[$]))", "reads")
            .query("sum(rate(pitviper_file_writes_total{$process}[$]))", "writes")
            .query("sum(rate(pitviper_file_syncs_total{$process}[$]))", "syncs"),
        Panel::series(
            "Read again unchanged",
            "percentunit",
            "Share of the bytes read that belong to files which had been read before and were unchanged.",
        )
        .query(
            "sum by (service, pid) (rate(pitviper_file_reread_bytes_total{$process}[$])) \
             / sum by (service, pid) (rate(pitviper_file_read_bytes_total{$process}[$]))",
            "{{service}} {{pid}}",
        )
        .max(1.0),
        Panel::series("Passes through files", "cps", "Times that a file was read from its start, and of these again unchanged.")
            .query("sum(rate(pitviper_file_passes_total{$process}[$]))", "passes")
            .query("sum(rate(pitviper_file_rereads_total{$process}[$]))", "again"),
        Panel::series("Directories read through", "cps", "Listings of directories, and of these again unchanged.")
            .query("sum(rate(pitviper_directory_listings_total{$process}[$]))", "listings")
            .query("sum(rate(pitviper_directory_relistings_total{$process}[$]))", "again"),
        Panel::series("Calls of stat", "cps", "Looks at files' metadata.")
            .query("sum by (service, pid) (rate(pitviper_stat_calls_total{$process}[$]))", "{{service}} {{pid}}"),
    ];
    Row { title: "Files", panels }
}

/// What failed as a share of what was tried.
fn share(title: &'static str, failed: &str, tried: &str, description: &'static str) -> Panel {
    let by = "sum by (service, pid)";
    let expression =
        format!("{by} (rate({failed}{{$process}}[$])) / {by} (rate({tried}{{$process}}[$]))");
    Panel::series(title, "percentunit", description)
        .query(&expression, "{{service}} {{pid}}")
        .max(1.0)
        .wide(6)
}

fn errors() -> Row {
    let panels = vec![
        share(
            "Connects that fail",
            "pitviper_connects_failed_total",
            "pitviper_connects_total",
            "Share of the attempts to connect that fail.",
        ),
        share(
            "Connections rejected",
            "pitviper_connections_rejected_total",
            "pitviper_connections_ended_total",
            "Share of the connections that the other side ended before it had sent anything.",
        ),
        share(
            "Children that fail",
            "pitviper_children_failed_total",
            "pitviper_children_ended_total",
            "Share of the children that end with another status than 0.",
        ),
        share(
            "Calls of stat that fail",
            "pitviper_stat_calls_failed_total",
            "pitviper_stat_calls_total",
            "Share of the looks at files that are not there or not to be seen.",
        ),
    ];
    Row { title: "Errors", panels }
}

fn memory() -> Row {
    let panels = vec![
        Panel::series("Resident memory", "bytes", "Memory that is resident.").query(
            "sum by (service, pid) (pitviper_process_resident_memory_bytes{$process})",
            "{{service}} {{pid}}",
        ),
        Panel::series("Anonymous memory", "bytes", "Of the resident memory, what no file backs.")
            .query(
                "sum by (service, pid) (pitviper_process_anonymous_memory_bytes{$process})",
                "{{service}} {{pid}}",
            ),
        Panel::series(
            "Slope of memory",
            "binBps",
            "Growth of anonymous memory over ten minutes: steadily above zero is a leak.",
        )
        .query(
            "sum by (service, pid) (deriv(pitviper_process_anonymous_memory_bytes{$process}[10m]))",
            "{{service}} {{pid}}",
        )
        .signed(),
        Panel::series(
            "Mapped and unmapped",
            "binBps",
            "Bytes mapped and unmapped, by what backs them.",
        )
        .query("sum by (kind) (rate(pitviper_mapped_bytes_total{$process}[$]))", "{{kind}} mapped")
        .query(
            "sum by (kind) (rate(pitviper_unmapped_bytes_total{$process}[$]))",
            "{{kind}} unmapped",
        ),
    ];
    let panels = panels.into_iter().map(|panel| panel.wide(6)).collect();
    Row { title: "Memory", panels }
}
