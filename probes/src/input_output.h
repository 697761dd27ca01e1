/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* Bytes that are read and written: of connections by descriptor, of files by line and file. */
#pragma once

#include "call.h"

#define O_APPEND    02000
#define ECONNRESET  104
#define BY_POSITION (~0ULL)
/* Directories that are told apart by line; acts of further ones have no object. */
#define LISTED_MAX 4096

__u32 listed_apart = 0;

/* A read, write or poll on a descriptor. `received` and `sent` are bytes. */
static __always_inline struct descriptor *use(struct call *c, __u32 fd, __u64 received,
                                              __u64 sent) {
    struct descriptor_key key = {.process = c->target->process, .fd = fd};
    struct descriptor *entry = living(&key);

    if (!entry)
        return 0;
    entry->used_ns = c->now;
    if ((entry->mode & S_IFMT) == S_IFSOCK) {
        c->asked |= entry->asked;
        if (sent)
            entry->asked = entry->peer != 0;
        else if (received)
            entry->asked = 0;
        if (received)
            __sync_fetch_and_add(&entry->received, received);
        if (sent)
            __sync_fetch_and_add(&entry->sent, sent);
    }
    return entry;
}

/* The result of a read or recv. */
static __always_inline void receives(struct call *c, __u32 fd, __s64 result) {
    struct descriptor *entry = use(c, fd, result > 0 ? result : 0, 0);

    if (entry && entry->peer && !entry->received && (result == 0 || result == -ECONNRESET))
        entry->cut = 1;
}

/*
 * Whether a reading that begins, of a file or a directory, is of what this process has read before,
 * and nothing has changed since: the same size, the same time of modification.
 */
static __always_inline struct file_state *reading_begins(const struct file_key *key,
                                                         struct inode *inode) {
    struct file_state *state = bpf_map_lookup_elem(&files, key);
    __s64 size, modified_s;
    __u32 modified_ns;

    if (!state)
        state = begun(&files, key);
    if (!state) {
        count(FILE_FULL);
        return 0;
    }
    size = BPF_CORE_READ(inode, i_size);
    modified_of(inode, &modified_s, &modified_ns);
    state->unchanged = state->passes && state->size == size && state->modified_s == modified_s &&
                       state->modified_ns == modified_ns;
    state->size = size;
    state->modified_s = modified_s;
    state->modified_ns = modified_ns;
    state->passes++;
    if (state->unchanged)
        state->unchanged_passes++;
    return state;
}

/* Bytes of a regular file. `position`: where they begin; BY_POSITION when the call said so itself,
 * as databases do: that is no pass over the file. Returns the file's object. */
static __noinline __u64 file_bytes(struct call *c, struct file *file, __u64 bytes, __u64 position,
                                   bool writes) {
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    __u32 flags = BPF_CORE_READ(file, f_flags), process = c->target->process;
    struct file_state *state;
    struct file_key key = {.process = process};
    struct act_sum *sum;
    __u64 object;

    walk_once(c);
    object = key.object = file_object((__u64)file, process);
    sum = act_sum(process, c->s->stack_id, writes ? ACT_WRITE : ACT_READ, object, 0, c->now);
    if (!sum)
        return object;
    act_add(sum, bytes, c->ns);
    if (position == BY_POSITION) {
        sum->flags = flags | FILE_BY_POSITION;
        return object;
    }
    sum->flags = flags;
    if (!bytes)
        return object;
    if (writes) {
        if (flags & O_APPEND)
            __sync_fetch_and_add(&sum->repeats, 1);
        if (position == 0)
            __sync_fetch_and_add(&sum->starts, 1);
        return object;
    }
    if (position == 0) {
        state = reading_begins(&key, inode);
        __sync_fetch_and_add(&sum->starts, 1);
        if (state && state->unchanged)
            __sync_fetch_and_add(&sum->repeats, 1);
    } else {
        state = bpf_map_lookup_elem(&files, &key);
    }
    if (state && state->unchanged)
        __sync_fetch_and_add(&sum->repeat_bytes, bytes);
    return object;
}

/* The end of a directory's names: it has been read once through. */
static __noinline int listed(struct call *c, struct file *file) {
    __u32 process = c->target->process;
    struct file_key key = {.process = process};
    struct file_state *state;
    struct act_sum *sum;
    __u64 object;

    walk_once(c);
    object = key.object = file_object((__u64)file, process);
    state = reading_begins(&key, BPF_CORE_READ(file, f_inode));
    if (state && state->passes == 1)
        state->apart = __sync_fetch_and_add(&listed_apart, 1) < LISTED_MAX;
    if (!state || !state->apart)
        object = 0;
    sum = act_sum(process, c->s->stack_id, ACT_LIST, object, 0, c->now);
    if (!sum)
        return 0;
    act_add(sum, 0, c->ns);
    __sync_fetch_and_add(&sum->starts, 1);
    if (state && state->unchanged)
        __sync_fetch_and_add(&sum->repeats, 1);
    return 0;
}

/* fsync and its like, and looks at a path. */
static __noinline int plain_act(struct call *c, __u16 act, __u64 object, bool failed) {
    struct act_sum *sum;

    walk_once(c);
    sum = act_sum(c->target->process, c->s->stack_id, act, object, 0, c->now);
    if (!sum)
        return 0;
    act_add(sum, 0, c->ns);
    if (failed)
        __sync_fetch_and_add(&sum->failed, 1);
    return 0;
}
