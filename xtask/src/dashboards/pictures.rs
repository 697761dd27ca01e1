//! `cargo xtask dashboards pictures`: each dashboard as Grafana's own components draw it, of programs
//! that misbehave, measured by a real Prometheus.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::tools;
use crate::privilege::Privilege;
use crate::process::{self, Background, Lines};
use crate::setup::{self, Set};
use crate::{cargo, http, interpreters, interrupt, workspace};

/// What runs: a program of `tests/workloads` and its words; `FOLDER` is one of its own.
const PROGRAMS: [&[&str]; 4] = [
    &["faulty_service.py", "faulty", "FOLDER"],
    &["faulty_service.py", "fixed", "FOLDER"],
    &["leak.py", "socket", "0.5", "FOLDER"],
    &["demo/report_service.py"],
];

/// Where the programs see themselves, in a mount namespace of their own: in the pictures no path of
/// the machine on which they were made is read.
const PLACE: &str = "/srv";

const SCRAPE_SECONDS: u64 = 5;
const PATIENCE: Duration = Duration::from_secs(60);

/// Options of `cargo xtask dashboards pictures`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many seconds the pictures show
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// The program to watch with [default: a release build]
    #[arg(long, env = "PITVIPER_BIN")]
    program: Option<PathBuf>,
}

pub(super) fn draw(options: &Options) -> Result<()> {
    setup::ensure(&[Set::Build, Set::Dashboards, Set::Pictures])?;
    let page = tools::node_packages("page")?;
    let program = match &options.program {
        Some(program) => program.clone(),
        None => cargo::build_pitviper()?,
    };
    let privilege =
        Privilege::obtain("attach to processes with eBPF", "cargo xtask dashboards pictures")?;
    interrupt::catch();
    let stage = format!("dashboards/stage-{}", std::process::id());
    let folder = workspace::target().join(stage);
    let done = perform(options, &program, privilege, &page, &folder);
    // Nobody needs the samples any more; what cannot be removed goes with the target directory.
    let _ = fs::remove_dir_all(&folder);
    done
}

/// Has the programs run in `folder` and watched for as long as the pictures are to show.
fn perform(
    options: &Options,
    program: &Path,
    privilege: Privilege,
    page: &Path,
    folder: &Path,
) -> Result<()> {
    let mut staged = Vec::new();
    let mut targets = Vec::new();
    for (number, words) in PROGRAMS.iter().enumerate() {
        let own = folder.join(number.to_string());
        fs::create_dir_all(&own).with_context(|| format!("failed to create {}", own.display()))?;
        let subject = start(words, &own)?;
        let address = http::free_address()?.to_string();
        let mut attach = privilege.command(program);
        attach.args(["attach", &subject.pid().to_string(), "--listen", &address]);
        attach.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        targets.push(address);
        // Ended in this order: the watcher before its subject.
        staged.push((Background::start(&mut attach)?, subject));
    }
    let (mut prometheus, address) = start_prometheus(folder, &targets)?;
    eprintln!("Gathering {} s of samples; http://{address} shows them.", options.seconds);
    if let Some(status) =
        prometheus.wait(Duration::from_secs(options.seconds), interrupt::happened)?
    {
        bail!("prometheus ended: {status}");
    }
    interrupt::check()?;
    shoot(page, &address, options.seconds)
}

/// A workload at work: it speaks the tests' protocol (`workloads/handshake.py`) or begins by itself,
/// and ends with its standard input.
struct Subject {
    process: Background,
    _stdin: Option<ChildStdin>,
    _stdout: Lines,
}

impl Subject {
    fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn start(words: &[&str], folder: &Path) -> Result<Subject> {
    let python = interpreters::newest()?;
    // The process becomes the shell and then the program: it keeps its id.
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-ec"]);
    command.arg(format!("mount --bind \"$0\" {PLACE}; exec \"$@\""));
    command.arg(workspace::workload("")).arg(python.program);
    command.arg("-B").arg(Path::new(PLACE).join(words[0]));
    for word in &words[1..] {
        match *word {
            "FOLDER" => command.arg(folder),
            word => command.arg(word),
        };
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Background::start(&mut command)?;
    let mut stdin = process.child().stdin.take();
    let stdout = process.child().stdout.take().context("a workload has no output")?;
    let mut stdout = Lines::of(stdout);
    stdout.wait_for("READY", PATIENCE)?;
    if let Some(stdin) = &mut stdin {
        writeln!(stdin, "go").context("failed to tell a workload to go")?;
    }
    Ok(Subject { process, _stdin: stdin, _stdout: stdout })
}

fn start_prometheus(folder: &Path, targets: &[String]) -> Result<(Background, String)> {
    let file = folder.join("prometheus.yml");
    let rules = workspace::root().join("dashboards/rules/pitviper.yml");
    let configuration = format!(
        "global: {{scrape_interval: {SCRAPE_SECONDS}s, scrape_timeout: {SCRAPE_SECONDS}s, \
         evaluation_interval: {SCRAPE_SECONDS}s}}\n\
         rule_files: [{rules:?}]\n\
         scrape_configs: [{{job_name: pitviper, static_configs: [{{targets: {targets:?}}}]}}]\n"
    );
    fs::write(&file, configuration)
        .with_context(|| format!("failed to write {}", file.display()))?;
    let address = http::free_address()?.to_string();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={address}"));
    let prometheus = Background::start(process::quiet(&mut command))?;
    Ok((prometheus, address))
}

fn shoot(page: &Path, prometheus: &str, seconds: u64) -> Result<()> {
    let chromium = process::find_program("chromium").context("there is no chromium")?;
    let dashboards = workspace::root().join("dashboards");
    let pictures = dashboards.join("pictures");
    fs::create_dir_all(&pictures)
        .with_context(|| format!("failed to create {}", pictures.display()))?;
    let mut command = Command::new("node");
    command.arg(page.join("pictures.mjs")).arg(chromium).arg(format!("http://{prometheus}"));
    command.args([&dashboards, &pictures]).arg(seconds.to_string());
    // As Grafana computes it: four times the interval of scrapes.
    command.arg(format!("__rate_interval={}s", 4 * SCRAPE_SECONDS));
    command.args(["job=pitviper", "instance=.*", "service=.*", "pid=.*"]);
    process::run(&mut command)
}
