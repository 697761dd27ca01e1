/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Implicit closes and the end of code objects, by uprobe.
 *
 * The interpreter's own finalisers call PyErr_ResourceWarning, and those in Python warnings.warn.
 * Both come before the warning filters and, as a rule, before the close(2). A close is the
 * warning's own while what warned still runs: see `is_within`.
 */
#pragma once

#include "ledger.h"

/* As many as warnings.warn has parameters. */
#define MAX_KEYWORDS 5
/* ResourceWarning itself, and classes made of it. */
#define MAX_BASES 3

/* The first eight bytes of names with the NUL behind them, and which of these bytes to look at. */
#define NAME_CATEGORY 0x79726f6765746163ULL
#define NAME_SOURCE   0x656372756f73ULL
#define MASK_SOURCE   0xffffffffffffffULL
#define NAME_SELF     0x666c6573ULL
#define MASK_SELF     0xffffffffffULL
#define NAME_CLS      0x736c63ULL
#define MASK_CLS      0xffffffffULL

/* Begins a warning of the running thread in the work space, or returns NULL. `end_warning` ends
 * it. */
static __always_inline struct scratch *begin_warning(struct target *target, __u32 tgid) {
    struct scratch *s = scratch_of(SCRATCH_UPROBE);
    struct warning *warning;

    count(UNCLOSED_EMITTED);
    if (!s || __sync_val_compare_and_swap(&s->busy, 0, 1)) {
        count(UNCLOSED_BUSY);
        return 0;
    }
    warning = &s->warning;
    __builtin_memset(warning, 0, sizeof(*warning));
    warning->dropped_by = stack_of(s, target, tgid, SCRATCH_UPROBE);
    warning->time_ns = bpf_ktime_get_ns();
    warning->process = target->process;
    warning->depth = s->stack.count;
    warning->frame = s->walk.frames[0];
    warning->code = s->stack.frames[0].code;
    warning->instruction = s->stack.frames[0].instruction;
    warning->outer_instruction = s->stack.frames[1].instruction;
    return s;
}

/* What is of this type was not closed. */
static __always_inline void end_warning(struct scratch *s, struct target *target, __u32 tid,
                                        __u64 type) {
    struct warning *open;
    __u64 name = 0;

    if (type && !read_u64(&name, type + target->layout.tp_name))
        bpf_probe_read_user_str(s->warning.type_name, TYPE_MAX, (void *)name);
    open = bpf_map_lookup_elem(&warnings, &tid);
    if (open)
        account_unclosed(open, 0, 0, open->time_ns);
    if (bpf_map_update_elem(&warnings, &tid, &s->warning, BPF_ANY))
        count(UNCLOSED_FULL);
    else if (!open)
        __sync_fetch_and_add(&target->warned, 1);
    s->busy = 0;
}

/* void PyErr_ResourceWarning(PyObject *source, Py_ssize_t stack_level, const char *format, ...) */
SEC("uprobe")
int resource_warning(struct pt_regs *regs) {
    __u64 source = function_argument(regs, 0), id = bpf_get_current_pid_tgid(), type = 0;
    __u32 tgid = id >> 32;
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);
    struct scratch *s;

    if (!target)
        return 0;
    s = begin_warning(target, tgid);
    if (!s)
        return 0;
    if (read_u64(&type, source + target->layout.ob_type))
        type = 0;
    end_warning(s, target, id, type);
    return 0;
}

/* A call of a function with METH_FASTCALL | METH_KEYWORDS. */
struct python_call {
    __u64 arguments; /* those by position, then those by keyword */
    __u64 positional;
    __u64 names; /* a tuple of the keywords, or 0 */
};

/* The argument of a position, or of this name; 0: it was not given. */
static __always_inline __u64 python_argument(const struct python_call *call,
                                             const struct layout *layout, __u64 position,
                                             __u64 wanted, __u64 mask) {
    __u64 size, name, text, value;
    __u64 i;

    if (call->positional > position)
        return read_u64(&value, call->arguments + 8 * position) ? 0 : value;
    if (!call->names || read_u64(&size, call->names + layout->ob_size))
        return 0;
    for (i = 0; i < MAX_KEYWORDS; i++) {
        if (i >= size || read_u64(&name, call->names + layout->tuple_items + 8 * i) ||
            read_u64(&text, name + layout->str_ascii))
            return 0;
        if ((text & mask) == wanted)
            return read_u64(&value, call->arguments + 8 * (call->positional + i)) ? 0 : value;
    }
    return 0;
}

static __always_inline bool is_resource_warning(__u64 category, const struct layout *layout) {
    int i;

    for (i = 0; i < MAX_BASES; i++) {
        if (category == layout->resource_warning)
            return true;
        if (!category || read_u64(&category, category + layout->tp_base))
            return false;
    }
    return false;
}

/* The type whose method the innermost frame runs, for a warning that names no source; 0: that is no
 * method. */
static __always_inline __u64 type_of_method(const struct scratch *s, const struct layout *layout) {
    __u64 frame = s->walk.frames[0], code, names, name, text, first, type;

    if (!s->stack.count || read_u64(&code, frame + layout->code) ||
        read_u64(&names, (code & ~TAG) + layout->co_variables) ||
        read_u64(&name, names + layout->tuple_items) || read_u64(&text, name + layout->str_ascii) ||
        read_u64(&first, frame + layout->frame_locals))
        return 0;
    first &= ~TAG;
    if ((text & MASK_CLS) == NAME_CLS)
        return first;
    if ((text & MASK_SELF) != NAME_SELF || read_u64(&type, first + layout->ob_type))
        return 0;
    return type;
}

/* warnings.warn(message, category=None, stacklevel=1, source=None, ...), in C:
 * PyObject *warnings_warn(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
 *                         PyObject *kwnames) */
SEC("uprobe")
int python_warning(struct pt_regs *regs) {
    struct python_call call = {.arguments = function_argument(regs, 1),
                               .positional = function_argument(regs, 2),
                               .names = function_argument(regs, 3)};
    __u64 id = bpf_get_current_pid_tgid(), category, source, type = 0;
    __u32 tgid = id >> 32;
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);
    struct layout *layout;
    struct scratch *s;

    if (!target || !target->layout.ready || !target->layout.resource_warning)
        return 0;
    layout = &target->layout;
    category = python_argument(&call, layout, 1, NAME_CATEGORY, ~0ULL);
    /* Without one the message may be an instance of it. */
    if (!category &&
        (read_u64(&source, call.arguments) || read_u64(&category, source + layout->ob_type)))
        return 0;
    if (!is_resource_warning(category, layout))
        return 0;
    s = begin_warning(target, tgid);
    if (!s)
        return 0;
    s->warning.python = 1;
    source = python_argument(&call, layout, 3, NAME_SOURCE, MASK_SOURCE);
    if (!source)
        type = type_of_method(s, layout);
    else if (read_u64(&type, source + layout->ob_type))
        type = 0;
    end_warning(s, target, id, type);
    return 0;
}

/* void code_dealloc(PyCodeObject *code) */
SEC("uprobe")
int code_dealloc(struct pt_regs *regs) {
    __u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);

    if (target)
        forget_code(function_argument(regs, 0), target->space);
    return 0;
}
