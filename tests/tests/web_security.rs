//! The web server among clients that mean no good, and with TLS and passwords, as curl sees it.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::{self, Agent};
use pitviper_tests::deadline::wait_for;
use pitviper_tests::requirements::{met, skip, tell};
use pitviper_tests::target::Target;
use pitviper_tests::{certificates, http, interpreter, process};
use rustix::process::{Resource, getrlimit, setrlimit};

const LIMIT: Duration = Duration::from_secs(30);

/// What Prometheus gives a scrape by default.
const SCRAPE: Duration = Duration::from_secs(10);

/// Clients at once of each sort.
const CLIENTS: usize = 2_000;

/// Bytes that all of them together may cost.
const COST: u64 = 24 << 20;

/// One user; what the hash is of, the test says.
const USERS: &str = "basic_auth_users: {ann: HASH}\n";

struct Run {
    agent: Agent,
    port: u16,
    _target: Target,
}

fn start(config: Option<&Path>) -> Result<Run> {
    let target = Target::start_plain(&interpreter::pick(2)?, "open_close.py")?;
    let port = http::free_port()?;
    let (pid, listen) = (target.pid().to_string(), format!("127.0.0.1:{port}"));
    let mut args = vec!["attach".into(), pid, "--listen".into(), listen, "--json".into()];
    if let Some(config) = config {
        args.extend(["--web.config.file".into(), config.display().to_string()]);
    }
    Ok(Run { agent: Agent::attach(&args)?, port, _target: target })
}

/// The status that curl gets, 0 where it gets none, and everything that it prints.
fn curl(folder: &Path, args: &[&str], url: &str) -> Result<(u16, String)> {
    let mut command = Command::new("curl");
    command.args(["-s", "-S", "-i", "--max-time", "10", "-w", "\n%{http_code}"]).args(args);
    let output = command.arg(url).current_dir(folder).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = text.rsplit('\n').next().context("curl says nothing")?.parse()?;
    Ok((status, text + &String::from_utf8_lossy(&output.stderr)))
}

fn tools() -> Result<bool> {
    if !met("web_security")? {
        return Ok(false);
    }
    for tool in ["curl", "openssl", "htpasswd"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output()?;
        if !found.status.success() {
            skip("web_security", &format!("{tool} is not installed"))?;
            return Ok(false);
        }
    }
    Ok(true)
}

fn hash(password: &str) -> Result<String> {
    let made = Command::new("htpasswd").args(["-nbB", "-C", "4", "x", password]).output()?;
    let text = String::from_utf8(made.stdout)?;
    Ok(text.trim().split_once(':').context("htpasswd gives no hash")?.1.to_owned())
}

/// TLS with the first certificate, in the file's own words.
const TLS: &str = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n";

/// A file for TLS with a password, and the certificates that it names.
fn guarded(folder: &Path) -> Result<PathBuf> {
    certificates::make(folder)?;
    let config = folder.join("web.yml");
    fs::write(&config, TLS.to_owned() + &USERS.replace("HASH", &hash("secret")?))?;
    Ok(config)
}

#[test]
fn tls_and_passwords_are_as_the_file_says() -> Result<()> {
    if !tools()? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let config = guarded(path)?;
    let mut run = start(Some(&config))?;
    let url = format!("https://localhost:{}/metrics", run.port);
    let ask = |args: &[&str]| curl(path, &[&["--cacert", "ca.pem"], args].concat(), &url);

    let (status, text) = wait_for("a scrape", LIMIT, || {
        let answer = ask(&["-u", "ann:secret"])?;
        Ok((answer.0 != 503).then_some(answer))
    })?;
    ensure!(status == 200 && text.contains("pitviper_build_info"), "{text}");
    for (args, expected) in [
        (&["-u", "ann:wrong"][..], 401),
        (&["-u", "eve:secret"], 401),
        (&[], 401),
        (&["-u", "ann:secret", "--tlsv1.2", "--tls-max", "1.2"], 200),
        (&["-u", "ann:secret", "--http2"], 200),
        (&["-u", "ann:secret", "-X", "DELETE"], 405),
        (&["-u", "ann:secret", "-H", "Host: evil.example"], 403),
    ] {
        let (status, text) = ask(args)?;
        ensure!(status == expected, "{args:?}: {status}: {text}");
    }
    let (_, refused) = ask(&[])?;
    ensure!(refused.to_lowercase().contains("www-authenticate: basic"), "{refused}");
    let (status, text) = curl(path, &[], &url)?;
    ensure!(status == 0, "an unknown authority was trusted: {text}");
    let (status, text) = curl(path, &[], &url.replace("https", "http"))?;
    ensure!(status == 0, "answered without TLS: {text}");

    // As the toolkit does it: what the file says from now on holds from now on.
    let both = "tls_server_config:\n  cert_file: other.pem\n  key_file: other.key\n  \
                client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  \
                min_version: TLS13\nhttp_server_config:\n  headers: {X-Frame-Options: deny}\n";
    fs::write(&config, both)?;
    let told =
        |agent: &mut Agent, what: &str| agent.told_where(what, LIMIT, |line| line.contains(what));
    let client = ["--cert", "client.pem", "--key", "client.key"];
    let (status, text) = ask(&client)?;
    ensure!(status == 200, "{text}");
    ensure!(text.to_lowercase().contains("x-frame-options: deny"), "{text}");
    told(&mut run.agent, "web.yml again")?;
    ensure!(ask(&[])?.0 == 0, "answered a client without a certificate");
    let old = [&client[..], &["--tls-max", "1.2"]].concat();
    ensure!(ask(&old)?.0 == 0, "answered by TLS 1.2");

    fs::write(&config, "tls_server_config: {client_auth_type: RequestClientCert}\n")?;
    ensure!(ask(&client)?.0 == 200, "a bad file has changed something");
    told(&mut run.agent, "kept the rules of access")?;
    // A new certificate behind the same names.
    fs::write(&config, TLS)?;
    ensure!(ask(&[])?.0 == 200, "the first certificate is no good any more");
    for ending in ["pem", "key"] {
        fs::rename(path.join(format!("other.{ending}")), path.join(format!("server.{ending}")))?;
    }
    let (_, text) = ask(&["-v"])?;
    ensure!(text.contains("CN=other"), "not the new certificate: {text}");
    let ended = run.agent.stop()?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    Ok(())
}

#[test]
fn a_bad_file_is_refused_at_the_start() -> Result<()> {
    if !met("web_security")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("web.yml");
    fs::write(&config, "tls_server_config: {min_version: TLS10, cert: x, key: y}\n")?;
    let file = format!("--web.config.file={}", config.display());
    let own = std::process::id().to_string();
    for args in [&["attach", &own, "--listen", "0", &file][..], &["agent", "--check-config", &file]]
    {
        let ended = Agent::start(args)?.ended(LIMIT)?;
        ensure!(ended.code() == Some(2), "{args:?}: {}: {:?}", ended.status, ended.stderr);
        let [told] = &ended.stderr[..] else { anyhow::bail!("not one line: {:?}", ended.stderr) };
        ensure!(told.contains("web.yml"), "{told}");
    }
    Ok(())
}

#[test]
fn the_agent_takes_the_flags_of_other_exporters() -> Result<()> {
    if !tools()? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("web.yml");
    fs::write(&config, USERS.replace("HASH", &hash("secret")?))?;
    let ports = [http::free_port()?, http::free_port()?];
    let agent = Agent::follow_host(|| {
        let mut command = Command::new(agent::program()?);
        // It follows nobody.
        command.args(["agent", "--include=service=^$", "--web.telemetry-path=/scrape"]);
        command.args(ports.map(|port| format!("--web.listen-address=127.0.0.1:{port}")));
        command.env("PITVIPER_WEB_CONFIG_FILE", &config);
        Ok(command)
    })?;
    for port in ports {
        for (args, path, expected) in [
            (&["-u", "ann:secret"][..], "scrape", 200),
            (&[], "scrape", 401),
            (&[], "-/healthy", 401),
            (&["-u", "ann:secret"], "-/healthy", 200),
        ] {
            let url = format!("http://127.0.0.1:{port}/{path}");
            let (status, text) = curl(folder.path(), args, &url)?;
            ensure!(status == expected, "{url} {args:?}: {text}");
        }
    }
    let ended = agent.stop()?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    Ok(())
}

/// What clients do that mean no good.
const SORTS: [(&str, &[u8]); 5] = [
    ("say nothing", b""),
    ("never end their request", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: "),
    ("do not read", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("send nonsense", b"\x00\xff\x16\x03\x01GARBAGE\r\n"),
    ("never end their handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
];

#[test]
fn scrapes_go_on_among_two_thousand_hostile_clients() -> Result<()> {
    if !met("web_security")? {
        return Ok(());
    }
    let run = start(None)?;
    let port = run.port;
    besieged(&run, "plain", || {
        let (status, body) = http::get(port, "/metrics")?;
        ensure!(status == 200 && body.contains("pitviper_build_info"), "{status}");
        Ok(())
    })
}

#[test]
fn scrapes_by_tls_go_on_among_two_thousand_hostile_clients() -> Result<()> {
    if !tools()? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let config = guarded(path)?;
    let run = start(Some(&config))?;
    let url = format!("https://localhost:{}/metrics", run.port);
    besieged(&run, "TLS", || {
        let (status, text) = curl(path, &["--cacert", "ca.pem", "-u", "ann:secret"], &url)?;
        ensure!(status == 200, "{status}: {text}");
        Ok(())
    })
}

/// Scrapes all the while that clients of every sort come and stay.
fn besieged(run: &Run, how: &str, scrape: impl Fn() -> Result<()> + Sync) -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    wait_for("the first scrape", LIMIT, || Ok(scrape().ok()))?;
    let before = process::resident_bytes(run.agent.pid())?;
    let (over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (peak, longest) = thread::scope(|scope| -> Result<(u64, Duration)> {
        let scraper = scope.spawn(|| -> Result<Duration> {
            let mut longest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let done = scrape();
                let count = count.fetch_add(1, Ordering::Relaxed);
                done.with_context(|| format!("scrape {count}, {:?}", began.elapsed()))?;
                longest = longest.max(began.elapsed());
            }
            Ok(longest)
        });
        let mut peak = before;
        let mut come = |what: &str, bytes: &[u8]| -> Result<()> {
            let mut clients = Vec::with_capacity(CLIENTS);
            for n in 0..CLIENTS {
                let client = TcpStream::connect(("127.0.0.1", run.port));
                let mut client = client.with_context(|| format!("client {n}: {what}"))?;
                // It may have had to make room already.
                let _ = client.write_all(bytes);
                clients.push(client);
                if n % 100 == 99 {
                    peak = peak.max(process::resident_bytes(run.agent.pid())?);
                    // Those that are there already go on a byte at a time.
                    for client in clients.iter_mut().filter(|_| bytes.len() > 20) {
                        let _ = client.write_all(b"x");
                    }
                }
            }
            // All of them stay, as far as the server lets them.
            let seen = count.load(Ordering::Relaxed);
            wait_for("scrapes meanwhile", LIMIT, || {
                let ended = scraper.is_finished() || count.load(Ordering::Relaxed) >= seen + 3;
                Ok(ended.then_some(()))
            })
        };
        let came = SORTS.iter().try_for_each(|(what, bytes)| come(what, bytes));
        over.store(true, Ordering::Relaxed);
        let longest = scraper.join().map_err(|_| anyhow::anyhow!("the scraper panicked"))??;
        came.map(|()| (peak, longest))
    })?;
    let scrapes = count.load(Ordering::Relaxed);
    ensure!(longest < SCRAPE, "a scrape took {longest:?}");
    let cost = peak.saturating_sub(before);
    tell(&format!(
        "web_security ({how}): {scrapes} scrapes among {} clients, the longest {longest:?}; {} KiB \
         before, {} KiB more at most",
        CLIENTS * SORTS.len(),
        before >> 10,
        cost >> 10
    ));
    ensure!(cost < COST, "the clients cost {cost} bytes, {before} before");
    let open = process::descriptors(run.agent.pid())?.len();
    ensure!(open < 700, "{open} descriptors are open");
    Ok(())
}
