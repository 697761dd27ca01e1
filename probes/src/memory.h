/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Memory as it is mapped: each mapping belongs to the stack that made it until it is unmapped. What
 * lies between (a heap's free lists, pymalloc's arenas) is not seen here.
 */
#pragma once

#include "call.h"

#define PAGE_SIZE     4096
#define MAP_FIXED     0x10
#define MAP_ANONYMOUS 0x20
#define MAP_STACK     0x20000

static __always_inline __u64 pages(__u64 bytes) {
    return (bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1ULL);
}

static __always_inline void map_act(struct call *c, __u64 stack, __u16 act, __u64 object,
                                    __u64 kind, __u64 bytes) {
    struct act_sum *sum = act_sum(c->target->process, stack, act, object, kind, c->now);

    if (sum)
        act_add(sum, bytes, 0);
}

static __always_inline void map_one(struct call *c, __u64 address, __u64 bytes, __u64 object,
                                    __u64 kind) {
    struct mapping_key key = {.process = c->target->process, .address = address};
    struct mapping mapping = {
        .stack = c->s->stack_id, .bytes = bytes, .object = object, .kind = kind};

    map_act(c, mapping.stack, ACT_MAP, object, kind, bytes);
    if (bpf_map_update_elem(&mappings, &key, &mapping, BPF_ANY))
        count(MAPPING_FULL);
}

/* Takes `bytes` from `address` on out. Only a mapping that begins there is known by its line; the
 * rest is booked on the process. */
static __always_inline void unmap_one(struct call *c, __u64 address, __u64 bytes) {
    struct mapping_key key = {.process = c->target->process, .address = address};
    struct mapping *known = bpf_map_lookup_elem(&mappings, &key), rest;

    if (!known) {
        map_act(c, c->target->process, ACT_UNMAP, 0, MAPPED_RESERVED, bytes);
        return;
    }
    rest = *known;
    bpf_map_delete_elem(&mappings, &key);
    if (bytes < rest.bytes) {
        map_act(c, rest.stack, ACT_UNMAP, rest.object, rest.kind, bytes);
        rest.bytes -= bytes;
        key.address += bytes;
        if (bpf_map_update_elem(&mappings, &key, &rest, BPF_ANY))
            count(MAPPING_FULL);
        return;
    }
    map_act(c, rest.stack, ACT_UNMAP, rest.object, rest.kind, rest.bytes);
    if (bytes > rest.bytes) /* and neighbours */
        map_act(c, c->target->process, ACT_UNMAP, 0, MAPPED_RESERVED, bytes - rest.bytes);
}

static __noinline int maps(struct call *c, struct pt_regs *regs, __u64 result) {
    __u64 bytes = pages(call_argument(regs, 1)), flags = call_argument(regs, 3), object = 0;
    __u64 kind = MAPPED_ANONYMOUS;
    struct file *file;

    if (flags & MAP_FIXED) /* over what is mapped already */
        return 0;
    walk_once(c);
    if (!(flags & MAP_ANONYMOUS)) {
        kind = MAPPED_FILE;
        file = file_of(call_argument(regs, 4));
        if (file)
            object = file_object((__u64)file, c->target->process);
    } else if (flags & MAP_STACK) {
        kind = MAPPED_STACK;
    } else if (!call_argument(regs, 2)) {
        kind = MAPPED_RESERVED;
    }
    map_one(c, result, bytes, object, kind);
    return 0;
}

static __noinline int remaps(struct call *c, struct pt_regs *regs, __u64 result) {
    __u64 from = call_argument(regs, 0), before = pages(call_argument(regs, 1));
    struct mapping_key key = {.process = c->target->process, .address = from};
    struct mapping *known = bpf_map_lookup_elem(&mappings, &key);
    __u64 kind = known ? known->kind : MAPPED_ANONYMOUS, object = known ? known->object : 0;

    walk_once(c);
    unmap_one(c, from, before);
    map_one(c, result, pages(call_argument(regs, 2)), object, kind);
    return 0;
}

static __noinline int moves_heap(struct call *c, __u64 end) {
    __u64 before = c->target->brk;

    c->target->brk = end;
    if (!before || end == before)
        return 0;
    walk_once(c);
    if (end > before)
        map_act(c, c->s->stack_id, ACT_MAP, 0, MAPPED_HEAP, pages(end) - pages(before));
    else
        map_act(c, c->s->stack_id, ACT_UNMAP, 0, MAPPED_HEAP, pages(before) - pages(end));
    return 0;
}
