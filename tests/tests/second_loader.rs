//! The same BPF object through aya instead of libbpf: it loads, and both loaders see the same calls
//! of the same process with the same stacks at the same time.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aya::maps::{HashMap, Map, RingBuf};
use aya::programs::BtfTracePoint;
use aya::{Btf, EbpfLoader};
use pitviper::event::{DescriptorChange, Event, StackId};
use pitviper::python::{self, CodeTable, Interpreter, Stack};
use pitviper::source::Source;
use pitviper::source::ebpf::{Ebpf, Options, call_classes, decode, walker_layout};
use pitviper_probes::types;
use pitviper_tests::interpreter;
use pitviper_tests::requirements::{met, tell};
use pitviper_tests::target::Target;

const HELD: &str = "100";
const LIMIT: Duration = Duration::from_secs(60);

/// The id under which aya's copy knows the process: any number that is not 0.
const PROCESS: u32 = 7;

/// The kernel side's `struct target`, as bytes for aya.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Watched(types::target);

// SAFETY: integers and nested structs of integers, with the padding spelled out as fields.
unsafe impl aya::Pod for Watched {}

/// What is compared: thread, call, what it did, descriptor, and the stack by name.
type Seen = (u32, u16, u8, i32, Stack);

/// Turns events into what is compared.
#[derive(Default)]
struct Gathered {
    codes: CodeTable,
    stacks: BTreeMap<StackId, Stack>,
    calls: Vec<Seen>,
}

impl Gathered {
    fn take(&mut self, interpreter: &Interpreter, event: Event) -> Result<()> {
        match event {
            Event::Code(code) => self.codes.insert(interpreter.version, code)?,
            Event::Stack(stack) => {
                self.stacks.insert(stack.id, self.codes.resolve(&stack));
            }
            Event::Descriptor(call) => {
                let stack = self.stacks.get(&call.stack).cloned().unwrap_or_default();
                let change = match call.change {
                    DescriptorChange::Opened => 0,
                    DescriptorChange::Closed => 1,
                    DescriptorChange::Failed => 2,
                    DescriptorChange::None => return Ok(()),
                };
                self.calls.push((call.tid, call.call, change, call.fd, stack));
            }
            Event::Object(_) | Event::Process(_) | Event::Child(_) | Event::Native(_) => {}
        }
        Ok(())
    }
}

/// Loads and arms the object with aya.
fn load_with_aya(pid: u32, interpreter: &Interpreter) -> Result<aya::Ebpf> {
    let btf = Btf::from_sys_fs()?;
    let classes = call_classes();
    let mut loaded = EbpfLoader::new()
        .btf(Some(&btf))
        .override_global("syscall_class", &classes[..], true)
        .override_global("trace_calls", &1u8, true)
        // A thread's state is in its task storage, which aya makes and has no type for.
        .allow_unsupported_maps()
        .load(pitviper_probes::OBJECT)?;
    for (program, tracepoint) in [("syscall_exit", "sys_exit"), ("syscall_enter", "sys_enter")] {
        let program: &mut BtfTracePoint =
            loaded.program_mut(program).context("no such program")?.try_into()?;
        program.load(tracepoint, &btf)?;
        program.attach()?;
    }
    let mut sites: HashMap<_, u64, [u8; size_of::<types::site>()]> =
        HashMap::try_from(loaded.map_mut("sites").context("no map `sites`")?)?;
    sites.insert(u64::from(PROCESS), [0; size_of::<types::site>()], 0)?;
    let mut targets: HashMap<_, u32, Watched> =
        HashMap::try_from(loaded.map_mut("targets").context("no map `targets`")?)?;
    let watched = types::target {
        process: PROCESS,
        space: PROCESS,
        layout: walker_layout(interpreter),
        ..Default::default()
    };
    targets.insert(pid, Watched(watched), 0)?;
    Ok(loaded)
}

#[test]
fn aya_loads_the_object_and_sees_the_same() -> Result<()> {
    if !met("second_loader")? {
        return Ok(());
    }
    interpreter::on_every(4, |python| {
        let mut target = Target::start(python, "hold_many.py", &[HELD])?;
        let pid = target.pid();
        let interpreter = python::analyse(i32::try_from(pid)?)?;
        let mut by_aya = load_with_aya(pid, &interpreter)?;
        let mut by_libbpf = Ebpf::load(&Options { trace: true, ..Options::default() })?;
        by_libbpf.watch(pid, &interpreter)?;
        target.tell("go")?;
        target.expect_within("DONE", LIMIT)?;

        let mut one = Gathered::default();
        let mut events = Vec::new();
        by_libbpf.poll(Duration::ZERO, &mut |event| events.push(event))?;
        for event in events {
            one.take(&interpreter, event)?;
        }
        let mut other = Gathered::default();
        let map: &mut Map = by_aya.map_mut("events").context("no map `events`")?;
        let mut ring = RingBuf::try_from(map)?;
        while let Some(bytes) = ring.next() {
            other.take(&interpreter, decode(&bytes).context("an unknown event")?)?;
        }

        // libbpf's copy is armed a moment later.
        let from = other.calls.len().saturating_sub(one.calls.len());
        ensure!(one.calls.len() >= 100, "only {} calls seen", one.calls.len());
        ensure!(one.calls == other.calls[from..], "the loaders disagree");
        ensure!(one.calls.iter().all(|call| !call.4.frames.is_empty()), "a call without a stack");
        tell(&format!("{}: {} calls alike by both loaders", python.label, one.calls.len()));
        Ok(())
    })
}
