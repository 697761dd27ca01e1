//! A copy of this machine to install packages into and to run a service manager on: its files are an
//! overlay of this one's, in a mount namespace of its own, and gone with the value.
//!
//! Process ids are the host's, which pitviper needs. So systemd cannot be process 1 there: it runs as a
//! user's manager, which root's rights let do all that a unit asks for (its user, capabilities, mounts,
//! system call filter), and as which it looks for its sockets in `/run` like the system's.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::wait_for;

const LIMIT: Duration = Duration::from_secs(30);

/// Makes the files and waits. The root is pivoted rather than changed, so that whoever enters the
/// namespace has it too.
const MAKE: &str = r#"
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" root
cd root
for each in proc sys dev; do mount --rbind "/$each" "$each"; done
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mkdir run/before
pivot_root . run/before
cd /
umount --lazy /run/before
rmdir /run/before
touch /run/made
exec sleep infinity
"#;

/// Becomes the manager, in a control group of its own.
const MANAGE: &str = r#"
mkdir -p "/sys/fs/cgroup/$1/manager" /run/systemd/system
echo $$ > "/sys/fs/cgroup/$1/manager/cgroup.procs"
exec /lib/systemd/systemd --user --unit=basic.target
"#;

/// The copy.
pub struct Machine {
    holder: Child,
    manager: Option<Child>,
    group: String,
    _folder: tempfile::TempDir,
}

impl Machine {
    /// Makes it. No service manager runs yet.
    ///
    /// # Errors
    /// When the kernel gives no namespace or overlay.
    pub fn new() -> Result<Machine> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec", MAKE, "sh"]);
        command.arg(folder.path()).stdin(Stdio::null());
        let holder = command.spawn().with_context(|| format!("failed to start {command:?}"))?;
        let group = format!("pitviper-test-{}", holder.id());
        let mut machine = Machine { holder, manager: None, group, _folder: folder };
        wait_for("the copy of this machine", LIMIT, || {
            let ended = machine.holder.try_wait()?;
            ensure!(ended.is_none(), "{command:?} ended: {ended:?}");
            Ok(machine.path("/run/made").exists().then_some(()))
        })?;
        Ok(machine)
    }

    /// Where one of its files is for this process.
    pub fn path(&self, inside: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(inside.trim_start_matches('/'))
    }

    /// A program of its, with nothing of this process's environment.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            // Its root, too: where this process is in a chroot, the namespace's own is another.
            .args(["--mount", "--root", "--target", &self.holder.id().to_string()])
            .arg("--")
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("HOME", "/run")
            .env("XDG_RUNTIME_DIR", "/run");
        command
    }

    /// What a program of its prints.
    ///
    /// # Errors
    /// When it fails; the message has what it said.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let output = self.command(words).stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{words:?}: {}\n{printed}{said}", output.status);
        Ok(printed.into_owned())
    }

    /// Copies a file of this machine into it; this machine's other file systems are not in the overlay.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let to = self.path(to);
        std::fs::copy(from, &to).with_context(|| format!("failed to copy {from:?} to {to:?}"))?;
        Ok(())
    }

    /// Starts the service manager, which knows the units that are linked in `/run/systemd/user`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_manager(&mut self) -> Result<()> {
        let mut command = self.command(&["sh", "-ec", MANAGE, "sh", &self.group]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.manager = Some(command.spawn()?);
        wait_for("the service manager", LIMIT, || {
            let state = self.command(&["systemctl", "--user", "is-system-running"]).output()?;
            Ok((state.stdout == b"running\n").then_some(()))
        })?;
        // A system's manager lets every service reach it here, a user's only its own user.
        self.run(&["chmod", "0777", "/run/systemd/notify"])?;
        Ok(())
    }

    /// Ends the service manager and its services.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_manager(&mut self) -> Result<()> {
        let Some(mut manager) = self.manager.take() else { return Ok(()) };
        let pid = Pid::from_raw(manager.id() as i32).context("no process id")?;
        kill_process(pid, Signal::TERM)?;
        wait_for("the service manager's end", LIMIT, || Ok(manager.try_wait()?))?;
        self.run(&["find", &self.group_path(), "-depth", "-type", "d", "-delete"])?;
        self.run(&["rm", "-r", "/run/systemd"])?;
        Ok(())
    }

    fn group_path(&self) -> String {
        format!("/sys/fs/cgroup/{}", self.group)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A test that failed leaves the manager running: it must not outlive the machine.
        if self.stop_manager().is_err() {
            let _ = std::fs::write(self.path(&self.group_path()).join("cgroup.kill"), "1");
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
