//! What can go wrong with the kernel, in words that say what to do.

/// Why the eBPF source failed.
#[derive(Debug, thiserror::Error)]
pub enum EbpfError {
    /// The kernel has no type information.
    #[error(
        "the kernel has no BTF at /sys/kernel/btf/vmlinux: use a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y (most distributions' are)"
    )]
    NoBtf,
    /// Not allowed to load or attach.
    #[error(
        "not permitted to {action}: run as root, or with the capabilities CAP_BPF, CAP_PERFMON, \
         CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_CHECKPOINT_RESTORE (and before Linux 6.10 CAP_SYS_ADMIN for unclosed resources)"
    )]
    NotPermitted {
        /// What was tried.
        action: &'static str,
    },
    /// The kernel refused the object; with the verifier's last words.
    #[error("the kernel refused the probes: {cause}{}", .log.as_deref().map(|l| format!("\n{l}")).unwrap_or_default())]
    Load {
        /// The loader's error.
        cause: String,
        /// The end of the loader's log.
        log: Option<String>,
    },
    /// A program did not attach.
    #[error("failed to attach {program}: {cause}")]
    Attach {
        /// The program.
        program: &'static str,
        /// The loader's error.
        cause: libbpf_rs::Error,
    },
    /// A map could not be read or written.
    #[error("failed to {action} map {map}: {cause}")]
    Map {
        /// What was tried.
        action: &'static str,
        /// The map.
        map: &'static str,
        /// The kernel's answer.
        cause: libbpf_rs::Error,
    },
    /// The reconciliation did not run.
    #[error("failed to run the reconciliation: {cause}")]
    Reconcile {
        /// The kernel's answer.
        cause: std::io::Error,
    },
}
