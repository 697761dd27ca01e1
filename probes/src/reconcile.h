/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Reconciliation with the kernel's own tables. Each open descriptor of a traced process is marked
 * with the pass that saw it, and entered if it is not known: at once in the pass that begins the
 * watch, else when a second pass sees it with no birth in between, because the call that made it
 * may not have ended yet and the one that closes it may just have. What keeps an older mark through
 * two passes is gone; the agent takes it out.
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
    __u32 tgid, origin;

    if (!task || !file)
        return 0;
    tgid = task->tgid;
    target = bpf_map_lookup_elem(&targets, &tgid);
    if (!target)
        return 0;
    target->seen++;
    key.process = target->process;
    key.fd = context->fd;
    entry = bpf_map_lookup_elem(&descriptors, &key);
    fresh.stack = target->process;
    fresh.born_ns = fresh.used_ns = bpf_ktime_get_ns();
    fresh.pass = reconcile_pass;
    fresh.mode = mode_of(file);
    if (!entry) {
        fresh.origin = reconcile_pass <= target->seed ? ORIGIN_BEFORE_ATTACH
                       : key.fd < kept_below          ? ORIGIN_SIGHTED
                                                      : ORIGIN_FOUND;
        put_in(&key, &fresh);
        return 0;
    }
    origin = entry->origin;
    switch (origin_of(origin)) {
    case ORIGIN_WRITTEN:
        return 0;
    case ORIGIN_CLOSED:
        if (__sync_val_compare_and_swap(&entry->origin, origin, turned(origin, ORIGIN_SIGHTED)) ==
            origin)
            entry->pass = reconcile_pass;
        return 0;
    case ORIGIN_SIGHTED:
        fresh.origin = ORIGIN_FOUND;
        if (entry->pass != reconcile_pass)
            put_in(&key, &fresh);
        return 0;
    default:
        entry->pass = reconcile_pass;
        return 0;
    }
}
