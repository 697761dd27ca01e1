//! Profiles arrive where they are pushed to, also when nobody was there for a while, and what does
//! not fit meanwhile is counted.
//!
//! The agent's rule matches a folder's random name, which only this test's processes have on their
//! command lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use pitviper_tests::agent::{self, Agent};
use pitviper_tests::deadline::wait_for;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::requirements::{met, skip};
use pitviper_tests::site::{marked, workload};
use pitviper_tests::target::Target;
use pitviper_tests::{certificates, http, venv};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

/// The schema that the requests are read by; it brings protobuf.
const PACKAGES: [&str; 1] = ["opentelemetry-proto==1.45.2"];

/// One agent runs at a time.
static TURN: Mutex<()> = Mutex::new(());

fn reader() -> Result<Option<Interpreter>> {
    if !met("push")? {
        return Ok(None);
    }
    if Command::new("openssl").arg("version").output().is_err() {
        skip("push", "openssl is not installed")?;
        return Ok(None);
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("profile_receiver");
    let python = venv::kept("3.12", &folder, &PACKAGES)?;
    if python.is_none() {
        skip("push", "there is no CPython 3.12")?;
    }
    Ok(python)
}

fn start(args: &[String], authorities: &Path) -> Result<Agent> {
    Agent::follow_host(|| {
        let mut command = Command::new(agent::program()?);
        command.args(args).env("SSL_CERT_FILE", authorities);
        Ok(command)
    })
}

/// A receiver and what it has got.
struct Receiver {
    target: Target,
    /// By the kind of profile, the weight of each line.
    sums: BTreeMap<String, BTreeMap<String, u64>>,
    credentials: BTreeSet<String>,
    pids: BTreeSet<u64>,
}

impl Receiver {
    fn start(reader: &Interpreter, port: u16, busy: u32, tls: Option<&Path>) -> Result<Receiver> {
        let mut command = reader.command();
        command.arg(workload("profile_receiver.py")).args([port.to_string(), busy.to_string()]);
        if let Some(folder) = tls {
            command.args([folder.join("server.pem"), folder.join("server.key")]);
        }
        let target = Target::start_command(command)?;
        let (sums, credentials, pids) = Default::default();
        Ok(Receiver { target, sums, credentials, pids })
    }

    /// Takes in what comes until `enough` says so.
    fn until(&mut self, what: &str, enough: impl Fn(&Self) -> bool) -> Result<()> {
        let began = Instant::now();
        while !enough(self) {
            let left = LIMIT.saturating_sub(began.elapsed());
            let next = self.target.expect_within("", left);
            let line = next.with_context(|| format!("{what}: got {:#?}", self.sums))?;
            let Some(text) = line.strip_prefix("GOT ") else { bail!("{line}") };
            let got: Value = serde_json::from_str(text)?;
            let kind = got["type"].as_str().context("no type")?;
            ensure!(got["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{got:#}");
            for (line, weight) in got["lines"].as_object().context("no lines")? {
                let sum = self.sums.entry(kind.to_owned()).or_default().entry(line.clone());
                *sum.or_default() += weight.as_u64().context("no weight")?;
            }
            self.credentials.extend(got["auth"].as_str().map(str::to_owned));
            self.pids.extend(got["pid"].as_u64());
        }
        Ok(())
    }

    fn sum(&self, kind: &str, line: &str) -> u64 {
        self.sums.get(kind).and_then(|lines| lines.get(line)).copied().unwrap_or(0)
    }
}

/// The sum of a metric's series whose labels have all of these.
fn metric(port: u16, name: &str, labels: &[&str]) -> Result<f64> {
    let (status, body) = http::get(port, "/metrics")?;
    ensure!(status == 200, "/metrics answers {status}");
    let lines = body.lines().filter(|line| {
        line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
    });
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(values.sum())
}

fn wait_metric(port: u16, name: &str, labels: &[&str], least: f64) -> Result<()> {
    wait_for(&format!("{name}{labels:?} of {least}"), LIMIT, || {
        Ok((metric(port, name, labels)? >= least).then_some(()))
    })
}

fn base(folder: &Path, program: &str, port: u16) -> Result<Vec<String>> {
    let name = folder.file_name().context("the folder has no name")?.to_string_lossy();
    Ok(vec![
        "agent".into(),
        format!("--include=cmdline={program} .*{name}"),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--push-interval=1".into(),
        "--json=lines".into(),
    ])
}

#[test]
fn profiles_arrive_after_an_outage() -> Result<()> {
    let Some(reader) = reader()? else { return Ok(()) };
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    certificates::make(path)?;
    fs::write(path.join("password"), "ann:secret\n")?;
    fs::write(path.join("token"), "abc.def\n")?;
    let [port, pyroscope, otlp] = [http::free_port()?, http::free_port()?, http::free_port()?];
    let mut args = base(path, "acts\\.py", port)?;
    args.extend([
        format!("--push-pyroscope=https://localhost:{pyroscope}"),
        format!("--push-pyroscope-auth-file={}", path.join("password").display()),
        format!("--push-otlp=http://127.0.0.1:{otlp}"),
        format!("--push-otlp-auth-file={}", path.join("token").display()),
    ]);
    let mut target =
        Target::start(&interpreter::pick(3)?, "acts.py", &["spawns".as_ref(), path.as_os_str()])?;
    let pid = target.pid();
    let mut agent = start(&args, &path.join("ca.pem"))?;
    wait_metric(port, "pitviper_process_info", &[&format!("pid=\"{pid}\"")], 1.0)?;

    // Nobody is there.
    target.tell("go")?;
    let done: u64 = target.expect("DONE")?.parse()?;
    for receiver in ["receiver=\"pyroscope\"", "receiver=\"otlp\""] {
        wait_metric(port, "pitviper_push_retries_total", &[receiver], 2.0)?;
        wait_metric(port, "pitviper_push_queue_profiles", &[receiver], 2.0)?;
        wait_metric(port, "pitviper_push_queue_bytes", &[receiver], 100.0)?;
        ensure!(metric(port, "pitviper_push_profiles_sent_total", &[receiver])? == 0.0);
    }
    agent.told_where("the outage", LIMIT, |line| line.contains("failed to push to"))?;

    // They are there; the first requests come at a bad moment still.
    let mut receivers = [
        Receiver::start(&reader, pyroscope, 2, Some(path))?,
        Receiver::start(&reader, otlp, 1, None)?,
    ];
    let site = marked("acts.py", "spawns")?;
    let line = format!("{} {}:{}", site.function, site.file, site.line);
    for receiver in &mut receivers {
        receiver.until("all that was spawned", |got| got.sum("spawns", &line) >= done)?;
        let spawned = receiver.sum("spawns", &line);
        ensure!(spawned == done, "{spawned} of {done}");
        ensure!(receiver.pids == BTreeSet::from([pid.into()]), "{:?}", receiver.pids);
    }
    // What comes now comes at once.
    let retries = metric(port, "pitviper_push_retries_total", &[])?;
    drop(target);
    for name in ["pyroscope", "otlp"] {
        let label = format!("receiver=\"{name}\"");
        wait_metric(port, "pitviper_push_profiles_sent_total", &[&label], 2.0)?;
        let dropped = metric(port, "pitviper_push_profiles_dropped_total", &[&label])?;
        ensure!(dropped == 0.0, "{dropped} dropped for {name}");
    }
    ensure!(metric(port, "pitviper_push_retries_total", &[])? <= retries + 1.0);
    let expected = ["Basic YW5uOnNlY3JldA==", "Bearer abc.def"];
    for (receiver, expected) in receivers.iter().zip(expected) {
        ensure!(receiver.credentials == BTreeSet::from([expected.to_owned()]), "{expected}");
    }
    let ended = agent.stop()?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    let again = ended.stderr.iter().filter(|line| line.contains("takes profiles again")).count();
    ensure!(again == 2, "{:?}", ended.stderr);
    Ok(())
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() -> Result<()> {
    let Some(reader) = reader()? else { return Ok(()) };
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let [port, otlp] = [http::free_port()?, http::free_port()?];
    let mut args = base(path, "leak\\.py", port)?;
    args.extend([format!("--push-otlp=http://localhost:{otlp}"), "--push-queue-bytes=4096".into()]);
    let leak = ["file".as_ref(), "0.05".as_ref(), path.as_os_str()];
    let mut target = Target::start(&interpreter::pick(1)?, "leak.py", &leak)?;
    target.tell("go")?;
    let agent = start(&args, Path::new("/dev/null"))?;
    let dropped = "pitviper_push_profiles_dropped_total";
    wait_metric(port, dropped, &["receiver=\"otlp\"", "cause=\"queue_full\""], 3.0)?;
    ensure!(metric(port, "pitviper_push_queue_bytes", &[])? <= 4096.0);

    let mut receiver = Receiver::start(&reader, otlp, 0, None)?;
    let site = marked("leak.py", "file")?;
    let line = format!("{} {}:{}", site.function, site.file, site.line);
    receiver.until("what was opened", |got| got.sum("descriptors", &line) > 0)?;
    wait_metric(port, "pitviper_push_profiles_sent_total", &["receiver=\"otlp\""], 1.0)?;
    let ended = agent.stop()?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    let told = ended.stderr.iter().any(|line| line.contains("profiles for otlp"));
    ensure!(told, "the loss is not told: {:?}", ended.stderr);
    Ok(())
}

#[test]
fn bad_receivers_are_refused_at_the_start() -> Result<()> {
    if !met("push")? {
        return Ok(());
    }
    for (args, told) in [
        (&["--push-pyroscope", "http://192.0.2.1:4040"][..], "--push-plain-http"),
        (&["--push-otlp", "localhost:4318"], "http://HOST:PORT"),
        (&["--push-otlp", "https://ann:secret@otlp.example"], "USER:PASSWORD"),
        (
            &["--push-otlp", "http://localhost", "--push-otlp-auth-file", "/nonexistent"],
            "/nonexistent",
        ),
        (&["--push-graphs", "off-cpu"], "descriptors-opened"),
    ] {
        let ended = Agent::start(&[&["agent", "--check-config"], args].concat())?.ended(LIMIT)?;
        ensure!(ended.code() == Some(2), "{args:?}: {}: {:?}", ended.status, ended.stderr);
        let text = ended.stderr.join("\n");
        ensure!(text.contains(told) && !text.contains("secret@"), "{args:?}: {text}");
    }
    Ok(())
}
