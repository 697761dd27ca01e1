/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Implicit closes and the end of code objects, by uprobe.
 *
 * PyErr_ResourceWarning fires before the warning filters and, for files and sockets, before the
 * close(2): the next close of an older descriptor by the same thread is the one it warns of.
 */
#pragma once

#include "ledger.h"

/* void PyErr_ResourceWarning(PyObject *source, Py_ssize_t stack_level, const char *format, ...) */
SEC("uprobe")
int resource_warning(struct pt_regs *regs) {
    __u64 source = first_argument(regs), id = bpf_get_current_pid_tgid(), type = 0, name = 0;
    __u32 tgid = id >> 32, tid = id;
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);
    struct scratch *s = scratch_of(SCRATCH_UPROBE);
    struct warning *open, warning = {};

    if (!target || !s)
        return 0;
    count(UNCLOSED_EMITTED);
    if (__sync_val_compare_and_swap(&s->busy, 0, 1)) {
        count(UNCLOSED_BUSY);
        return 0;
    }
    warning.dropped_by = stack_of(s, target, tgid, SCRATCH_UPROBE);
    s->busy = 0;
    warning.time_ns = bpf_ktime_get_ns();
    warning.process = target->process;
    if (!read_u64(&type, source + target->layout.ob_type) &&
        !read_u64(&name, type + target->layout.tp_name))
        bpf_probe_read_user_str(warning.type_name, TYPE_MAX, (void *)name);
    open = bpf_map_lookup_elem(&warnings, &tid);
    if (open)
        account_unclosed(open, 0, 0, open->time_ns);
    if (bpf_map_update_elem(&warnings, &tid, &warning, BPF_ANY))
        count(UNCLOSED_FULL);
    else if (!open)
        __sync_fetch_and_add(&target->warned, 1);
    return 0;
}

/* void code_dealloc(PyCodeObject *code) */
SEC("uprobe")
int code_dealloc(struct pt_regs *regs) {
    __u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);

    if (target)
        forget_code(first_argument(regs), target->space);
    return 0;
}
