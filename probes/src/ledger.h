/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The ledger of living descriptors.
 *
 * The kernel's own table is the judge. A syscall's exit comes a little after its effect, so another
 * thread may already have the number again: a close whose slot is taken leaves the entry to the
 * birth that took it, which finds and replaces it. So no program at sys_enter is needed.
 */
#pragma once

#include "walk.h"

/* The file behind a descriptor of the running process, or NULL. */
static __always_inline struct file *file_of(struct task_struct *task, __u32 fd) {
    struct fdtable *table = task->files ? task->files->fdt : 0;
    struct file *file = 0, **slots;

    if (!table || fd >= table->max_fds)
        return 0;
    slots = table->fd;
    bpf_probe_read_kernel(&file, sizeof(file), slots + fd);
    return file;
}

static __always_inline __u16 mode_of(struct file *file) {
    return BPF_CORE_READ(file, f_inode, i_mode);
}

static __always_inline void account_close(const struct descriptor *entry) {
    __u64 stack = entry->stack;
    struct site *site = bpf_map_lookup_elem(&sites, &stack);

    count(CLOSED_EMITTED);
    if (site)
        __sync_fetch_and_add(&site->closed, 1);
}

/* A warning whose descriptor is not known. */
static __always_inline void account_unmatched(const struct warning *warning) {
    struct unclosed_key key = {.dropped_by = warning->dropped_by, .process = warning->process};
    struct unclosed *pair, fresh = {};

    pair = bpf_map_lookup_elem(&unclosed_pairs, &key);
    if (!pair) {
        fresh.first_ns = warning->time_ns;
        __builtin_memcpy(fresh.type_name, warning->type_name, TYPE_MAX);
        bpf_map_update_elem(&unclosed_pairs, &key, &fresh, BPF_NOEXIST);
        pair = bpf_map_lookup_elem(&unclosed_pairs, &key);
    }
    if (!pair) {
        count(UNCLOSED_FULL);
        return;
    }
    __sync_fetch_and_add(&pair->count, 1);
    pair->last_ns = warning->time_ns;
}

/* An implicit close: the warning came first, this is its close(2). */
static __always_inline void account_warning(struct target *target, __u32 tid,
                                            const struct descriptor *entry, __u64 now) {
    struct warning *warning = bpf_map_lookup_elem(&warnings, &tid);
    struct unclosed_key key = {};
    struct unclosed *pair, fresh = {};

    /* Younger than the warning: opened and closed by the showing of the warning itself. */
    if (!warning || entry->born_ns > warning->time_ns)
        return;
    key.opened_by = entry->stack;
    key.dropped_by = warning->dropped_by;
    key.process = target->process;
    pair = bpf_map_lookup_elem(&unclosed_pairs, &key);
    if (!pair) {
        fresh.first_ns = now;
        __builtin_memcpy(fresh.type_name, warning->type_name, TYPE_MAX);
        bpf_map_update_elem(&unclosed_pairs, &key, &fresh, BPF_NOEXIST);
        pair = bpf_map_lookup_elem(&unclosed_pairs, &key);
    }
    if (pair) {
        __sync_fetch_and_add(&pair->count, 1);
        if (entry->origin == ORIGIN_TRACED)
            __sync_fetch_and_add(&pair->lifetime_ns, now - entry->born_ns);
        pair->last_ns = now;
    } else {
        count(UNCLOSED_FULL);
    }
    bpf_map_delete_elem(&warnings, &tid);
    __sync_fetch_and_add(&target->warned, -1);
}
