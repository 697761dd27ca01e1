//! What each task needs of the machine, and how its absence is noticed.
//!
//! Absence is found by looking for the program or header itself: it may have come from
//! somewhere else than the package manager.

use std::io::Write as _;
use std::process::{Command, Stdio};

use clap::ValueEnum;

use crate::process;

/// A purpose that needs things installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Set {
    /// Building pitviper and its probes
    Build,
    /// The demo
    Demo,
    /// The tests
    Test,
    /// Interpreters of other Debian releases, for the tests
    Roots,
    /// Interpreters that are built from source
    Pythons,
    /// Other kernels, in QEMU
    Kernels,
    /// The lints
    Lint,
    /// The runs of the audited systems
    Audit,
    /// The fuzz targets
    Fuzz,
    /// The benchmarks
    Bench,
    /// The checks of the dashboards
    Dashboards,
    /// The pictures of the dashboards
    Pictures,
    /// What is released
    Dist,
}

/// How presence is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// A program on the PATH or in the system's directories.
    Program(&'static str),
    /// A header that the C preprocessor finds.
    Header(&'static str),
    /// A module that `python3` imports.
    Module(&'static str),
    /// A file.
    File(&'static str),
}

/// One thing that some sets need.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) probe: Probe,
    /// Debian's package.
    pub(crate) package: &'static str,
    /// Completes "needed to …".
    pub(crate) why: &'static str,
    sets: &'static [Set],
}

const fn need(
    probe: Probe,
    package: &'static str,
    why: &'static str,
    sets: &'static [Set],
) -> Need {
    Need { probe, package, why, sets }
}

/// Everything, in the order in which it is shown. The C compiler and its headers come first
/// because the headers that follow are looked for with it.
const NEEDS: &[Need] = &[
    need(Probe::Program("cc"), "gcc", "link Rust programs and build libbpf", &[Set::Build]),
    need(Probe::Header("stdio.h"), "libc6-dev", "build libbpf", &[Set::Build]),
    need(Probe::Program("clang"), "clang", "compile the eBPF programs", &[Set::Build]),
    need(Probe::Program("make"), "make", "build libbpf", &[Set::Build]),
    need(Probe::Program("pkg-config"), "pkg-config", "find libelf for libbpf", &[Set::Build]),
    need(Probe::Header("libelf.h"), "libelf-dev", "build libbpf", &[Set::Build]),
    need(Probe::Header("zlib.h"), "zlib1g-dev", "build libbpf", &[Set::Build]),
    need(Probe::Program("c++"), "g++", "build libFuzzer", &[Set::Fuzz]),
    need(
        Probe::Program("python3"),
        "python3",
        "have Python programs to watch",
        &[Set::Demo, Set::Test, Set::Audit, Set::Bench, Set::Dashboards, Set::Dist],
    ),
    need(Probe::Program("debootstrap"), "debootstrap", "fetch other Pythons", &[Set::Roots]),
    need(
        Probe::File("/usr/share/keyrings/debian-archive-keyring.gpg"),
        "debian-archive-keyring",
        "check what is fetched",
        &[Set::Roots, Set::Kernels, Set::Pythons],
    ),
    need(
        Probe::Program("qemu-system-x86_64"),
        "qemu-system-x86",
        "boot other kernels",
        &[Set::Kernels],
    ),
    need(Probe::Program("busybox"), "busybox-static", "have a shell in a guest", &[Set::Kernels]),
    need(Probe::Program("cpio"), "cpio", "pack a guest's files", &[Set::Kernels]),
    need(
        Probe::Program("dpkg-deb"),
        "dpkg",
        "make and unpack Debian packages",
        &[Set::Dist, Set::Kernels],
    ),
    need(Probe::Program("strip"), "binutils", "pack a guest's program", &[Set::Kernels]),
    need(Probe::Program("musl-gcc"), "musl-tools", "build CPython on musl", &[Set::Pythons]),
    need(Probe::Program("xz"), "xz-utils", "unpack CPython's source", &[Set::Pythons]),
    need(Probe::Header("ffi.h"), "libffi-dev", "build CPython's ctypes", &[Set::Pythons]),
    need(Probe::Header("openssl/ssl.h"), "libssl-dev", "build CPython's ssl", &[Set::Pythons]),
    need(Probe::Program("capsh"), "libcap2-bin", "run with few capabilities", &[Set::Test]),
    need(Probe::Program("lintian"), "lintian", "check the Debian package", &[Set::Test]),
    need(
        Probe::Program("systemd-analyze"),
        "systemd",
        "run the agent's unit under its restrictions",
        &[Set::Test],
    ),
    need(Probe::Program("clang-format"), "clang-format", "check the C code's form", &[Set::Lint]),
    need(Probe::Program("wrk"), "wrk", "put a service under load", &[Set::Bench]),
    need(Probe::Program("strace"), "strace", "compare with strace", &[Set::Bench, Set::Test]),
    need(
        Probe::Program("bpftool"),
        "bpftool",
        "list eBPF programs and read their run time",
        &[Set::Test, Set::Bench],
    ),
    need(
        Probe::Program("prometheus"),
        "prometheus",
        "check and scrape metrics",
        &[Set::Test, Set::Dashboards],
    ),
    need(
        Probe::Program("prometheus-alertmanager"),
        "prometheus-alertmanager",
        "deliver alerts",
        &[Set::Test, Set::Dashboards],
    ),
    need(
        Probe::Program("prometheus-node-exporter"),
        "prometheus-node-exporter",
        "have a disk to alert on",
        &[Set::Test],
    ),
    need(Probe::Program("gdb"), "gdb", "compare native frames with a debugger's", &[Set::Test]),
    need(Probe::Program("curl"), "curl", "ask the web server by TLS", &[Set::Test]),
    need(Probe::Program("openssl"), "openssl", "make certificates", &[Set::Test]),
    need(Probe::Program("htpasswd"), "apache2-utils", "hash passwords", &[Set::Test]),
    need(Probe::Program("node"), "nodejs", "check dashboards", &[Set::Dashboards]),
    need(Probe::Program("redis-server"), "redis-server", "serve queues of jobs", &[Set::Test]),
    need(
        Probe::Program("chromium"),
        "chromium",
        "look at the agent's page, and draw dashboards",
        &[Set::Test, Set::Pictures],
    ),
    need(
        Probe::Program("npm"),
        "npm",
        "fetch what drives a browser, and Grafana's schema",
        &[Set::Test, Set::Dashboards],
    ),
    need(Probe::Program("go"), "golang-go", "read profiles by go tool pprof", &[Set::Test]),
    need(
        Probe::Module("ensurepip"),
        "python3-venv",
        "make virtual environments",
        &[Set::Test, Set::Audit, Set::Bench, Set::Dashboards],
    ),
];

/// What the sets need and `present` does not find.
pub(crate) fn missing(sets: &[Set], mut present: impl FnMut(Probe) -> bool) -> Vec<&'static Need> {
    let wanted = NEEDS.iter().filter(|need| need.sets.iter().any(|set| sets.contains(set)));
    wanted.filter(|need| !present(need.probe)).collect()
}

/// Looks on this machine.
pub(crate) fn is_present(probe: Probe) -> bool {
    match probe {
        Probe::Program(name) => process::find_program(name).is_some(),
        Probe::Header(name) => preprocesses(name),
        Probe::Module(name) => {
            succeeds(Command::new("python3").args(["-c", &format!("import {name}")]))
        }
        Probe::File(path) => std::path::Path::new(path).exists(),
    }
}

fn succeeds(command: &mut Command) -> bool {
    process::quiet(command).status().is_ok_and(|status| status.success())
}

fn preprocesses(header: &str) -> bool {
    let mut command = Command::new("cc");
    process::quiet(command.args(["-E", "-x", "c", "-"])).stdin(Stdio::piped());
    let Ok(mut child) = command.spawn() else { return false };
    let wrote = child.stdin.take().is_some_and(|mut stdin| {
        stdin.write_all(format!("#include <{header}>\n").as_bytes()).is_ok()
    });
    child.wait().is_ok_and(|status| status.success()) && wrote
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(needs: &[&Need]) -> Vec<&'static str> {
        needs.iter().map(|need| need.package).collect()
    }

    #[test]
    fn a_complete_machine_needs_nothing() {
        assert!(missing(&[Set::Build, Set::Bench], |_| true).is_empty());
    }

    #[test]
    fn only_the_sets_asked_for_are_looked_at() {
        let mut probed = Vec::new();
        let found = missing(&[Set::Lint], |probe| {
            probed.push(probe);
            false
        });
        assert_eq!(packages(&found), ["clang-format"]);
        assert_eq!(probed, [Probe::Program("clang-format")]);
    }

    #[test]
    fn a_need_of_two_sets_is_listed_once() {
        let found = missing(&[Set::Demo, Set::Test], |probe| probe != Probe::Program("python3"));
        assert_eq!(packages(&found), ["python3"]);
    }

    #[test]
    fn probing_finds_what_is_there_and_only_that() {
        assert!(is_present(Probe::Program("sh")));
        assert!(is_present(Probe::Header("stdio.h")));
        assert!(!is_present(Probe::Header("no/such/header.h")));
        assert!(!is_present(Probe::File("/no/such/file")));
    }
}
