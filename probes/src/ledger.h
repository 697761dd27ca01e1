/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The ledger of living descriptors.
 *
 * The kernel's own table is the judge. A syscall's exit comes a little after its effect, so another
 * thread may already have the number again: a close whose slot is taken leaves the entry to the
 * birth that took it, which finds and replaces it. So no program at sys_enter is needed.
 */
#pragma once

#include "acts.h"

#define EEXIST 17

/*
 * The address of the file behind a descriptor of the running process, or 0. Global, because each
 * way of the verifier through a chain of the kernel's own pointers is a search through all of its
 * types.
 */
__attribute__((noinline)) __u64 file_address(__u32 fd) {
    struct task_struct *task = bpf_get_current_task_btf();
    struct fdtable *table = task->files ? task->files->fdt : 0;
    struct file *file = 0, **slots;

    if (!table || fd >= table->max_fds)
        return 0;
    slots = table->fd;
    bpf_probe_read_kernel(&file, sizeof(file), slots + fd);
    return (__u64)file;
}

/* How many descriptors the running process's table has room for. */
__attribute__((noinline)) int table_size(void) {
    struct task_struct *task = bpf_get_current_task_btf();
    struct fdtable *table = task->files ? task->files->fdt : 0;

    return table ? table->max_fds : 0;
}

static __always_inline struct file *file_of(__u32 fd) { return (struct file *)file_address(fd); }

static __always_inline __u16 mode_of(struct file *file) {
    return BPF_CORE_READ(file, f_inode, i_mode);
}

static __always_inline void account_close(__u64 stack) {
    struct site *site = bpf_map_lookup_elem(&sites, &stack);

    count_alone(CLOSED_EMITTED);
    if (site)
        __sync_fetch_and_add(&site->closed, 1);
}

/* What is counted of a descriptor when it is gone. */
struct gone {
    __u64 stack;
    __u64 peer;
    __u64 connected_ns;
    __u64 bytes;
    __u64 cut;
};

/* The end of a connection, which is that of its descriptor. */
static __noinline int account_connection(__u32 process, const struct gone *gone) {
    __u64 now = bpf_ktime_get_ns();
    struct act_sum *sum = act_sum(process, gone->stack, ACT_CONNECTION, gone->peer, 0, now);

    if (sum) {
        act_add(sum, gone->bytes, now - gone->connected_ns);
        if (gone->cut)
            __sync_fetch_and_add(&sum->failed, 1);
    }
    return 0;
}

/*
 * Takes an entry out, which had that origin when its end was certain, and counts its end. Of
 * several that try at once one succeeds, so that an end is counted once.
 */
static __always_inline bool take_out(const struct descriptor_key *key, struct descriptor *entry,
                                     __u32 origin) {
    struct gone gone;

    if (origin_of(origin) >= ORIGIN_CLOSED)
        return false;
    /* Before it is taken out, for it may be another's then. */
    gone.stack = entry->stack;
    gone.peer = entry->peer;
    gone.connected_ns = entry->connected_ns;
    gone.bytes = entry->received + entry->sent;
    gone.cut = entry->cut;
    barrier();
    if (key->fd < kept_below) {
        /* One that was closed and born again meanwhile has counted on, and lives. */
        if (__sync_val_compare_and_swap(&entry->origin, origin, turned(origin, ORIGIN_CLOSED)) !=
            origin)
            return false;
    } else if (bpf_map_delete_elem(&descriptors, key)) {
        return false;
    }
    account_close(gone.stack);
    if (gone.peer)
        account_connection(key->process, &gone);
    return true;
}

/* Enters a descriptor; -EEXIST when the ledger has one of its number. */
static __always_inline long put_in(const struct descriptor_key *key,
                                   const struct descriptor *entry) {
    struct descriptor *kept = 0;
    __u32 origin;

    if (key->fd < kept_below)
        kept = bpf_map_lookup_elem(&descriptors, key);
    if (!kept)
        return bpf_map_update_elem(&descriptors, key, entry, BPF_NOEXIST);
    origin = kept->origin;
    if ((origin_of(origin) != ORIGIN_CLOSED && origin_of(origin) != ORIGIN_SIGHTED) ||
        __sync_val_compare_and_swap(&kept->origin, origin, turned(origin, ORIGIN_WRITTEN)) !=
            origin)
        return -EEXIST;
    /* The birth before the stack: who has read the new stack sees that it is younger. */
    kept->born_ns = entry->born_ns;
    barrier();
    kept->stack = entry->stack;
    kept->used_ns = entry->used_ns;
    kept->pass = entry->pass;
    kept->call = entry->call;
    kept->mode = entry->mode;
    kept->tid = entry->tid;
    kept->asked = kept->cut = 0;
    kept->peer = kept->connected_ns = kept->received = kept->sent = kept->sent_then = 0;
    barrier();
    /* Last: what reads the entry meanwhile sees none. */
    kept->origin = turned(origin + BIRTH, entry->origin);
    return 0;
}

/* Counts an implicit close at its pair of lines; `opened_by` is 0 where it is not known. */
static __always_inline void account_unclosed(const struct warning *warning, __u64 opened_by,
                                             __u64 lifetime_ns, __u64 now) {
    struct unclosed_key key = {.opened_by = opened_by,
                               .dropped_by = warning->dropped_by,
                               .process = warning->process,
                               .python = warning->python};
    struct unclosed *pair;

    pair = bpf_map_lookup_elem(&unclosed_pairs, &key);
    if (!pair) {
        pair = begun(&unclosed_pairs, &key);
        if (pair) {
            pair->first_ns = now;
            __builtin_memcpy(pair->type_name, warning->type_name, TYPE_MAX);
        }
    }
    if (!pair) {
        count(UNCLOSED_FULL);
        return;
    }
    __sync_fetch_and_add(&pair->count, 1);
    __sync_fetch_and_add(&pair->lifetime_ns, lifetime_ns);
    pair->last_ns = now;
}

/*
 * Whether what warned is what closes now, by the stack of the call in the work space: the frame
 * that was innermost at the warning is still there, and was called from the same place. The
 * interpreter's own finalisers warn and close while that frame stands still; a finaliser in Python
 * is that frame, and goes on from its warning to its close.
 */
static __always_inline bool is_within(const struct scratch *s, const struct warning *warning) {
    __u32 count = s->stack.count, depth = warning->depth, at = count - depth;
    const struct frame *frame, *outer;

    if (!depth || depth > count)
        return depth == count;
    frame = &s->stack.frames[at & (MAX_FRAMES - 1)];
    outer = &s->stack.frames[(at + 1) & (MAX_FRAMES - 1)];
    if (s->walk.frames[at & (MAX_FRAMES - 1)] != warning->frame || frame->code != warning->code)
        return false;
    if (warning->python ? frame->instruction < warning->instruction
                        : frame->instruction != warning->instruction)
        return false;
    return depth == 1 || outer->instruction == warning->outer_instruction;
}

/*
 * Settles the warning that came before a close on the same thread: ties the close to it if it is
 * the warning's own. `entry` is what the ledger has for the number; `taken` says that another
 * thread has the number again, so that the entry may be that thread's.
 */
static __always_inline void settle_warning(const struct scratch *s, struct target *target,
                                           __u32 tid, const struct descriptor *entry, bool taken) {
    struct warning *warning = bpf_map_lookup_elem(&warnings, &tid);
    __u64 now, opened_by;

    if (!warning)
        return;
    now = bpf_ktime_get_ns();
    opened_by = entry ? entry->stack : 0;
    barrier();
    if (!is_within(s, warning))
        account_unclosed(warning, 0, 0, warning->time_ns); /* its close came before it, or none */
    else if (entry && entry->born_ns <= warning->time_ns)
        account_unclosed(warning, opened_by,
                         origin_of(entry->origin) == ORIGIN_TRACED ? now - entry->born_ns : 0, now);
    else if (taken || (entry && entry->tid != tid))
        account_unclosed(warning, 0, 0, now); /* another thread has, or had, the number since */
    else
        return; /* opened and closed by the showing of the warning itself */
    bpf_map_delete_elem(&warnings, &tid);
    __sync_fetch_and_add(&target->warned, -1);
}
