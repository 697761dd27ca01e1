//! Where processes run: chroots, namespaces of their own, programs that were deleted or replaced, and
//! those that become another one. The other way round: a pitviper in a pid namespace of its own.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::{Agent, program};
use pitviper_tests::embedding::Embeddable;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::report::{Report, is_confirmed, outline};
use pitviper_tests::requirements::{met, skip};
use pitviper_tests::site::{Site, marked, workload};
use pitviper_tests::target::Target;
use pitviper_tests::trace::parse_line;
use pitviper_tests::{leak, together};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

/// Agents that are attached at the same time.
const AT_ONCE: usize = 7;

/// Gives a command a pid namespace and its `/proc`.
const PID_NAMESPACE: [&str; 4] = ["--pid", "--fork", "--mount-proc", "--kill-child"];

/// Shows the whole of this machine below a folder, and makes that the root.
const CHROOT: &str = r#"root=$1; shift; mount --rbind / "$root"; exec chroot "$root" "$@""#;

/// Puts other files in the place of a folder's.
const OVERLAY: &str = r#"own=$1; place=$2; shift 2; mount --bind "$own" "$place"; exec "$@""#;

/// `leak.py`, started by `words`, which end with an interpreter's.
fn leak(words: &[String], folder: &Path) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(workload("leak.py")).args(["file", "0.25"]).arg(folder);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn unshare(options: &[&str], python: &Interpreter) -> Vec<String> {
    let words = ["unshare"].iter().chain(options).map(|word| (*word).to_owned());
    words.chain(python.command.clone()).collect()
}

/// The process itself, or where `unshare` forked it, that child.
fn pid_of(target: &Target, forked: bool) -> Result<u32> {
    if !forked {
        return Ok(target.pid());
    }
    let list = fs::read_to_string(format!("/proc/{0}/task/{0}/children", target.pid()))?;
    list.split_whitespace().next().context("nothing was forked")?.parse().context("no pid")
}

/// Attaches, sets the target going and waits for the leak.
fn leak_is_told(target: &mut Target, pid: u32, site: &Site) -> Result<Value> {
    leak_is_told_to(Agent::attach(&["attach", &pid.to_string(), "--json=lines"])?, target, site)
}

fn leak_is_told_to(agent: Agent, target: &mut Target, site: &Site) -> Result<Value> {
    target.tell("go")?;
    leak::told_at(agent, site, LIMIT)
}

#[test]
fn a_leak_is_told_in_namespaces_and_a_chroot() -> Result<()> {
    if !met("places")? {
        return Ok(());
    }
    let user = ["--user", "--map-root-user"];
    let places: [(&str, Vec<&str>); 4] = [
        ("pid", PID_NAMESPACE.to_vec()),
        ("user and pid", [&user[..], &PID_NAMESPACE].concat()),
        ("network, ipc, uts and cgroup", vec!["--net", "--ipc", "--uts", "--cgroup"]),
        ("chroot", vec!["--mount", "--propagation", "private", "sh", "-ec", CHROOT, "sh"]),
    ];
    let places: Vec<_> = places.iter().enumerate().collect();
    together::each(
        AT_ONCE,
        &places,
        |(_, (name, _))| (*name).to_owned(),
        |(turn, (name, options))| {
            let folder = tempfile::tempdir()?;
            let root = folder.path().join("root").display().to_string();
            fs::create_dir(&root)?;
            let mut options = options.clone();
            if *name == "chroot" {
                options.push(&root);
            }
            let words = unshare(&options, &interpreter::pick(*turn)?);
            let mut target = Target::start_command(leak(&words, folder.path()))?;
            let pid = pid_of(&target, options.contains(&"--fork"))?;
            leak_is_told(&mut target, pid, &marked("leak.py", "file")?)?;
            Ok(())
        },
    )
}

/// Its pid there is one that means another process here.
#[test]
fn a_child_in_a_pid_namespace_has_the_hosts_pid() -> Result<()> {
    if !met("places")? {
        return Ok(());
    }
    let words = unshare(&PID_NAMESPACE, &interpreter::pick(4)?);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(workload("children.py")).arg("subprocess");
    let mut target = Target::start_command(command)?;
    let pid = pid_of(&target, true)?.to_string();
    let mut agent = Agent::attach(&["attach", &pid, "--follow-children", "--json=lines"])?;
    target.tell("go")?;
    let inside = target.expect("CHILD")?;
    let line = agent.line_where("the child's leak", LIMIT, |line| {
        parse_line(line).is_ok_and(|finding| is_confirmed(&finding, "fd-leak"))
    })?;
    let finding = parse_line(&line)?;
    let site = marked("children.py", "child")?;
    ensure!(site.is(&finding["site"]), "not at {site:?}: {}", outline(&finding));
    let status = fs::read_to_string(format!("/proc/{}/status", finding["pid"]))?;
    let pids = status.lines().find(|line| line.starts_with("NSpid:")).context("no NSpid")?;
    ensure!(pids.ends_with(&format!("\t{inside}")), "the child is {inside} inside: {pids}");
    agent.stop()?;
    Ok(())
}

/// An interpreter's files in a folder: its program, and its libpython, which is the one that it loads.
struct Copied {
    folder: PathBuf,
    home: String,
}

impl Copied {
    fn make(python: &Embeddable, folder: PathBuf) -> Result<Copied> {
        fs::create_dir(&folder)?;
        let copied = Copied { folder, home: python.home.clone() };
        fs::copy(&python.python.command[0], copied.folder.join("python"))?;
        fs::copy(
            &python.library,
            copied.folder.join(python.library.file_name().unwrap_or_default()),
        )?;
        Ok(copied)
    }

    /// Puts what `other` has in the place of each of the files.
    fn replace_by(&self, other: &Embeddable) -> Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let is_program = path.ends_with("python");
            fs::remove_file(&path)?;
            let other =
                if is_program { Path::new(&other.python.command[0]) } else { &other.library };
            fs::copy(other, &path)?;
        }
        Ok(())
    }

    fn leak(&self, before: &[&str], folder: &Path) -> Command {
        let mut words: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
        words.push(self.folder.join("python").display().to_string());
        let mut command = leak(&words, folder);
        command.env("PYTHONHOME", &self.home).env("LD_LIBRARY_PATH", &self.folder);
        command
    }
}

/// Two interpreters of different versions with a libpython each.
fn two(test: &str) -> Result<Option<[Embeddable; 2]>> {
    // Their files are copied, and what is in another root would miss its C library here.
    let here = interpreter::all()?.into_iter().filter(is_program);
    let found = here.map(|python| Embeddable::of(&python)).collect::<Result<Vec<_>>>()?;
    let mut found = found.into_iter().flatten();
    let (first, last) = (found.next(), found.last());
    let two = first.zip(last).map(|(first, last)| [first, last]);
    if two.is_none() {
        skip(test, "there are no two interpreters with shared libpythons")?;
    }
    Ok(two)
}

#[test]
fn a_program_that_was_deleted_or_upgraded_is_the_one_that_runs() -> Result<()> {
    if !met("places")? {
        return Ok(());
    }
    let Some([first, last]) = two("places")? else { return Ok(()) };
    let site = marked("leak.py", "file")?;
    together::each(
        AT_ONCE,
        &["deleted", "upgraded"],
        |how| (*how).to_owned(),
        |how| {
            let folder = tempfile::tempdir()?;
            let copied = Copied::make(&last, folder.path().join("bin"))?;
            let mut target = Target::start_command(copied.leak(&[], folder.path()))?;
            match *how {
                "deleted" => fs::remove_dir_all(&copied.folder)?,
                _ => copied.replace_by(&first)?,
            }
            let pid = target.pid();
            leak_is_told(&mut target, pid, &site)?;
            Ok(())
        },
    )
}

/// The paths of its files lead to another interpreter's here.
#[test]
fn a_mount_namespace_has_its_own_files() -> Result<()> {
    if !met("places")? {
        return Ok(());
    }
    let Some([first, last]) = two("places")? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let own = Copied::make(&last, folder.path().join("own"))?;
    let place = Copied { folder: folder.path().join("place"), home: own.home.clone() };
    fs::create_dir(&place.folder)?;
    for entry in fs::read_dir(&own.folder)? {
        let name = entry?.file_name();
        fs::copy(own.folder.join(&name), place.folder.join(&name))?;
    }
    place.replace_by(&first)?;
    let (own_folder, place_folder) =
        (own.folder.display().to_string(), place.folder.display().to_string());
    let before = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", OVERLAY, "sh"];
    let before = [&before[..], &[&own_folder, &place_folder]].concat();
    let mut target = Target::start_command(place.leak(&before, folder.path()))?;
    let pid = target.pid();
    leak_is_told(&mut target, pid, &marked("leak.py", "file")?)?;
    Ok(())
}

/// The ledger goes on with the new interpreter's lines, and what was closed on exec is gone from it.
#[test]
fn a_process_that_becomes_another_python_is_followed() -> Result<()> {
    if !met("places")? {
        return Ok(());
    }
    // An interpreter in another root can neither execute one of this root nor be executed here.
    let all: Vec<_> = interpreter::all()?.into_iter().filter(is_program).collect();
    if all.len() < 2 {
        return skip("places", "the interpreters are in other roots");
    }
    let pairs: Vec<(Interpreter, Interpreter)> =
        (0..all.len()).map(|at| (all[at].clone(), all[(at + 2) % all.len()].clone())).collect();
    together::each(
        AT_ONCE,
        &pairs,
        |(from, to)| format!("{} to {}", from.label, to.label),
        |(from, to)| becomes(from, to),
    )
}

/// Whether its command is the interpreter itself, and not a script that starts it elsewhere.
fn is_program(python: &Interpreter) -> bool {
    let mut magic = [0; 4];
    let read = fs::File::open(&python.command[0]).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && &magic == b"\x7fELF"
}

fn becomes(from: &Interpreter, to: &Interpreter) -> Result<()> {
    let mut target = Target::start(from, "exec_in_place.py", &[&to.command[0]])?;
    let agent = Agent::attach(&["attach", &target.pid().to_string(), "--json=lines"])?;
    target.tell("go")?;
    leak::told_at(agent, &marked("exec_in_place.py", "after")?, LIMIT)?;
    Ok(())
}

/// What is open after the exec is what the ledger has, and the report is about the new program.
#[test]
fn an_exec_leaves_no_drift() -> Result<()> {
    if !met("places")? {
        return Ok(());
    }
    let (from, to) = (interpreter::pick(3)?, interpreter::pick(5)?);
    if !is_program(&from) || !is_program(&to) {
        return skip("places", "the interpreters are in other roots");
    }
    let mut target = Target::start(&from, "exec_in_place.py", &[&to.command[0]])?;
    let args = ["attach", &target.pid().to_string(), "--duration", "20s", "--json"];
    let agent = Agent::attach(&args)?;
    target.tell("go")?;
    let report: Report = agent.ended(LIMIT)?.report()?;
    let site = marked("exec_in_place.py", "after")?;
    report.confirmed_at("fd-leak", &site)?;
    let of_before = marked("exec_in_place.py", "before")?;
    ensure!(report.confirmed_at("fd-leak", &of_before).is_err(), "{}", report.outline());
    let ledger = report.ledger();
    ensure!(ledger.count("/descriptors/drift")? == 0, "{}", ledger.0);
    ensure!(
        ledger.count("/descriptors/tracked")? == ledger.count("/descriptors/actual")?,
        "{}",
        ledger.0
    );
    ledger.check_sums()
}

/// A container has namespaces of its own of every kind; with the host's pid namespace that works.
#[test]
fn an_agent_in_namespaces_with_the_hosts_pids_works() -> Result<()> {
    if !met("places")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let python = interpreter::pick(2)?;
    let mut target = Target::start_command(leak(&python.command, folder.path()))?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--ipc", "--uts", "--cgroup"]).arg(program()?);
    command.args(["attach", &target.pid().to_string(), "--json=lines"]);
    let mut agent = Agent::start_command(command)?;
    agent.wait_attached()?;
    leak_is_told_to(agent, &mut target, &marked("leak.py", "file")?)?;
    Ok(())
}

/// Beside a process in a pid namespace of its own, as `kubectl exec` or `docker exec` run programs: the
/// kernel's ids are not those of `/proc` there, and pid 1 is the host's first process to the probes.
#[test]
fn an_agent_without_the_hosts_pids_says_what_to_do() -> Result<()> {
    if !met("places")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let words = unshare(&PID_NAMESPACE, &interpreter::pick(3)?);
    let target = Target::start_command(leak(&words, folder.path()))?;
    let pid = pid_of(&target, true)?.to_string();
    let inside = |arguments: &[&str]| -> Result<Vec<String>> {
        let mut command = Command::new("nsenter");
        command.args(["--pid", "--mount", "--target", &pid]).arg(program()?).args(arguments);
        let ended = Agent::start_command(command)?.ended(LIMIT)?;
        ensure!(ended.code() == Some(3), "{arguments:?}: {} {:?}", ended.status, ended.stderr);
        Ok([ended.stdout, ended.stderr].concat())
    };
    let picture = folder.path().join("out.svg").display().to_string();
    let commands: [&[&str]; 4] = [
        &["attach", "1"],
        &["trace", "1"],
        &["record", "1", "-o", &picture],
        &["agent", "--web.listen-address", "127.0.0.1:0"],
    ];
    for arguments in commands {
        let said = inside(arguments)?;
        ensure!(
            said.len() == 1
                && said[0].contains("in a pid namespace of its own")
                && said[0].contains("hostPID: true")
                && said[0].contains("--pid=host"),
            "{arguments:?}: {said:?}"
        );
    }
    let said = inside(&["doctor", "1"])?;
    let at =
        said.iter().position(|line| line.contains("FAIL  pid namespace")).context("no check")?;
    ensure!(said[at + 1].contains("--pid=host"), "{said:?}");
    Ok(())
}
