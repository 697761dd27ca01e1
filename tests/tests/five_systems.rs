//! The agent follows programs of all five audited systems while a real Prometheus scrapes it: every
//! panel and rule has data, the alerts of what is at fault reach their receiver, and are resolved when
//! the remedied programs run instead.
//!
//! Each minute of the rules lasts a second here. With `PITVIPER_SOAK_MINUTES=10` the rules are as they
//! are shipped and the programs run for so long.

use std::env;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::Interpreter;
use pitviper_tests::monitoring::{Monitoring, Pace, panels, rules, wait_for_samples};
use pitviper_tests::prometheus::{Prometheus, lint};
use pitviper_tests::requirements::{met, skip, tell};
use pitviper_tests::site::workload;
use pitviper_tests::starved::Starved;
use pitviper_tests::target::Target;
use pitviper_tests::{http, output, process, venv};
use rustix::process::Signal;

/// The system, its row, and the alert that the row's fault has to set off.
const ROWS: [(&str, &str, &str); 10] = [
    ("sam_brain", "sam-1", "PitviperDescriptorLeak"),
    ("sam_brain", "sam-2", "PitviperStorm"),
    ("sam_brain", "sam-5", "PitviperDescriptorLeak"),
    ("aios", "aios-5", "PitviperStorm"),
    ("agents_84", "agents-4", "PitviperEventLoopBlocked"),
    ("agents_84", "agents-7", "PitviperEventLoopBlocked"),
    ("agents_84", "agents-9", "PitviperDescriptorLeak"),
    ("echoes", "echoes-3", "PitviperStorm"),
    ("echoes", "echoes-2", "PitviperStorm"),
    ("kloros", "kloros-1", "PitviperStorm"),
];

/// What these programs import, as `rows.toml` of their systems pins it, and a reader of the metrics.
const PACKAGES: [&str; 7] = [
    "aiohttp==3.10.11",
    "redis==5.2.1",
    "requests==2.32.3",
    "fastapi==0.115.6",
    "uvicorn==0.33.0",
    "httpx==0.28.1",
    "prometheus-client==0.21.1",
];

/// Reads the metrics as OpenMetrics and says how many families there are.
const READ: &str = "
import sys, urllib.request
from prometheus_client.openmetrics.parser import text_string_to_metric_families
accept = {'Accept': 'application/openmetrics-text;version=1.0.0'}
request = urllib.request.Request(sys.argv[1], headers=accept)
with urllib.request.urlopen(request) as answer:
    assert answer.headers['Content-Type'].startswith('application/openmetrics-text')
    print(len(list(text_string_to_metric_families(answer.read().decode()))))
";

/// The limit on descriptors of each program: what leaks reaches it within the hour, and not before the
/// longest run ends.
const DESCRIPTORS: u32 = 4_096;

const START: Duration = Duration::from_secs(60);

/// How long the two halves last, and how long may be waited for what has to come.
struct Times {
    pace: Pace,
    watch: Duration,
    limit: Duration,
}

impl Times {
    fn asked() -> Result<Times> {
        let Ok(minutes) = env::var("PITVIPER_SOAK_MINUTES") else {
            let (watch, limit) = (Duration::from_secs(20), Duration::from_secs(120));
            return Ok(Times { pace: Pace::Hastened, watch, limit });
        };
        let minutes: u64 = minutes.parse().context("PITVIPER_SOAK_MINUTES is no number")?;
        let (watch, limit) = (Duration::from_secs(minutes * 60), Duration::from_secs(900));
        Ok(Times { pace: Pace::Real, watch, limit })
    }
}

#[test]
fn alerts_follow_the_five_systems() -> Result<()> {
    if !met("five_systems")? {
        return Ok(());
    }
    if let Some(tool) = Monitoring::missing() {
        return skip("five_systems", &format!("{tool} is not installed"));
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("five_systems");
    let Some(python) = venv::kept("3.12", &kept, &PACKAGES)? else {
        return skip("five_systems", "there is no CPython 3.12, for which the packages are pinned");
    };
    let times = Times::asked()?;
    let folder = tempfile::tempdir()?;
    let (agent, listen) = follow(&python)?;
    let mut starved = Starved::start(folder.path())?;
    let agents = [listen.as_str(), starved.listen.as_str()];
    let monitoring = Monitoring::start(folder.path(), &agents, times.pace)?;
    for server in &monitoring.servers {
        // The first scrape may come some seconds after the start.
        server.wait_for_sample("count(up{job=\"pitviper\"}) == 2")?;
    }
    let began = Instant::now();

    let faulty = start_all(&python, &["--handshake"])?;
    starved.target.tell("go")?;
    let server = &monitoring.servers[0];
    let variables = variables(times.pace, &agents);
    wait_for_samples(server, panels(&variables)?, times.limit)?;
    wait_for_samples(server, rules(server)?, times.limit)?;
    for (number, program) in faulty.iter().enumerate() {
        let (_, row, alert) = ROWS[number];
        monitoring
            .wait_delivered("firing", &[alert], Some(program.pid()), times.limit)
            .with_context(|| row)?;
        tell(&format!("{row}: {alert} after {:.0} s", began.elapsed().as_secs_f64()));
    }
    last(&python, &listen, began, times.watch)?;
    for server in &monitoring.servers {
        scraped(server, began.elapsed(), times.pace)?;
        // Those that came later have had the time to see all by now.
        wait_for_samples(server, panels(&variables)?, times.limit)?;
        wait_for_samples(server, rules(server)?, times.limit)?;
    }

    let before: Vec<u32> = faulty.iter().map(Target::pid).collect();
    drop(faulty);
    let began = Instant::now();
    let fixed = start_all(&python, &["--fixed", "--handshake"])?;
    for (pid, (_, row, alert)) in before.into_iter().zip(ROWS) {
        monitoring
            .wait_delivered("resolved", &[alert], Some(pid), times.limit)
            .with_context(|| row)?;
        tell(&format!("{row}: resolved after {:.0} s", began.elapsed().as_secs_f64()));
    }
    last(&python, &listen, began, times.watch)?;
    for (program, (_, row, _)) in fixed.iter().zip(ROWS) {
        let looks = format!("pitviper_descriptors_open{{pid=\"{}\"}}", program.pid());
        server.wait_for_sample(&looks).with_context(|| format!("{row} is not followed"))?;
        for (_, _, alert) in ROWS {
            let fired = monitoring.webhook.has("firing", alert, Some(program.pid()));
            ensure!(!fired, "{alert} for {row} remedied: {:#?}", monitoring.webhook.outline());
        }
    }
    tell(&format!("the agent has {} MB", process::resident_bytes(agent.pid())? >> 20));

    agent.signal(Signal::TERM)?;
    let ended = agent.ended(START)?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    Ok(())
}

/// Follows what runs on this interpreter and speaks the tests' protocol.
fn follow(python: &Interpreter) -> Result<(Agent, String)> {
    let program = python.command.first().context("an interpreter without a program")?;
    let rule = format!("cmdline={} .*--handshake", program.replace('.', "\\."));
    let listen = format!("127.0.0.1:{}", http::free_port()?);
    let flag = format!("--web.listen-address={listen}");
    let mut agent = Agent::start(&["agent", "--include", &rule, &flag])?;
    agent.told_where("ready", START, |line| line.contains("agent is ready"))?;
    Ok((agent, listen))
}

fn start_all(python: &Interpreter, words: &[&str]) -> Result<Vec<Target>> {
    let mut programs = Vec::new();
    for (system, row, _) in ROWS {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {DESCRIPTORS}; exec \"$@\""), "sh"]);
        command.args(&python.command).args(["-B", "-m", system, row]).args(words);
        command.current_dir(workload(""));
        let mut program = Target::start_command_within(command, START).with_context(|| row)?;
        program.tell("go")?;
        programs.push(program);
    }
    Ok(programs)
}

fn variables(pace: Pace, agents: &[&str]) -> [(&'static str, String); 5] {
    [
        ("$__rate_interval", format!("{}s", 4 * pace.scrape_seconds().max(2))),
        ("$job", "pitviper".to_owned()),
        ("$instance", agents.join("|")),
        ("$service", ".*".to_owned()),
        ("$pid", ".*".to_owned()),
    ]
}

/// Waits until so much has passed since `began`, and reads the metrics every quarter of it.
fn last(python: &Interpreter, listen: &str, began: Instant, watch: Duration) -> Result<()> {
    loop {
        let mut read = python.command();
        let families = output::of(read.args(["-c", READ]).arg(format!("http://{listen}/metrics")))?;
        ensure!(families.trim().parse::<usize>()? > 50, "{families} families");
        let (_, port) = listen.rsplit_once(':').context("no port")?;
        let (status, text) = http::get(port.parse()?, "/metrics")?;
        ensure!(status == 200, "{status}: {text}");
        lint(&text)?;
        let Some(left) = watch.checked_sub(began.elapsed()) else { return Ok(()) };
        thread::sleep(left.min(watch / 4));
    }
}

/// No scrape was missed, and how long they took. In haste there is one each second, and a busy machine
/// may take some of these for itself.
fn scraped(server: &Prometheus, time: Duration, pace: Pace) -> Result<()> {
    let value = |query: &str| -> Result<f64> {
        let samples = server.query(query)?;
        let sample = samples.first().and_then(|sample| sample["value"][1].as_str());
        Ok(sample.with_context(|| format!("no sample: {query}"))?.parse()?)
    };
    let window = time.as_secs().saturating_sub(pace.scrape_seconds());
    let of = |series: &str| format!("{series}{{job=\"pitviper\"}}[{window}s]");
    let failed =
        value(&format!("sum(count_over_time({}) - sum_over_time({}))", of("up"), of("up")))?;
    let scrapes = value(&format!("min(count_over_time({}))", of("up")))?;
    let slowest = value(&format!("max(max_over_time({}))", of("scrape_duration_seconds")))?;
    let samples = value(&format!("max(max_over_time({}))", of("scrape_samples_scraped")))?;
    let version = server.ask("/api/v1/status/buildinfo")?;
    tell(&format!(
        "Prometheus {}: {scrapes} scrapes of each agent, {failed} failed, the slowest {slowest:.3} s, \
         up to {samples} samples",
        version["version"]
    ));
    let due = (window / pace.scrape_seconds()) as f64;
    let (may_fail, must_come) = match pace {
        Pace::Hastened => (0.1 * due, 0.8 * due),
        Pace::Real => (0.0, 0.98 * due),
    };
    ensure!(failed <= may_fail, "{failed} scrapes failed");
    ensure!(scrapes >= must_come, "{scrapes} scrapes of {due}");
    Ok(())
}
