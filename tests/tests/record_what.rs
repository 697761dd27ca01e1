//! Each sort of flame graph has its line as the innermost frame, with what the program really did.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::requirements::{met, tell};
use pitviper_tests::site::marked;
use pitviper_tests::target::Target;
use pitviper_tests::together;

/// How the weight of the line stands to what the program says of itself.
enum Truth {
    /// The same number.
    Exact,
    /// Nearly: the program's clock has its own calls in it.
    Within(f64),
    /// Samples of so many seconds of computing, 99 a second.
    Samples,
}

const SORTS: [(&str, &str, Truth); 8] = [
    ("spawns", "spawns", Truth::Exact),
    ("connections", "connections", Truth::Exact),
    ("blocking", "blocking", Truth::Within(0.05)),
    ("off-cpu", "blocking", Truth::Within(0.05)),
    ("on-cpu", "on-cpu", Truth::Samples),
    ("mapped", "mapped", Truth::Exact),
    ("read", "read", Truth::Exact),
    ("written", "written", Truth::Exact),
];

#[test]
fn each_sort_weighs_what_was_done() -> Result<()> {
    if !met("record_what")? {
        return Ok(());
    }
    let sorts: Vec<_> = SORTS.iter().enumerate().collect();
    together::each(
        2,
        &sorts,
        |(_, (sort, ..))| (*sort).to_owned(),
        |(turn, (sort, marker, truth))| check(&interpreter::pick(*turn)?, sort, marker, truth),
    )
}

fn check(python: &Interpreter, sort: &str, marker: &str, truth: &Truth) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (text, done) = record(python, sort, sort, folder.path())?;
    let site = marked("acts.py", marker)?;
    let frame = format!("{} (acts.py:{})", site.function, site.line);
    let weight = weight_of(&text, &frame)?;
    tell(&format!("{}: {sort}: {weight}, the program says {done}", python.label));
    match truth {
        Truth::Exact => ensure!(weight == done, "{weight}, not {done}, in:\n{text}"),
        Truth::Within(part) => {
            let off = (weight as f64 - done as f64).abs() / done as f64;
            ensure!(off <= *part, "{weight}, not {done}, in:\n{text}");
        }
        // The clock of a virtual processor loses some of its ticks.
        Truth::Samples => {
            let expected = done * 99;
            ensure!(
                (expected / 2..=expected * 5 / 4).contains(&weight),
                "{weight} samples, not about {expected}, in:\n{text}"
            );
        }
    }
    Ok(())
}

/// Records `sort` while the program does `doing`; the folded stacks, and what the program did.
fn record(python: &Interpreter, doing: &str, sort: &str, folder: &Path) -> Result<(String, u64)> {
    let mut target = Target::start(python, "acts.py", &[doing.as_ref(), folder.as_os_str()])?;
    let out = folder.join("out.folded");
    let path = out.to_str().context("a temporary path that is not UTF-8")?;
    let agent = Agent::attach(&[
        "record",
        &target.pid().to_string(),
        "--what",
        sort,
        "--no-native",
        "-o",
        path,
    ])?;
    target.tell("go")?;
    let done = target.expect_within("DONE", Duration::from_secs(60))?.parse()?;
    let ended = agent.stop()?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    let text = fs::read_to_string(&out).context("nothing was written")?;
    ensure!(
        !text.is_empty() || ended.stderr.iter().any(|line| line.contains("the graph is empty")),
        "an empty graph, and no word of it: {:?}",
        ended.stderr
    );
    Ok((text, done))
}

/// The weight of all stacks whose innermost frame is `frame`.
fn weight_of(text: &str, frame: &str) -> Result<u64> {
    let mut sum = 0;
    for line in text.lines() {
        let (stack, weight) = line.rsplit_once(' ').context("a line without a weight")?;
        if stack.rsplit(';').next() == Some(frame) {
            sum += weight.parse::<u64>().with_context(|| line.to_owned())?;
        }
    }
    ensure!(sum > 0, "no {frame} in:\n{text}");
    Ok(sum)
}

#[test]
fn nothing_done_is_said_in_words() -> Result<()> {
    if !met("record_what")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (text, _) = record(&interpreter::pick(0)?, "mapped", "spawns", folder.path())?;
    ensure!(text.is_empty(), "processes that were not started:\n{text}");
    Ok(())
}

/// The picture of each sort that had something to show is written by `attach --svg`, no other.
#[test]
fn attach_draws_what_there_was() -> Result<()> {
    if !met("record_what")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let arguments = ["read".as_ref(), folder.path().as_os_str()];
    let mut target = Target::start(&interpreter::pick(0)?, "acts.py", &arguments)?;
    let pictures = folder.path().join("pictures");
    let path = pictures.to_str().context("a temporary path that is not UTF-8")?;
    let agent = Agent::attach(&["attach", &target.pid().to_string(), "--svg", path])?;
    target.tell("go")?;
    target.expect("DONE")?;
    let ended = agent.stop()?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    for (name, there) in [("read", true), ("written", true), ("spawns", false)] {
        let exists = pictures.join(format!("{name}.svg")).exists();
        ensure!(exists == there, "{name}.svg: {exists}; {:?}", ended.stderr);
    }
    let svg = fs::read_to_string(pictures.join("read.svg"))?;
    for part in ["Bytes read from files", "regular files only", "(acts.py:", " bytes, "] {
        ensure!(svg.contains(part), "no {part:?} in read.svg");
    }
    Ok(())
}
