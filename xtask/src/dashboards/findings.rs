//! *Findings*: each finding with what to do first, and the way to its line and flame graph.
//!
//! A line of code is no label: there are too many of them. The table links to the page of the agent
//! that has the line, the stack and the flame graph.

use serde_json::{Map, Value, json};

use super::dashboard::{Dashboard, Row};
use super::panel::{Panel, SEVERITIES};

/// What to do first about a finding of each kind.
const FIRST_STEP: &[(&str, &str)] = &[
    ("fd-leak", "Close what the line opens: `with`, or `finally:`"),
    ("unclosed-resource", "Close it in the code instead of leaving it to the collector"),
    (
        "fd-headroom",
        "Raise the limit (prlimit --nofile) to gain time, and mend the line that grows",
    ),
    ("subprocess-storm", "Ask once and keep the answer, or use a library instead of a command"),
    ("process-leak", "Wait for each child, and end those that are not needed"),
    ("connection-churn", "Make one client at start and reuse its pooled connections"),
    ("retry-storm", "Wait longer after each failure, with a limit, and give up at some time"),
    ("event-loop-blocked", "Await it, or give it to a thread (asyncio.to_thread)"),
    ("event-loop-churn", "Keep one event loop for the whole program"),
    ("slow-call", "See what the call waits for; give it a timeout or a thread"),
    ("serial-server", "Serve with several threads or workers"),
    ("missing-timeout", "Give the call a timeout"),
    ("busy-poll", "Wait for the event instead of looking again and again"),
    ("repeated-read", "Keep what was read, and read again only when the file has changed"),
    ("whole-file-read", "Read line by line or in blocks"),
    ("directory-scan-storm", "Scan once and watch for changes (inotify)"),
    ("write-storm", "Gather small writes; write only what has changed"),
    ("unbounded-append", "Rotate the file or bound its size"),
    ("memory-growth", "Bound what the line keeps"),
    ("memory-spike", "Work in pieces instead of holding all of it"),
    ("idle-memory", "Release what is not used, or load it when it is needed"),
    ("thread-sprawl", "Use a pool of threads with a limit"),
    ("misplaced-file", "Write the file where the rule says"),
];

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "findings",
        title: "pitviper: Findings",
        description: "Every finding with its first remedy and the way to its line and flame graph",
        rows: vec![counts(), list(), course()],
    }
}

fn counts() -> Row {
    let count = |title, severity: &str, description| {
        let expression =
            format!(r#"sum(pitviper_findings{{$process, severity="{severity}"}}) or vector(0)"#);
        Panel::stat(title, "short", description).query(&expression, severity)
    };
    let panels = vec![
        count("Critical", "critical", "Lines that hurt now.").thresholds(1.0, 1.0),
        count("High", "high", "Lines that will hurt.").thresholds(1.0, 5.0),
        count("Medium", "medium", "Lines worth mending."),
        count("Low", "low", "Lines worth knowing."),
        Panel::stat("Confirmed", "percentunit", "Share of the findings in which harmless causes are ruled out.")
            .query(
                r#"sum(pitviper_findings{$process, confidence="confirmed"}) / sum(pitviper_findings{$process}) or vector(0)"#,
                "confirmed",
            ),
        Panel::stat("Processes with a finding", "short", "Processes that have at least one.")
            .query("count(sum by (instance, pid) (pitviper_findings{$process}) > 0) or vector(0)", "processes"),
    ];
    Row { title: "Now", panels }
}

fn list() -> Row {
    let by_line = "sum by (instance, service, pid, kind, severity, line) \
                   (pitviper_finding_lines{$process}) > 0";
    // Sorted by name, critical would come before high, and low before medium.
    let ranked = (1..).zip(SEVERITIES).fold(by_line.to_owned(), |inner, (rank, (severity, _))| {
        format!("label_replace({inner}, \"rank\", \"{rank}\", \"severity\", \"{severity}\")")
    });
    let width = |pixels: u64| ("custom.width", json!(pixels));
    let name = |name: &str| ("displayName", json!(name));
    let table = Panel::table(
        "Findings",
        "string",
        "Lines with a confirmed finding, worst first. The links of a kind lead to the agent that has \
         their stacks and flame graphs; your browser has to reach it.",
    )
    .query(&format!("label_join({ranked}, \"advice\", \"\", \"kind\")"), "findings")
    .columns(
        &["rank", "kind", "line", "service", "pid", "advice", "instance"],
        &["Time", "Value", "severity"],
    )
    .column(
        "rank",
        &[
            name("Severity"),
            ("mappings", ranks()),
            ("custom.cellOptions", json!({"type": "color-text"})),
            width(90),
        ],
    )
    .column("kind", &[name("Kind"), ("links", links()), width(180)])
    .column("line", &[name("Line"), width(420)])
    .column("service", &[name("Service")])
    .column("pid", &[name("Process"), ("links", to_process()), width(90)])
    .column("advice", &[name("First step"), ("mappings", first_steps()), width(420)])
    .column("instance", &[name("Agent")])
    .sorted("Severity", false);
    let alerts = Panel::table(
        "Alerts",
        "string",
        "Alerts of pitviper's rules that wait or fire; empty where the rules are not loaded, too.",
    )
    .query(
        r#"sum by (alertname, alertstate, severity, instance, service, pid) (ALERTS{alertname=~"Pitviper.+", instance=~"$instance|", service=~"$service|", pid=~"$pid|"})"#,
        "alerts",
    )
    .columns(
        &["alertname", "alertstate", "severity", "service", "pid", "instance"],
        &["Time", "Value"],
    )
    .column("alertname", &[name("Alert")])
    .column("alertstate", &[name("State")])
    .column("severity", &[name("Severity")])
    .column("service", &[name("Service")])
    .column("pid", &[name("Process")])
    .column("instance", &[name("Agent")])
    .when_empty("No alert");
    Row { title: "Findings and alerts", panels: vec![table, alerts] }
}

fn course() -> Row {
    let panels = vec![
        Panel::series(
            "By kind",
            "short",
            "Lines with a finding over time, suspected ones included.",
        )
        .query("sum by (kind) (pitviper_findings{$process})", "{{kind}}")
        .stacked(),
        Panel::series(
            "By confidence",
            "short",
            "A suspicion is confirmed, or withdrawn, as evidence comes in.",
        )
        .query("sum by (confidence) (pitviper_findings{$process})", "{{confidence}}")
        .colors(&[("confirmed", "orange"), ("suspected", "yellow")])
        .stacked(),
        Panel::bars(
            "By service",
            "short",
            "Lines with a finding: the ten services that have most.",
        )
        .query("topk(10, sum by (service) (pitviper_findings{$process}))", "{{service}}"),
    ];
    Row { title: "Over time", panels }
}

/// To the agent's own page and the flame graphs that it serves.
fn links() -> Value {
    let at = "http://${__data.fields.instance}";
    let process = format!("{at}/#/process/${{__data.fields.pid}}");
    let link = |title: &str, url: String| json!({"title": title, "targetBlank": true, "url": url});
    let graph = |title: &str, what: &str| link(title, format!("{process}/graph/{what}"));
    json!([
        link("Lines, stacks and advice", process.clone()),
        graph("Flame graph: descriptors still open", "descriptors-alive"),
        graph("Flame graph: blocking calls", "blocking"),
        graph("Flame graph: processes started", "spawns"),
        graph("Flame graph: memory still mapped", "mapped"),
    ])
}

fn to_process() -> Value {
    json!([{
        "title": "All that is measured of it", "targetBlank": false,
        "url": "/d/pitviper-process?${datasource:queryparam}&${job:queryparam}\
                &var-instance=${__data.fields.instance}&var-pid=${__value.text}&${__url_time_range}",
    }])
}

fn first_steps() -> Value {
    let options: Map<String, Value> = FIRST_STEP
        .iter()
        .enumerate()
        .map(|(index, (kind, step))| ((*kind).to_owned(), json!({"text": step, "index": index})))
        .collect();
    json!([{"type": "value", "options": options}])
}

fn ranks() -> Value {
    let options: Map<String, Value> = (1..)
        .zip(SEVERITIES)
        .map(|(rank, (severity, color))| {
            (rank.to_string(), json!({"text": severity, "color": color, "index": rank}))
        })
        .collect();
    json!([{"type": "value", "options": options}])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::workspace;

    /// Exercise the program's own list: a kind without a first step would show as its bare name.
    #[test]
    fn each_kind_has_a_first_step() {
        let source = workspace::root().join("agent/src/detect/finding.rs");
        let source = fs::read_to_string(source).unwrap();
        let named = source.lines().filter_map(|line| line.trim().strip_prefix("Kind::"));
        let names = named.filter_map(|line| line.split_once(" => \"")?.1.split('"').next());
        let mut names: Vec<&str> = names.collect();
        let mut steps: Vec<&str> = FIRST_STEP.iter().map(|(kind, _)| *kind).collect();
        names.sort_unstable();
        steps.sort_unstable();
        assert!(!names.is_empty());
        assert_eq!(names, steps);
    }
}
