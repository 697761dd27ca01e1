//! Opening, sizing, loading and attaching the object.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{ErrorKind, Link, OpenObject, PrintLevel, RingBuffer, RingBufferBuilder};
use pitviper_probes::{OpenPitviperSkel, PitviperSkel, PitviperSkelBuilder, types};

use super::{EbpfError, calls, decode, sampler, uprobes};
use crate::event::Event;

/// Native stacks that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Native {
    /// None.
    #[default]
    Off,
    /// One for each Python stack and each syscall that it makes.
    Once,
    /// Those of all samples of the CPU, and no others.
    Samples,
}

/// How the probes are sized, and what they do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Send each descriptor call as an event.
    pub trace: bool,
    /// Look at descriptors and at nothing else: that costs the target less.
    pub descriptors_only: bool,
    /// Send each call that can wait as an event too, whether it changes a descriptor or not.
    pub trace_others: bool,
    /// Watch children of watched processes too.
    pub follow_children: bool,
    /// Tell how long threads are off the CPU outside of calls too.
    pub off_cpu: bool,
    /// Samples of each CPU's clock a second; 0: none.
    pub samples: u64,
    /// What is sent of threads' native stacks.
    pub native: Native,
    /// Living descriptors that fit the ledger.
    pub max_descriptors: u32,
    /// Distinct stacks that fit.
    pub max_stacks: u32,
    /// Processes that are watched at once.
    pub max_processes: u32,
    /// Size of the ring buffer in bytes; rounded up to a power of two of at least a page.
    pub ring_bytes: u32,
}

impl Default for Options {
    /// Room for the default hard limit of descriptors of sixteen processes, and for more distinct
    /// stacks than any program seen has.
    fn default() -> Self {
        Self {
            trace: false,
            descriptors_only: false,
            trace_others: false,
            off_cpu: false,
            samples: sampler::HERTZ,
            native: Native::Off,
            follow_children: false,
            max_descriptors: 65_536,
            max_stacks: 32_768,
            max_processes: 128,
            ring_bytes: 4 << 20,
        }
    }
}

/// What libbpf said while it loaded: shown when the load fails.
static LOG: Mutex<String> = Mutex::new(String::new());

/// The end of the log is where the verifier says why.
const LOG_BYTES: usize = 4096;

/// What libbpf writes where the verifier has said something.
const VERIFIERS_LOG: &str = "END PROG LOAD LOG";

fn keep_log(_level: PrintLevel, message: String) {
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    log.push_str(&message);
    let excess = log.len().saturating_sub(LOG_BYTES);
    let cut = (excess..log.len()).find(|&i| log.is_char_boundary(i)).unwrap_or(0);
    log.drain(..cut);
}

fn load_error(action: &'static str, cause: &libbpf_rs::Error) -> EbpfError {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // The verifier answers with the same error, and says why.
    if cause.kind() == ErrorKind::PermissionDenied && !log.contains(VERIFIERS_LOG) {
        return EbpfError::NotPermitted { action };
    }
    EbpfError::Load { cause: format!("{cause:#}"), log: (!log.is_empty()).then_some(log) }
}

/// Descriptors of numbers below this keep their entry in the ledger's table once they are closed...
const KEPT_BELOW: u32 = 64;
/// ... as far as dead entries of all processes fill this part of it at most.
const KEPT_SHARE: u32 = 4;

/// Tables that grow with the number of stacks are sized for at least so many...
const LEAST_STACKS: u32 = 32_768;
/// ... and those that grow with the number of processes for so many entries: classes of waits that a
/// process may meet, and what children add to it.
const WAITS: u32 = 32;
const LEAST_WAITS: u32 = 4_096;

fn configure(open: &mut OpenPitviperSkel<'static>, options: &Options) -> Result<(), EbpfError> {
    let wrong = |cause| load_error("size the probes' maps", &cause);
    let maps = &mut open.maps;
    if let Some(rodata) = maps.rodata_data.as_deref_mut() {
        rodata.syscall_class = calls::classes();
        rodata.syscall_wait = calls::wait_classes(options.trace);
        rodata.syscall_positioned = calls::positioned();
        let share = options.max_descriptors / KEPT_SHARE / options.max_processes.max(1);
        rodata.kept_below = share.min(KEPT_BELOW);
        rodata.execve_number = calls::number("execve");
        rodata.sample_ns = 1_000_000_000 / options.samples.max(1);
        rodata.touch_faults = sampler::FAULTS;
        rodata.sigreturn_number = libc::SYS_rt_sigreturn as u32;
        rodata.fcntl_number = calls::number("fcntl");
        rodata.newfstatat_number = calls::number("newfstatat");
        rodata.poll_number = calls::number("poll");
        rodata.ppoll_number = calls::number("ppoll");
        rodata.flock_number = calls::number("flock");
        rodata.brk_number = calls::number("brk");
        rodata.mmap_number = calls::number("mmap");
        rodata.munmap_number = calls::number("munmap");
        rodata.mremap_number = calls::number("mremap");
        rodata.trace_calls = options.trace;
        rodata.descriptors_only = options.descriptors_only;
        rodata.trace_others = options.trace_others;
        rodata.native_frames = match options.native {
            Native::Off => types::native_frames::NATIVE_OFF.0,
            Native::Once => types::native_frames::NATIVE_ONCE.0,
            Native::Samples => types::native_frames::NATIVE_SAMPLES.0,
        };
        // In a trace each call is an event: a wake-up per event would be paid by the target.
        rodata.ring_wakeup_bytes = if options.trace { options.ring_bytes / 8 } else { 0 };
    }
    maps.descriptors.set_max_entries(options.max_descriptors.max(1)).map_err(wrong)?;
    // One more for each process, for what has no stack.
    let sites = options.max_stacks.saturating_add(options.max_processes.max(1));
    maps.sites.set_max_entries(sites).map_err(wrong)?;
    let stacks = options.max_stacks.max(LEAST_STACKS);
    maps.codes.set_max_entries(stacks.saturating_mul(2)).map_err(wrong)?;
    maps.acts.set_max_entries(stacks).map_err(wrong)?;
    maps.objects.set_max_entries(stacks / 2).map_err(wrong)?;
    maps.files.set_max_entries(stacks / 2).map_err(wrong)?;
    let waits = options.max_processes.saturating_mul(WAITS).max(LEAST_WAITS);
    maps.waits.set_max_entries(waits).map_err(wrong)?;
    let ring = options.ring_bytes.clamp(4096, 1 << 30).next_power_of_two();
    maps.events.set_max_entries(ring).map_err(wrong)?;
    if options.native == Native::Off {
        maps.natives.set_max_entries(NO_RING).map_err(wrong)?;
    }
    open.progs.switches.set_autoload(options.off_cpu);
    uprobes::prepare(open);
    // Without times there is nothing to do at the entry of a call.
    open.progs.syscall_enter.set_autoload(enters(options));
    Ok(())
}

/// Bytes of a ring buffer that nothing goes through: the least that there is on pages of any size.
const NO_RING: u32 = 64 << 10;

/// Whether the entry of calls is looked at.
fn enters(options: &Options) -> bool {
    options.trace || !options.descriptors_only
}

/// Loads the object and opens its ring buffer, whose events go to `inbox`.
pub(super) fn load(
    options: &Options,
    inbox: Rc<RefCell<Vec<Event>>>,
) -> Result<(PitviperSkel<'static>, RingBuffer<'static>), EbpfError> {
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Err(EbpfError::NoBtf);
    }
    libbpf_rs::set_print(Some((PrintLevel::Warn, keep_log)));
    // The skeleton borrows its storage; there is one for the whole run of the program.
    let storage: &'static mut MaybeUninit<OpenObject> = Box::leak(Box::new(MaybeUninit::uninit()));
    let mut open = PitviperSkelBuilder::default()
        .open(storage)
        .map_err(|cause| load_error("open the probes", &cause))?;
    configure(&mut open, options)?;
    let skeleton = open.load().map_err(|cause| load_error("load eBPF programs", &cause))?;
    let mut builder = RingBufferBuilder::new();
    let natives = Rc::clone(&inbox);
    builder
        .add(&skeleton.maps.events, move |data| {
            if let Some(event) = decode::event(data) {
                inbox.borrow_mut().push(event);
            }
            0
        })
        .map_err(|cause| load_error("read the ring buffer", &cause))?;
    if options.native != Native::Off {
        builder
            .add(&skeleton.maps.natives, move |data| {
                if let Some(event) = decode::event(data) {
                    natives.borrow_mut().push(event);
                }
                0
            })
            .map_err(|cause| load_error("read the ring buffer", &cause))?;
    }
    let ring = builder.build().map_err(|cause| load_error("read the ring buffer", &cause))?;
    Ok((skeleton, ring))
}

/// Attaches what serves all processes. The exit program comes before the enter program, so that no
/// begin waits for an end that nobody sees.
pub(super) fn attach(
    skeleton: &PitviperSkel<'static>,
    options: &Options,
) -> Result<Vec<Link>, EbpfError> {
    let progs = &skeleton.progs;
    let mut programs = vec![
        ("process_exit", &progs.process_exit),
        ("process_exec", &progs.process_exec),
        ("process_reaped", &progs.process_reaped),
        ("process_fork", &progs.process_fork),
        ("connect_result", &progs.connect_result),
        ("syscall_exit", &progs.syscall_exit),
    ];
    if enters(options) {
        programs.push(("syscall_enter", &progs.syscall_enter));
    }
    if options.off_cpu {
        programs.push(("switches", &progs.switches));
    }
    programs
        .into_iter()
        .map(|(program, handle)| {
            handle.attach().map_err(|cause| {
                if cause.kind() == ErrorKind::PermissionDenied {
                    EbpfError::NotPermitted { action: "attach eBPF programs" }
                } else {
                    EbpfError::Attach { program, cause }
                }
            })
        })
        .collect()
}
