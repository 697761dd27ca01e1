//! The files for other tools are what those tools read: pprof's profile through protobuf's own
//! parser, speedscope's file against speedscope's own schema, both with what the program really did.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::requirements::{met, skip};
use pitviper_tests::site::{marked, workload};
use pitviper_tests::target::Target;
use pitviper_tests::{output, venv};
use serde_json::Value;

/// What reads the files: a parser, a validator, and the package that has speedscope's schema.
const PACKAGES: [&str; 2] = ["protobuf==5.29.5", "jsonschema==4.23.0"];
const SPEEDSCOPE: &str = "speedscope@1.25.0";

/// A refusal comes long before this.
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn pprof_is_read_by_protobuf() -> Result<()> {
    let Some(reader) = reader()? else { return Ok(()) };
    for ending in ["pb.gz", "pprof"] {
        let (file, done, _folder) = record("mapped", "mapped", ending)?;
        let found = read(&reader, "pprof", &file)?;
        ensure!(found["type"] == "mapped" && found["unit"] == "bytes", "{found:#}");
        holds(&found, "mapped", done)?;
    }
    let (file, done, _folder) = record("blocking", "blocking", "pb.gz")?;
    let found = read(&reader, "pprof", &file)?;
    ensure!(found["type"] == "blocking" && found["unit"] == "nanoseconds", "{found:#}");
    let weight = weight_of(&found, "blocking")?;
    let off = (weight as f64 / 1e3 - done as f64).abs() / done as f64;
    ensure!(off <= 0.05, "{weight} ns, the program says {done} µs");
    let seconds = found["seconds"].as_f64().context("no duration")?;
    ensure!(seconds > done as f64 / 1e6, "{seconds} s, the program slept {done} µs");
    Ok(())
}

#[test]
fn speedscope_accepts_its_file() -> Result<()> {
    let Some(reader) = reader()? else { return Ok(()) };
    let (file, done, _folder) = record("mapped", "mapped", "speedscope.json")?;
    let Some(schema) = schema()? else { return Ok(()) };
    let found = read(&reader, schema.to_str().context("not UTF-8")?, &file)?;
    ensure!(found["type"] == "sampled" && found["unit"] == "bytes", "{found:#}");
    holds(&found, "mapped", done)
}

#[test]
fn an_unknown_ending_is_refused_before_anything_is_attached() -> Result<()> {
    if !met("record_profiles")? {
        return Ok(());
    }
    let own = std::process::id().to_string();
    // This process is no Python: to be told of the ending, the ending has to come first.
    let ended = Agent::start(&["record", &own, "-o", "leak.json"])?.ended(LIMIT)?;
    ensure!(ended.code() == Some(2), "{}: {:?}", ended.status, ended.stderr);
    let [sentence] = &ended.stderr[..] else { bail!("not one sentence: {:?}", ended.stderr) };
    for ending in [".svg", ".folded", ".txt", ".speedscope.json", ".pb.gz", ".pprof"] {
        ensure!(sentence.contains(ending), "no {ending} in {sentence}");
    }
    Ok(())
}

/// A Python with what reads the files, made once and kept.
fn reader() -> Result<Option<Interpreter>> {
    if !met("record_profiles")? {
        return Ok(None);
    }
    // Tests run at the same time, and one makes it for all.
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = cache("profile_readers");
    let python = venv::kept("3.12", &folder, &PACKAGES)?;
    if python.is_none() {
        skip("record_profiles", "there is no CPython 3.12")?;
    }
    Ok(python)
}

fn cache(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The schema that speedscope's own package has; kept.
fn schema() -> Result<Option<PathBuf>> {
    let folder = cache("speedscope");
    let schema = folder.join("package/dist/release/file-format-schema.json");
    if !schema.exists() {
        let npm = Command::new("npm").arg("--version").stdout(Stdio::null()).status();
        if npm.is_err() {
            skip("record_profiles", "npm is missing, which brings speedscope's schema")?;
            return Ok(None);
        }
        fs::create_dir_all(&folder)?;
        let mut pack = Command::new("npm");
        pack.args(["pack", "--silent", "--pack-destination"]).arg(&folder).arg(SPEEDSCOPE);
        let archive = output::of(&mut pack)?;
        let archive = archive.lines().last().context("npm named no archive")?;
        let mut unpack = Command::new("tar");
        unpack.arg("-xzf").arg(folder.join(archive)).arg("-C").arg(&folder);
        output::of(unpack.arg("package/dist/release/file-format-schema.json"))?;
    }
    Ok(Some(schema))
}

/// Records `what` while the program does `doing`: the file, and what the program did.
fn record(doing: &str, what: &str, ending: &str) -> Result<(PathBuf, u64, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let arguments = [doing.as_ref(), folder.path().as_os_str()];
    let mut target = Target::start(&interpreter::pick(0)?, "acts.py", &arguments)?;
    let file = folder.path().join(format!("out.{ending}"));
    let path = file.to_str().context("a temporary path that is not UTF-8")?;
    let agent = Agent::attach(&[
        "record",
        &target.pid().to_string(),
        "--what",
        what,
        "--no-native",
        "-o",
        path,
    ])?;
    target.tell("go")?;
    let done = target.expect("DONE")?.parse()?;
    let ended = agent.stop()?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    Ok((file, done, folder))
}

/// What the reader finds in the file: the sum of each innermost line, and what they are sums of.
fn read(reader: &Interpreter, how: &str, file: &Path) -> Result<Value> {
    let mut command = reader.command();
    let text = output::of(command.arg(workload("read_profile.py")).arg(how).arg(file))?;
    serde_json::from_str(&text).with_context(|| text)
}

fn weight_of(found: &Value, marker: &str) -> Result<u64> {
    let site = marked("acts.py", marker)?;
    let key = format!("{} {}:{}", site.function, site.file, site.line);
    found["lines"][&key].as_u64().with_context(|| format!("no {key} in {found:#}"))
}

fn holds(found: &Value, marker: &str, done: u64) -> Result<()> {
    let weight = weight_of(found, marker)?;
    ensure!(weight == done, "{weight}, the program says {done}: {found:#}");
    Ok(())
}
