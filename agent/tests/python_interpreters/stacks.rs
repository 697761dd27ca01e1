//! Stacks read from outside equal `sys._current_frames()`, frame for frame.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::Path;

use pitviper::event::{ProcessId, RawFrame, StackRecord};
use pitviper::python::{
    CodeTable, Interpreter, ProcessMemory, ReadMemory, Stack, analyse, read_code, thread_states,
    walk,
};

use super::installed::{Installed, supported};
use super::program::{Program, data};

const PROCESS: ProcessId = ProcessId(7);

/// `int3`, by which a uprobe replaces the first byte of its instruction.
const BREAKPOINT: u8 = 0xCC;

/// (file, function, line), innermost first, by thread.
pub(crate) type Stacks = BTreeMap<u64, Vec<(String, String, u32)>>;

/// Resolves the stack of every thread, by the way that the agent takes too.
pub(crate) fn stacks(memory: &impl ReadMemory, interpreter: &Interpreter) -> Stacks {
    let mut stacks = Stacks::new();
    for state in thread_states(memory, interpreter).unwrap() {
        let frames = walk(memory, &interpreter.layout, state.address, 1000).unwrap();
        let mut table = CodeTable::default();
        for frame in &frames {
            let record =
                read_code(memory, &interpreter.layout, frame.code, PROCESS, frame.code).unwrap();
            table.insert(interpreter.version, record).unwrap();
        }
        let frames = frames
            .iter()
            .map(|frame| RawFrame { code: frame.code, instruction: frame.instruction })
            .collect();
        let record = StackRecord { process: PROCESS, id: 1, truncated: false, frames };
        let Stack { frames, unresolved, .. } = table.resolve(&record);
        assert_eq!(unresolved, 0);
        let frames = frames
            .iter()
            .map(|frame| (frame.file.to_string(), frame.function.to_string(), frame.line));
        stacks.insert(state.thread_id, frames.collect());
    }
    stacks
}

#[test]
fn stacks_equal_the_interpreters_own() {
    for Installed { path, version } in supported() {
        let mut program = Program::start(&path, [data("blocked.py")]);
        let own: Stacks = serde_json::from_str(&program.line()).unwrap();
        assert!(own.len() > 30, "{version}: {} threads", own.len());

        let interpreter = analyse(program.pid()).unwrap();
        assert_eq!(interpreter.version, version);
        let memory = ProcessMemory::new(program.pid());
        let seen = stacks(&memory, &interpreter);
        assert_eq!(seen.keys().collect::<Vec<_>>(), own.keys().collect::<Vec<_>>(), "{version}");
        for (thread, frames) in &own {
            assert_eq!(&seen[thread], frames, "{version}");
        }
        check_threads(&memory, &interpreter, &program);
        check_probe_points(&memory, &interpreter, &path);
    }
}

fn check_threads(memory: &impl ReadMemory, interpreter: &Interpreter, program: &Program) {
    for state in thread_states(memory, interpreter).unwrap() {
        let held = interpreter.thread_slot.read(memory, state.thread_id);
        assert_eq!(held, Ok(state.address), "{}", interpreter.version);
        if let Some(tid) = state.native_thread_id {
            let task = format!("/proc/{}/task/{tid}", program.pid());
            assert!(Path::new(&task).exists(), "{task} of {}", interpreter.version);
        }
    }
}

fn check_probe_points(memory: &impl ReadMemory, interpreter: &Interpreter, path: &Path) {
    let code_type = interpreter.code_type.unwrap();
    let dealloc = memory.read_u64(code_type + u64::from(interpreter.layout.type_dealloc)).unwrap();
    let point = interpreter.code_dealloc.as_ref().unwrap();
    let mut on_disk = [0; 64];
    std::fs::File::open(&point.path)
        .unwrap()
        .read_exact_at(&mut on_disk, point.file_offset)
        .unwrap();
    let mut live = memory.read_bytes(dealloc, 64).unwrap();
    // A pitviper that is attached to another process of this library has its breakpoint here: the
    // kernel puts a uprobe into every process that maps the file.
    if live[0] == BREAKPOINT {
        live[0] = on_disk[0];
    }
    assert_eq!(live, on_disk, "{}", path.display());
    let warning = interpreter.resource_warning.as_ref().unwrap();
    assert_eq!(warning.path, point.path);
    assert_ne!(warning.file_offset, point.file_offset);
    let in_python = interpreter.python_warning.as_ref().unwrap();
    assert_eq!(in_python.path, point.path);
    assert_ne!(in_python.file_offset, warning.file_offset);
    let of_warning = interpreter.resource_warning_type.unwrap();
    let name = memory.read_u64(of_warning + u64::from(interpreter.layout.type_name)).unwrap();
    assert_eq!(memory.read_bytes(name, 16).unwrap(), b"ResourceWarning\0");
    let base = memory.read_u64(of_warning + u64::from(interpreter.layout.type_base)).unwrap();
    let name = memory.read_u64(base + u64::from(interpreter.layout.type_name)).unwrap();
    assert_eq!(memory.read_bytes(name, 8).unwrap(), b"Warning\0");

    let name = memory.read_u64(code_type + u64::from(interpreter.layout.type_name)).unwrap();
    assert_eq!(memory.read_bytes(name, 5).unwrap(), b"code\0");
}
