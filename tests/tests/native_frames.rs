//! Functions of C above the Python frames: those that libraries really were in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::certificates;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::output;
use pitviper_tests::requirements::{met, skip, tell};
use pitviper_tests::site::{marked, workload};
use pitviper_tests::target::Target;
use pitviper_tests::venv;

const WORKLOAD: &str = "native_frames.py";

/// What each sort of graph must show above its line: a file, and the functions of it that may be
/// the way in. They are what the file exports, so that it names them wherever it is stripped; none
/// where the exported one ends with a jump into another.
const SORTS: [(&str, &[&str], &str, &[&str]); 4] = [
    ("tls", &["--what", "blocking"], "libssl.so", &["SSL_read", "SSL_read_ex"]),
    ("files", &["--what", "descriptors"], "libsqlite3.so", &[]),
    ("compress", &["--what", "on-cpu"], "libz.so", &["deflate"]),
    ("digest", &["--what", "on-cpu"], "libcrypto.so", &["PKCS5_PBKDF2_HMAC"]),
];

/// A workload that is compiled at run time, where the interpreter does that.
const HOT: &str = "hot_code.py";

/// Watches files by an extension in Rust whose symbols are left in.
const WATCHFILES: &str = "watchfiles==1.3.0";

/// One line of folded stacks above the marked line: native frames, outermost first, and the weight.
type Part = (Vec<String>, u64);

struct Recorded {
    /// By the marked line, with and without native frames.
    parts: Vec<Part>,
    stderr: Vec<String>,
}

impl Recorded {
    fn weight(&self) -> u64 {
        self.parts.iter().map(|(_, weight)| weight).sum()
    }

    fn native_weight(&self) -> u64 {
        self.parts.iter().filter(|(frames, _)| !frames.is_empty()).map(|(_, w)| w).sum()
    }
}

fn start(python: &Interpreter, doing: &str, folder: &Path) -> Result<Target> {
    Target::start(python, WORKLOAD, &[doing.as_ref(), folder.as_os_str()])
}

/// Records for some seconds, and takes the stacks with the marked line apart.
fn record(pid: u32, doing: &str, arguments: &[&str], folder: &Path) -> Result<Recorded> {
    record_of(WORKLOAD, pid, doing, arguments, folder)
}

fn record_of(
    workload: &str,
    pid: u32,
    doing: &str,
    arguments: &[&str],
    folder: &Path,
) -> Result<Recorded> {
    let out = folder.join("out.folded");
    let path = out.to_str().context("a temporary path that is not UTF-8")?;
    let pid = pid.to_string();
    let mut all = vec!["record", &pid, "-o", path, "--duration", "4s"];
    all.extend(arguments);
    let ended = Agent::attach(&all)?.ended(Duration::from_secs(60))?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    let site = marked(workload, doing)?;
    let frame = format!("{} ({workload}:{})", site.function, site.line);
    let mut parts = Vec::new();
    let text = fs::read_to_string(&out).context("nothing was written")?;
    for line in text.lines() {
        let (stack, weight) = line.rsplit_once(' ').context("a line without a weight")?;
        let frames: Vec<&str> = stack.split(';').collect();
        if let Some(at) = frames.iter().position(|known| *known == frame) {
            let native = frames[at + 1..].iter().map(|frame| (*frame).to_owned()).collect();
            parts.push((native, weight.parse()?));
        }
    }
    ensure!(!parts.is_empty(), "no {frame} in:\n{text}");
    Ok(Recorded { parts, stderr: ended.stderr })
}

/// Whether a process has a file mapped whose name begins so, and where.
fn mapped(pid: u32, name: &str) -> Result<Option<PathBuf>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let found = paths
        .map(Path::new)
        .find(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name)));
    Ok(found.map(Path::to_path_buf))
}

#[test]
fn libraries_stand_above_the_line_that_called_them() -> Result<()> {
    if !met("native_frames")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    certificates::make(folder.path())?;
    interpreter::on_every(1, |python| {
        for (doing, arguments, library, functions) in SORTS {
            let folder = folder.path().join(format!("{}-{doing}", python.label));
            fs::create_dir(&folder)?;
            for file in ["server.pem", "server.key"] {
                fs::copy(folder.join("..").join(file), folder.join(file))?;
            }
            check(python, doing, arguments, (library, functions), &folder)
                .with_context(|| doing.to_owned())?;
        }
        Ok(())
    })
}

fn check(
    python: &Interpreter,
    doing: &str,
    arguments: &[&str],
    (library, functions): (&str, &[&str]),
    folder: &Path,
) -> Result<()> {
    let module = match doing {
        "tls" => "_ssl",
        "files" => "_sqlite3",
        "compress" => "zlib",
        _ => "_hashlib",
    };
    let found = python.command().args(["-c", &format!("import {module}")]).output()?;
    if !found.status.success() {
        return skip("native_frames", &format!("{} has no {module}", python.label));
    }
    let target = start(python, doing, folder)?;
    if mapped(target.pid(), library)?.is_none() {
        return skip("native_frames", &format!("{} has {library} in itself", python.label));
    }
    let recorded = record(target.pid(), doing, arguments, folder)?;
    let (all, native) = (recorded.weight(), recorded.native_weight());
    tell(&format!("{}: {doing}: {native} of {all} with native frames", python.label));
    let through = |(frames, _): &&Part| {
        frames.iter().any(|frame| {
            let any = functions.is_empty() && frame.contains(&format!(" ({library}"));
            any || functions.iter().any(|f| frame.starts_with(&format!("{f} ({library}")))
        })
    };
    let through: u64 = recorded.parts.iter().filter(through).map(|(_, weight)| weight).sum();
    // Now and then a sample meets the line before or after the call, or the very first instructions
    // of a function, where its own tables do not know the way out.
    ensure!(
        through * 10 >= all * 9,
        "{through} of {all} through {functions:?} of {library}: {:?}, {:?}",
        recorded.parts,
        recorded.stderr
    );
    for (frames, _) in &recorded.parts {
        let interpreter = frames.iter().find(|frame| {
            ["_PyEval_", "PyObject_Vectorcall", "cfunction_"].iter().any(|p| frame.starts_with(p))
        });
        ensure!(interpreter.is_none(), "{interpreter:?} is the interpreter's own: {frames:?}");
    }
    Ok(())
}

/// gdb and pitviper look at the same blocked thread: the same functions and the same addresses.
#[test]
fn a_debugger_sees_the_same_frames() -> Result<()> {
    if !met("native_frames")? {
        return Ok(());
    }
    if Command::new("gdb").arg("--version").output().is_err() {
        return skip("native_frames", "gdb is not installed");
    }
    let folder = tempfile::tempdir()?;
    certificates::make(folder.path())?;
    let python = interpreter::all()?.into_iter().find(|p| !p.command[0].contains("chroot"));
    let python = python.context("no interpreter outside of a chroot")?;
    let target = start(&python, "tls", folder.path())?;
    let recorded = record(target.pid(), "tls", &["--what", "blocking"], folder.path())?;
    let of_tls = |frame: &&String| frame.contains("(libssl") || frame.contains("(libcrypto");
    let blocked = recorded.parts.iter().max_by_key(|(_, weight)| *weight);
    let (frames, _) = blocked.context("no part")?;
    let seen: Vec<&String> = frames.iter().filter(of_tls).collect();
    let theirs = debugged(target.pid())?;
    tell(&format!("{}: {} frames of TLS, {seen:?}", python.label, seen.len()));
    ensure!(seen.len() >= 4 && seen.len() == theirs.len(), "{seen:?}, gdb has {theirs:?}");
    for (ours, (name, address)) in seen.iter().zip(&theirs) {
        let same = match name {
            Some(name) => ours.starts_with(&format!("{name} (")),
            None => ours.starts_with(&format!("{address:#x} (")),
        };
        ensure!(same, "{ours}, gdb has {name:?} at {address:#x}: {theirs:?}");
    }
    Ok(())
}

/// gdb's frames of the TLS libraries on the main thread, outermost first: the name where there is
/// one, and the address in the file.
fn debugged(pid: u32) -> Result<Vec<(Option<String>, u64)>> {
    // It blocks nearly all the time; what is in between is left out.
    for _ in 0..20 {
        let mut gdb = Command::new("gdb");
        gdb.args(["-p", &pid.to_string(), "-batch", "-ex", "thread 1", "-ex", "bt"]);
        let text = output::of(&mut gdb)?;
        let starts = starts(pid)?;
        let mut frames = Vec::new();
        for line in text.lines().filter(|line| line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let library = words.last().and_then(|path| Path::new(path).file_name());
            let Some(start) = library.and_then(|l| starts.get(&*l.to_string_lossy())) else {
                continue;
            };
            let address = u64::from_str_radix(words[1].trim_start_matches("0x"), 16)?;
            let name = (words[3] != "??").then(|| words[3].to_owned());
            frames.push((name, address - start));
        }
        frames.reverse();
        if frames.iter().any(|(name, _)| name.as_deref() == Some("BIO_read")) {
            return Ok(frames);
        }
    }
    anyhow::bail!("gdb never met it blocked")
}

/// Where the TLS libraries begin in memory.
fn starts(pid: u32) -> Result<BTreeMap<String, u64>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut starts = BTreeMap::new();
    for line in maps.lines() {
        let Some(path) = line.split_whitespace().nth(5) else { continue };
        let name = path.rsplit('/').next().unwrap_or(path);
        if name.starts_with("libssl") || name.starts_with("libcrypto") {
            let start = line.split('-').next().unwrap_or(line);
            let start = u64::from_str_radix(start, 16)?;
            starts.entry(name.to_owned()).or_insert(start);
        }
    }
    Ok(starts)
}

/// What numpy allocates is mapped by numpy's own allocator.
#[test]
fn numpy_maps_its_arrays() -> Result<()> {
    if !met("native_frames")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let python = venv::create(4, folder.path(), &["numpy"])?;
    let target = start(&python, "arrays", folder.path())?;
    let arguments = ["--what", "mapped", "--weight", "opened"];
    let recorded = record(target.pid(), "arrays", &arguments, folder.path())?;
    let of_numpy = |(frames, _): &&Part| {
        frames.iter().any(|frame| frame.contains("(_multiarray_umath"))
            && frames.last().is_some_and(|frame| frame.contains("mmap"))
    };
    let weight: u64 = recorded.parts.iter().filter(of_numpy).map(|(_, weight)| weight).sum();
    ensure!(weight * 10 >= recorded.weight() * 9, "{:?}", recorded.parts);
    Ok(())
}

/// Rust's functions have their names. Each object is three descriptors of three kinds, made in
/// different places: what these have in common is above the line, and nothing of only one of them.
#[test]
fn an_extension_in_rust_is_named() -> Result<()> {
    if !met("native_frames")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let python = venv::create(4, folder.path(), &[WATCHFILES])?;
    let target = start(&python, "watches", folder.path())?;
    let recorded = record(target.pid(), "watches", &["--what", "descriptors"], folder.path())?;
    let is_right = |(frames, _): &&Part| {
        let last = frames.last().map_or("", String::as_str);
        last.contains("INotifyWatcher")
            && last.contains("::from_event_handler")
            && last.contains(" (_rust_notify.")
    };
    let weight: u64 = recorded.parts.iter().filter(is_right).map(|(_, weight)| weight).sum();
    tell(&format!("{}: {:?}", python.label, recorded.parts));
    ensure!(weight * 10 >= recorded.weight() * 9, "{:?}", recorded.parts);
    Ok(())
}

/// What the interpreter compiles at run time has no tables: the functions that it calls are named.
#[test]
fn compiled_python_names_what_it_calls() -> Result<()> {
    if !met("native_frames")? {
        return Ok(());
    }
    interpreter::on_every(1, |python| {
        let enabled = "import sys; print(sys._jit.is_enabled())";
        let output = python.command().env("PYTHON_JIT", "1").args(["-c", enabled]).output()?;
        if !output.stdout.starts_with(b"True") {
            return Ok(());
        }
        let folder = tempfile::tempdir()?;
        let mut command = python.command();
        command.arg(workload(HOT)).arg("1000000000").env("PYTHON_JIT", "1");
        let mut target = Target::start_command(command)?;
        target.tell("go")?;
        target.expect("HOT")?;
        let arguments = ["--what", "on-cpu"];
        let recorded = record_of(HOT, target.pid(), "opens", &arguments, folder.path())?;
        let in_c = |(frames, _): &&Part| frames.iter().any(|frame| frame.contains("(libc.so"));
        let in_c: u64 = recorded.parts.iter().filter(in_c).map(|(_, weight)| weight).sum();
        let outline = format!("{in_c} of {} in the C library", recorded.weight());
        tell(&format!("{}: compiled: {outline}, {:?}", python.label, recorded.stderr));
        ensure!(in_c * 20 >= recorded.weight(), "{outline}: {:?}", recorded.parts);
        let Some(note) = recorded.stderr.iter().find(|line| line.contains("native stacks")) else {
            return Ok(());
        };
        // "of 54 native stacks 2 could not be unwound"
        let numbers: Vec<u64> = note.split(' ').filter_map(|word| word.parse().ok()).collect();
        ensure!(matches!(numbers[..], [all, lost] if lost * 10 <= all), "{note}");
        Ok(())
    })
}

/// Findings have the native frames beside the Python frames, in JSON and for people.
#[test]
fn findings_name_the_library() -> Result<()> {
    if !met("native_frames")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let target = start(&interpreter::pick(2)?, "files", folder.path())?;
    let pid = target.pid().to_string();
    let agent = Agent::attach(&["attach", &pid, "--json", "--duration", "30s"])?;
    let report = agent.ended(Duration::from_secs(90))?.report()?;
    let site = marked(WORKLOAD, "files")?;
    let leak = report.confirmed_at("fd-leak", &site)?;
    let native = leak["native"].as_array().context("no native frames")?;
    let has = |file: &str| {
        native.iter().any(|frame| frame["file"].as_str().is_some_and(|path| path.contains(file)))
    };
    ensure!(has("libsqlite3") && has("_sqlite3"), "{native:#?}");
    ensure!(native[0]["function"].as_str().is_some_and(|f| f.contains("open")), "{native:#?}");
    ensure!(native.iter().all(|frame| frame["address"].as_u64() > Some(0)), "{native:#?}");
    Ok(())
}

/// Without native frames the graph ends with the Python line, and weighs the same.
#[test]
fn they_can_be_left_out() -> Result<()> {
    if !met("native_frames")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let target = start(&interpreter::pick(1)?, "compress", folder.path())?;
    let arguments = ["--what", "on-cpu", "--no-native"];
    let recorded = record(target.pid(), "compress", &arguments, folder.path())?;
    ensure!(recorded.native_weight() == 0 && recorded.weight() > 20, "{:?}", recorded.parts);
    Ok(())
}
