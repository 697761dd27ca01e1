//! An interpreter's layout in the shape that the walker reads.

use pitviper_probes::types;

use crate::python::Interpreter;

/// What the kernel side takes for "this interpreter has no such field".
const ABSENT: u16 = 0xffff;

/// The layout for the kernel side, ready to walk.
pub fn of(interpreter: &Interpreter) -> types::layout {
    let layout = &interpreter.layout;
    types::layout {
        slot: interpreter.thread_slot.offset,
        slot_array: interpreter.thread_slot.array.unwrap_or(ABSENT),
        slot_block: interpreter.thread_slot.block.unwrap_or(ABSENT),
        ready: 1,
        cframe: layout.thread_state.cframe.unwrap_or(ABSENT),
        frame: layout.thread_state.frame,
        previous: layout.frame.previous,
        code: layout.frame.code,
        instruction: layout.frame.instruction,
        owner: layout.frame.owner.unwrap_or(0),
        bytecode_index: layout.frame.bytecode_index.unwrap_or(0),
        frame_size: layout.frame.size,
        instruction_bytes: layout.frame.instruction_bytes,
        shim_owner: match layout.frame.shim_owner {
            u8::MAX => ABSENT,
            owner => owner.into(),
        },
        contiguous: layout.frame.contiguous.into(),
        co_filename: layout.code.filename,
        co_name: layout.code.name,
        co_qualname: layout.code.qualname.unwrap_or(ABSENT),
        co_first_line: layout.code.first_line,
        co_flags: layout.code.flags,
        co_line_table: layout.code.line_table,
        co_bytecode: layout.code.bytecode.unwrap_or(0),
        co_bytecode_copies: layout.code.bytecode_copies.unwrap_or(0),
        co_first_traceable: layout.code.first_traceable.unwrap_or(ABSENT),
        str_length: layout.string.length,
        str_state: layout.string.state,
        str_kind_shift: layout.string.kind_shift,
        str_ascii: layout.string.ascii_data,
        str_compact: layout.string.compact_data,
        bytes_size: layout.bytes.size,
        bytes_data: layout.bytes.data,
        ob_size: layout.object_size,
        ob_type: layout.object_type,
        tp_name: layout.type_name,
        tp_base: layout.type_base,
        tuple_items: layout.tuple_items,
        co_variables: layout.code.variables,
        frame_locals: layout.frame.locals,
        resource_warning: interpreter.resource_warning_type.unwrap_or(0),
    }
}
