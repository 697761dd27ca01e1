//! Each reason why a process cannot be analysed, by a real process.

use std::path::Path;
use std::process::Command;

use pitviper::python::{AnalyseError, analyse};

use super::installed::{all, supported};
use super::program::{Program, eventually};

fn error(pid: i32) -> AnalyseError {
    analyse(pid).unwrap_err()
}

#[test]
fn there_is_no_such_process() {
    for pid in [i32::MAX, 0, -1, i32::MIN] {
        assert_eq!(error(pid), AnalyseError::NoSuchProcess { pid });
    }
}

#[test]
fn a_kernel_thread_runs_no_python() {
    // In a container there are none to be seen, and 2 is nobody or something else.
    let is_kernel_thread =
        std::fs::read_to_string("/proc/2/stat").is_ok_and(|stat| stat.starts_with("2 (kthreadd) "));
    let found = analyse(2);
    assert_eq!(is_kernel_thread, found == Err(AnalyseError::KernelThread { pid: 2 }));
}

#[test]
fn a_zombie_has_ended() {
    let mut program = Program::start(Path::new("sleep"), ["1000"]);
    program.kill();
    let pid = program.pid();
    eventually(|| match error(pid) {
        AnalyseError::Zombie { pid: zombie } if zombie == pid => Ok(()),
        other => Err(other.to_string()),
    });
}

#[test]
fn another_program_is_not_python() {
    let program = Program::start(Path::new("sleep"), ["1000"]);
    let pid = program.pid();
    eventually(|| match error(pid) {
        AnalyseError::NotPython { executable, .. } if executable.ends_with("/sleep") => Ok(()),
        // `sleep` follows only when the child has come to its exec.
        other => Err(other.to_string()),
    });
}

#[test]
fn another_version_is_not_supported() {
    let code = "import sys; print(1); sys.stdout.flush(); sys.stdin.read()";
    for other in all().into_iter().filter(|found| !found.version.is_supported()) {
        let mut program = Program::start(&other.path, ["-c", code]);
        program.line();
        let version = format!("{}.{}", other.version.major, other.version.minor);
        let error = error(program.pid());
        assert_eq!(error, AnalyseError::UnsupportedVersion { version: version.clone() });
        assert!(error.to_string().contains(&format!("CPython {version} is not supported")));
    }
}

#[test]
fn another_users_process_is_denied() {
    // Whoever runs the tests without privileges cannot read init; root can become such a one.
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        assert_eq!(error(1), AnalyseError::PermissionDenied { pid: 1 });
        return;
    }
    let python = &supported()[0];
    let mut program = Program::start(&python.path, ["-c", "print(1, flush=True); input()"]);
    program.line();
    let pid = program.pid();
    let denied = std::thread::spawn(move || {
        // SAFETY: the raw call changes the user of this thread alone, and it ends here.
        unsafe { libc::syscall(libc::SYS_setresuid, 65_534, 65_534, 65_534) };
        error(pid)
    });
    assert_eq!(denied.join().unwrap(), AnalyseError::PermissionDenied { pid });
}

#[test]
fn a_starting_interpreter_is_not_ready_or_analysed() {
    for python in supported() {
        let program = Program::start(&python.path, ["-c", "input()"]);
        let pid = program.pid();
        let interpreter = eventually(|| match analyse(pid) {
            Ok(interpreter) => Ok(interpreter),
            // The child is still this very program, or the loader has not come to libpython.
            Err(error) if error.is_temporary() => Err(error.to_string()),
            Err(error @ (AnalyseError::NotPython { .. } | AnalyseError::Gone { .. })) => {
                let link = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
                assert_ne!(link, python.path.canonicalize().unwrap(), "{error}");
                Err(error.to_string())
            }
            Err(error) => panic!("{}: {error}", python.path.display()),
        });
        assert_eq!(interpreter.version, python.version);
    }
}

#[test]
fn a_deleted_program_is_analysed() {
    let folder = tempfile::tempdir().unwrap();
    for python in supported() {
        let copy = folder.path().join(python.path.file_name().unwrap());
        std::fs::copy(&python.path, &copy).unwrap();
        let home = Command::new(&python.path)
            .args(["-c", "import sys; print(sys.prefix, end='')"])
            .output()
            .unwrap();
        // The copy must find its library of modules, and libpython where it is shared.
        let home = format!("PYTHONHOME={}", String::from_utf8(home.stdout).unwrap());
        let libraries = python.path.parent().unwrap().parent().unwrap().join("lib");
        let libraries = format!("LD_LIBRARY_PATH={}", libraries.display());
        let code = "import sys; print(1, flush=True); input()";
        let copy_argument = copy.to_str().unwrap();
        let mut program = Program::start(
            Path::new("env"),
            [home.as_str(), libraries.as_str(), copy_argument, "-c", code],
        );
        assert_eq!(program.line(), "1\n");
        std::fs::remove_file(&copy).unwrap();
        let interpreter = analyse(program.pid()).unwrap();
        assert_eq!(interpreter.version, python.version);
        assert!(interpreter.executable.ends_with(" (deleted)"), "{}", interpreter.executable);
        std::fs::File::open(interpreter.code_dealloc.unwrap().path).unwrap();
    }
}
