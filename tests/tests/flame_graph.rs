//! Names of functions and files are hostile: flame graphs stay well-formed whatever they hold.

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::{Agent, Ended};
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::requirements::met;
use pitviper_tests::target::Target;

/// Descriptors that each function of the workload holds.
const HELD_EACH: u64 = 10;

/// Parses the file as XML and prints all its text and attributes.
const PARSE: &str = "
import sys, xml.etree.ElementTree as tree
for element in tree.parse(sys.argv[1]).iter():
    print(element.tag, element.attrib, ascii(element.text))
";

#[test]
fn svg_is_well_formed_whatever_the_names() -> Result<()> {
    if !met("flame_graph")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    interpreter::on_every(available_parallelism()?.get(), |python| {
        let out = folder.path().join(format!("{}.svg", python.label));
        record(python, &out)?;
        let bytes = fs::read(&out).context("no svg was written")?;
        let control = bytes.iter().find(|&&byte| byte < 0x20 && !b"\t\r\n".contains(&byte));
        ensure!(control.is_none(), "a control character {control:?} in the svg");
        let output = python.command().args(["-c", PARSE]).arg(&out).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "not XML: {error}");
        ensure!(text.contains("<b>"), "the name with <b> is not shown as text");
        ensure!(!text.contains("script {} 'alert"), "a name became a script");
        Ok(())
    })
}

#[test]
fn folded_has_one_stack_a_line() -> Result<()> {
    if !met("flame_graph")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    interpreter::on_every(available_parallelism()?.get(), |python| {
        let out = folder.path().join(format!("{}.folded", python.label));
        let names = record(python, &out)?;
        let bytes = fs::read(&out).context("nothing was written")?;
        let text = String::from_utf8(bytes).context("the folded stacks are not UTF-8")?;
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        ensure!(control.is_none(), "a control character {control:?} in the folded stacks");
        let lines: Vec<_> = text.lines().collect();
        ensure!(lines.len() == names, "{} lines for {names} stacks:\n{text:.3000}", lines.len());
        let depth = lines[0].matches(';').count();
        for line in lines {
            let (stack, count) = line.rsplit_once(' ').context("a line without a count")?;
            ensure!(count.parse() == Ok(HELD_EACH), "{count} is not {HELD_EACH} in {line:.500}");
            ensure!(stack.matches(';').count() == depth, "a name splits the stack: {stack:.500}");
        }
        Ok(())
    })
}

/// Records the hostile workload into `out`; gives the number of its stacks.
fn record(python: &Interpreter, out: &Path) -> Result<usize> {
    let mut target = Target::start_plain(python, "hostile_names.py")?;
    let pid = target.pid().to_string();
    let path = out.to_str().context("a temporary path that is not UTF-8")?;
    let agent =
        Agent::attach(&["record", &pid, "--what", "descriptors", "--no-native", "-o", path])?;
    target.tell("go")?;
    let names = target.expect("DONE")?.parse()?;
    let ended: Ended = agent.stop()?;
    ensure!(matches!(ended.code(), Some(0 | 1)), "{}: {:?}", ended.status, ended.stderr);
    let terminal = ended.stdout.iter().chain(&ended.stderr).find(|line| line.contains('\x1b'));
    ensure!(terminal.is_none(), "an escape reached the terminal: {terminal:?}");
    Ok(names)
}

#[test]
fn the_parser_refuses_what_is_not_xml() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let bad = folder.path().join("bad.svg");
    fs::write(&bad, "<svg><text>]]></text><b></svg>")?;
    let output = interpreter::pick(0)?.command().args(["-c", PARSE]).arg(&bad).output()?;
    ensure!(!output.status.success(), "a broken file passed");
    Ok(())
}
