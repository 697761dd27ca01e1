//! Bytes of the ring buffer → [`Event`].

use pitviper_probes::types;

use crate::event::{
    ChildChange, ChildEvent, CodeRecord, DescriptorCall, DescriptorChange, Event, NativeRecord,
    Object, ObjectRecord, ProcessEvent, ProcessEventKind, ProcessId, RawBytes, RawFrame, RawString,
    Registers, StackRecord, StackStatus,
};
use crate::python::decode_text;

/// A struct of the kernel side: plain integers and arrays of them, made by the skeleton from BTF.
pub(super) trait Plain: Copy + Default {}

impl Plain for types::event_header {}
impl Plain for types::event_code {}
impl Plain for types::event_stack {}
impl Plain for types::event_descriptor {}
impl Plain for types::event_native {}
impl Plain for types::event_process {}
impl Plain for types::event_child {}
impl Plain for types::event_object {}
impl Plain for types::descriptor_key {}
impl Plain for types::descriptor {}
impl Plain for types::site {}
impl Plain for types::warning {}
impl Plain for types::unclosed_key {}
impl Plain for types::unclosed {}
impl Plain for types::target {}
impl Plain for types::code_key {}
impl Plain for types::code_life {}

/// Reads a struct; what `bytes` lacks at the end stays zero.
pub(super) fn read<T: Plain>(bytes: &[u8]) -> T {
    let mut value = T::default();
    let size = bytes.len().min(size_of::<T>());
    // SAFETY: `Plain` types are integers and arrays of them, any bytes are a value; `size` is
    // within both.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut value).cast::<u8>(), size);
    }
    value
}

/// The bytes of a struct, padding included.
pub(super) fn bytes<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: `Plain` types are `repr(C)` with their padding spelled out as fields by the
    // skeleton, so that every byte is initialised.
    unsafe { std::slice::from_raw_parts((value as *const T).cast(), size_of::<T>()) }
}

/// In place of a syscall's number: a sample.
const NATIVE_SAMPLE: u32 = 0xffff;

/// Bytes up to the first NUL of a C string.
pub(super) fn c_string(chars: &[i8]) -> Vec<u8> {
    chars.iter().take_while(|&&c| c != 0).map(|&c| c as u8).collect()
}

fn head<T: Copy>(data: &[T], size: usize) -> Vec<T> {
    data[..size.min(data.len())].to_vec()
}

fn string(text: &types::text, data: &[u8]) -> RawString {
    RawString {
        address: text.address,
        kind: u8::try_from(text.kind).unwrap_or(0),
        length: text.length,
        data: head(data, text.size as usize),
    }
}

fn code(event: &types::event_code) -> CodeRecord {
    CodeRecord {
        process: ProcessId(event.header.process),
        space: event.space,
        id: event.id,
        address: event.address,
        first_line: event.first_line,
        flags: event.flags,
        first_traceable: event.first_traceable,
        filename: string(&event.filename, &event.filename_data),
        name: string(&event.name, &event.name_data),
        qualname: (event.qualname.address != 0)
            .then(|| string(&event.qualname, &event.qualname_data)),
        line_table: RawBytes {
            address: event.line_table.address,
            length: event.line_table.length,
            data: head(&event.line_table_data, event.line_table.size as usize),
        },
    }
}

fn stack(event: &types::event_stack) -> StackRecord {
    let count = (event.count as usize).min(event.frames.len());
    StackRecord {
        process: ProcessId(event.header.process),
        id: event.id,
        truncated: event.truncated != 0,
        frames: event.frames[..count]
            .iter()
            .map(|f| RawFrame { code: f.code, instruction: f.instruction })
            .collect(),
    }
}

/// Not by way of the struct, which is large.
fn native(bytes: &[u8]) -> NativeRecord {
    let head = std::mem::offset_of!(types::event_native, stack);
    let event: types::event_native = read(&bytes[..bytes.len().min(head)]);
    let stack = bytes.get(head..).unwrap_or_default();
    NativeRecord {
        process: ProcessId(event.header.process),
        stack_id: event.id,
        call: (event.call != NATIVE_SAMPLE).then_some(event.call as u16),
        registers: Registers { pc: event.pc, sp: event.sp, fp: event.fp, lr: event.lr },
        low: event.low,
        stack: self::head(stack, event.size as usize),
    }
}

fn descriptor(event: &types::event_descriptor) -> DescriptorCall {
    let ended = event.header.time_ns;
    let path = head(&event.path, event.path_size as usize);
    DescriptorCall {
        process: ProcessId(event.header.process),
        pid: event.tgid,
        tid: event.tid,
        time_ns: if event.began_ns == 0 { ended } else { event.began_ns },
        duration_ns: (event.began_ns != 0).then(|| ended.saturating_sub(event.began_ns)),
        call: event.call,
        change: match event.change {
            0 => DescriptorChange::Opened,
            1 => DescriptorChange::Closed,
            2 => DescriptorChange::Failed,
            _ => DescriptorChange::None,
        },
        fd: event.fd,
        mode: event.mode,
        result: event.result,
        arguments: event.arguments,
        path: (!path.is_empty()).then(|| path.into_iter().take_while(|&byte| byte != 0).collect()),
        stack: super::stack_id(event.stack),
        stack_status: match event.stack_status {
            0 => StackStatus::Complete,
            1 => StackStatus::Truncated,
            2 => StackStatus::Unreadable,
            _ => StackStatus::NoThreadState,
        },
    }
}

/// The names came innermost first, each ended by a slash.
fn path(names: &[u8], cut: bool) -> Vec<u8> {
    let mut path = if cut { "…".as_bytes().to_vec() } else { Vec::new() };
    for name in names.split(|&byte| byte == b'/').rev().filter(|name| !name.is_empty()) {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() { b"/".to_vec() } else { path }
}

/// A task that nobody has asked for its name has a number of two digits of 30 bits instead (3.12+),
/// of which asyncio makes the name when it is asked.
fn task(width: u16, data: Vec<u8>, cut: bool) -> String {
    if width == 0 {
        let digits = data.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        return format!("Task-{}", (digits & 0xffff_ffff) + (digits >> 32 << 30));
    }
    let length = (data.len() / usize::from(width) + usize::from(cut)) as u64;
    decode_text(&RawString { address: 0, kind: u8::try_from(width).unwrap_or(0), length, data })
}

fn object(event: &types::event_object) -> Option<ObjectRecord> {
    use types::object_kind as Kind;
    let data = head(&event.data, event.size as usize);
    let object = match Kind(event.kind.into()) {
        Kind::OBJECT_FILE => Object::File {
            path: path(&data, event.cut != 0),
            inode: event.inode,
            device: (event.device >> 20, event.device & 0xf_ffff),
            mode: event.mode,
        },
        Kind::OBJECT_PEER => Object::Peer(data),
        Kind::OBJECT_COMMAND => {
            let text = data.strip_suffix(&[0]).unwrap_or(&data);
            let arguments = text.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
            Object::Command { arguments, cut: event.cut != 0 }
        }
        Kind::OBJECT_TASK => Object::Task(task(event.mode, data, event.cut != 0)),
        _ => return None,
    };
    Some(ObjectRecord { process: ProcessId(event.header.process), id: event.id, object })
}

fn process(event: &types::event_process) -> Option<ProcessEvent> {
    Some(ProcessEvent {
        process: ProcessId(event.header.process),
        pid: event.tgid,
        time_ns: event.header.time_ns,
        kind: match event.change {
            0 => ProcessEventKind::Forked { parent: ProcessId(event.parent) },
            1 => ProcessEventKind::Executed,
            2 => ProcessEventKind::Exited,
            _ => return None,
        },
    })
}

fn child(event: &types::event_child) -> Option<ChildEvent> {
    use types::child_change as Change;
    Some(ChildEvent {
        process: ProcessId(event.header.process),
        pid: event.tgid,
        parent: event.parent,
        time_ns: event.header.time_ns,
        born_ns: event.born_ns,
        stack: super::stack_id(event.stack),
        command: event.command,
        change: match Change(event.change) {
            Change::CHILD_BORN => ChildChange::Born,
            Change::CHILD_EXECUTED => ChildChange::Executed,
            Change::CHILD_ENDED => ChildChange::Ended { status: event.status },
            _ => return None,
        },
    })
}

/// Decodes one record; `None` for a type that this version does not know.
pub fn event(data: &[u8]) -> Option<Event> {
    use types::event_type as Type;
    match Type(read::<types::event_header>(data).r#type) {
        Type::EVENT_CODE => Some(Event::Code(code(&read(data)))),
        Type::EVENT_STACK => Some(Event::Stack(stack(&read(data)))),
        Type::EVENT_DESCRIPTOR => Some(Event::Descriptor(descriptor(&read(data)))),
        Type::EVENT_OBJECT => object(&read(data)).map(Event::Object),
        Type::EVENT_PROCESS => process(&read(data)).map(Event::Process),
        Type::EVENT_NATIVE => Some(Event::Native(Box::new(native(data)))),
        Type::EVENT_CHILD => child(&read(data)).map(Event::Child),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_or_unknown_record_is_no_event() {
        assert_eq!(event(&[]), None);
        assert_eq!(event(&[0xff; 16]), None);
    }

    /// Exercise a number, each width, a cut, and names that are hostile.
    #[test]
    fn names_of_tasks_are_read_as_they_are() {
        assert_eq!(task(0, 7u64.to_ne_bytes().to_vec(), false), "Task-7");
        assert_eq!(task(0, (1u64 << 32).to_ne_bytes().to_vec(), false), "Task-1073741824");
        assert_eq!(task(0, Vec::new(), false), "Task-0");
        assert_eq!(task(1, b"handler-1".to_vec(), false), "handler-1");
        assert_eq!(task(1, b"handl".to_vec(), true), "handl…");
        assert_eq!(task(2, vec![0x2d, 0x4e, 0x00, 0xdc], false), "中\\udc00");
        assert_eq!(task(4, vec![0x0d, 0xf4, 0x01, 0, 0x0a], false), "🐍");
        assert_eq!(task(3, vec![0; 6], false), "?");
        assert_eq!(task(1, Vec::new(), false), "");
    }

    #[test]
    fn a_stack_that_claims_more_frames_than_fit_is_cut() {
        let mut forged = types::event_stack { count: u32::MAX, ..Default::default() };
        forged.header.r#type = types::event_type::EVENT_STACK.0;
        let Some(Event::Stack(stack)) = event(bytes(&forged)) else { panic!("a stack") };
        assert_eq!(stack.frames.len(), forged.frames.len());
    }
}
