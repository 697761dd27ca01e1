//! `/metrics` is what Prometheus takes: its own linter passes it, and a real server scrapes it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::deadline::wait_for;
use pitviper_tests::prometheus::{Prometheus, lint};
use pitviper_tests::requirements::{met, skip};
use pitviper_tests::target::Target;
use pitviper_tests::{http, interpreter};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn prometheus_scrapes_the_metrics() -> Result<()> {
    if !met("metrics")? {
        return Ok(());
    }
    for tool in ["promtool", "prometheus"] {
        if Command::new(tool).arg("--version").output().is_err() {
            return skip("metrics", &format!("{tool} is not installed"));
        }
    }
    let folder = tempfile::tempdir()?;
    let args = ["file".as_ref(), "0.2".as_ref(), folder.path().as_os_str()];
    let mut target = Target::start(&interpreter::pick(3)?, "leak.py", &args)?;
    let port = http::free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let pid = target.pid().to_string();
    let agent = Agent::attach(&["attach", &pid, "--listen", &listen, "--json"])?;
    target.tell("go")?;

    let (status, _) = http::get(port, "/-/healthy")?;
    ensure!(status == 200, "/-/healthy answers {status}");
    wait_for("the first scrape", LIMIT, || {
        Ok((http::get(port, "/-/ready")?.0 == 200).then_some(()))
    })?;
    let metrics = wait_for("a finding among the metrics", LIMIT, || {
        let (status, body) = http::get(port, "/metrics")?;
        ensure!(status == 200, "/metrics answers {status}");
        let found = body
            .lines()
            .any(|line| line.starts_with("pitviper_findings") && line.contains("fd-leak"));
        Ok(found.then_some(body))
    })?;
    lint(&metrics)?;
    tells_what_is_known(&metrics, &pid)?;

    let server = Prometheus::scraping(&listen)?;
    let up = server.wait_for_sample("up")?;
    ensure!(up == "1", "the scrape failed: up is {up}");
    let series = server.wait_for_sample("count({__name__=~\"pitviper_.+\"})")?;
    ensure!(series.parse::<u32>()? > 5, "only {series} series came back");
    // What has to be so, as Prometheus computes it.
    for query in [
        "sum(pitviper_wait_seconds_bucket{le=\"+Inf\"}) - sum(pitviper_wait_seconds_count)",
        "sum(pitviper_map_entries > bool pitviper_map_capacity)",
    ] {
        let difference = server.wait_for_sample(query)?;
        ensure!(difference == "0", "{query} is {difference}");
    }
    let ended = agent.stop()?;
    ended.report()?;
    Ok(())
}

/// One series at least of each sort that a program which opens files has.
fn tells_what_is_known(metrics: &str, pid: &str) -> Result<()> {
    let process = format!("pid=\"{pid}\",service=\"leak\"");
    for name in [
        "pitviper_descriptors_open",
        "pitviper_file_opens_total",
        "pitviper_process_resident_memory_bytes",
        "pitviper_process_cpu_seconds_total",
        "pitviper_spawns_total",
        "pitviper_process_info",
    ] {
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name}{{{process}")));
        ensure!(line.is_some(), "there is no {name} of the process:\n{metrics}");
    }
    for name in [
        format!("pitviper_wait_seconds_count{{{process}"),
        "pitviper_map_entries{map=\"codes\"}".to_owned(),
        "pitviper_build_info{version=".to_owned(),
        "pitviper_stack_walks_total{outcome=\"complete\"}".to_owned(),
    ] {
        ensure!(metrics.contains(&name), "there is no {name}:\n{metrics}");
    }
    Ok(())
}

#[test]
fn the_web_server_survives_odd_requests() -> Result<()> {
    if !met("metrics")? {
        return Ok(());
    }
    let target = Target::start_plain(&interpreter::pick(2)?, "open_close.py")?;
    let port = http::free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let agent =
        Agent::attach(&["attach", &target.pid().to_string(), "--listen", &listen, "--json"])?;
    let (status, _) = http::get(port, "/no/such/page")?;
    ensure!(status == 404, "a missing page answers {status}");
    let long = format!("/{}", "x".repeat(100_000));
    // Refused or cut off: both will do, so long as the next request is served.
    let _ = http::get(port, &long);
    let (status, _) = http::get(port, "/metrics")?;
    ensure!(status == 200, "/metrics answers {status}");
    let ended = agent.stop()?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    Ok(())
}

#[test]
fn alert_rules_fire_and_keep_quiet() -> Result<()> {
    if Command::new("promtool").arg("--version").output().is_err() {
        return skip("metrics", "promtool is not installed");
    }
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/rules");
    for check in [["check", "rules", "pitviper.yml"], ["test", "rules", "pitviper.test.yml"]] {
        let output = Command::new("promtool").args(check).current_dir(rules).output()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "promtool {check:?}: {told}");
    }
    Ok(())
}
