//! `pitviper agent`: one process a host, which follows every CPython process.

mod config;
mod discovery;
mod host;
mod keys;
mod notify;
mod options;
mod push;
mod reload;
mod roster;
mod selection;
mod thresholds;

use rustix::process::{Resource, getrlimit, setrlimit};

use super::console::{self, print};
use super::error::{Exit, ProgramError};
use super::stop::Stop;
use super::watch::Watch;
use super::{lock, metrics, runtime, session};
use crate::detect::{Change, Confidence, News};
use crate::export::{json, terminal};
use crate::push::Push;
use config::Config;
use discovery::Discovery;
pub(super) use options::AgentOptions;
use options::Json;
use reload::Reload;
use roster::Counts;

/// Runs the command.
pub(super) fn run(options: &AgentOptions) -> Result<Exit, ProgramError> {
    if options.print_config {
        print(&keys::print());
        return Ok(Exit::Clean);
    }
    let mut config = Config::read(options)?;
    if options.check_config {
        let fixed = &config.fixed;
        metrics::access(fixed.web_config.as_deref())?;
        metrics::telemetry_path(&fixed.telemetry_path)?;
        push::check(fixed)?;
        print("ok\n");
        return Ok(Exit::Clean);
    }
    session::check_pid_namespace()?;
    let _lock = lock::lock_host()?;
    allow_descriptors();
    let runtime = runtime()?;
    let fixed = &config.fixed;
    let listen = metrics::Listen {
        addresses: &fixed.listen_address,
        public: fixed.listen_public,
        config: fixed.web_config.as_deref(),
        path: &fixed.telemetry_path,
    };
    let mut push = push::start(&runtime, fixed)?;
    let mut metrics = metrics::listen(&runtime, &listen)?;
    let stop = Stop::new(&runtime)?;
    let reload = Reload::new(&runtime)?;
    let mut watch = Watch::start(&config.probes(), &fixed.app_root, config.rules())?;
    watch.judge_by(config.rules(), config.services());
    let mut discovery = Discovery::new(&config);
    discovery.pass(&mut watch, &config)?;
    metrics.publish(&watch, beside(&discovery, &push), &[]);
    let mut told = discovery.counts();
    eprintln!("pitviper: agent is ready, {}", sentence(told));
    notify::tell("READY=1");
    let mut findings = 0;
    let mut noted = 0;
    while watch.goes_on(&stop) {
        if reload.is_asked() {
            reread(options, &mut config, &mut watch, &mut discovery);
        }
        discovery.pass(&mut watch, &config)?;
        noted += tell_missing(&watch, noted);
        let news = watch.tick(&stop, &mut |watch| metrics.answer(watch))?;
        push.tick(&watch.ledger, watch.clock);
        metrics.publish(&watch, beside(&discovery, &push), &news);
        findings += tell(&news, &watch, config.json);
        let counts = discovery.counts();
        // How many those are, the metrics say; here, that there are any, or none any more.
        if counts.leaves_out() != told.leaves_out() {
            eprintln!("pitviper: {}", sentence(counts));
        }
        told = counts;
    }
    notify::tell("STOPPING=1");
    findings += tell(&watch.finish()?, &watch, config.json);
    push.finish(&runtime, &watch.ledger, watch.clock);
    super::tell_losses(watch.ledger.flows());
    eprintln!("pitviper: agent ended, {}; confirmed findings: {findings}", sentence(told));
    Ok(Exit::Clean)
}

fn beside(discovery: &Discovery, push: &Push) -> metrics::Beside {
    metrics::Beside { left_out: discovery.counts().by_reason().to_vec(), pushed: push.health() }
}

/// Each process takes six descriptors, and the soft limit is often 1,024.
fn allow_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With less, fewer processes are followed, which is told then.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn sentence(counts: Counts) -> String {
    format!(
        "following {} processes; left out: {} by the rules, {} for max-processes, {} watched by \
         another pitviper, {} of no supported interpreter",
        counts.followed, counts.deselected, counts.left_out, counts.locked, counts.unsupported
    )
}

/// Says what this kernel and these rights do not allow, past the first `noted`; how much more it was.
fn tell_missing(watch: &Watch, noted: usize) -> usize {
    let missing = watch.session.source.missing().skip(noted);
    missing.map(|what| eprintln!("pitviper: note: {what}")).count()
}

/// Prints what is new, and counts what was confirmed.
fn tell(news: &[News], watch: &Watch, mode: Json) -> usize {
    let style = console::style();
    for change in news {
        match mode {
            Json::Off => {
                let pid = watch.pid(change.finding.process);
                print(&format!("[{pid}] {}\n", terminal::news(change, style)));
            }
            Json::Lines if change.change == Change::Withdrawn => {}
            Json::Lines => {
                let pid = watch.pid(change.finding.process);
                print(&json::line(&change.finding, pid, &watch.clock));
            }
        }
    }
    let confirmed = |news: &&News| {
        news.change != Change::Withdrawn && news.finding.confidence == Confidence::Confirmed
    };
    news.iter().filter(confirmed).count()
}

/// A bad file keeps what was.
fn reread(
    options: &AgentOptions,
    config: &mut Config,
    watch: &mut Watch,
    discovery: &mut Discovery,
) {
    let new = match Config::read(options) {
        Ok(new) => new,
        Err(error) => {
            eprintln!("pitviper: kept the configuration as it was: {error}");
            return;
        }
    };
    if new.fixed != config.fixed {
        eprintln!("pitviper: note: addresses, sizes and app roots take effect at the next start");
    }
    *config = Config { fixed: config.fixed.clone(), ..new };
    watch.judge_by(config.rules(), config.services());
    discovery.reconsider(config);
    eprintln!("pitviper: read the configuration again");
}
