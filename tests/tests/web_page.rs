//! The agent's page in a real browser, and the API beneath it: each answer has the keys that
//! `docs/api.md` shows, and profiles are read by the tools that they are for.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use pitviper_tests::agent::{self, Agent};
use pitviper_tests::deadline::wait_for;
use pitviper_tests::lines::Lines;
use pitviper_tests::requirements::{met, skip, tell};
use pitviper_tests::site::marked;
use pitviper_tests::target::Target;
use pitviper_tests::{http, interpreter, output};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

/// Leaks every so many seconds: fast enough for a finding within the 15 s.
const INTERVAL: &str = "0.2";

const PLAYWRIGHT: &str = "playwright-core@1.56.1";

/// Objects whose keys are names and not part of the format.
const MAPS: [&str; 7] =
    ["by_kind", "by_origin", "dropped", "maps", "programs", "evidence", "overflow"];

#[test]
fn the_page_shows_a_leak_in_chromium() -> Result<()> {
    let test = "the_page_shows_a_leak_in_chromium";
    if !met(test)? {
        return Ok(());
    }
    for program in ["chromium", "node", "npm"] {
        if Command::new(program).arg("--version").output().is_err() {
            skip(test, &format!("{program} is missing"))?;
            return Ok(());
        }
    }
    let modules = playwright()?;
    let folder = tempfile::tempdir()?;
    let args = ["file".as_ref(), INTERVAL.as_ref(), folder.path().as_os_str()];
    let mut leaking = Target::start(&interpreter::pick(4)?, "leak.py", &args)?;
    let mut hostile = Target::start_plain(&interpreter::pick(3)?, "hostile_names.py")?;
    let leak_port = http::free_port()?;
    let agent = follow(folder.path(), leak_port)?;
    let (mut hostile_agent, hostile_port) = attach(&hostile)?;
    hostile.tell("go")?;
    hostile.expect("DONE")?;

    let pictures = pictures(folder.path())?;
    let site = marked("leak.py", "file")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/page.mjs");
    let mut command = Command::new("node");
    let url = |port: u16| format!("http://127.0.0.1:{port}/");
    command.arg(script).arg(modules);
    command.args([url(leak_port), leaking.pid().to_string(), format!("leak.py:{}", site.line)]);
    command.args([url(hostile_port), hostile.pid().to_string()]).arg(&pictures);
    let mut browser = Browser::start(command)?;
    browser.told("READY")?;
    leaking.tell("go")?;
    let appeared = browser.told("APPEARED")?;
    browser.told("STOP")?;
    hostile_agent.stop()?;
    browser.told("START")?;
    hostile_agent = attach_at(&hostile, hostile_port)?;
    browser.told("DONE")?;
    let taken = fs::read_dir(&pictures)?.count();
    ensure!(taken >= 20, "{taken} pictures in {}", pictures.display());
    tell(&format!("{test}: the leak appeared after {appeared} ms"));
    for watching in [agent, hostile_agent] {
        let ended = watching.stop()?;
        ensure!(ended.code().is_some_and(|code| code <= 1), "{}: {:?}", ended.status, ended.stderr);
    }
    Ok(())
}

/// The agent of the host, for the one program that leaks into `folder`; its page is at the port.
fn follow(folder: &Path, port: u16) -> Result<Agent> {
    let program = agent::program()?;
    Agent::follow_host(|| {
        let mut command = Command::new(&program);
        command.arg("agent").arg(format!("--include=cmdline=leak\\.py .*{}", folder.display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Ok(command)
    })
}

/// Watches a process; the page is at the port.
fn attach(target: &Target) -> Result<(Agent, u16)> {
    let port = http::free_port()?;
    Ok((attach_at(target, port)?, port))
}

fn attach_at(target: &Target, port: u16) -> Result<Agent> {
    let listen = format!("127.0.0.1:{port}");
    Agent::attach(&["attach", &target.pid().to_string(), "--listen", &listen])
}

/// Where pictures go: `PITVIPER_PICTURES`, to look at them, or `folder`.
fn pictures(folder: &Path) -> Result<PathBuf> {
    let pictures = match std::env::var_os("PITVIPER_PICTURES") {
        Some(kept) => PathBuf::from(kept),
        None => folder.join("pictures"),
    };
    fs::create_dir_all(&pictures)?;
    Ok(pictures)
}

/// A folder with Playwright, made once and kept.
fn playwright() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("playwright");
    let complete = folder.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|found| found == PLAYWRIGHT) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("package.json"), "{\"private\":true}\n")?;
    let mut install = Command::new("npm");
    install.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
    output::of(install.arg(PLAYWRIGHT))?;
    fs::write(&complete, PLAYWRIGHT)?;
    Ok(folder)
}

/// The script that drives the browser, ended when it goes out of scope.
struct Browser {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Browser {
    fn start(mut command: Command) -> Result<Browser> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("failed to start {command:?}"))?;
        let stdout = Lines::of(child.stdout.take().context("no standard output")?);
        let stderr = Lines::of(child.stderr.take().context("no standard error")?);
        Ok(Browser { child, stdout, stderr })
    }

    /// What follows `word` in the line that begins with it.
    fn told(&mut self, word: &str) -> Result<String> {
        match self.stdout.next_where(word, LIMIT, |line| line.starts_with(word)) {
            Ok(line) => Ok(line[word.len()..].trim().to_owned()),
            Err(error) => {
                let told = self.stderr.all(Duration::from_secs(2)).map(|lines| lines.join("\n"));
                Err(error.context(told.unwrap_or_default()))
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A leak that is attached to, with the API at `port`.
struct Attached {
    agent: Agent,
    target: Target,
    port: u16,
    folder: tempfile::TempDir,
}

impl Attached {
    fn start() -> Result<Attached> {
        let folder = tempfile::tempdir()?;
        let args = ["file".as_ref(), "0.05".as_ref(), folder.path().as_os_str()];
        let mut target = Target::start(&interpreter::pick(4)?, "leak.py", &args)?;
        let (agent, port) = attach(&target)?;
        target.tell("go")?;
        Ok(Attached { agent, target, port, folder })
    }

    fn json(&self, path: &str) -> Result<Value> {
        let (status, body) = http::get(self.port, path)?;
        ensure!(status == 200, "{path} answers {status}: {body}");
        serde_json::from_str(&body).with_context(|| format!("{path}: {body}"))
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

#[test]
fn the_api_answers_as_it_is_documented() -> Result<()> {
    if !met("the_api_answers_as_it_is_documented")? {
        return Ok(());
    }
    let run = Attached::start()?;
    let pid = run.target.pid();
    // Every list has something in it then.
    let change = next_finding(&run)?;
    let site = marked("leak.py", "file")?;
    ensure!(change["finding"]["site"]["line"] == site.line, "not at {site:?}: {change:#}");
    ensure!(change["finding"] == shown_finding(&run, &change)?, "{change:#}");
    let held = run.json(&format!("/api/v1/processes/{pid}/descriptors"))?;
    let stack = held["lines"][0]["stack"].as_str().context("no stack")?.to_owned();
    let mut asked = 0;
    for (path, example) in examples()? {
        let path = path.replace("{pid}", &pid.to_string()).replace("{id}", &stack);
        let query = if path.ends_with("/profile") { "?what=descriptors-alive" } else { "" };
        let mut answer = run.json(&format!("{path}{query}"))?;
        if query.is_empty() {
            same_shape(&path, &example, &answer)?;
        } else {
            // All processes together have no pid.
            answer["pid"] = example["pid"].clone();
            same_shape(&path, &example, &answer)?;
        }
        asked += 1;
    }
    ensure!(asked == 7, "{asked} examples in docs/api.md");

    for (path, expected) in [
        ("/api/v1/processes/4194304", 404),
        ("/api/v1/processes/x", 404),
        ("/api/v1/stacks/00000000000000ff", 404),
        ("/api/v1/stacks/1", 400),
        ("/api/v1/profile?what=x", 400),
        ("/api/v1/profile?seconds=301", 400),
        ("/api/v1/profile?pid=4194304", 404),
        ("/api/v1/profile?format=exe", 400),
        ("/debug/pprof/cmdline", 404),
        ("/assets/../index.html", 404),
    ] {
        let (status, body) = http::get(run.port, path)?;
        ensure!(status == expected, "{path} answers {status}: {body}");
    }
    let ended = run.agent.stop()?;
    ensure!(ended.code().is_some_and(|code| code <= 1), "{}: {:?}", ended.status, ended.stderr);
    drop(run.folder);
    Ok(())
}

#[test]
fn profiles_are_read_by_go_and_cover_their_window() -> Result<()> {
    let test = "profiles_are_read_by_go_and_cover_their_window";
    if !met(test)? {
        return Ok(());
    }
    let run = Attached::start()?;
    let site = marked("leak.py", "file")?;
    wait_for("samples of descriptors", LIMIT, || {
        let profile = run.json("/api/v1/profile?what=descriptors-alive")?;
        Ok(profile["total"].as_u64().filter(|total| *total > 5))
    })?;
    // Longer than ordinary requests may take, and the agent answers others meanwhile.
    let url = run.url("/api/v1/profile?what=descriptors&seconds=27&format=folded");
    let port = run.port;
    let began = Instant::now();
    let window = std::thread::spawn(move || ask_slowly(port, &url));
    let mut slowest = Duration::ZERO;
    while !window.is_finished() {
        let asked = Instant::now();
        run.json("/api/v1/processes")?;
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    let folded = window.join().map_err(|_| anyhow::anyhow!("the window's thread failed"))??;
    ensure!(began.elapsed() >= Duration::from_secs(27), "too early: {:?}", began.elapsed());
    ensure!(slowest < Duration::from_secs(3), "another request took {slowest:?}");
    let line = format!("leak_file (leak.py:{})", site.line);
    let weight = folded.lines().find(|text| text.contains(&line)).context(folded.clone())?;
    let count: u64 = weight.rsplit(' ').next().context("no weight")?.parse()?;
    // 20 a second are due at most; less on a busy machine.
    ensure!((40..=620).contains(&count), "{count} within 27 s: {folded}");

    for (format, begins) in [("svg", "<?xml"), ("speedscope", "{\"$schema\"")] {
        let path = format!("/api/v1/profile?what=descriptors&format={format}");
        let (status, body) = http::get(run.port, &path)?;
        ensure!(status == 200 && body.starts_with(begins), "{format}: {status} {body:.200}");
    }
    if Command::new("go").arg("version").output().is_err() {
        return skip(test, "go is missing, which brings `go tool pprof`");
    }
    for path in ["/debug/pprof/descriptors", "/debug/pprof/descriptors?seconds=2"] {
        let mut pprof = Command::new("go");
        pprof.args(["tool", "pprof", "-top", "-lines", &run.url(path)]);
        let top = output::of(pprof.env("PPROF_TMPDIR", run.folder.path()))?;
        ensure!(top.contains(&format!("leak.py:{}", site.line)), "{path}: {top}");
    }
    let mut pprof = Command::new("go");
    pprof.args(["tool", "pprof", "-tags", &run.url("/debug/pprof/descriptors")]);
    let tags = output::of(pprof.env("PPROF_TMPDIR", run.folder.path()))?;
    let pid = run.target.pid().to_string();
    ensure!(tags.contains("service") && tags.contains(&pid), "{tags}");
    Ok(())
}

/// A GET that may take longer than those of the harness.
fn ask_slowly(port: u16, url: &str) -> Result<String> {
    let path = url.split_once(&port.to_string()).context("no path")?.1;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let answer = std::io::read_to_string(&mut stream)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
    ensure!(head.contains(" 200 "), "{head}");
    Ok(body.to_owned())
}

/// What the stream of events tells of the first finding, after its greeting.
fn next_finding(run: &Attached) -> Result<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", run.port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(b"GET /api/v1/events HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut lines = BufReader::new(stream).lines();
    let mut data_of = |event: &str| -> Result<Value> {
        let wanted = format!("event: {event}");
        while let Some(line) = lines.next() {
            if line? == wanted {
                let data = lines.next().context("no data")??;
                return Ok(serde_json::from_str(data.strip_prefix("data: ").context("no data")?)?);
            }
        }
        bail!("the stream ended without {event}")
    };
    ensure!(data_of("hello")?["version"].is_string(), "no version");
    let change = data_of("finding")?;
    ensure!(change["change"] == "new", "{change:#}");
    Ok(change)
}

/// The finding of that event as the list of findings has it, but for what moves on.
fn shown_finding(run: &Attached, change: &Value) -> Result<Value> {
    let list = run.json("/api/v1/findings")?;
    let findings = list["findings"].as_array().context("no list")?;
    let same = findings.iter().find(|one| one["id"] == change["finding"]["id"]);
    let mut same = same.with_context(|| format!("not in {list:#}"))?.clone();
    for moving in ["evidence", "summary", "last_seen", "severity", "confidence"] {
        same[moving] = change["finding"][moving].clone();
    }
    Ok(same)
}

/// The routes of `docs/api.md` that have an example in JSON.
fn examples() -> Result<Vec<(String, Value)>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let text = fs::read_to_string(&file).with_context(|| format!("failed to read {file:?}"))?;
    let mut examples = Vec::new();
    for section in text.split("\n## `GET ").skip(1) {
        let (path, rest) = section.split_once('`').context("a heading without an end")?;
        let Some((_, json)) = rest.split_once("```json\n") else { continue };
        let (json, _) = json.split_once("```").context("an example without an end")?;
        let example = serde_json::from_str(json).with_context(|| format!("{path}: {json}"))?;
        examples.push((path.to_owned(), example));
    }
    Ok(examples)
}

/// The same keys, and values of the same sort.
fn same_shape(at: &str, example: &Value, answer: &Value) -> Result<()> {
    match (example, answer) {
        (Value::Object(shown), Value::Object(found)) => {
            // Interpreters before 3.11 have none.
            let absent = |key: &str| key == "qualname" && !found.contains_key(key);
            let shown: Vec<_> = shown.iter().filter(|(key, _)| !absent(key)).collect();
            let keys: Vec<_> = shown.iter().map(|(key, _)| *key).collect();
            let of_answer: Vec<_> = found.keys().collect();
            ensure!(keys == of_answer, "{at}: {keys:?} and {of_answer:?}");
            for (key, value) in shown.into_iter().filter(|(key, _)| !MAPS.contains(&key.as_str())) {
                same_shape(&format!("{at}.{key}"), value, &found[key])?;
            }
        }
        (Value::Array(shown), Value::Array(found)) => {
            if let (Some(shown), Some(found)) = (shown.first(), found.first()) {
                same_shape(&format!("{at}[0]"), shown, found)?;
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        _ => {
            let same = std::mem::discriminant(example) == std::mem::discriminant(answer);
            ensure!(same, "{at}: {example} and {answer}");
        }
    }
    Ok(())
}
