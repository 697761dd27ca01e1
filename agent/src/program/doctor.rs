//! `pitviper doctor`: what works here, what does not, and what to do about it.

use std::path::Path;

use super::arguments::DoctorOptions;
use super::error::{Exit, ProgramError};
use super::{session, target};
use crate::export::visible;
use crate::python::{self, AnalyseError, Interpreter, ProcessMemory};
use crate::source::ebpf::{Ebpf, EbpfError, Options, has_uprobe_links, kernel_release};

/// Characters of a line: the verifier's words can be long.
const LINE: usize = 2000;

/// How a check came out.
enum Outcome {
    /// It works.
    Works(String),
    /// Something is missing, and pitviper works without it.
    Lacks(String),
    /// pitviper cannot work; with what to do.
    Fails(String, String),
}

struct Doctor {
    worst: Exit,
}

impl Doctor {
    fn tell(&mut self, what: &str, outcome: &Outcome) {
        match outcome {
            Outcome::Works(how) => println!("  ok    {what}: {}", visible(how, LINE)),
            Outcome::Lacks(why) => println!("  note  {what}: {}", visible(why, LINE)),
            Outcome::Fails(why, remedy) => {
                println!("  FAIL  {what}: {}", visible(why, LINE));
                println!("        → {remedy}");
                if self.worst == Exit::Clean {
                    self.worst = Exit::Unsupported;
                }
            }
        }
    }
}

fn kernel() -> Outcome {
    let (release, known) = kernel_release();
    match known {
        Some(known) if known < (5, 12) => {
            Outcome::Fails(format!("Linux {release} is too old"), "use Linux 5.12 or newer".into())
        }
        Some(known) if known < (5, 17) => Outcome::Lacks(format!(
            "Linux {release}: close_range and SCM_RIGHTS are only seen by reconciliation \
             (5.17 and newer see the call)"
        )),
        _ => Outcome::Works(format!("Linux {release}")),
    }
}

fn btf() -> Outcome {
    match std::fs::metadata("/sys/kernel/btf/vmlinux") {
        Ok(about) => Outcome::Works(format!("{} KiB of type information", about.len() / 1024)),
        Err(_) => Outcome::Fails(
            "there is no /sys/kernel/btf/vmlinux".into(),
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y; in a container, mount /sys".into(),
        ),
    }
}

fn capability(wanted: caps::Capability, for_what: &str, needed: bool) -> Outcome {
    let has = caps::has_cap(None, caps::CapSet::Effective, wanted).unwrap_or(false);
    match (has, needed) {
        (true, _) => Outcome::Works(for_what.into()),
        (false, true) => Outcome::Fails(
            format!("missing; it is needed {for_what}"),
            format!("run as root, or `sudo setcap {wanted}+ep` among the others on the program"),
        ),
        (false, false) => Outcome::Lacks(format!("missing; it is needed {for_what}")),
    }
}

fn programs() -> Outcome {
    match Ebpf::load(&Options::default()) {
        Ok(_) => Outcome::Works("load, pass the verifier and attach".into()),
        Err(error @ EbpfError::NotPermitted { .. }) => {
            Outcome::Fails(error.to_string(), "run as root".into())
        }
        Err(error) => Outcome::Fails(
            error.to_string(),
            "look for a lockdown mode, or a seccomp filter of the container, that refuses bpf()"
                .into(),
        ),
    }
}

fn io_uring() -> Outcome {
    match std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").as_deref().map(str::trim) {
        Ok("2") => Outcome::Works("switched off: every descriptor goes through a syscall".into()),
        _ => Outcome::Lacks(
            "available: descriptors that a program opens or closes by io_uring are found by \
             reconciliation, without a line"
                .into(),
        ),
    }
}

fn interpreter(doctor: &mut Doctor, pid: u32, found: &Interpreter) {
    doctor.tell(
        "interpreter",
        &Outcome::Works(format!("CPython {} in {}", found.name(), found.image.display())),
    );
    if let Some(caution) = found.caution() {
        doctor.tell("version", &Outcome::Lacks(caution));
    }
    let point = |what: &str, point: bool| {
        if point {
            Outcome::Works(format!("{what} can be probed"))
        } else {
            Outcome::Lacks(format!("{what} is not exported by this build"))
        }
    };
    doctor.tell(
        "unclosed resources",
        &point("PyErr_ResourceWarning", found.resource_warning.is_some()),
    );
    let python = found.python_warning.is_some() && found.resource_warning_type.is_some();
    let python = if python {
        Outcome::Works("warnings.warn can be probed".into())
    } else {
        Outcome::Lacks("warnings.warn was not found in this build: unclosed resources that Python code warns of (asyncio, Popen, tempfile) go unseen".into())
    };
    doctor.tell("Python's warnings", &python);
    doctor.tell("freed code objects", &point("code_dealloc", found.code_dealloc.is_some()));
    let memory = ProcessMemory::new(i32::try_from(pid).unwrap_or(i32::MAX));
    let threads = python::thread_states(&memory, found);
    doctor.tell(
        "stacks",
        &match threads {
            Ok(threads) => Outcome::Works(format!("{} Python threads", threads.len())),
            Err(error) => {
                Outcome::Fails(error.to_string(), "try again; the process may be starting".into())
            }
        },
    );
}

fn process(doctor: &mut Doctor, pid: u32) {
    println!("process {pid}");
    match python::analyse(i32::try_from(pid).unwrap_or(i32::MAX)) {
        Ok(found) => interpreter(doctor, pid, &found),
        Err(error) => {
            doctor.worst = match error {
                AnalyseError::NoSuchProcess { .. }
                | AnalyseError::Zombie { .. }
                | AnalyseError::Gone { .. } => Exit::Gone,
                _ => Exit::Unsupported,
            };
            println!("  FAIL  {}", visible(&session::explain(pid, error).to_string(), LINE));
        }
    }
    if let Some(limit) = target::descriptor_limit(pid)
        && let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd"))
    {
        doctor.tell("descriptors", &Outcome::Works(format!("{} of {limit}", open.count())));
    }
}

/// Runs the command.
pub(super) fn run(options: &DoctorOptions) -> Result<Exit, ProgramError> {
    use caps::Capability as Cap;
    let mut doctor = Doctor { worst: Exit::Clean };
    println!("this machine");
    doctor.tell("kernel", &kernel());
    doctor.tell("BTF", &btf());
    doctor.tell("io_uring", &io_uring());
    println!("this user");
    let own_namespace = if target::in_first_pid_namespace() {
        Outcome::Works("the first one".into())
    } else {
        Outcome::Fails(
            "not the first one: process ids mean something else here".into(),
            "run on the host, or in a container with the host's pid namespace (`hostPID: true` in \
             Kubernetes, `--pid=host` in Docker and Podman)"
                .into(),
        )
    };
    doctor.tell("pid namespace", &own_namespace);
    doctor.tell("CAP_BPF", &capability(Cap::CAP_BPF, "to load programs", true));
    doctor.tell("CAP_PERFMON", &capability(Cap::CAP_PERFMON, "to attach them", true));
    doctor.tell(
        "CAP_SYS_PTRACE",
        &capability(Cap::CAP_SYS_PTRACE, "to read other users' processes", true),
    );
    doctor.tell(
        "CAP_DAC_READ_SEARCH",
        &capability(Cap::CAP_DAC_READ_SEARCH, "to find other users' interpreters", false),
    );
    doctor.tell(
        "CAP_CHECKPOINT_RESTORE",
        &capability(
            Cap::CAP_CHECKPOINT_RESTORE,
            "to open interpreters whose file was replaced or deleted since",
            false,
        ),
    );
    let uprobes = if has_uprobe_links() {
        Outcome::Works("not needed: this kernel has uprobes without it".into())
    } else {
        let for_what = "for uprobes before Linux 6.10 (unclosed-resource findings)";
        capability(Cap::CAP_SYS_ADMIN, for_what, false)
    };
    doctor.tell("CAP_SYS_ADMIN", &uprobes);
    if Path::new("/sys/kernel/btf/vmlinux").exists() {
        doctor.tell("probes", &programs());
    }
    if let Some(pid) = options.pid {
        process(&mut doctor, pid);
    }
    Ok(doctor.worst)
}
