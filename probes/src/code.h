/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Code objects: an id for each life of one, and a copy of its fields when it is first met.
 *
 * The copy is taken while a thread that runs the code stands in a syscall: its frame holds a
 * reference, so that the object is whole. An id dies with its object (the uprobe on PyCode_Type's
 * tp_dealloc takes it out), so that the next object at the same address gets another.
 */
#pragma once

#include "arch.h"
#include "maps.h"

static __always_inline __u64 cache_check(__u64 address, __u32 space, __u64 id) {
    return address ^ (__u64)space << 48 ^ id;
}

/* Where the id of a code object is kept, if it is. */
static __always_inline struct code_cached *cached_code(__u64 address, __u32 space) {
    __u32 mixed = ((address >> 4) + space) * 0x9e3779b1U;

    return &code_cache[mixed >> 12 & (CACHE_SIZE - 1)];
}

static __always_inline long read_u64(__u64 *to, __u64 from) {
    return bpf_probe_read_user(to, sizeof(*to), (void *)from);
}

/*
 * At most `most`, a power of two, by a mask that the verifier sees: a comparison alone is lost to
 * those before 6.3 where clang has put what was compared on the stack meanwhile.
 */
static __always_inline __u64 at_most(__u64 most, __u64 size) {
    if (size > most)
        size = most;
    barrier_var(size); /* else clang drops the mask, which it knows to do nothing */
    return size & (2 * most - 1);
}

/* Copies a compact Python string's data, as much of it as fits. */
static __always_inline void read_text(struct text *text, __u8 *data, __u32 capacity, __u64 address,
                                      const struct layout *layout) {
    __u64 length = 0, size;
    __u32 state = 0, kind;

    text->address = address;
    text->length = text->size = text->kind = 0;
    if (bpf_probe_read_user(&length, sizeof(length), (void *)(address + layout->str_length)) ||
        bpf_probe_read_user(&state, sizeof(state), (void *)(address + layout->str_state)))
        return;
    state >>= layout->str_kind_shift & 31;
    kind = state & 7;
    text->length = length;
    text->kind = kind;
    if (!(state & (1 << 3))) /* not compact: the agent reads it */
        return;
    address += state & (1 << 4) ? layout->str_ascii : layout->str_compact;
    size = at_most(capacity, length > capacity ? capacity : length * kind);
    if (!bpf_probe_read_user(data, size, (void *)address))
        text->size = size;
}

static __always_inline void read_bytes(struct text *text, __u8 *data, __u64 address,
                                       const struct layout *layout) {
    __u64 length = 0, size;

    text->address = address;
    text->length = text->size = text->kind = 0;
    if (read_u64(&length, address + layout->bytes_size))
        return;
    text->length = length;
    text->kind = 1;
    size = at_most(TABLE_MAX, length);
    if (!bpf_probe_read_user(data, size, (void *)(address + layout->bytes_data)))
        text->size = size;
}

static __always_inline int describe_code(struct event_code *event, __u64 address,
                                         const struct layout *layout) {
    __u64 at;

    event->first_traceable = 0;
    if (bpf_probe_read_user(&event->first_line, 4, (void *)(address + layout->co_first_line)) ||
        bpf_probe_read_user(&event->flags, 4, (void *)(address + layout->co_flags)))
        return -1;
    if (layout->co_first_traceable != ABSENT)
        bpf_probe_read_user(&event->first_traceable, 4,
                            (void *)(address + layout->co_first_traceable));
    if (read_u64(&at, address + layout->co_filename))
        return -1;
    read_text(&event->filename, event->filename_data, FILENAME_MAX, at, layout);
    if (read_u64(&at, address + layout->co_name))
        return -1;
    read_text(&event->name, event->name_data, NAME_MAX, at, layout);
    if (layout->co_qualname != ABSENT && !read_u64(&at, address + layout->co_qualname))
        read_text(&event->qualname, event->qualname_data, NAME_MAX, at, layout);
    else
        event->qualname.address = 0;
    if (read_u64(&at, address + layout->co_line_table))
        return -1;
    read_bytes(&event->line_table, event->line_table_data, at, layout);
    return 0;
}

/*
 * The id of the code object at `address`: known, or new and sent to the agent. 0 when it cannot be
 * known. Global, so that the verifier looks at it once and not once a frame; scalars only, because
 * 5.10 refuses pointers here.
 */
__attribute__((noinline)) __u64 learn_code(__u64 address, __u32 tgid, __u32 user) {
    struct target *target = bpf_map_lookup_elem(&targets, &tgid);
    struct scratch *s = scratch_of(user);
    struct code_life *life;
    struct code_cached *cached;
    struct event_code *event;
    struct code_key *key;
    __u64 size, id;

    if (!target || !s)
        return 0;
    key = &s->code_key; /* its padding stays zero */
    key->space = target->space;
    key->address = address;
    life = bpf_map_lookup_elem(&codes, key);
    if (!life) {
        s->code_life.id =
            ++s->sequence << 14 | (bpf_get_smp_processor_id() & 0xfff) << 2 | (user & 3);
        if (bpf_map_update_elem(&codes, key, &s->code_life, BPF_NOEXIST) == -7 /* E2BIG: full */) {
            count(CODE_EMITTED);
            count(CODE_CODES_FULL);
            return 0;
        }
        life = bpf_map_lookup_elem(&codes, key);
        if (!life)
            return 0;
    }
    id = life->id;
    if (!life->sent) {
        event = &s->code;
        event->header.type = EVENT_CODE;
        event->header.process = target->process;
        event->header.time_ns = 0;
        event->id = id;
        event->address = address;
        event->space = target->space;
        if (describe_code(event, address, &target->layout)) {
            bpf_map_delete_elem(&codes, key);
            /* A sample may come while a frame is being made. Nothing is lost then but the sample.
             */
            if (is_anywhere(user))
                return 0;
            count(CODE_EMITTED);
            count(CODE_UNREADABLE);
            return 0;
        }
        count(CODE_EMITTED);
        size = event->line_table.size;
        if (size > TABLE_MAX)
            return 0;
        size += __builtin_offsetof(struct event_code, line_table_data);
        if (send(event, size)) {
            count(CODE_RING_FULL);
            return id; /* not cached: the next walk tries again */
        }
        life->sent = 1;
    }
    cached = cached_code(address, key->space);
    cached->id = id;
    cached->check = cache_check(address, key->space, id);
    return id;
}

/* A code object dies: what is next at its address is another. */
static __always_inline void forget_code(__u64 address, __u32 space) {
    struct code_key key = {.space = space, .address = address};
    struct code_cached *cached = cached_code(address, space);

    if (cached->check == cache_check(address, space, cached->id))
        cached->check = 0;
    bpf_map_delete_elem(&codes, &key);
}
