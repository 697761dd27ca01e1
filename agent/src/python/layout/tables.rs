//! Layouts by feature release, from the headers of 3.8.18, 3.9.18, 3.10.13, 3.11.7, 3.12.1 and
//! 3.13.0. Each differs from the one before by what its own constant names.

use super::{
    BytesLayout, CodeLayout, FrameLayout, InterpreterLayout, Layout, RuntimeLayout, StringLayout,
    ThreadStateLayout,
};

/// The layout of 3.`minor`.
pub(super) fn of_minor(minor: u8) -> Option<Layout> {
    Some(match minor {
        8 => V3_8,
        9 => V3_9,
        10 => V3_10,
        11 => V3_11,
        12 => V3_12,
        13 => V3_13,
        _ => return None,
    })
}

const V3_8: Layout = Layout {
    runtime: RuntimeLayout { interpreters: 32, thread_key: 1392 },
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
        owner: None,
        shim_owner: 255,
        size: 108,
        contiguous: false,
    },
    code: CodeLayout {
        filename: 104,
        name: 112,
        qualname: None,
        first_line: 40,
        flags: 36,
        line_table: 120,
        bytecode: None,
        first_traceable: None,
        size: 128,
    },
    string: StringLayout { length: 16, state: 32, ascii_data: 48, compact_data: 72 },
    bytes: BytesLayout { size: 16, data: 32 },
    object_type: 8,
    type_name: 24,
    type_dealloc: 48,
};

const V3_9: Layout =
    Layout { runtime: RuntimeLayout { interpreters: 32, thread_key: 584 }, ..V3_8 };

const V3_10: Layout =
    Layout { frame: FrameLayout { instruction: 96, size: 100, ..V3_9.frame }, ..V3_9 };

const V3_11: Layout = Layout {
    runtime: RuntimeLayout { interpreters: 40, thread_key: 592 },
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
        owner: Some(69),
        shim_owner: 255,
        size: 70,
        contiguous: true,
    },
    code: CodeLayout {
        filename: 112,
        name: 120,
        qualname: Some(128),
        first_line: 72,
        flags: 48,
        line_table: 136,
        bytecode: Some(184),
        first_traceable: Some(168),
        size: 172,
    },
    ..V3_10
};

const V3_12: Layout = Layout {
    runtime: RuntimeLayout { interpreters: 40, thread_key: 1544 },
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
    ..V3_11
};

const V3_13: Layout = Layout {
    runtime: RuntimeLayout { interpreters: 632, thread_key: 2160 },
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
