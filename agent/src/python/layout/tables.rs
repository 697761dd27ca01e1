//! Layouts by feature release, from the headers of 3.8.18, 3.9.18, 3.10.13, 3.11.7, 3.12.1, 3.13.0,
//! 3.14.10 and 3.15.2. Each differs from the one before by what its own constant names.

use super::{
    BytesLayout, CodeLayout, FrameLayout, InterpreterLayout, Layout, OBJECT_SIZE, RuntimeLayout,
    StringLayout, ThreadStateLayout,
};

/// The layout of 3.`minor`, where the process does not tell it.
pub(super) fn without_debug_offsets(minor: u8) -> Option<Layout> {
    Some(match minor {
        8 => V3_8,
        9 => V3_9,
        10 => V3_10,
        11 => V3_11,
        12 => V3_12,
        _ => return None,
    })
}

/// What a process of 3.`minor`, which is at least 13, does not tell by itself. The rest is there to
/// be replaced.
pub(super) fn with_debug_offsets(minor: u8, free_threaded: bool) -> Layout {
    let table = match minor {
        ..=13 => V3_13,
        14 => V3_14,
        15.. => V3_15,
    };
    if free_threaded { without_lock(table, minor) } else { table }
}

/// A build without the interpreter lock: each object's head is twice as long, and a thread may run
/// a copy of the bytecode of its own from 3.14 on.
fn without_lock(table: Layout, minor: u8) -> Layout {
    let longer = OBJECT_SIZE;
    let copies = minor >= 14;
    Layout {
        object_size: 2 * OBJECT_SIZE,
        type_dealloc: table.type_dealloc + longer,
        type_base: table.type_base + longer,
        tuple_items: table.tuple_items + longer,
        generator_frame: table.generator_frame + longer,
        frame: FrameLayout { bytecode_index: copies.then_some(72), ..table.frame },
        code: CodeLayout {
            flags: table.code.flags + longer,
            first_traceable: table.code.first_traceable.map(|offset| offset + longer),
            bytecode_copies: copies.then_some(224),
            ..table.code
        },
        string: StringLayout {
            kind_shift: if copies { 8 } else { table.string.kind_shift },
            ..table.string
        },
        ..table
    }
}

const V3_8: Layout = Layout {
    runtime: RuntimeLayout { interpreters: 32, thread_key: Some(1392) },
    interpreter: InterpreterLayout { next: 0, threads: 8 },
    thread_state: ThreadStateLayout {
        frame: 24,
        cframe: None,
        next: 8,
        interp: 16,
        thread_id: 176,
        native_thread_id: None,
    },
    frame: FrameLayout {
        previous: 24,
        code: 32,
        instruction: 104,
        instruction_bytes: 4,
        bytecode_index: None,
        owner: None,
        shim_owner: 255,
        size: 108,
        contiguous: false,
        locals: 360,
    },
    code: CodeLayout {
        filename: 104,
        name: 112,
        qualname: None,
        first_line: 40,
        flags: 36,
        line_table: 120,
        bytecode: None,
        bytecode_copies: None,
        first_traceable: None,
        size: 128,
        variables: 72,
    },
    string: StringLayout { length: 16, state: 32, kind_shift: 2, ascii_data: 48, compact_data: 72 },
    bytes: BytesLayout { size: 16, data: 32 },
    object_size: OBJECT_SIZE,
    object_type: 8,
    type_name: 24,
    type_dealloc: 48,
    type_base: 256,
    tuple_items: 24,
    generator_frame: 16,
};

const V3_9: Layout =
    Layout { runtime: RuntimeLayout { interpreters: 32, thread_key: Some(584) }, ..V3_8 };

const V3_10: Layout =
    Layout { frame: FrameLayout { instruction: 96, size: 100, locals: 352, ..V3_9.frame }, ..V3_9 };

const V3_11: Layout = Layout {
    runtime: RuntimeLayout { interpreters: 40, thread_key: Some(592) },
    interpreter: InterpreterLayout { next: 0, threads: 16 },
    thread_state: ThreadStateLayout {
        frame: 8,
        cframe: Some(56),
        thread_id: 152,
        native_thread_id: Some(160),
        ..V3_10.thread_state
    },
    frame: FrameLayout {
        previous: 48,
        code: 32,
        instruction: 56,
        instruction_bytes: 8,
        bytecode_index: None,
        owner: Some(69),
        shim_owner: 255,
        size: 70,
        contiguous: true,
        locals: 72,
    },
    code: CodeLayout {
        filename: 112,
        name: 120,
        qualname: Some(128),
        first_line: 72,
        flags: 48,
        line_table: 136,
        bytecode: Some(184),
        bytecode_copies: None,
        first_traceable: Some(168),
        size: 172,
        variables: 96,
    },
    generator_frame: 80,
    ..V3_10
};

const V3_12: Layout = Layout {
    runtime: RuntimeLayout { interpreters: 40, thread_key: Some(1544) },
    interpreter: InterpreterLayout { next: 0, threads: 72 },
    thread_state: ThreadStateLayout {
        frame: 0,
        thread_id: 136,
        native_thread_id: Some(144),
        ..V3_11.thread_state
    },
    frame: FrameLayout {
        previous: 8,
        code: 0,
        owner: Some(70),
        shim_owner: 3,
        size: 71,
        ..V3_11.frame
    },
    code: CodeLayout {
        first_line: 68,
        bytecode: Some(192),
        first_traceable: Some(176),
        size: 180,
        ..V3_11.code
    },
    string: StringLayout { ascii_data: 40, compact_data: 56, ..V3_11.string },
    generator_frame: 72,
    ..V3_11
};

const V3_13: Layout = Layout {
    runtime: RuntimeLayout { interpreters: 632, thread_key: Some(2160) },
    interpreter: InterpreterLayout { next: 7264, threads: 7344 },
    thread_state: ThreadStateLayout {
        frame: 72,
        cframe: None,
        thread_id: 152,
        native_thread_id: Some(160),
        ..V3_12.thread_state
    },
    code: CodeLayout { bytecode: Some(200), first_traceable: Some(184), size: 188, ..V3_12.code },
    ..V3_12
};

const V3_14: Layout = Layout {
    runtime: RuntimeLayout { thread_key: Some(2336), ..V3_13.runtime },
    code: CodeLayout { first_traceable: Some(192), ..V3_13.code },
    tuple_items: 32, // behind ob_hash
    ..V3_13
};

const V3_15: Layout =
    Layout { runtime: RuntimeLayout { thread_key: None, ..V3_14.runtime }, ..V3_14 };
