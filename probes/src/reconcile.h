/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Reconciliation with the kernel's own tables. Each open descriptor of a traced process is marked
 * with the pass that saw it, and entered if it is not known. What keeps an older mark through two
 * passes is gone; the agent takes it out.
 */
#pragma once

#include "ledger.h"

SEC("iter/task_file")
int reconcile(struct bpf_iter__task_file *context) {
    struct task_struct *task = context->task;
    struct file *file = context->file;
    struct descriptor *entry, fresh = {};
    struct descriptor_key key = {};
    struct target *target;
    __u32 tgid;

    if (!task || !file)
        return 0;
    tgid = task->tgid;
    target = bpf_map_lookup_elem(&targets, &tgid);
    if (!target)
        return 0;
    target->seen++;
    key.process = target->process;
    key.fd = context->fd;
    entry = living(&key);
    if (entry) {
        entry->pass = reconcile_pass;
        return 0;
    }
    fresh.stack = target->process;
    fresh.born_ns = fresh.used_ns = bpf_ktime_get_ns();
    fresh.pass = reconcile_pass;
    fresh.mode = mode_of(file);
    fresh.origin = reconcile_pass <= target->seed ? ORIGIN_BEFORE_ATTACH : ORIGIN_FOUND;
    put_in(&key, &fresh);
    return 0;
}
