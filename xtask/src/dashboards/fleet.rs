//! *Fleet*: what is wrong anywhere, which services are worst, and whether the agents see all of it.

use serde_json::json;

use super::dashboard::{Dashboard, Row};
use super::panel::{Panel, SEVERITIES};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "fleet",
        title: "pitviper: Fleet",
        description: "Findings of all hosts, the worst services, headroom, and the agents' own health",
        rows: vec![overview(), findings(), headroom(), agents(), cost()],
    }
}

fn overview() -> Row {
    let panels = vec![
        Panel::stat("Agents", "short", "Agents that Prometheus reaches.")
            .query("sum(up{$agent})", "agents"),
        Panel::stat("Processes", "short", "Python processes that are watched.")
            .query("sum(pitviper_processes{$agent})", "processes"),
        Panel::stat(
            "Grave findings",
            "short",
            "Lines with a confirmed finding of critical or high severity.",
        )
        .query(
            r#"sum(pitviper_findings{$process, severity=~"critical|high", confidence="confirmed"}) or vector(0)"#,
            "findings",
        )
        .thresholds(1.0, 5.0),
        Panel::stat("Findings", "short", "All lines with a finding, suspected ones included.")
            .query("sum(pitviper_findings{$process}) or vector(0)", "findings"),
        Panel::stat(
            "Fullest descriptor table",
            "percentunit",
            "The largest share that any process uses of its limit on descriptors.",
        )
        .query("max(pitviper_descriptors_open{$process} / pitviper_descriptors_limit{$process})", "share")
        .thresholds(0.5, 0.8)
        .max(1.0),
        Panel::stat(
            "Events lost",
            "percentunit",
            "Share of events that did not reach an agent. Findings that a loss could have caused stay \
             suspected.",
        )
        .query(
            "sum(rate(pitviper_events_dropped_total{$agent}[$])) \
             / (sum(rate(pitviper_events_emitted_total{$agent}[$])) > 0) or vector(0)",
            "lost",
        )
        .thresholds(0.0001, 0.01),
    ];
    Row { title: "Now", panels }
}

fn findings() -> Row {
    let confirmed = r#"pitviper_findings{$process, confidence="confirmed"}"#;
    let services = [
        ("count by (service) (pitviper_descriptors_open{$process})", "Processes"),
        (r#"sum by (service) (pitviper_findings{$process, confidence="confirmed"})"#, "Findings"),
        (
            "max by (service) (pitviper_descriptors_open{$process} / pitviper_descriptors_limit{$process})",
            "Descriptors",
        ),
        (
            "max by (service) (rate(pitviper_event_loop_stall_seconds_total{$process}[$]))",
            "Loop stands still",
        ),
        ("sum by (service) (rate(pitviper_process_cpu_seconds_total{$process}[$]))", "CPU"),
        ("sum by (service) (pitviper_process_resident_memory_bytes{$process})", "Memory"),
    ];
    let mut table = Panel::table(
        "Worst services",
        "string",
        "Services by confirmed findings, with the fullest descriptor table, the most blocked event loop, \
         CPUs and resident memory of their processes.",
    );
    for (expression, name) in services {
        table = table.query(expression, name);
    }
    let mut shown = vec!["service".to_owned()];
    for (letter, (_, name)) in ('A'..='Z').zip(services) {
        let column = format!("Value #{letter}");
        let unit = match name {
            "Memory" => "bytes",
            "Descriptors" | "Loop stands still" => "percentunit",
            _ => "short",
        };
        let share = unit == "percentunit";
        let decimals = if name == "CPU" { json!(2) } else { json!(u8::from(share)) };
        let named = ("displayName", json!(name));
        table = table.column(&column, &[named, ("unit", json!(unit)), ("decimals", decimals)]);
        shown.push(column);
    }
    let to_process = json!([{
        "title": "Its processes", "targetBlank": false,
        "url": "/d/pitviper-process?${datasource:queryparam}&${job:queryparam}\
                &${instance:queryparam}&var-service=${__value.text}&${__url_time_range}",
    }]);
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let table = table
        .columns(&shown, &["Time"])
        .column("service", &[("displayName", json!("Service")), ("links", to_process)])
        .sorted("Findings", true);
    let panels = vec![
        Panel::series("Findings by kind", "short", "Lines with a confirmed finding, by its kind.")
            .query(&format!("sum by (kind) ({confirmed})"), "{{kind}}")
            .wide(12)
            .stacked(),
        Panel::series(
            "Findings by severity",
            "short",
            "Lines with a confirmed finding, by how bad it is.",
        )
        .query(&format!("sum by (severity) ({confirmed})"), "{{severity}}")
        .colors(&SEVERITIES)
        .wide(12)
        .stacked(),
        table,
    ];
    Row { title: "Findings", panels }
}

fn headroom() -> Row {
    let panels = vec![
        Panel::series(
            "Descriptors in use, of the limit",
            "percentunit",
            "Open descriptors as a share of the soft limit: the ten fullest processes. At 1 every open, \
             accept and connect fails with EMFILE.",
        )
        .query(
            "topk(10, pitviper_descriptors_open{$process} / pitviper_descriptors_limit{$process})",
            "{{service}} {{pid}}",
        )
        .wide(12),
        Panel::series(
            "Time to the limit",
            "s",
            "Until a process reaches its limit on descriptors at the pace of the last ten minutes: the ten \
             that are nearest. Shown up to 30 days, which stands for never, too.",
        )
        .query(
            "bottomk(10, clamp_max((pitviper_descriptors_limit{$process} - pitviper_descriptors_open{$process}) \
             / clamp_min(deriv(pitviper_descriptors_open{$process}[10m]), 1e-9), 2592000))",
            "{{service}} {{pid}}",
        )
        .logarithmic()
        .wide(12),
    ];
    Row { title: "Headroom", panels }
}

fn agents() -> Row {
    let panels = vec![
        Panel::series("Events", "cps", "What happens in watched processes, by kind of event.")
            .query("sum by (kind) (rate(pitviper_events_emitted_total{$agent}[$]))", "{{kind}}"),
        Panel::series(
            "Events dropped",
            "cps",
            "Events that did not reach the agent, by cause; a kind without one lost nothing.",
        )
        .query(
            "sum by (kind, cause) (rate(pitviper_events_dropped_total{$agent}[$])) \
             or sum by (kind) (0 * rate(pitviper_events_emitted_total{$agent}[$]))",
            "{{kind}} {{cause}}",
        ),
        Panel::series(
            "Stacks by outcome",
            "cps",
            "Walks of Python stacks: complete, cut at the deepest frame that is kept, unreadable, or of a \
             thread without Python.",
        )
        .query("sum by (outcome) (rate(pitviper_stack_walks_total{$agent}[$]))", "{{outcome}}"),
        Panel::series(
            "Kernel tables in use",
            "percentunit",
            "Entries of each kernel map as a share of its room: what does not fit is counted as dropped.",
        )
        .query(
            "max by (map) (pitviper_map_entries{$agent} / pitviper_map_capacity{$agent})",
            "{{map}}",
        ),
        Panel::series(
            "Records beyond a bound",
            "cps",
            "What the agent itself had no room for, by the bound that was hit. Zero where all is well.",
        )
        .query("sum by (bound) (rate(pitviper_overflow_total{$agent}[$]))", "{{bound}}"),
        Panel::series(
            "Labels without series of their own",
            "short",
            "Processes and types beyond the number of series, summed as ~other.",
        )
        .query("sum by (label) (pitviper_folded_labels{$agent})", "{{label}}"),
    ];
    Row { title: "What the agents see", panels }
}

fn cost() -> Row {
    let panels = vec![
        Panel::series(
            "Age of the newest look",
            "s",
            "When scraped. Agents look once a second; more says that one is held up.",
        )
        .query("timestamp(pitviper_last_look_timestamp_seconds{$agent}) - pitviper_last_look_timestamp_seconds{$agent}", "{{instance}}")
        .wide(6),
        Panel::series("CPU of the agents", "percentunit", "Share of one CPU.")
            .query("rate(pitviper_agent_cpu_seconds_total{$agent}[$])", "{{instance}}")
            .wide(6),
        Panel::series("Memory of the agents", "bytes", "Resident memory.")
            .query("pitviper_agent_resident_memory_bytes{$agent}", "{{instance}}")
            .wide(6),
        Panel::series(
            "Making a scrape",
            "s",
            "How long the newest answer to a scrape took to make.",
        )
        .query("pitviper_scrape_duration_seconds{$agent}", "{{instance}}")
        .wide(6),
    ];
    Row { title: "What the agents cost", panels }
}
