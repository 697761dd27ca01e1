//! How programs are shipped: virtual environments, zip files and one-file bundles.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter;
use pitviper_tests::report::outline;
use pitviper_tests::requirements::met;
use pitviper_tests::site::{Site, marked, workload};
use pitviper_tests::target::Target;
use pitviper_tests::{leak, output, venv};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

fn leak_is_told(target: &mut Target, pid: &str, site: &Site) -> Result<Value> {
    let agent = Agent::attach(&["attach", pid, "--json=lines"])?;
    target.tell("go")?;
    leak::told_at(agent, site, LIMIT)
}

#[test]
fn a_virtual_environment_runs_the_interpreter_that_it_was_made_with() -> Result<()> {
    if !met("bundles")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let python = venv::create(4, folder.path(), &[])?;
    let name = folder.path().display().to_string();
    let mut target = Target::start(&python, "leak.py", &["socket", "0.25", &name])?;
    let pid = target.pid().to_string();
    leak_is_told(&mut target, &pid, &marked("leak.py", "socket")?)?;
    Ok(())
}

/// Names of files inside are shown as the interpreter has them: below the zip file's.
#[test]
fn a_zipapp_is_named_with_the_file_inside() -> Result<()> {
    if !met("bundles")? {
        return Ok(());
    }
    interpreter::on_every(7, |python| {
        let folder = tempfile::tempdir()?;
        let (app, zip) = (folder.path().join("app"), folder.path().join("app.pyz"));
        fs::create_dir(&app)?;
        fs::copy(workload("leak.py"), app.join("__main__.py"))?;
        fs::copy(workload("handshake.py"), app.join("handshake.py"))?;
        output::of(python.command().args(["-m", "zipapp"]).arg(&app).arg("-o").arg(&zip))?;
        let mut command = python.command();
        command.arg(&zip).args(["socket", "0.25"]).arg(folder.path());
        let mut target = Target::start_command(command)?;
        let site = Site {
            file: zip.join("__main__.py").display().to_string(),
            ..marked("leak.py", "socket")?
        };
        let pid = target.pid().to_string();
        leak_is_told(&mut target, &pid, &site)?;
        Ok(())
    })
}

/// The program unpacks its libpython into a temporary folder and runs it in a child. Its files have no
/// folders in their names, the standard library's among them.
#[test]
fn a_one_file_bundle_is_named_by_its_own_files() -> Result<()> {
    if !met("bundles")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let python = venv::create(3, folder.path(), &["pyinstaller"])?;
    let bundler = Path::new(&python.command[0]).with_file_name("pyinstaller");
    let mut bundle = Command::new(bundler);
    bundle.args(["--onefile", "--log-level", "ERROR", "--paths"]).arg(workload(""));
    bundle.arg(workload("leak.py")).current_dir(folder.path());
    output::of(&mut bundle)?;
    let mut command = Command::new(folder.path().join("dist/leak"));
    command.args(["socket", "0.25"]).arg(folder.path());
    let mut target = Target::start_command(command)?;

    let first = target.pid().to_string();
    let ended = Agent::start(&["attach", &first])?.ended(LIMIT)?;
    ensure!(ended.code() == Some(3), "{} {:?}", ended.status, ended.stderr);
    let said = ended.stderr.join("\n");
    let child = said.split("but its child ").nth(1).and_then(|rest| rest.split(' ').next());
    let child = child.with_context(|| said.clone())?;
    let site = Site { file: "leak.py".into(), ..marked("leak.py", "socket")? };
    let finding = leak_is_told(&mut target, child, &site)?;
    ensure!(finding["origin"]["file"] == "socket.py", "{}", outline(&finding));
    Ok(())
}
