//! What the fuzz target of the ring buffer's records runs.

use super::decode;
use crate::event::{Event, Object, RawString};
use crate::python::{Code, Version};

/// As many frames as a record has room for (`MAX_FRAMES`), bytes of an object's name, and bytes of a
/// native stack.
const MAX_FRAMES: usize = 256;
const MAX_OBJECT: usize = 4096;
const MAX_NATIVE: usize = 16 << 10;

/// A record: what is decoded is no longer than it can be, and made of the record's bytes.
pub(crate) fn events(record: &[u8]) {
    // What a record lacks at its end is zero.
    let padded = [record, &[0; 1 << 13]].concat();
    let holds =
        |part: &[u8]| part.is_empty() || padded.windows(part.len()).any(|window| window == part);
    match decode::event(record) {
        Some(Event::Code(code)) => {
            let strings = [Some(&code.filename), Some(&code.name), code.qualname.as_ref()];
            for RawString { data, .. } in strings.into_iter().flatten() {
                assert!(data.len() <= 512 && holds(data));
            }
            assert!(code.line_table.data.len() <= 4096 && holds(&code.line_table.data));
            for minor in [8, 10, 13] {
                let decoded = Code::decode(&code, Version { major: 3, minor, micro: 0 });
                let frame = decoded.ok().and_then(|code| code.frame(code_unit(record)));
                // Ten characters at most for each byte.
                assert!(frame.is_none_or(|frame| frame.file.len() <= 512 * 10 + 3));
            }
        }
        Some(Event::Stack(stack)) => {
            assert!(stack.frames.len() <= MAX_FRAMES);
            let words = |frame: &crate::event::RawFrame| {
                [frame.code.to_ne_bytes(), frame.instruction.to_ne_bytes()].concat()
            };
            assert!(stack.frames.iter().all(|frame| holds(&words(frame))));
        }
        Some(Event::Descriptor(call)) => {
            let path = call.path.unwrap_or_default();
            assert!(!path.contains(&0) && holds(&path));
        }
        Some(Event::Object(object)) => match object.object {
            Object::File { path, .. } => {
                let names = path.strip_prefix("…".as_bytes()).unwrap_or(&path);
                assert!(names.is_empty() || names.starts_with(b"/"));
                // A slash more at most than was told, where the last name was cut.
                assert!(names.len() <= MAX_OBJECT + 1);
                assert!(names.split(|&byte| byte == b'/').all(holds));
            }
            Object::Peer(peer) => assert!(peer.len() <= MAX_OBJECT && holds(&peer)),
            Object::Command { arguments, .. } => {
                assert!(arguments.iter().map(Vec::len).sum::<usize>() <= MAX_OBJECT);
                assert!(arguments.iter().all(|argument| holds(argument)));
            }
            Object::Task(name) => {
                assert!(name.len() <= MAX_OBJECT * 10 + 3);
                let plain = name.strip_suffix('…').unwrap_or(&name);
                // One byte a character, in which case the name is there as it is.
                let is_text = !plain.contains('\\') && plain.is_ascii();
                let wide = |width: usize| -> Vec<u8> {
                    plain.bytes().flat_map(|byte| [byte, 0, 0, 0][..width].to_vec()).collect()
                };
                let is_number = plain.starts_with("Task-") || plain == "?";
                assert!(!is_text || is_number || [1, 2, 4].map(wide).iter().any(|n| holds(n)));
            }
        },
        Some(Event::Native(native)) => {
            assert!(native.stack.len() <= MAX_NATIVE && holds(&native.stack));
        }
        Some(Event::Process(_) | Event::Child(_)) | None => {}
    }
}

/// An instruction out of the record itself.
fn code_unit(record: &[u8]) -> u64 {
    record.last_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// Records as the kernel side would send them, by name.
#[cfg(test)]
pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    use pitviper_probes::types::{self, event_type as Type, object_kind as Kind};

    let header =
        |kind: Type| types::event_header { r#type: kind.0, process: 3, time_ns: 5_000_000_000 };
    let text = |size: usize| types::text {
        address: 0x7f00_0000_1000,
        length: size as u64,
        size: size as u32,
        kind: 1,
    };
    fn fill<T: Copy>(to: &mut [T], from: &[u8], as_item: impl Fn(u8) -> T) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = as_item(*from));
    }
    // The line table comes last, so that what lies behind it need not be there.
    let mut code = types::event_code {
        header: header(Type::EVENT_CODE),
        id: 7,
        address: 0x7f00_0000_2000,
        first_line: 12,
        filename: text(6),
        name: text(4),
        qualname: text(6),
        ..Default::default()
    };
    fill(&mut code.filename_data, b"app.py", |byte| byte);
    fill(&mut code.name_data, b"load", |byte| byte);
    fill(&mut code.qualname_data, b"C.load", |byte| byte);
    code.line_table.size = 4;
    code.line_table.length = 4;
    fill(&mut code.line_table_data, &[0xf0, 3, 0xe7, 4], |byte| byte);

    let mut stack = types::event_stack {
        header: header(Type::EVENT_STACK),
        id: 1 << 63 | 9,
        count: 3,
        ..Default::default()
    };
    for (index, frame) in stack.frames.iter_mut().take(3).enumerate() {
        (frame.code, frame.instruction) = (7 + index as u64, 16);
    }

    let mut descriptor = types::event_descriptor {
        header: header(Type::EVENT_DESCRIPTOR),
        began_ns: 4_900_000_000,
        stack: 1 << 63 | 9,
        fd: 5,
        path_size: 8,
        ..Default::default()
    };
    fill(&mut descriptor.path, b"/etc/hos", |byte| byte);

    let object = |kind: Kind, mode: u16, cut: bool, data: &[u8]| {
        let mut object = types::event_object {
            header: header(Type::EVENT_OBJECT),
            id: 4,
            inode: 77,
            ..Default::default()
        };
        object.kind = kind.0 as _;
        object.mode = mode;
        object.cut = cut.into();
        object.size = data.len() as _;
        fill(&mut object.data, data, |byte| byte);
        object
    };
    let file = object(Kind::OBJECT_FILE, 0o100_644, true, b"shop.db/data/srv/");
    let peer = object(Kind::OBJECT_PEER, 0, false, &[2, 0, 0x1f, 0x90, 127, 0, 0, 1]);
    let command = object(Kind::OBJECT_COMMAND, 0, false, b"git\0status\0-s\0");
    let numbered = object(Kind::OBJECT_TASK, 0, false, &7u64.to_ne_bytes());
    let named = object(Kind::OBJECT_TASK, 2, true, &[0x2d, 0x4e, 0x20, 0, 0, 0xdc]);

    let process =
        types::event_process { header: header(Type::EVENT_PROCESS), ..Default::default() };
    let child = types::event_child { header: header(Type::EVENT_CHILD), ..Default::default() };
    // Sent as far as they are filled: without the zeros at their end.
    let sent = |bytes: &[u8]| {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes[..end].to_vec()
    };
    vec![
        ("code", sent(decode::bytes(&code))),
        ("stack", sent(decode::bytes(&stack))),
        ("descriptor", sent(decode::bytes(&descriptor))),
        ("file", sent(decode::bytes(&file))),
        ("peer", sent(decode::bytes(&peer))),
        ("command", sent(decode::bytes(&command))),
        ("task-number", sent(decode::bytes(&numbered))),
        ("task-name", sent(decode::bytes(&named))),
        ("process", sent(decode::bytes(&process))),
        ("child", sent(decode::bytes(&child))),
    ]
}
