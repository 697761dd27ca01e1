//! What `cargo xtask dist` makes installs, runs with the rights that it asks for and no others, finds
//! what leaks, and leaves nothing behind.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::deadline::wait_for;
use pitviper_tests::interpreter;
use pitviper_tests::machine::Machine;
use pitviper_tests::release::{file, source};
use pitviper_tests::report::is_confirmed;
use pitviper_tests::requirements::met;
use pitviper_tests::site::marked;
use pitviper_tests::target::Target;
use pitviper_tests::trace::parse_line;
use pitviper_tests::{http, output, venv};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

/// Those of the unit, as `/proc/PID/status` has them: CAP_DAC_READ_SEARCH (2), CAP_SYS_PTRACE (19),
/// CAP_PERFMON (38), CAP_BPF (39) and CAP_CHECKPOINT_RESTORE (40).
const CAPABILITIES: u64 = 1 << 2 | 1 << 19 | 1 << 38 | 1 << 39 | 1 << 40;

/// What `before-linux-6.10.conf` adds.
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// A process that leaves resources to the collector: a finding that takes uprobes, the part of the
/// probes that asks for most rights.
fn unclosed(turn: usize, folder: &Path) -> Result<Target> {
    let mut target = Target::start(&interpreter::pick(turn)?, "unclosed.py", &[folder])?;
    target.tell("go")?;
    Ok(target)
}

/// A rule that only processes with this folder on their command lines match.
fn rule(folder: &Path) -> Result<String> {
    let name = folder.file_name().context("the folder has no name")?.to_string_lossy();
    Ok(format!("cmdline=unclosed\\.py .*{name}"))
}

/// Waits until the metrics on `port` have the finding about `target`.
fn wait_found(port: u16, target: &Target) -> Result<()> {
    let of_process = format!("pid=\"{}\"", target.pid());
    let mut last = String::new();
    let found = wait_for("the finding", LIMIT, || {
        last = http::get(port, "/metrics").map(|(_, body)| body).unwrap_or_default();
        let mut series = last.lines().filter(|line| line.starts_with("pitviper_findings{"));
        let found = series.any(|line| {
            line.contains(&of_process)
                && line.contains("kind=\"unclosed-resource\"")
                && line.contains("confidence=\"confirmed\"")
        });
        Ok(found.then_some(()))
    });
    found.with_context(|| last)
}

#[test]
fn the_wheel_installs_and_its_program_attaches() -> Result<()> {
    if !met("deployment")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let wheel = file(".whl")?.display().to_string();
    let python = venv::create(3, folder.path(), &[&wheel])?;
    let environment = Path::new(&python.command[0]).ancestors().nth(2).context("no folder")?;
    let program = environment.join("bin/pitviper");
    let version = output::of(Command::new(&program).arg("--version"))?;
    ensure!(version.starts_with("pitviper "), "{version}");
    ensure!(environment.join("share/man/man1/pitviper-attach.1").exists(), "no manual pages");

    let mut target = Target::start(&python, "leak.py", &["file", "0.2", &name(folder.path())])?;
    let pid = target.pid().to_string();
    output::of(Command::new(&program).args(["doctor", &pid]))?;
    let mut attach = Command::new(&program);
    attach.args(["attach", &pid, "--json=lines"]);
    let mut agent = Agent::start_command(attach)?;
    agent.wait_attached()?;
    target.tell("go")?;
    let line = agent.line_where("the leak", LIMIT, |line| {
        parse_line(line).is_ok_and(|finding| is_confirmed(&finding, "fd-leak"))
    })?;
    let (finding, site) = (parse_line(&line)?, marked("leak.py", "file")?);
    ensure!(site.is(&finding["site"]), "not at {site:?}: {line}");
    agent.stop()?;

    let mut remove = python.command();
    output::of(remove.args(["-m", "pip", "uninstall", "--quiet", "--yes", "pitviper"]))?;
    ensure!(!program.exists(), "{program:?} is left");
    Ok(())
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn the_package_serves_without_root_and_leaves_nothing() -> Result<()> {
    if !met("deployment")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mut machine = Machine::new()?;
    machine.copy(&file(".deb")?, "/run/pitviper.deb")?;
    machine.run(&["dpkg", "--install", "/run/pitviper.deb"])?;
    let list = machine.run(&["dpkg", "--listfiles", "pitviper"])?;
    let files: Vec<&str> = list.lines().filter(|path| machine.path(path).is_file()).collect();
    for path in [
        "/usr/bin/pitviper",
        "/usr/lib/systemd/system/pitviper.service",
        "/etc/pitviper/agent.toml",
        "/usr/share/man/man1/pitviper-agent.1.gz",
        "/usr/share/bash-completion/completions/pitviper",
        "/usr/share/doc/pitviper/copyright",
    ] {
        ensure!(files.contains(&path), "the package has no {path}: {list}");
    }
    let changed = machine.run(&["dpkg", "--verify", "pitviper"])?;
    ensure!(changed.is_empty(), "{changed}");
    machine.run(&["pitviper", "--version"])?;

    let port = http::free_port()?;
    let rule = rule(folder.path())?;
    let config = format!("include = ['{rule}']\nweb.listen-address = '127.0.0.1:{port}'\n");
    fs::write(machine.path("/etc/pitviper/agent.toml"), config)?;
    serves(&mut machine, port, &unclosed(0, folder.path())?)?;

    machine.run(&["dpkg", "--purge", "pitviper"])?;
    let left: Vec<&&str> = files.iter().filter(|path| machine.path(path).exists()).collect();
    ensure!(left.is_empty(), "purged, and left: {left:?}");
    let left = machine.run(&["find", "/etc", "/var/lib/systemd", "-name", "*pitviper*"])?;
    ensure!(left.is_empty(), "purged, and left: {left}");
    Ok(())
}

/// The unit under a real manager, with every restriction that it has.
fn serves(machine: &mut Machine, port: u16, target: &Target) -> Result<()> {
    machine.run(&["mkdir", "-p", "/run/systemd/user"])?;
    let unit = "/usr/lib/systemd/system/pitviper.service";
    machine.run(&["ln", "-s", unit, "/run/systemd/user/pitviper.service"])?;
    machine.start_manager()?;
    let manage = |verb: &[&str]| {
        machine.run(&[&["systemctl", "--user"], verb, &["pitviper.service"]].concat())
    };
    let finds = |capabilities: u64| {
        // It comes back once the agent said that it is ready.
        manage(&["start"])?;
        let pid = manage(&["show", "--property=MainPID", "--value"])?;
        is_restricted(pid.trim(), capabilities)?;
        wait_found(port, target)?;
        manage(&["reload"])?;
        ensure!(manage(&["is-active"])?.trim() == "active", "it did not survive a reload");
        manage(&["stop"])?;
        let result = manage(&["show", "--property=Result", "--value"])?;
        ensure!(result.trim() == "success", "it ended with {result}");
        Ok(())
    };
    finds(CAPABILITIES)?;

    let before = "/usr/share/doc/pitviper/examples/before-linux-6.10.conf";
    machine.run(&["mkdir", "/run/systemd/user/pitviper.service.d"])?;
    machine.run(&["ln", "-s", before, "/run/systemd/user/pitviper.service.d"])?;
    machine.run(&["systemctl", "--user", "daemon-reload"])?;
    finds(CAPABILITIES | CAP_SYS_ADMIN)?;
    machine.stop_manager()
}

/// Whether a process is not root, has these capabilities and no others, and is filtered.
fn is_restricted(pid: &str, capabilities: u64) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        value.with_context(|| format!("no {name}"))
    };
    ensure!(!field("Uid")?.starts_with("0\t"), "it runs as root");
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        ensure!(u64::from_str_radix(field(set)?, 16)? == capabilities, "{set} {}", field(set)?);
    }
    ensure!((field("NoNewPrivs")?, field("Seccomp")?) == ("1", "2"), "{status}");
    Ok(())
}

#[test]
fn the_package_is_as_debian_wants_it() -> Result<()> {
    if !met("deployment")? {
        return Ok(());
    }
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error,warning"]);
    output::of(lintian.arg(file(".deb")?)).map(drop)
}

#[test]
fn the_unit_is_hardened() -> Result<()> {
    if !met("deployment")? {
        return Ok(());
    }
    let mut analyse = Command::new("systemd-analyze");
    // Of 100; what is over fails the command.
    analyse.args(["security", "--offline=true", "--no-pager", "--threshold=30"]);
    let said = output::of(analyse.arg(source("deploy/systemd/pitviper.service")))?;
    ensure!(said.contains("Overall exposure level"), "{said}");
    Ok(())
}

/// The manifest as JSON, one value a document.
fn manifest(python: &interpreter::Interpreter, path: &Path) -> Result<Value> {
    let script = "import json, sys, yaml; \
                  print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    Ok(serde_json::from_str(&output::of(python.command().args(["-c", script]).arg(path))?)?)
}

/// Makes an image's root with nothing but the program in it, mounts what a container has, drops what the
/// manifest does not add, and becomes the program.
const CONTAIN: &str = r#"
root=$1 program=$2 drop=$3
shift 3
mount -t tmpfs -o mode=755 tmpfs "$root"
cp "$program" "$root/pitviper"
mkdir -p "$root/proc" "$root/sys" "$root/run" "$root/etc/pitviper"
printf %s "$CONFIG" > "$root/etc/pitviper/agent.toml"
for each in proc sys; do mount --rbind "/$each" "$root/$each"; done
mount -o remount,ro "$root"
mount -t tmpfs tmpfs "$root/run"
exec capsh --chroot="$root" --drop="$drop" --shell=/pitviper -- "$@"
"#;

#[test]
fn the_container_needs_no_more_than_its_manifest_gives() -> Result<()> {
    if !met("deployment")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let python = venv::create(3, folder.path(), &["kubernetes-validate"])?;
    let path = source("deploy/kubernetes/pitviper.yaml");
    let mut validate = python.command();
    output::of(validate.args(["-m", "kubernetes_validate", "--strict"]).arg(&path))?;

    let documents = manifest(&python, &path)?;
    let of_kind = |kind: &str| {
        let mut all = documents.as_array().into_iter().flatten();
        all.find(|document| document["kind"] == kind).with_context(|| format!("no {kind}"))
    };
    let container = &of_kind("DaemonSet")?["spec"]["template"]["spec"]["containers"][0];
    let context = &container["securityContext"];
    ensure!(context["privileged"] == false && context["readOnlyRootFilesystem"] == true);
    ensure!(context["capabilities"]["drop"] == serde_json::json!(["ALL"]));
    let added = strings(&context["capabilities"]["add"]);
    let config = of_kind("ConfigMap")?["data"]["agent.toml"].as_str().context("no file")?;

    let target = unclosed(2, folder.path())?;
    let (port, root) = (http::free_port()?, tempfile::tempdir()?);
    let mut contain = Command::new("unshare");
    contain
        .args(["--mount", "--propagation", "private", "sh", "-ec", CONTAIN, "sh"])
        .arg(root.path())
        .arg(program(folder.path())?)
        .arg(all_but(&added)?)
        .args(strings(&container["args"]))
        // Flags come before the file: this test's own process and loopback alone.
        .args(["--include", &rule(folder.path())?, "--listen-public=false"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .env("CONFIG", config)
        .env("RUNTIME_DIRECTORY", "/run/pitviper");
    let mut agent = Agent::start_command(contain)?;
    agent.told_where("ready", LIMIT, |line| line.contains("agent is ready"))?;
    wait_found(port, &target)?;
    let ended = agent.stop()?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    Ok(())
}

fn strings(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// The program out of the archive.
fn program(folder: &Path) -> Result<std::path::PathBuf> {
    let mut extract = Command::new("tar");
    extract.args(["--extract", "--strip-components=1", "--file"]).arg(file(".tar.gz")?);
    output::of(extract.arg("--directory").arg(folder))?;
    Ok(folder.join("pitviper"))
}

/// The names of every other capability that this system knows, joined by commas.
fn all_but(kept: &[String]) -> Result<String> {
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
    let all = (1_u64 << (last.trim().parse::<u32>()? + 1)) - 1;
    let decoded = output::of(Command::new("capsh").arg(format!("--decode={all:x}")))?;
    let (_, names) = decoded.trim().split_once('=').context("capsh does not decode")?;
    let is_kept =
        |name: &str| kept.iter().any(|kept| format!("cap_{}", kept.to_lowercase()) == name);
    let known = kept.iter().filter(|kept| names.contains(&kept.to_lowercase())).count();
    ensure!(known == kept.len(), "not all of {kept:?} are capabilities");
    Ok(names.split(',').filter(|name| !is_kept(name)).collect::<Vec<_>>().join(","))
}
