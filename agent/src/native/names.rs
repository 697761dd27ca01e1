//! Which of the frames are shown: not the interpreter's own way from a Python line to the function
//! of C that it calls.

/// Where the innermost Python frame runs: the end of the native frames. On 3.8 to 3.15, with the
/// parts that compilers split off, and the handlers of the interpreter that makes tail calls.
const EVALUATION: [&str; 5] =
    ["_PyEval_EvalFrame", "_PyEval_EvalCode", "_PyEval_Vector", "PyEval_Eval", "_TAIL_CALL_"];

/// How the interpreter calls a function of C, by the beginnings of names.
const PLUMBING: [&str; 27] = [
    "PyCFunction_",
    "PyEval_CallObject",
    "PyObject_Call",
    "PyObject_Vectorcall",
    "PyVectorcall_",
    "_PyCFunction_",
    "_PyFunction_",
    "_PyMethodDef_",
    "_PyMethodDescr_",
    "_PyObject_Call",
    "_PyObject_FastCall",
    "_PyObject_MakeTpCall",
    "_PyObject_Vectorcall",
    "_PyVectorcall",
    "call_function",
    "cfunction_",
    "classmethoddescr_call",
    "do_call_core",
    "function_code_fastcall",
    "method_call",
    "method_vectorcall",
    "methoddescr_call",
    "object_vacall",
    "slot_tp_",
    "tp_new_wrapper",
    "type_call",
    "vectorcall_",
];

/// Whether the interpreter's function of this name runs bytecode.
pub(super) fn is_evaluation(name: &str) -> bool {
    EVALUATION.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the interpreter's function of this name only leads to another.
pub(super) fn is_plumbing(name: &str) -> bool {
    // From 3.15 on, what takes its arguments from the interpreter's stack (`_Py_BuiltinCallFast_…`).
    name.contains("_StackRef") || PLUMBING.iter().any(|prefix| name.starts_with(prefix))
}

/// A function's name without what the compiler added when it took the function apart.
pub(super) fn whole(name: &str) -> &str {
    const PARTS: [&str; 5] = [".cold", ".constprop.", ".isra.", ".lto_priv.", ".part."];
    let cut = PARTS.iter().filter_map(|part| name.find(part)).filter(|at| *at > 0).min();
    cut.map_or(name, |at| &name[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_bytecode_ends_the_native_frames() {
        for name in [
            "_PyEval_EvalFrameDefault",
            "_PyEval_EvalFrameDefault.cold",
            "_PyEval_Vector",
            "_TAIL_CALL_CALL_BUILTIN_FAST",
            "PyEval_EvalCode",
        ] {
            assert!(is_evaluation(name), "{name}");
        }
        for name in ["PyEval_RestoreThread", "sock_recv", "_PyEval_ReleaseLock", "take_gil"] {
            assert!(!is_evaluation(name), "{name}");
        }
    }

    #[test]
    fn plumbing_is_left_out_and_functions_stay() {
        for name in [
            "cfunction_vectorcall_FASTCALL",
            "PyObject_Vectorcall",
            "method_vectorcall_O",
            "_Py_BuiltinCallFastWithKeywords_StackRef",
        ] {
            assert!(is_plumbing(name), "{name}");
        }
        for name in ["time_sleep", "_ssl__SSLSocket_read", "PyEval_RestoreThread", "list_sort"] {
            assert!(!is_plumbing(name), "{name}");
        }
    }

    #[test]
    fn parts_have_the_name_of_the_whole() {
        assert_eq!(whole("sock_recv_impl.isra.0.cold"), "sock_recv_impl");
        assert_eq!(whole("time_sleep"), "time_sleep");
        assert_eq!(whole(".part."), ".part.");
    }
}
